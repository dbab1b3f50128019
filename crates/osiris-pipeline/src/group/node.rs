//! Values that take the place of what is written, at the same place of the file.

use crate::source::Span;
use crate::yaml::{Entry, Node, NodeKind, Style, Text};

/// A text that means itself: nothing in it is a parameter.
pub(super) fn literal(text: &str, span: Span) -> Node {
    written(text.replace("${", "$${"), span)
}

/// A text as it would be written.
pub(super) fn written(value: String, span: Span) -> Node {
    Node { span, kind: NodeKind::String(Text { value, style: Style::Plain }) }
}

/// A list of texts that mean themselves.
pub(super) fn list(texts: &[String], span: Span) -> Node {
    Node { span, kind: NodeKind::Sequence(texts.iter().map(|text| literal(text, span)).collect()) }
}

/// An entry of a mapping.
pub(super) fn entry(key: &str, key_span: Span, value: Node) -> Entry {
    Entry { key: key.to_owned(), key_span, value }
}

/// The mapping with each of its entries replaced by what `change` makes of it.
pub(super) fn mapped(config: &Node, change: impl Fn(&Entry) -> Vec<Entry>) -> Node {
    let entries = config.as_mapping().unwrap_or_default().iter().flat_map(change).collect();
    Node { span: config.span, kind: NodeKind::Mapping(entries) }
}
