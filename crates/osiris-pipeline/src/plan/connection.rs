//! The connection of a step: found, resolved, checked, with every problem at its place in whichever file it stands.

use std::collections::{BTreeMap, BTreeSet};

use osiris_core::{ConfigSchema, ConnectionRef, ConnectionUse, Driver, Problem, ResolvedConnection, connection};
use serde_json::Value;

use super::split::StepFields;
use super::step::{Context, pointer_as_written};
use crate::connections_file::CONNECTIONS_FILE;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::Step;
use crate::source::Span;

/// The connection of a step, as far as it could be resolved.
pub(super) struct StepConnection {
    /// An empty one when the step has none, or it was not found.
    pub(super) resolved: ResolvedConnection,
    /// Whether it was found, so that there is something to check.
    pub(super) is_found: bool,
    /// The fields that are reported already, as JSON pointers: what else is wrong with them is nothing new.
    pub(super) reported: BTreeSet<String>,
}

impl StepConnection {
    fn complete(resolved: ResolvedConnection) -> Self {
        Self { resolved, is_found: true, reported: BTreeSet::new() }
    }

    pub(super) fn not_found() -> Self {
        Self { resolved: ResolvedConnection::none(), is_found: false, reported: BTreeSet::new() }
    }
}

/// Resolves the connection of a step.
pub(super) fn resolve(
    context: &Context<'_>,
    step: &Step,
    driver: &dyn Driver,
    split: &StepFields,
    incomplete: &BTreeSet<String>,
    diagnostics: &mut Diagnostics,
) -> StepConnection {
    let place = step.config.entry("connection").map(crate::yaml::Entry::span);
    let written = split.connection.as_ref().filter(|value| !value.is_null());
    let named = match written {
        Some(_) if incomplete.contains("/connection") => return StepConnection::not_found(),
        Some(value) => match reference(value, driver.spec().connection) {
            Ok(reference) => Some(reference),
            Err(diagnostic) => {
                diagnostics.push(diagnostic.at(&context.pipeline.source, place.unwrap_or(step.config_span)));
                return StepConnection::not_found();
            }
        },
        None => None,
    };
    match driver.spec().connection {
        ConnectionUse::None => {
            if named.is_some() {
                let message = format!("`{}` uses no connection", step.component.value);
                diagnostics
                    .push(context.error(place.unwrap_or(step.config_span), message).with_hint("remove `connection`"));
            }
            StepConnection::complete(ResolvedConnection::none())
        }
        ConnectionUse::Inline if named.is_none() && is_inline(context, driver, split) => {
            StepConnection::complete(ResolvedConnection::inline(split.overrides.clone(), driver.connection_schema()))
        }
        ConnectionUse::Optional if named.is_none() => {
            StepConnection::complete(ResolvedConnection::inline(split.overrides.clone(), driver.connection_schema()))
        }
        _ => defined(context, step, driver, split, named.as_ref(), place, diagnostics),
    }
}

/// Whether the step writes all that a connection of the family must have, and there is no default connection that it could mean
/// instead. Secrets are refused before: the step has none.
fn is_inline(context: &Context<'_>, driver: &dyn Driver, split: &StepFields) -> bool {
    let schema = driver.connection_schema();
    let is_written = |field: &str| split.overrides.keys().any(|name| schema.field_named(name) == Some(field));
    let mut required = schema.json()["required"].as_array().into_iter().flatten().filter_map(Value::as_str).peekable();
    required.peek().is_some()
        && required.all(is_written)
        && !context.connections.connections().has_default(driver.spec().family())
}

/// What the original Osiris writes for the default connection of a family.
const DEFAULT: &str = "@default";

fn reference(value: &Value, usage: ConnectionUse) -> Result<ConnectionRef, Box<Diagnostic>> {
    match value.as_str() {
        Some(DEFAULT) => {
            let instead = match usage {
                ConnectionUse::None => "the component uses no connection",
                ConnectionUse::Optional => "the component needs no connection",
                _ => "a step without it uses the default connection of its family",
            };
            Err(Box::new(
                Diagnostic::error(format!("`{DEFAULT}` is not a connection reference"))
                    .with_hint(format!("remove `connection`: {instead}")),
            ))
        }
        Some(text) => text.parse().map_err(|error| Box::new(Diagnostic::from_core(&error))),
        None => Err(Box::new(
            Diagnostic::error("`connection` must name a connection")
                .with_hint("write `connection: \"@family.alias\"`; its fields are in osiris_connections.yaml"),
        )),
    }
}

