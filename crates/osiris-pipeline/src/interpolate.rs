//! `${params.name}` and `${step.table}` inside a step's configuration. Environment variables have no place here: they
//! are for connections, so that a pipeline file means the same on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use osiris_core::Code;
use osiris_core::store::quote;
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::Spanned;
use crate::params::{ParamSpec, suggest, text_of};
use crate::parse::KnownIds;
use crate::source::{SourceFile, Span};
use crate::yaml::{Node, NodeKind};

/// The values that may be substituted.
pub(crate) struct Scope<'a> {
    pub(crate) source: &'a Arc<SourceFile>,
    pub(crate) specs: &'a [ParamSpec],
    pub(crate) params: &'a BTreeMap<String, Value>,
    pub(crate) steps: &'a KnownIds,
}

/// A text was replaced: bytes of it, as written and as they are now.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    written: Range<usize>,
    now: Range<usize>,
}

/// A configuration after substitution.
#[derive(Debug, Default)]
pub(crate) struct Interpolated {
    pub(crate) config: Map<String, Value>,
    /// By JSON Pointer of the text that was changed, in its order.
    pub(crate) edits: BTreeMap<String, Vec<Edit>>,
    /// The pointers of strings with a value that could not be substituted; the problem is already reported.
    pub(crate) incomplete: BTreeSet<String>,
    /// The steps whose tables are named.
    pub(crate) tables: Vec<Spanned<String>>,
}

/// Puts values into every text of a configuration.
pub(crate) fn interpolate(config: &Node, scope: &Scope<'_>, diagnostics: &mut Diagnostics) -> Interpolated {
    let mut done = Interpolated::default();
    let value = walk(config, String::new(), scope, &mut done, diagnostics);
    if let Value::Object(config) = value {
        done.config = config;
    }
    done
}

fn walk(
    node: &Node,
    pointer: String,
    scope: &Scope<'_>,
    done: &mut Interpolated,
    diagnostics: &mut Diagnostics,
) -> Value {
    match &node.kind {
        NodeKind::String(text) if text.value.contains("${") => {
            Replacement { node, scope, done, diagnostics, pointer }.of(&text.value)
        }
        NodeKind::Sequence(items) => {
            let items = items.iter().enumerate();
            items.map(|(index, item)| walk(item, format!("{pointer}/{index}"), scope, done, diagnostics)).collect()
        }
        NodeKind::Mapping(entries) => {
            let entries = entries.iter().map(|entry| {
                let key = entry.key.replace('~', "~0").replace('/', "~1");
                let value = walk(&entry.value, format!("{pointer}/{key}"), scope, done, diagnostics);
                (entry.key.clone(), value)
            });
            Value::Object(entries.collect())
        }
        _ => node.to_json(),
    }
}

/// One text being replaced.
struct Replacement<'a> {
    node: &'a Node,
    scope: &'a Scope<'a>,
    done: &'a mut Interpolated,
    diagnostics: &'a mut Diagnostics,
    pointer: String,
}

impl Replacement<'_> {
    fn of(mut self, text: &str) -> Value {
        let mut output = String::with_capacity(text.len());
        let mut edits = Vec::new();
        let mut at = 0;
        while let Some(start) = text[at..].find("${").map(|found| at + found) {
            if text[at..start].ends_with('$') {
                output.push_str(&text[at..start - 1]);
                edits.push(Edit { written: start - 1..start + 2, now: output.len()..output.len() + 2 });
                output.push_str("${");
                at = start + 2;
                continue;
            }
            output.push_str(&text[at..start]);
            let Some(end) = text[start..].find('}').map(|found| start + found + 1) else {
                let hint = "write `$${` for a literal `${`";
                self.refuse(start..text.len(), Code::InvalidValue, "`${` without a closing `}`", hint);
                output.push_str(&text[start..]);
                at = text.len();
                break;
            };
            let is_whole = start == 0 && end == text.len();
            if let Some(value) = self.value(text[start + 2..end - 1].trim(), start..end, is_whole) {
                if is_whole {
                    return value;
                }
                let value = text_of(&value);
                edits.push(Edit { written: start..end, now: output.len()..output.len() + value.len() });
                output.push_str(&value);
            }
            at = end;
        }
        output.push_str(&text[at..]);
        self.done.edits.insert(self.pointer, edits);
        Value::String(output)
    }

    fn value(&mut self, expression: &str, place: Range<usize>, is_whole: bool) -> Option<Value> {
        if let Some(name) = expression.strip_prefix("params.") {
            return self.param(name, place);
        }
        let is_step = expression.contains('.') || self.scope.steps.contains(expression);
        if !is_step {
            let message = format!("`${{{}}}` is neither a parameter nor a table of a step", shown(expression));
            self.refuse(
                place,
                Code::InvalidParameter,
                &message,
                "environment variables are for osiris_connections.yaml; declare a parameter and write `${params.name}`, or `$${` for a literal `${`",
            );
            return None;
        }
        match self.scope.steps.table_reference(expression) {
            Ok(step) => {
                let span = self.span(place);
                self.done.tables.push(Spanned { value: step.clone(), span });
                Some(Value::String(if is_whole { step } else { quote(&step) }))
            }
            Err((message, hint)) => {
                self.refuse(place, Code::UnknownStep, &message, &hint);
                None
            }
        }
    }

    fn param(&mut self, name: &str, place: Range<usize>) -> Option<Value> {
        if let Some(value) = self.scope.params.get(name) {
            return Some(value.clone());
        }
        if self.scope.specs.iter().any(|spec| spec.name == name) {
            // That it has no value is an error of its declaration.
            self.done.incomplete.insert(self.pointer.clone());
        } else {
            let (message, hint) = (format!("there is no parameter `{name}`"), suggest(name, self.scope.specs));
            self.refuse(place, Code::InvalidParameter, &message, &hint);
        }
        None
    }

    fn span(&self, place: Range<usize>) -> Span {
        let start = self.node.offset_in_file(self.scope.source, place.start);
        let end = self.node.offset_in_file(self.scope.source, place.end);
        Span::new(start, end.max(start))
    }

    fn refuse(&mut self, place: Range<usize>, code: Code, message: &str, hint: &str) {
        self.done.incomplete.insert(self.pointer.clone());
        let span = self.span(place);
        let diagnostic = Diagnostic::error(message).with_code(code);
        self.diagnostics.push(diagnostic.at(self.scope.source, span).with_hint(hint));
    }
}

/// An expression without what may be a secret: the default behind `:-`.
fn shown(expression: &str) -> &str {
    expression.split(":-").next().unwrap_or_default()
}

/// The byte as written of a byte of the text that replaced it.
pub(crate) fn offset_as_written(edits: &[Edit], offset: usize) -> usize {
    let Some(edit) = edits.iter().rev().find(|edit| edit.now.start <= offset) else { return offset };
    if offset < edit.now.end { edit.written.start } else { edit.written.end + (offset - edit.now.end) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_behind_an_edit_move_with_it() {
        let edits = [Edit { written: 2..12, now: 2..4 }, Edit { written: 14..16, now: 6..12 }];
        let places: Vec<usize> = [0, 2, 3, 4, 5, 6, 11, 12, 13].map(|at| offset_as_written(&edits, at)).to_vec();
        assert_eq!(places, [0, 2, 2, 12, 13, 14, 14, 16, 17]);
    }
}
