//! `components`: the components of this build.

use osiris::pipeline::{ComponentReference, FieldReference, reference};
use osiris::{Registry, Settings};
use serde_json::Value;

use super::discover;
use crate::args::ComponentsCommand;
use crate::command_error::CommandError;
use crate::console::Console;
use crate::table::table;

pub(super) fn execute(
    command: &ComponentsCommand,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    match command {
        ComponentsCommand::List(args) => {
            let components = registry.iter().map(|driver| ComponentReference::new(&**driver).summary());
            if args.json {
                console.json(&components.collect())?;
            } else {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let row = |one: Value| vec![text(&one["name"]), text(&one["mode"]), text(&one["title"])];
                console.data(&table(&["component", "mode", ""], components.map(row).collect(), &[]))?;
            }
        }
        ComponentsCommand::Show(args) => {
            let component = ComponentReference::new(&**registry.get(&args.name)?);
            if args.json {
                console.json(&component.to_json())?;
            } else {
                console.data(&shown(&args.name, &component))?;
            }
        }
        ComponentsCommand::Discover(args) => discover::discover(args, given, registry, console)?,
        ComponentsCommand::Reference => console.data(&reference(registry))?,
    }
    Ok(0)
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
