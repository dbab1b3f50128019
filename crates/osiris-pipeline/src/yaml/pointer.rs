//! JSON Pointers (RFC 6901) into a tree: from a problem's pointer to the place in the file.

use super::{Entry, Node, NodeKind};
use crate::source::Span;

/// What a pointer leads to.
#[derive(Debug, Clone, Copy)]
pub struct NodeLookup<'a> {
    /// The value, or the nearest one above it that exists.
    pub node: &'a Node,
    /// The entry that holds the value, when its parent is a mapping.
    pub entry: Option<&'a Entry>,
    /// Whether the pointer leads to a value, not only near one.
    pub is_exact: bool,
}

impl NodeLookup<'_> {
    /// Where to point for a problem with the value: at the value, or at its key when it is long or empty.
    pub fn value_span(&self) -> Span {
        match (&self.node.kind, self.entry) {
            (NodeKind::Mapping(_) | NodeKind::Sequence(_) | NodeKind::Null, Some(entry)) => entry.key_span,
            _ => self.node.span,
        }
    }

    /// Where to point for a problem with the key.
    pub fn key_span(&self) -> Span {
        self.entry.map_or(self.node.span, |entry| entry.key_span)
    }
}

impl Node {
    /// Follows `pointer` as far as it leads.
    pub fn find(&self, pointer: &str) -> NodeLookup<'_> {
        let mut found = NodeLookup { node: self, entry: None, is_exact: true };
        for segment in pointer.split('/').skip(1) {
            let (node, entry) = match &found.node.kind {
                NodeKind::Mapping(_) => {
                    let key = segment.replace("~1", "/").replace("~0", "~");
                    let entry = found.node.entry(&key);
                    (entry.map(|entry| &entry.value), entry)
                }
                NodeKind::Sequence(items) => (segment.parse::<usize>().ok().and_then(|index| items.get(index)), None),
                _ => (None, None),
            };
            match node {
                Some(node) => found = NodeLookup { node, entry, is_exact: true },
                None => return NodeLookup { is_exact: false, ..found },
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::diagnostic::Diagnostics;
    use crate::source::SourceFile;
    use crate::yaml;

    #[test]
    fn a_pointer_leads_to_the_value_or_its_nearest_parent() {
        let source = Arc::new(SourceFile::from_text("x", "a:\n  b/c: [1, {d: deep}]\n  e:\n    f: 1\n  g:\n"));
        let node = yaml::load(&source, &mut Diagnostics::default()).unwrap();
        let value = |pointer: &str| source.slice(node.find(pointer).value_span());
        assert_eq!(value("/a/b~1c/1/d"), "deep");
        assert_eq!(value("/a/b~1c/0"), "1");
        assert_eq!(value("/a/e"), "e");
        assert_eq!(value("/a/g"), "g");
        assert_eq!(value("/a/e/nothing/here"), "e");
        assert_eq!(value("/a/b~1c/7"), "b/c");
        assert_eq!(source.slice(node.find("/a/e/f").key_span()), "f");
        assert!(node.find("/a/e/f").is_exact && !node.find("/a/e/x").is_exact && node.find("").is_exact);
    }
}
