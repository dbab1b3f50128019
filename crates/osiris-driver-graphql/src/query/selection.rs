//! What an operation selects, in the form of the response: response keys, with fragments expanded.

use apollo_parser::cst::{self, CstNode, OperationDefinition, Selection, SelectionSet};
use osiris_core::Problem;

use super::node::{Fragments, problem_at, start};

/// Arguments that give the largest number of items.
const SIZES: [&str; 8] = ["first", "last", "limit", "pageSize", "page_size", "perPage", "per_page", "take"];

/// Arguments that say where the items begin or end.
const BOUNDS: [&str; 2] = ["after", "before"];

/// Arguments with the number of items that are left out before the first one.
const SKIPS: [&str; 2] = ["offset", "skip"];

/// Numbers that limit some lists and mean something else for other fields, such as `avatar(size: 40)`.
const PERHAPS: [&str; 8] = ["count", "max", "maxResults", "page", "pageNumber", "size", "start", "top"];

/// Those of them that say where the items begin.
const PERHAPS_BOUNDS: [&str; 3] = ["page", "pageNumber", "start"];

/// Arguments with an object of such arguments.
const OBJECTS: [&str; 6] = ["input", "options", "page", "paginate", "pagination", "paging"];

/// An argument of a field, or a member of one that is an object about pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) value: Given,
}

/// A value that a query gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// Nothing, or an empty text, which is a usual way to write "from the beginning".
    Null,
    Number(u64),
    Variable(String),
    Other,
}

/// What an argument with a value does to a list of which the field is known to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It limits the number of items.
    Size,
    /// It says where the items begin or end.
    Bound,
    /// It leaves out so many items before the first one, if that is known.
    Skip(Option<u64>),
}

impl Argument {
    /// What it does with `value`, which is its own or that of its variable.
    pub(crate) fn effect(&self, value: &Given) -> Option<Effect> {
        let is_in = |names: &[&str]| names.contains(&self.name.as_str());
        match value {
            Given::Null => None,
            _ if is_in(&SIZES) => Some(Effect::Size),
            _ if is_in(&BOUNDS) => Some(Effect::Bound),
            _ if is_in(&SKIPS) => Some(Effect::Skip(value.number())),
            Given::Number(0) if self.name == "start" => None,
            Given::Number(_) if is_in(&PERHAPS_BOUNDS) => Some(Effect::Bound),
            Given::Number(_) if is_in(&PERHAPS) => Some(Effect::Size),
            _ => None,
        }
    }
}

impl Given {
    pub(super) fn of(value: &cst::Value) -> Self {
        match value {
            cst::Value::Variable(variable) => {
                variable.name().map_or(Self::Other, |name| Self::Variable(name.text().to_string()))
            }
            cst::Value::NullValue(_) => Self::Null,
            value => match value.syntax().text().to_string().trim() {
                "\"\"" => Self::Null,
                text => text.parse().map_or(Self::Other, Self::Number),
            },
        }
    }

    /// That of a variable in a configuration.
    pub(crate) fn of_json(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::String(text) if text.is_empty() => Self::Null,
            value => value.as_u64().map_or(Self::Other, Self::Number),
        }
    }

    /// The whole number that it is.
    pub(crate) fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

/// A field of the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selected {
    /// Its name in the response: the alias, if there is one.
    pub(crate) key: String,
    /// Its name in the server's schema.
    pub(crate) field: String,
    /// Its arguments, and the members of those that are objects about pages.
    pub(crate) arguments: Vec<Argument>,
    /// What is selected of it; nothing for a scalar.
    pub(crate) inside: Vec<Selected>,
}

impl Selected {
    /// The field of the response that `names` lead to.
    pub(crate) fn at<'a>(selected: &'a [Self], names: &[String]) -> Option<&'a Self> {
        let (first, rest) = names.split_first()?;
        let found = selected.iter().find(|field| field.key == *first)?;
        if rest.is_empty() { Some(found) } else { Self::at(&found.inside, rest) }
    }

    /// Whether only a part of its list is requested, by an argument that means so wherever it occurs.
    pub(crate) fn is_limited(&self) -> bool {
        let limits =
            |argument: &Argument| SIZES.contains(&argument.name.as_str()) || BOUNDS.contains(&argument.name.as_str());
        self.arguments.iter().any(|argument| limits(argument) && argument.value != Given::Null)
    }

    /// How many items are requested, if the query says so.
    pub(crate) fn limit(&self) -> Option<&Given> {
        let is_size = |argument: &&Argument| SIZES.contains(&argument.name.as_str());
        let mut values = self.arguments.iter().filter(is_size).map(|argument| &argument.value);
        values.find(|value| matches!(value, Given::Number(_) | Given::Variable(_)))
    }

    /// The field inside of this one that the server calls `name`.
    pub(crate) fn inner(&self, name: &str) -> Option<&Self> {
        self.inside.iter().find(|field| field.field == name)
    }
}

