//! A mapping with known keys: required ones, unknown ones, refused ones, and values of the wrong type.

use std::sync::Arc;

use osiris_core::Code;
use osiris_core::problem::nearest;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::Spanned;
use crate::source::{SourceFile, Span};
use crate::yaml::{Entry, Node, NodeKind};

/// The fields of one mapping of the file.
pub(super) struct Fields<'a, 'd> {
    entries: &'a [Entry],
    span: Span,
    /// What the mapping is, for messages: "the pipeline", "step `a`".
    what: String,
    pub(super) source: &'a Arc<SourceFile>,
    pub(super) diagnostics: &'d mut Diagnostics,
}

impl<'a, 'd> Fields<'a, 'd> {
    /// Reads a mapping; none, with an error, when it is something else.
    pub(super) fn read(
        node: &'a Node,
        what: impl Into<String>,
        known: &[&str],
        refused: &[(&str, &str)],
        source: &'a Arc<SourceFile>,
        diagnostics: &'d mut Diagnostics,
    ) -> Option<Self> {
        let what = what.into();
        let NodeKind::Mapping(entries) = &node.kind else {
            let keys = known.join(", ");
            diagnostics.push(
                Diagnostic::error(format!("{what} must be a mapping, found {}", node.describe()))
                    .with_code(Code::InvalidValue)
                    .at(source, node.span)
                    .with_hint(format!("write `key: value`; keys: {keys}")),
            );
            return None;
        };
        let span = entries.first().map_or(node.span, |entry| entry.key_span);
        let mut fields = Self { entries, span, what, source, diagnostics };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            fields.unknown(entry, known, refused);
        }
        Some(fields)
    }

    fn unknown(&mut self, entry: &Entry, known: &[&str], refused: &[(&str, &str)]) {
        let key = &entry.key;
        let refused = refused.iter().find(|(name, _)| name == key);
        let diagnostic = match (refused, nearest(key, known.iter().copied())) {
            (Some((_, instead)), _) => {
                self.error(entry.key_span, format!("`{key}` is not allowed in {}", self.what)).with_hint(*instead)
            }
            (None, Some(similar)) => self
                .error(entry.key_span, format!("unknown key `{key}` in {}", self.what))
                .with_hint(format!("did you mean `{similar}`?")),
            (None, None) => self
                .error(entry.key_span, format!("unknown key `{key}` in {}", self.what))
                .with_hint(format!("known keys: {}", known.join(", "))),
        };
        self.diagnostics.push(diagnostic.with_code(Code::UnknownField));
    }

    /// What the mapping is, for messages.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// An error at a place of the file, not yet added.
    pub(super) fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(self.source, span)
    }

    /// A field, unless it is missing or empty.
    pub(super) fn take(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key && !entry.value.is_null())
    }

    /// Whether a field is there without a value, which is as good as absent where it has a default.
    pub(super) fn is_null(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key && entry.value.is_null())
    }

    /// A field that must be there.
    pub(super) fn required(&mut self, key: &str) -> Option<&'a Entry> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == key) {
            if !entry.value.is_null() {
                return Some(entry);
            }
            let error = self.error(entry.key_span, format!("`{key}` of {} has no value", self.what));
            self.diagnostics.push(error.with_code(Code::MissingField));
            return None;
        }
        let error = self.error(self.span, format!("{} has no `{key}`", self.what));
        self.diagnostics.push(error.with_code(Code::MissingField).with_hint(format!("add `{key}: ...`")));
        None
    }

    /// The text of a field, if it is there.
    pub(super) fn text(&mut self, key: &str) -> Option<Spanned<String>> {
        self.take(key).and_then(|entry| self.text_of(entry))
    }

    /// The text of a field that must be there.
    pub(super) fn required_text(&mut self, key: &str) -> Option<Spanned<String>> {
        self.required(key).and_then(|entry| self.text_of(entry))
    }

    /// Names that look like numbers are taken as they are written.
    fn text_of(&mut self, entry: &Entry) -> Option<Spanned<String>> {
        let span = entry.value.span;
        match &entry.value.kind {
            NodeKind::String(text) => Some(Spanned { value: text.value.clone(), span }),
            NodeKind::Number(_) | NodeKind::Bool(_) => {
                Some(Spanned { value: self.source.slice(span).to_owned(), span })
            }
            _ => {
                let message =
                    format!("`{}` of {} must be a string, found {}", entry.key, self.what, entry.value.describe());
                self.diagnostics.push(self.error(entry.key_span, message).with_code(Code::InvalidValue));
                None
            }
        }
    }

    /// Reports a text that is empty.
    pub(super) fn not_empty(&mut self, text: &Spanned<String>) -> bool {
        let is_empty = text.value.trim().is_empty();
        if is_empty {
            let error = self.error(text.span, "this must not be empty");
            self.diagnostics.push(error.with_code(Code::InvalidValue));
        }
        !is_empty
    }

    /// A whole number of a field within limits.
    pub(super) fn whole(&mut self, key: &str, least: u64, most: u64) -> Option<Spanned<u64>> {
        let entry = self.take(key)?;
        let span = entry.value.span;
        let value = match &entry.value.kind {
            NodeKind::Number(number) => number.as_u64(),
            _ => None,
        };
        if let Some(value) = value.filter(|value| (least..=most).contains(value)) {
            return Some(Spanned { value, span });
        }
        let found = match &entry.value.kind {
            NodeKind::Number(_) => format!("`{}`", self.source.slice(span)),
            _ => entry.value.describe().to_owned(),
        };
        let message = format!("`{key}` must be a whole number from {least} to {most}, found {found}");
        self.diagnostics.push(self.error(span, message).with_code(Code::InvalidValue));
        None
    }

    /// Where the mapping begins.
    pub(super) fn span(&self) -> Span {
        self.span
    }
}
