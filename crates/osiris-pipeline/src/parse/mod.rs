//! From the tree of a pipeline file to a [`Pipeline`], with everything that is wrong with its form. What a component
//! wants of its configuration is none of its business.

mod fields;
mod inputs;
mod params;
mod policy;
mod step;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use osiris_core::secret::{is_reference, looks_secret, mask_by_form, mask_login};
use osiris_core::{Code, safe_name};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{OML_VERSION, Pipeline, Step};
use crate::source::{SourceFile, Span};
use crate::yaml::{self, Node, NodeKind};

use fields::Fields;
pub(crate) use inputs::{KnownIds, place_of};
pub(crate) use step::MAX_ID;
#[cfg(test)]
pub(crate) use step::STEP_KEYS;

/// The top-level keys there are. `metadata` is kept as it is, in the document.
pub(crate) const PIPELINE_KEYS: &[&str] =
    &["oml_version", "name", "description", "metadata", "schedule", "params", "profiles", "steps"];
/// Keys of other formats, with what to write instead.
const REFUSED: &[(&str, &str)] = &[
    ("version", "write `oml_version: \"0.1.0\"`"),
    ("connectors", "connections live in osiris_connections.yaml; a step names one as `connection: \"@family.alias\"`"),
    ("connections", "connections live in osiris_connections.yaml; a step names one as `connection: \"@family.alias\"`"),
    ("tasks", "write `steps`"),
    ("outputs", "write a step with `mode: write` for each output"),
];

