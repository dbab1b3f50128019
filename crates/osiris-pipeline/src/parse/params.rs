//! `params` and `profiles` of the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use osiris_core::problem::nearest;

use super::fields::Fields;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::params::{ParamSpec, ParamType, Profile, env_name};
use crate::source::SourceFile;
use crate::yaml::{Entry, Node, NodeKind};

/// The declarations, in the order of the file.
pub(super) fn params(node: &Node, source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Vec<ParamSpec> {
    let NodeKind::Mapping(entries) = &node.kind else {
        let message = format!("`params` must be a mapping, found {}", node.describe());
        diagnostics.push(
            Diagnostic::error(message).at(source, node.span).with_hint("write `name: {type: string, default: ...}`"),
        );
        return Vec::new();
    };
    let mut params: Vec<ParamSpec> = Vec::new();
    for entry in entries {
        check_name(entry, &params, source, diagnostics);
        params.push(param(entry, source, diagnostics));
    }
    params
}

fn check_name(entry: &Entry, before: &[ParamSpec], source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) {
    let name = &entry.key;
    let error = |message: String| Diagnostic::error(message).at(source, entry.key_span);
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if !valid {
        diagnostics
            .push(error(format!("`{name}` is not a parameter's name")).with_hint("use letters, digits, `_` and `-`"));
    }
    if let Some(other) = before.iter().find(|other| env_name(&other.name) == env_name(name)) {
        let message = format!("the parameters `{}` and `{name}` have the same variable {}", other.name, env_name(name));
        diagnostics.push(error(message).with_related(other.span, "here first").with_hint("rename one of them"));
    }
}

fn param(entry: &Entry, source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> ParamSpec {
    let name = entry.key.clone();
    let mut spec = ParamSpec {
        name,
        span: entry.key_span,
        kind: ParamType::String,
        options: Vec::new(),
        default: None,
        description: None,
        secret: false,
        is_broken: false,
    };
    if entry.value.is_null() {
        return spec;
    }
    if let Some(kind) = ParamType::of_default(&entry.value) {
        // `name: value` is short for a mapping with that default.
        spec.kind = kind;
        match spec.value_of(&entry.value, source) {
            Ok(value) => spec.default = Some(value),
            Err(message) => {
                spec.is_broken = true;
                diagnostics.push(Diagnostic::error(format!("the default of {message}")).at(source, entry.value.span));
            }
        }
        return spec;
    }
    spec.is_broken = entry.value.as_mapping().is_none();
    let keys = &["type", "default", "enum", "required", "secret", "description"];
    let what = format!("parameter `{}`", spec.name);
    let Some(mut fields) = Fields::read(&entry.value, what, keys, &[], source, diagnostics) else { return spec };
    if let Some(name) = fields.text("type") {
        match ParamType::from_name(&name.value) {
            Some(kind) => spec.kind = kind,
            None => {
                let hint = match nearest(&name.value, ParamType::NAMES.iter().copied()) {
                    Some(similar) => format!("did you mean `{similar}`?"),
                    None => format!("types: {}", ParamType::NAMES.join(", ")),
                };
                fields
                    .diagnostics
                    .push(fields.error(name.span, format!("`{}` is not a type", name.value)).with_hint(hint));
            }
        }
    }
    spec.description = fields.text("description").map(|text| text.value);
    if let Some(list) = fields.take("enum") {
        spec.options = options(list, &spec, &mut fields);
    }
    if let Some(entry) = fields.take("secret") {
        match entry.value.kind {
            NodeKind::Bool(secret) => spec.secret = secret,
            _ => {
                let message = format!("`secret` must be true or false, found {}", entry.value.describe());
                fields.diagnostics.push(fields.error(entry.value.span, message));
            }
        }
    }
    let default = fields.take("default");
    if spec.secret {
        refuse_written_secrets(entry, default, &mut fields);
    }
    if let Some(default) = default {
        match spec.value_of(&default.value, source) {
            Ok(value) => spec.default = Some(value),
            Err(message) => {
                spec.is_broken = true;
                let error = fields.error(default.value.span, format!("the default of {message}"));
                fields.diagnostics.push(error);
            }
        }
    }
    check_required(&fields.take("required").map(|entry| entry.value.clone()), default, &mut fields);
    spec
}

/// A secret in a pipeline file is none for long.
fn refuse_written_secrets(entry: &Entry, default: Option<&Entry>, fields: &mut Fields<'_, '_>) {
    for written in [default, fields.take("enum")].into_iter().flatten() {
        super::mask_literals(&written.value, fields.source, fields.diagnostics);
        let message = format!("parameter `{}` is secret: its value must not be written in a pipeline file", entry.key);
        let hint = format!("remove `{}`; give the value as {}", written.key, env_name(&entry.key));
        let error = fields.error(written.key_span, message).with_hint(hint);
        fields.diagnostics.push(error);
    }
}

/// `required` is redundant with the absence of a default, so it must agree with it.
fn check_required(required: &Option<Node>, default: Option<&Entry>, fields: &mut Fields<'_, '_>) {
    let Some(node) = required else { return };
    let error = match (&node.kind, default) {
        (NodeKind::Bool(true), Some(_)) => {
            fields.error(node.span, "a required parameter has no default").with_hint("remove `required` or `default`")
        }
        (NodeKind::Bool(false), None) => fields
            .error(node.span, "a parameter that is not required needs a default")
            .with_hint("add `default: ...`, or remove `required: false`"),
        (NodeKind::Bool(_), _) => return,
        _ => fields.error(node.span, format!("`required` must be true or false, found {}", node.describe())),
    };
    fields.diagnostics.push(error);
}

fn options(list: &Entry, spec: &ParamSpec, fields: &mut Fields<'_, '_>) -> Vec<serde_json::Value> {
    let items = list.value.as_sequence();
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        let found = if items.is_some() { "an empty one" } else { list.value.describe() };
        let message = format!("`enum` must be a list of values, found {found}");
        fields.diagnostics.push(fields.error(list.key_span, message));
        return Vec::new();
    };
    let mut options = Vec::new();
    for item in items {
        match spec.value_of(item, fields.source) {
            Ok(value) => options.push(value),
            Err(message) => fields.diagnostics.push(fields.error(item.span, format!("an option of {message}"))),
        }
    }
    options
}

/// The profiles. Each is checked, whichever is used later.
pub(super) fn profiles(
    node: &Node,
    params: &[ParamSpec],
    source: &Arc<SourceFile>,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Profile> {
    let NodeKind::Mapping(entries) = &node.kind else {
        let message = format!("`profiles` must be a mapping, found {}", node.describe());
        diagnostics.push(Diagnostic::error(message).at(source, node.span).with_hint("write `name: {params: {...}}`"));
        return BTreeMap::new();
    };
    entries.iter().map(|entry| (entry.key.clone(), profile(entry, params, source, diagnostics))).collect()
}

fn profile(entry: &Entry, params: &[ParamSpec], source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Profile {
    let mut profile = Profile::default();
    if entry.value.is_null() {
        return profile;
    }
    let what = format!("profile `{}`", entry.key);
    let Some(fields) = Fields::read(&entry.value, what, &["params"], &[], source, diagnostics) else { return profile };
    let Some(values) = fields.take("params") else { return profile };
    let Some(values) = values.value.as_mapping() else {
        let message = format!("`params` must be a mapping, found {}", values.value.describe());
        fields.diagnostics.push(fields.error(values.key_span, message));
        return profile;
    };
    for value in values {
        let Some(spec) = params.iter().find(|spec| spec.name == value.key) else {
            let hint = crate::params::suggest(&value.key, params);
            let message = format!("there is no parameter `{}`", value.key);
            fields.diagnostics.push(fields.error(value.key_span, message).with_hint(hint));
            continue;
        };
        if spec.secret {
            super::mask_literals(&value.value, source, fields.diagnostics);
            let message =
                format!("parameter `{}` is secret: its value must not be written in a pipeline file", spec.name);
            let hint = format!("remove it from the profile; give the value as {}", env_name(&spec.name));
            let error = fields.error(value.key_span, message).with_hint(hint);
            fields.diagnostics.push(error);
            continue;
        }
        match spec.value_of(&value.value, source).and_then(|parsed| spec.check_option(parsed)) {
            Ok(parsed) => drop(profile.params.insert(spec.name.clone(), parsed)),
            Err(message) => fields.diagnostics.push(fields.error(value.value.span, message)),
        }
    }
    profile
}