fn defined(
    context: &Context<'_>,
    step: &Step,
    driver: &dyn Driver,
    split: &StepFields,
    named: Option<&ConnectionRef>,
    place: Option<Span>,
    diagnostics: &mut Diagnostics,
) -> StepConnection {
    let connections = context.connections;
    let found = connections.connections().find(driver.spec().family(), named);
    let (reference, definition) = match found {
        Ok(found) => found,
        Err(error) => {
            let mut diagnostic = Diagnostic::from_core(&error);
            if connections.path().is_none() && connections.connections().iter().next().is_none() {
                let directory = if named.is_some() { "" } else { ", and name it under `connection`" };
                diagnostic = diagnostic.with_hint(format!(
                    "no {CONNECTIONS_FILE} was found in the pipeline's directory or above it: write one{directory}"
                ));
            }
            diagnostics.push(diagnostic.at(&context.pipeline.source, place.unwrap_or(step.config_span)));
            return StepConnection::not_found();
        }
    };
    let schema = driver.connection_schema();
    let lookup = |name: &str| context.environment.get(name);
    let (resolved, problems) = connection::resolve(&reference, definition, &split.overrides, schema, &lookup);
    connections.mask(&reference, schema, diagnostics);
    for warning in connections.literal_secrets(&reference, schema) {
        diagnostics.push(warning);
    }
    diagnostics.redact(resolved.redactor());
    for problem in &problems {
        diagnostics.push(at_its_place(context, step, driver, split, Some(&reference), problem));
    }
    if !resolved.redirected().is_empty() {
        diagnostics.push(redirection(context, step, schema, &reference, resolved.redirected()));
    }
    let errors = problems.into_iter().filter(Problem::is_error);
    StepConnection { resolved, is_found: true, reported: errors.map(|problem| problem.pointer).collect() }
}

/// Reports a step that overrides the address of its connection, as the connection allows.
fn redirection(
    context: &Context<'_>,
    step: &Step,
    schema: &ConfigSchema,
    reference: &ConnectionRef,
    fields: &[String],
) -> Diagnostic {
    let named: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    let message =
        format!("step `{}` goes to another address than {reference}: it sets {}", step.written_id(), named.join(", "));
    let pointer = fields.first().map(|field| pointer_as_written(&step.config, &format!("/{field}"), schema));
    let span = pointer.map_or(step.config_span, |pointer| step.config.find(&pointer).value_span());
    Diagnostic::warning(message).at(&context.pipeline.source, span)
}

/// Reports the problems of a connection that the component finds.
pub(super) fn report<'a>(
    context: &Context<'_>,
    step: &Step,
    driver: &dyn Driver,
    split: &StepFields,
    reference: Option<&ConnectionRef>,
    problems: impl Iterator<Item = &'a Problem>,
    diagnostics: &mut Diagnostics,
) {
    for problem in problems {
        diagnostics.push(at_its_place(context, step, driver, split, reference, problem));
    }
}

/// A problem of a field that the step overrides stands in the pipeline file, any other in the connections file.
fn at_its_place(
    context: &Context<'_>,
    step: &Step,
    driver: &dyn Driver,
    split: &StepFields,
    reference: Option<&ConnectionRef>,
    problem: &Problem,
) -> Diagnostic {
    let schema = driver.connection_schema();
    let field = problem.pointer.strip_prefix('/').map(|path| path.split('/').next().unwrap_or(path));
    let is_override = field.is_some_and(|field| {
        split
            .overrides
            .keys()
            .any(|name| name == field || schema.field_named(name) == schema.field_named(field).or(Some(field)))
    });
    let Some(reference) = reference.filter(|_| !is_override) else {
        return context.place(step, &BTreeMap::new(), schema, problem);
    };
    let definition = context.connections.definition(reference);
    let pointer = definition.map_or(problem.pointer.clone(), |node| pointer_as_written(node, &problem.pointer, schema));
    let name = reference.to_string();
    // Messages name a field as it is written.
    let field = pointer.strip_prefix('/').map(|path| path.split('/').next().unwrap_or(path));
    let message = match field {
        Some(field) if problem.message.contains(&name) => format!("`{field}`: {}", problem.message),
        Some(field) => match problem.message.strip_prefix(&format!("`{field}` has ")) {
            Some(rest) => format!("`{field}` of {name} has {rest}"),
            None => format!("`{field}` of {name}: {}", problem.message),
        },
        None if problem.message.contains(&name) => problem.message.clone(),
        None => format!("{name}: {}", problem.message),
    };
    let diagnostic = Diagnostic::from_problem(&Problem { message, ..problem.clone() });
    match context.connections.place(reference, &pointer, problem.of_name) {
        Some((source, span)) => diagnostic.at(source, span),
        None => diagnostic,
    }
}