/// Reads a pipeline file. Whatever is wrong goes to `diagnostics`; what could be made sense of comes back all the same,
/// so that later checks can add theirs.
pub fn parse(source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Option<Pipeline> {
    if source.text().trim().is_empty() {
        let message = format!("`{}` is empty", source.name());
        let diagnostic = Diagnostic::error(message).with_code(Code::MissingField);
        diagnostics.push(diagnostic.with_hint("`osiris init` writes a pipeline to start from"));
        return None;
    }
    let document = yaml::load(source, diagnostics)?;
    mask_secrets(&document, source, diagnostics);
    let mut fields = Fields::read(&document, "the pipeline", PIPELINE_KEYS, REFUSED, source, diagnostics)?;
    check_version(&mut fields);
    let name = fields.required_text("name").filter(|name| fields.not_empty(name)).map(|name| name.value);
    let description = fields.text("description").map(|text| mask_by_form(&text.value).into_owned());
    if let Some(entry) = fields.take("schedule") {
        let warning = Diagnostic::warning("`schedule` has no effect: nothing here starts runs")
            .at(source, entry.key_span)
            .with_hint("start `osiris run` by cron, systemd or an orchestrator, and remove `schedule`");
        fields.diagnostics.push(warning);
    }
    let params =
        fields.take("params").map(|entry| params::params(&entry.value, source, fields.diagnostics)).unwrap_or_default();
    let profiles = fields
        .take("profiles")
        .map(|entry| params::profiles(&entry.value, &params, source, fields.diagnostics))
        .unwrap_or_default();
    let steps = steps(&mut fields);
    check_ids(&steps, source, diagnostics);
    let name = name.unwrap_or_default();
    Some(Pipeline { source: Arc::clone(source), name, description, params, profiles, steps, document })
}

fn check_version(fields: &mut Fields<'_, '_>) {
    let Some(entry) = fields.required("oml_version") else { return };
    if entry.value.as_str() == Some(OML_VERSION) {
        return;
    }
    let written = fields.source.slice(entry.value.span);
    let diagnostic = if entry.value.as_str().is_some() || matches!(entry.value.kind, NodeKind::Number(_)) {
        fields.error(entry.value.span, format!("the version {written} of the format is not supported"))
    } else {
        fields.error(entry.key_span, format!("`oml_version` must be a string, found {}", entry.value.describe()))
    };
    fields.diagnostics.push(diagnostic.with_hint(format!("write `oml_version: \"{OML_VERSION}\"`")));
}

fn steps(fields: &mut Fields<'_, '_>) -> Vec<Step> {
    let Some(entry) = fields.required("steps") else { return Vec::new() };
    let items = match &entry.value.kind {
        NodeKind::Sequence(items) if !items.is_empty() => items,
        NodeKind::Sequence(_) | NodeKind::Null => {
            let error = fields.error(entry.key_span, "`steps` is empty").with_hint("a pipeline has at least one step");
            fields.diagnostics.push(error.with_code(Code::MissingField));
            return Vec::new();
        }
        _ => {
            let message = format!("`steps` must be a list, found {}", entry.value.describe());
            let error = fields.error(entry.key_span, message).with_hint("begin each step with `- id: ...`");
            fields.diagnostics.push(error.with_code(Code::InvalidValue));
            return Vec::new();
        }
    };
    let known = KnownIds::of(items);
    items.iter().filter_map(|item| step::step(item, &known, fields.source, fields.diagnostics)).collect()
}

/// Ids must differ, and so must their safe names, which are the names of views and files.
pub(crate) fn check_ids(steps: &[Step], source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) {
    let mut exact: HashMap<&str, Span> = HashMap::new();
    let mut folded: HashMap<String, (&str, Span)> = HashMap::new();
    let mut safe: HashMap<String, (&str, Span)> = HashMap::new();
    for step in steps {
        let (id, span) = (step.id.value.as_str(), step.id.span);
        let lower = id.to_lowercase();
        let name = safe_name(&lower);
        let (message, first, hint) = if let Some(first) = exact.get(id) {
            (format!("two steps are called `{id}`"), *first, "every step has an id of its own")
        } else if let Some((other, first)) = folded.get(&lower) {
            (
                format!("the ids `{other}` and `{id}` differ only by case"),
                *first,
                "they are the same name in SQL: rename one of them",
            )
        } else if let Some((other, first)) = safe.get(&name) {
            (format!("the ids `{other}` and `{id}` are both `{name}` as a name in SQL"), *first, "rename one of them")
        } else {
            exact.insert(id, span);
            folded.insert(lower, (id, span));
            safe.insert(name, (id, span));
            continue;
        };
        let diagnostic = Diagnostic::error(message).with_code(Code::DuplicateName).at(source, span);
        diagnostics.push(diagnostic.with_related(first, "here first").with_hint(hint));
    }
}

/// Hides every literal under a key that looks like a secret's, and every text that looks like one itself, wherever
/// lines of the file are shown later.
pub(crate) fn mask_secrets(node: &Node, source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) {
    match &node.kind {
        NodeKind::Mapping(entries) => {
            for entry in entries {
                let has_login = |text: &str| matches!(mask_login(&entry.key, text), Cow::Owned(_));
                if looks_secret(&entry.key) || entry.value.as_str().is_some_and(has_login) {
                    mask_literals(&entry.value, source, diagnostics);
                } else {
                    mask_secrets(&entry.value, source, diagnostics);
                }
            }
        }
        NodeKind::Sequence(items) => items.iter().for_each(|item| mask_secrets(item, source, diagnostics)),
        NodeKind::String(text) if matches!(mask_by_form(&text.value), Cow::Owned(_)) => {
            diagnostics.mask(source, node.span)
        }
        _ => {}
    }
}

/// Hides every scalar below a node, but for those that only name a variable.
pub(crate) fn mask_literals(node: &Node, source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) {
    match &node.kind {
        NodeKind::Mapping(entries) => entries.iter().for_each(|entry| mask_literals(&entry.value, source, diagnostics)),
        NodeKind::Sequence(items) => items.iter().for_each(|item| mask_literals(item, source, diagnostics)),
        NodeKind::String(text) if is_reference(&text.value) => {}
        NodeKind::Null => {}
        _ => diagnostics.mask(source, node.span),
    }
}

/// The steps of a pipeline by id.
pub(crate) fn steps_by_id(steps: &[Step]) -> BTreeMap<&str, usize> {
    // The first of two equal ids wins; that there are two is reported elsewhere.
    steps.iter().enumerate().rev().map(|(index, step)| (step.id.value.as_str(), index)).collect()
}
