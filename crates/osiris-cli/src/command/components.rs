//! `components`: the components of this build.

use osiris::pipeline::{AliasReference, ComponentReference, FieldReference, reference, summaries};
use osiris::{Error, Registry, Settings};
use serde_json::Value;

use super::discover;
use crate::args::ComponentsCommand;
use crate::command_error::CommandError;
use crate::console::Console;
use crate::table::{Column, table};
use crate::terminal::stdout_width;

pub(super) fn execute(
    command: &ComponentsCommand,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    match command {
        ComponentsCommand::List(args) => {
            let components = summaries(registry);
            if args.json {
                console.json(&components.into())?;
            } else {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let row = |one: Value| vec![text(&one["name"]), text(&one["mode"]), text(&one["title"])];
                let columns = [Column::key("component"), Column::key("mode"), Column::text("description")];
                console.data(&table(&columns, components.into_iter().map(row).collect(), stdout_width()))?;
            }
        }
        ComponentsCommand::Show(args) => {
            if args.json {
                console.json(&document(&args.name, registry)?)?;
            } else if let Some(alias) = registry.alias(&args.name) {
                console.data(&shown_alias(&args.name, &AliasReference::new(alias, registry)))?;
            } else {
                console.data(&shown(&args.name, &ComponentReference::new(&**registry.get(&args.name)?)))?;
            }
        }
        ComponentsCommand::Discover(args) => discover::discover(args, given, registry, console)?,
        ComponentsCommand::Reference => console.data(&reference(registry))?,
    }
    Ok(0)
}

/// All that is known of a component, or of a name that stands for several.
pub(super) fn document(name: &str, registry: &Registry) -> Result<Value, Error> {
    match registry.alias(name) {
        Some(alias) => Ok(AliasReference::new(alias, registry).to_json()),
        None => Ok(ComponentReference::new(&**registry.get(name)?).to_json()),
    }
}

fn shown(name: &str, component: &ComponentReference<'_>) -> String {
    let summary = component.summary();
    let text = |key: &str| summary[key].as_str().unwrap_or_default().to_owned();
    let mut shown = format!("{name} {} (mode: {})\n{}\n", text("version"), text("mode"), text("title"));
    shown.push_str("\nconfig:\n");
    component.fields().iter().for_each(|field| shown.push_str(&field_text(field)));
    let connection = component.connection_fields();
    if !connection.is_empty() {
        shown.push_str("\nconnection:\n");
        connection.iter().for_each(|field| shown.push_str(&field_text(field)));
    }
    shown
}

fn shown_alias(name: &str, alias: &AliasReference<'_>) -> String {
    let summary = alias.summary();
    let text = |key: &str| summary[key].as_str().unwrap_or_default();
    let title = alias.title().replace('`', "");
    format!("{name} {} (mode: {})\n{title}\n\nconfig:\n  the fields of that component\n", text("version"), text("mode"))
}

fn field_text(field: &FieldReference) -> String {
    let aliases = if field.aliases.is_empty() { String::new() } else { format!(" [{}]", field.aliases.join(", ")) };
    let need = match &field.default {
        _ if field.required => ", required".to_owned(),
        Some(default) => format!(", default {default}"),
        None => String::new(),
    };
    let mut text = format!("  {}{aliases}: {}{need}\n", field.path, field.kind.replace('`', ""));
    if !field.about.is_empty() {
        text.push_str(&format!("      {}\n", field.about));
    }
    for (value, meaning) in field.values.iter().filter(|(_, meaning)| !meaning.is_empty()) {
        text.push_str(&format!("      {value}: {meaning}\n"));
    }
    text
}