/// What an operation selects. Fragments that are not defined, or contain themselves, are problems.
pub(super) fn of(
    text: &str,
    operation: &OperationDefinition,
    fragments: &Fragments,
    problems: &mut Vec<Problem>,
) -> Vec<Selected> {
    let mut walk = Walk { text, fragments, problems, within: Vec::new() };
    let mut selected = Vec::new();
    if let Some(set) = operation.selection_set() {
        walk.set(&set, &mut selected);
    }
    selected
}

struct Walk<'a> {
    text: &'a str,
    fragments: &'a Fragments,
    problems: &'a mut Vec<Problem>,
    /// The fragments that are being expanded.
    within: Vec<String>,
}

impl Walk<'_> {
    fn set(&mut self, set: &SelectionSet, selected: &mut Vec<Selected>) {
        for selection in set.selections() {
            match selection {
                Selection::Field(field) => self.field(&field, selected),
                Selection::InlineFragment(fragment) => {
                    if let Some(set) = fragment.selection_set() {
                        self.set(&set, selected);
                    }
                }
                Selection::FragmentSpread(spread) => self.spread(&spread, selected),
            }
        }
    }

    fn field(&mut self, field: &cst::Field, selected: &mut Vec<Selected>) {
        let Some(name) = field.name().map(|name| name.text().to_string()) else { return };
        let alias = field.alias().and_then(|alias| alias.name()).map(|name| name.text().to_string());
        let key = alias.unwrap_or_else(|| name.clone());
        let arguments = field.arguments().into_iter().flat_map(|arguments| arguments.arguments());
        let arguments = arguments.filter_map(|argument| Some((argument.name()?, argument.value()?)));
        let arguments = arguments.flat_map(|(name, value)| arguments_of(name.text().to_string(), &value)).collect();
        // A field that is selected twice occurs once, with what both select.
        let index = selected.iter().position(|other| other.key == key).unwrap_or_else(|| {
            selected.push(Selected { key, field: name, arguments, inside: Vec::new() });
            selected.len() - 1
        });
        if let Some(set) = field.selection_set() {
            let mut inside = std::mem::take(&mut selected[index].inside);
            self.set(&set, &mut inside);
            selected[index].inside = inside;
        }
    }

    fn spread(&mut self, spread: &cst::FragmentSpread, selected: &mut Vec<Selected>) {
        let Some(name) = spread.fragment_name().and_then(|name| name.name()) else { return };
        let (offset, name) = (start(&name), name.text().to_string());
        let Some(fragment) = self.fragments.get(&name) else {
            self.problems.push(problem_at(self.text, offset, format!("the fragment `{name}` is not defined")));
            return;
        };
        if self.within.contains(&name) {
            let message = format!("the fragment `{name}` contains itself");
            self.problems.push(problem_at(self.text, offset, message));
            return;
        }
        if let Some(set) = fragment.selection_set() {
            self.within.push(name);
            self.set(&set, selected);
            self.within.pop();
        }
    }
}

/// An argument; if it is an object about pages, its members as well.
fn arguments_of(name: String, value: &cst::Value) -> Vec<Argument> {
    let members = match value {
        cst::Value::ObjectValue(object) if OBJECTS.contains(&name.as_str()) => object.object_fields().collect(),
        _ => Vec::new(),
    };
    let members = members.iter().filter_map(|member| {
        Some(Argument { name: member.name()?.text().to_string(), value: Given::of(&member.value()?) })
    });
    let own = Argument { name, value: Given::of(value) };
    std::iter::once(own).chain(members).collect()
}

/// The variables used anywhere below a node.
pub(super) fn variables(node: &apollo_parser::SyntaxNode) -> impl Iterator<Item = cst::Variable> {
    node.descendants().filter_map(cst::Variable::cast)
}

/// The fragments spread anywhere below a node.
pub(super) fn spreads(node: &apollo_parser::SyntaxNode) -> impl Iterator<Item = String> {
    node.descendants()
        .filter_map(cst::FragmentSpread::cast)
        .filter_map(|spread| Some(spread.fragment_name()?.name()?.text().to_string()))
}
