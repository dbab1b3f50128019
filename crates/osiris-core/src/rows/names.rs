//! Which column a member goes to. The usual row has the members of the one before it, in the same order: then there is
//! no lookup.

use std::collections::{HashMap, HashSet};

use super::options::{FieldTree, Nested, RowOptions};

pub(super) type NodeId = usize;
pub(super) type ColumnId = usize;

/// The members of one kind of object: the row, or an object at one place in it.
#[derive(Debug, Default)]
struct Node {
    members: Vec<Member>,
    index: HashMap<Box<str>, usize>,
    depth: usize,
    /// The members that are objects of their own, where they are named.
    fields: FieldTree,
    /// What the names of its columns begin with.
    prefix: String,
}

/// What is known of a member.
#[derive(Debug)]
pub(super) struct Member {
    key: Box<str>,
    /// Whether the key is itself in JSON, without an escape.
    plain: bool,
    /// The full name, as flattened.
    name: String,
    /// Whether its text may be JSON.
    pub(super) embedded: bool,
    /// Whether it has the name of the constant, ignoring case.
    pub(super) constant: bool,
    /// Whether the filter, if there is one, does not leave it out.
    pub(super) kept: bool,
    /// Whether its key has the character U+0000, which no name of a column can have.
    pub(super) has_nul: bool,
    column: Option<Place>,
    /// The last row that was checked and has it.
    seen: u64,
    node: Option<NodeId>,
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Column(ColumnId),
    /// The filter leaves it out.
    Nowhere,
}

/// All objects of a row, and the names of the columns.
pub(super) struct Names {
    nodes: Vec<Node>,
    options: RowOptions,
    /// Lower case, since columns never differ by case alone.
    taken: HashSet<String>,
    columns: Vec<String>,
    /// The columns that were declared, by the name that the rows use.
    declared: HashMap<String, ColumnId>,
    /// The member that every row gets, in lower case.
    constant: Option<String>,
}

impl Names {
    pub(super) const ROOT: NodeId = 0;

    pub(super) fn new(options: RowOptions) -> Self {
        let fields = match &options.nested {
            Nested::Fields { fields, .. } => fields.clone(),
            Nested::Json | Nested::Flatten { .. } => FieldTree::default(),
        };
        let mut names = Self {
            nodes: vec![Node { fields, ..Node::default() }],
            taken: HashSet::new(),
            columns: Vec::new(),
            declared: HashMap::new(),
            constant: None,
            options,
        };
        for (name, _) in names.options.columns.clone() {
            if !names.declared.contains_key(&name) {
                let column = names.enter(&name);
                names.declared.insert(name, column);
            }
        }
        names
    }

    /// The columns so far.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Which key is likely to come at this place of an object; none where JSON writes the key with an escape.
    #[inline]
    pub(super) fn expected(&self, node: NodeId, at: usize) -> Option<&str> {
        self.nodes[node].members.get(at).filter(|member| member.plain).map(|member| &*member.key)
    }

    #[inline]
    pub(super) fn member(&self, node: NodeId, at: usize) -> &Member {
        &self.nodes[node].members[at]
    }

    /// The key of this member.
    pub(super) fn key(&self, node: NodeId, at: usize) -> &str {
        &self.nodes[node].members[at].key
    }

    /// The member called `key`, created if needed.
    pub(super) fn find(&mut self, id: NodeId, key: &str) -> usize {
        let node = &mut self.nodes[id];
        if let Some(&at) = node.index.get(key) {
            return at;
        }
        let is_root = node.depth == 0;
        let embedded = is_root && self.options.embedded.iter().any(|embedded| embedded == key);
        let constant = is_root && self.constant.as_ref().is_some_and(|constant| *constant == key.to_lowercase());
        let (at, name) = (node.members.len(), format!("{}{key}", node.prefix));
        node.index.insert(key.into(), at);
        node.members.push(Member {
            key: key.into(),
            plain: !key.contains(['"', '\\']),
            kept: self.options.filter.as_ref().is_none_or(|filter| filter(&name)),
            has_nul: key.contains('\0'),
            name,
            embedded,
            constant,
            column: None,
            seen: 0,
            node: None,
        });
        at
    }

    /// The member `name`, which every row gets. Where a row has one itself, there would be two columns of one name.
    pub(super) fn constant(&mut self, name: &str) -> usize {
        let lower = name.to_lowercase();
        if self.constant.as_ref() != Some(&lower) {
            for member in &mut self.nodes[Self::ROOT].members {
                member.constant = member.key.to_lowercase() == lower;
            }
            self.constant = Some(lower);
        }
        self.find(Self::ROOT, name)
    }

    /// Marks the member as one of the checked row `row`; false when it has the mark already.
    #[inline]
    pub(super) fn mark(&mut self, node: NodeId, at: usize, row: u64) -> bool {
        std::mem::replace(&mut self.nodes[node].members[at].seen, row) != row
    }

    /// Where values of this member have gone, if there were any.
    #[inline]
    pub(super) fn known_place(&self, node: NodeId, at: usize) -> Option<Place> {
        self.nodes[node].members[at].column
    }

    /// The keys of all rows.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.nodes[Self::ROOT].members.iter().map(|member| &*member.key)
    }

    /// Where a value of this member goes.
    #[inline]
    pub(super) fn place(&mut self, node: NodeId, at: usize) -> Place {
        match self.nodes[node].members[at].column {
            Some(place) => place,
            None => self.new_place(node, at),
        }
    }

    fn new_place(&mut self, node: NodeId, at: usize) -> Place {
        let member = &self.nodes[node].members[at];
        let (name, kept) = (member.name.clone(), member.kept);
        let place = match self.declared.get(&name) {
            _ if !kept => Place::Nowhere,
            Some(column) => Place::Column(*column),
            None => Place::Column(self.enter(&name)),
        };
        self.nodes[node].members[at].column = Some(place);
        place
    }

    /// The object at this member, if it is one whose members become columns.
    pub(super) fn inside(&mut self, node: NodeId, at: usize) -> Option<NodeId> {
        let Node { members, fields, depth, .. } = &self.nodes[node];
        let member = &members[at];
        if let Some(inside) = member.node {
            return Some(inside);
        }
        let depth = depth + 1;
        let (separator, fields) = match &self.options.nested {
            Nested::Json => return None,
            Nested::Flatten { depth: deepest, .. } if deepest.is_some_and(|deepest| depth > deepest) => return None,
            Nested::Flatten { separator, .. } => (separator, FieldTree::default()),
            Nested::Fields { separator, .. } => (separator, fields.inside(&member.key)?.clone()),
        };
        // A declared JSON column holds its objects whole.
        if self.declared.contains_key(&member.name) {
            return None;
        }
        let (inside, prefix) = (self.nodes.len(), format!("{}{separator}", member.name));
        self.nodes.push(Node { depth, fields, prefix, ..Node::default() });
        self.nodes[node].members[at].node = Some(inside);
        Some(inside)
    }

    /// A column's name, made different from all others: by a number where two differ by case alone, or are equal.
    fn enter(&mut self, name: &str) -> ColumnId {
        let name = if name.is_empty() { "_" } else { name };
        let mut unique = name.to_owned();
        let mut number = 2;
        while !self.taken.insert(unique.to_lowercase()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        self.columns.push(unique);
        self.columns.len() - 1
    }
}
