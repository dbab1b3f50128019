//! One step of the file.

use std::sync::Arc;

use osiris_core::problem::nearest;
use osiris_core::secret::mask_by_form;
use osiris_core::{ResumeFrom, Role};

use super::fields::Fields;
use super::{inputs, policy};
use crate::diagnostic::Diagnostics;
use crate::model::{Spanned, Step};
use crate::source::SourceFile;
use crate::yaml::{Node, NodeKind};

/// The keys of a step.
pub(crate) const STEP_KEYS: &[&str] =
    &["id", "name", "description", "component", "mode", "config", "needs", "inputs", "retry", "timeout", "resume"];
/// Keys of other formats, with what to write instead.
const REFUSED: &[(&str, &str)] = &[
    ("depends_on", "write `needs: [step]`"),
    ("type", "write `component: family.name`"),
    ("driver", "write `component: family.name`"),
    ("with", "write `config`"),
    ("uses", "write `component: family.name`"),
    ("connection", "write it under `config`"),
    ("query", "write it under `config`"),
    ("outputs", "a step makes one table, named after its id; write a step with `mode: write` to keep it"),
];
/// What may stand under `mode`; the last two are old words for `read`.
const MODES: &[(&str, Role)] = &[
    ("read", Role::Extract),
    ("transform", Role::Transform),
    ("write", Role::Write),
    ("extract", Role::Extract),
    ("discover", Role::Extract),
];

/// Reads a step; none when it has no usable id or component.
pub(super) fn step(
    node: &Node,
    known: &inputs::KnownIds,
    source: &Arc<SourceFile>,
    diagnostics: &mut Diagnostics,
) -> Option<Step> {
    let what = match inputs::id_of(node) {
        Some(id) => format!("step `{id}`"),
        None => "this step".to_owned(),
    };
    let mut fields = Fields::read(node, what, STEP_KEYS, REFUSED, source, diagnostics)?;
    let name = fields.text("name");
    let description = fields.text("description");
    let id = match (&name, fields.take("id")) {
        (Some(name), None) => {
            let error = fields.error(name.span, format!("{} has a `name` and no `id`", fields.what()));
            fields.diagnostics.push(error.with_hint("write `id`: other steps refer to it; `name` is a title"));
            None
        }
        _ => fields.required_text("id"),
    };
    if let Some(id) = &id {
        check_id(id, &mut fields);
    }
    let component = fields.required_text("component");
    let mode = fields.text("mode").and_then(|mode| role(&mode, &mut fields));
    let (config, config_span) = config(&mut fields, id.as_ref());
    let needs = fields.take("needs");
    let needs_nothing =
        needs.is_some_and(|entry| matches!(&entry.value.kind, NodeKind::Sequence(items) if items.is_empty()));
    let needs = needs.map(|entry| inputs::needs(&entry.value, known, &mut fields)).unwrap_or_default();
    let inputs =
        fields.take("inputs").map(|entry| inputs::inputs(&entry.value, known, &mut fields)).unwrap_or_default();
    let retry =
        fields.take("retry").map(|entry| policy::retry(&entry.value, source, fields.diagnostics)).unwrap_or_default();
    let timeout = fields.take("timeout").and_then(|entry| policy::timeout(&entry.value, source, fields.diagnostics));
    let resume = fields.text("resume").and_then(|word| resume(&word, &mut fields));
    Some(Step {
        id: id?,
        title: name.or(description).map(|title| mask_by_form(&title.value).into_owned()),
        component: component?,
        mode,
        config,
        config_span,
        needs,
        needs_nothing,
        inputs,
        retry,
        timeout,
        resume,
        group: None,
        span: node.span,
    })
}

fn check_id(id: &Spanned<String>, fields: &mut Fields<'_, '_>) {
    let text = &id.value;
    let refused = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
    let error = match refused {
        Some(letter) => fields
            .error(id.span, format!("`{text}` is not a step id: it holds {letter:?}"))
            .with_hint("use letters, digits, `-`, `_` and `.`"),
        None if !text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') => fields
            .error(id.span, format!("`{text}` is not a step id"))
            .with_hint("begin it with a letter, a digit or `_`"),
        None if text.len() > MAX_ID => {
            fields.error(id.span, format!("this id is longer than {MAX_ID} characters")).with_hint("shorten it")
        }
        None => return,
    };
    fields.diagnostics.push(error);
}

/// The longest id: it becomes a file name, with something added.
pub(crate) const MAX_ID: usize = 100;

fn role(mode: &Spanned<String>, fields: &mut Fields<'_, '_>) -> Option<Spanned<Role>> {
    if let Some((_, role)) = MODES.iter().find(|(name, _)| *name == mode.value) {
        return Some(Spanned { value: *role, span: mode.span });
    }
    let error = fields.error(mode.span, format!("`{}` is not a mode", mode.value));
    let hint = match nearest(&mode.value, MODES.iter().map(|(name, _)| *name)) {
        Some(similar) => format!("did you mean `{similar}`?"),
        None => "modes: read, transform, write".to_owned(),
    };
    fields.diagnostics.push(error.with_hint(hint));
    None
}

fn resume(word: &Spanned<String>, fields: &mut Fields<'_, '_>) -> Option<Spanned<ResumeFrom>> {
    let value = match word.value.as_str() {
        "source" => ResumeFrom::Source,
        "store" => ResumeFrom::Store,
        other => {
            let error = fields.error(word.span, format!("a run cannot be resumed from `{other}`"));
            fields.diagnostics.push(error.with_hint("write `source` or `store`"));
            return None;
        }
    };
    Some(Spanned { value, span: word.span })
}

fn config(fields: &mut Fields<'_, '_>, id: Option<&Spanned<String>>) -> (Node, crate::source::Span) {
    let fallback = id.map_or(fields.span(), |id| id.span);
    match fields.take("config") {
        Some(entry) if matches!(entry.value.kind, NodeKind::Mapping(_)) => (entry.value.clone(), entry.key_span),
        Some(entry) => {
            let message = format!("`config` must be a mapping, found {}", entry.value.describe());
            fields
                .diagnostics
                .push(fields.error(entry.key_span, message).with_hint("write `field: value` below it, indented"));
            (Node::empty_mapping(entry.key_span), entry.key_span)
        }
        None => (Node::empty_mapping(fallback), fallback),
    }
}
