//! `components discover`: the resources of a connection.

use std::fmt::Write as _;

use osiris::core::{Catalog, Redactor, Resource, ResourceField, visible_line};
use osiris::pipeline::inspect::{ConnectionInspector, DiscoverOptions, Discovered};
use osiris::{Project, Registry, Settings};
use serde_json::json;

use super::{project, wait};
use crate::args::DiscoverArgs;
use crate::command_error::CommandError;
use crate::console::Console;
use crate::human;
use crate::logging::{self, LogSecrets};
use crate::table::{Column, table};
use crate::terminal::stdout_width;

pub(super) fn discover(
    args: &DiscoverArgs,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<(), CommandError> {
    let project = project::here(given)?;
    let log_secrets = logging::start(console, project.settings());
    let options = DiscoverOptions {
        connection: args.connection.clone(),
        pattern: args.table.clone(),
        refresh: args.refresh,
        cache: Some(project.catalog_cache()),
    };
    let found = discovered(&project, &args.name, &options, registry, &log_secrets)?;
    let catalog = &found.catalog;
    if args.json {
        if let Some(no_match) = &found.no_match {
            console.say(no_match.message());
        }
        return console.json(&json!(catalog));
    }
    if let Some(no_match) = found.no_match {
        return Err(CommandError::Run(no_match));
    }
    console.data(&shown(catalog, args.table.is_some()))?;
    let cached = match found.cached {
        true => format!(" (cached at {}; --refresh ignores the cache)", catalog.discovered_at.format("%H:%M:%S UTC")),
        false => String::new(),
    };
    let count = catalog.resources.len();
    let ending = if count == 1 { "" } else { "s" };
    console.say(&format!("{count} resource{ending}{cached}"));
    Ok(())
}

/// What a component could read or write over a connection of a project.
pub(super) fn discovered(
    project: &Project,
    component: &str,
    options: &DiscoverOptions,
    registry: &Registry,
    log_secrets: &LogSecrets,
) -> Result<Discovered, CommandError> {
    let connections = project.connections()?;
    let environment = project.environment(&connections)?;
    let on_secrets = |redactor: &Redactor| log_secrets.add(redactor);
    let inspector = ConnectionInspector::new(&connections, registry, &environment).with_secrets(&on_secrets);
    wait(inspector.discover(component, options)).map_err(CommandError::Run)
}

const RESOURCES: [Column; 5] = [
    Column::name("name"),
    Column::key("kind"),
    Column::number("rows (estimated)"),
    Column::number("MB").optional(),
    Column::number("fields").optional(),
];
const FIELDS: [Column; 5] =
    [Column::name("field"), Column::text("type"), Column::text("native type"), Column::key("null"), Column::key("key")];

/// Before the fields of a resource.
const INDENT: &str = "  ";

/// A line for each resource; with `fields`, those of each below it.
fn shown(catalog: &Catalog, fields: bool) -> String {
    if !fields {
        let rows = catalog.resources.iter().map(row).collect();
        return table(&RESOURCES, rows, stdout_width());
    }
    let mut text = String::new();
    for resource in &catalog.resources {
        let mut in_order: Vec<&ResourceField> = resource.fields.iter().collect();
        in_order.sort_by_key(|field| field.ordinal);
        let width = stdout_width().map(|columns| columns.saturating_sub(INDENT.len()));
        let fields = table(&FIELDS, in_order.into_iter().map(field_row).collect(), width);
        let _ = writeln!(text, "{} ({})", visible_line(&resource.name), kind(resource));
        for line in fields.lines() {
            let _ = writeln!(text, "{INDENT}{line}");
        }
        text.push('\n');
    }
    text
}

fn row(resource: &Resource) -> Vec<String> {
    vec![
        resource.name.clone(),
        kind(resource),
        resource.estimated_row_count.map_or_else(String::new, human::count),
        resource.estimated_size_mb.map_or_else(String::new, |size| format!("{size:.1}")),
        resource.fields.len().to_string(),
    ]
}

fn field_row(field: &ResourceField) -> Vec<String> {
    let word = |is: bool, word: &str| if is { word.to_owned() } else { String::new() };
    vec![
        field.name.clone(),
        field.field_type.clone(),
        field.native_type.clone(),
        word(field.nullable, "null"),
        word(field.primary_key, "key"),
    ]
}

/// The word of the catalog's JSON.
fn kind(resource: &Resource) -> String {
    json!(resource.kind).as_str().unwrap_or_default().to_owned()
}
