//! YAML with positions: a tree whose every node knows its bytes in the file. It knows nothing of pipelines.
//!
//! The dialect is the safe part of YAML 1.2: one document, keys are texts and occur once, spaces indent, anchors and
//! aliases work within a budget, merge keys (`<<`) and tags other than the core ones are refused. Plain scalars follow
//! the 1.2 core schema, so `no`, `off`, `1_000` and `2024-01-01` are texts. Two things are stricter than the core
//! schema, because a silent change of a value is worse than a quote too many: whole numbers with leading zeros
//! (`00123`) or in another base (`0o17`, `0x1f`) are texts, and so is any number that a JSON number of 64 bits cannot
//! hold.

mod load;
mod offset;
mod path;
mod pointer;
mod scalar;
mod syntax;

use serde_json::{Map, Number, Value};

pub use load::load;

use crate::source::Span;

/// How many values a file may hold.
pub const MAX_NODES: usize = 200_000;
/// How many values the aliases of a file may add. What repeats itself more than that is an attack or a mistake.
pub const MAX_ALIAS_NODES: usize = 20_000;
/// How many bytes of text the aliases of a file may add.
pub const MAX_ALIAS_BYTES: usize = 1024 * 1024;
/// How deep values may be nested.
pub const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its bytes. A block scalar's begin at its text, a block mapping's at its first key.
    pub span: Span,
    /// What it is.
    pub kind: NodeKind,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole or a floating point number.
    Number(Number),
    /// A text.
    String(Text),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping, in the order of the file.
    Mapping(Vec<Entry>),
}

/// A text and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub value: String,
    /// How it was written.
    pub style: Style,
}

/// How a text was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'...'`
    Single,
    /// `"..."`
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key as written, whatever it looks like: `1` and `true` are texts here.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Entry {
    /// Key and value together.
    pub fn span(&self) -> Span {
        self.key_span.to(self.value.span)
    }
}

impl Node {
    /// A mapping without entries, at a place.
    pub fn empty_mapping(span: Span) -> Self {
        Self { span, kind: NodeKind::Mapping(Vec::new()) }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::String(text) => Some(&text.value),
            _ => None,
        }
    }

    /// The entries, if it is a mapping.
    pub fn as_mapping(&self) -> Option<&[Entry]> {
        match &self.kind {
            NodeKind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Whether nothing was written.
    pub fn is_null(&self) -> bool {
        self.kind == NodeKind::Null
    }

    /// The entry of a mapping called `key`.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_mapping()?.iter().find(|entry| entry.key == key)
    }

    /// The value of a mapping under `key`.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// What it is, with its article, for "expected ..., found ...".
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Bool(_) => "true or false",
            NodeKind::Number(number) if number.is_f64() => "a number",
            NodeKind::Number(_) => "a whole number",
            NodeKind::String(_) => "a string",
            NodeKind::Sequence(_) => "a list",
            NodeKind::Mapping(_) => "a mapping",
        }
    }

    /// The value without its positions.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(value) => Value::Bool(*value),
            NodeKind::Number(number) => Value::Number(number.clone()),
            NodeKind::String(text) => Value::String(text.value.clone()),
            NodeKind::Sequence(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            NodeKind::Mapping(entries) => Value::Object(mapping_to_json(entries)),
        }
    }
}

/// The entries of a mapping without their positions, in the order of the file.
pub fn mapping_to_json(entries: &[Entry]) -> Map<String, Value> {
    entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
}
