//! `needs` and `inputs`: which steps a step waits for, and whose tables it reads.

use std::collections::BTreeSet;

use osiris_core::Code;
use osiris_core::problem::nearest;

use super::fields::Fields;
use crate::model::{Spanned, StepInput};
use crate::source::Span;
use crate::yaml::{Node, NodeKind};

/// How many ids a hint lists.
const MAX_SUGGESTED: usize = 20;

/// The ids of all steps of the file, known before any of them is read.
pub(crate) struct KnownIds(BTreeSet<String>);

impl KnownIds {
    pub(super) fn of(steps: &[Node]) -> Self {
        Self(steps.iter().filter_map(id_of).map(str::to_owned).collect())
    }

    /// The ids of steps that were read.
    pub(crate) fn from_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        Self(ids.into_iter().map(str::to_owned).collect())
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }

    /// The advice for an id that is not there.
    pub(crate) fn suggest(&self, id: &str) -> String {
        match nearest(id, self.0.iter().map(String::as_str)) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => {
                let shown: Vec<&str> = self.0.iter().map(String::as_str).take(MAX_SUGGESTED).collect();
                let more = if self.0.len() > MAX_SUGGESTED { ", ..." } else { "" };
                format!("steps: {}{more}", shown.join(", "))
            }
        }
    }

    /// What `step.table` (or `.df`, its old name) refers to: the longest known id wins.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn table_reference(&self, expression: &str) -> Result<String, (String, String)> {
        let dots = expression.match_indices('.').map(|(at, _)| at).rev();
        for (step, output) in dots.map(|at| (&expression[..at], &expression[at + 1..])) {
            if !self.contains(step) {
                continue;
            }
            if matches!(output, "table" | "df") {
                return Ok(step.to_owned());
            }
            let message = format!("step `{step}` has no output `{output}`");
            return Err((message, format!("write `${{{step}.table}}`")));
        }
        if self.contains(expression) {
            return Err((format!("`{expression}` is a step, not a table"), format!("write `${{{expression}.table}}`")));
        }
        let step = expression.strip_suffix(".table").or_else(|| expression.strip_suffix(".df")).unwrap_or(expression);
        Err((format!("there is no step `{step}`"), self.suggest(step)))
    }
}

/// The id of a step that has not been read yet.
pub(super) fn id_of(step: &Node) -> Option<&str> {
    step.get("id").and_then(Node::as_str)
}

/// The steps under `needs`; one may stand there without brackets.
pub(super) fn needs(node: &Node, known: &KnownIds, fields: &mut Fields<'_, '_>) -> Vec<Spanned<String>> {
    let items = match &node.kind {
        NodeKind::Sequence(items) => items.as_slice(),
        NodeKind::String(_) => std::slice::from_ref(node),
        _ => {
            let message = format!("`needs` must be a list of step ids, found {}", node.describe());
            let error = fields.error(node.span, message).with_code(Code::InvalidValue);
            fields.diagnostics.push(error.with_hint("write `needs: [step]`"));
            return Vec::new();
        }
    };
    let mut needs: Vec<Spanned<String>> = Vec::new();
    for item in items {
        let Some(text) = item.as_str() else {
            let message = format!("a step id must be a string, found {}", item.describe());
            fields.diagnostics.push(fields.error(item.span, message));
            continue;
        };
        // `${step.table}` is what `inputs` wants; here it can only mean the step.
        let id = inside(text).map_or(Ok(text.to_owned()), |expression| known.table_reference(expression));
        match id {
            Ok(id) if !known.contains(&id) => {
                let hint = known.suggest(&id);
                let error = fields.error(item.span, format!("there is no step `{id}`")).with_code(Code::UnknownStep);
                fields.diagnostics.push(error.with_hint(hint));
            }
            Ok(id) if needs.iter().any(|need| need.value == id) => {}
            Ok(id) => needs.push(Spanned { value: id, span: item.span }),
            Err((message, hint)) => {
                let error = fields.error(item.span, message).with_code(Code::UnknownStep);
                fields.diagnostics.push(error.with_hint(hint));
            }
        }
    }
    needs
}

/// The tables under `inputs`.
pub(super) fn inputs(node: &Node, known: &KnownIds, fields: &mut Fields<'_, '_>) -> Vec<StepInput> {
    let NodeKind::Mapping(entries) = &node.kind else {
        let message = format!("`inputs` must be a mapping, found {}", node.describe());
        let error =
            fields.error(node.span, message).with_hint("write `inputs: {name: \"${step.table}\"}`, or `needs: [step]`");
        fields.diagnostics.push(error);
        return Vec::new();
    };
    let mut inputs: Vec<StepInput> = Vec::new();
    for entry in entries {
        let span = entry.value.span;
        if let Some(other) = inputs.iter().find(|input| input.key.eq_ignore_ascii_case(&entry.key)) {
            let message = format!("the inputs `{}` and `{}` differ only by case", other.key, entry.key);
            fields
                .diagnostics
                .push(fields.error(entry.key_span, message).with_hint("they are the same name in SQL: rename one"));
        }
        match reference(&entry.value, known) {
            Ok(step) => inputs.push(StepInput { key: entry.key.clone(), step: Spanned { value: step, span } }),
            Err((message, hint)) => {
                let place = if entry.value.is_null() { entry.key_span } else { span };
                fields.diagnostics.push(fields.error(place, message).with_code(Code::UnknownStep).with_hint(hint));
            }
        }
    }
    inputs
}

fn reference(node: &Node, known: &KnownIds) -> Result<String, (String, String)> {
    let Some(text) = node.as_str() else {
        let hint = "write `\"${step.table}\"`".to_owned();
        return Err((format!("an input must name a table, found {}", node.describe()), hint));
    };
    // The original Osiris writes `@step`.
    if let Some(step) = text.strip_prefix('@').filter(|step| known.contains(step)) {
        return Ok(step.to_owned());
    }
    match inside(text) {
        Some(expression) => known.table_reference(expression),
        None if known.contains(text) => {
            Err((format!("`{text}` is a step, not a table"), format!("write `\"${{{text}.table}}\"`")))
        }
        None => Err((format!("`{text}` is not a table of a step"), "write `\"${step.table}\"`".to_owned())),
    }
}

/// What stands between `${` and `}`, when that is all there is.
fn inside(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("${")?.strip_suffix('}')?;
    (!inside.contains(['{', '}'])).then(|| inside.trim())
}

/// Where the reference to `step` stands among needs and inputs, for errors about it.
pub(crate) fn place_of(step: &crate::model::Step, wanted: &str) -> Option<Span> {
    let needs = step.needs.iter();
    let all = step.inputs.iter().map(|input| &input.step).chain(needs);
    all.into_iter().find(|reference| reference.value == wanted).map(|reference| reference.span)
}
