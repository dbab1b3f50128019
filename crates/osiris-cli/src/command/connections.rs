//! `connections`: the connections of the project, and whether they work.

use std::time::Duration;

use osiris::core::{ConnectionRef, Redactor};
use osiris::pipeline::inspect::{ConnectionHealth, ConnectionInspector};
use osiris::pipeline::{ConnectionListing, list_connections};
use osiris::{Project, Registry, Settings};
use serde_json::{Value, json};

use super::{add_connection, project, wait};
use crate::args::{ConnectionsCommand, DoctorArgs, JsonArgs};
use crate::command_error::CommandError;
use crate::console::Console;
use crate::logging::{self, LogSecrets};
use crate::table::{Column, table};
use crate::terminal::stdout_width;

/// Printed if there is nothing to list.
const NONE: &str = "no connections are defined: `osiris connections add` adds one";

pub(super) fn execute(
    command: &ConnectionsCommand,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    match command {
        ConnectionsCommand::List(args) => list(args, given, registry, console),
        ConnectionsCommand::Add(args) => add_connection::add(args, given, registry, console),
        ConnectionsCommand::Doctor(args) => doctor(args, given, registry, console),
    }
}

fn list(args: &JsonArgs, given: Settings, registry: &Registry, console: &Console) -> Result<u8, CommandError> {
    let project = project::here(given)?;
    let connections = project.connections()?;
    let environment = project.environment(&connections)?;
    let listed = list_connections(&connections, registry, &environment);
    if let Some(path) = connections.path() {
        console.say(&format!("connections file: {}", path.display()));
    }
    if args.json {
        console.json(&json!(listed))?;
    } else if listed.is_empty() {
        console.say(NONE);
    } else {
        let rows = listed.iter().map(row).collect();
        let columns =
            [Column::name("connection"), Column::text("notes"), Column::text("fields"), Column::text("variables")];
        console.data(&table(&columns, rows, stdout_width()))?;
    }
    Ok(0)
}

fn row(listing: &ConnectionListing) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(listing.default.then_some("default"));
    notes.extend((!listing.known).then_some("not in this build"));
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields: Vec<String> = listing.fields.iter().map(|(name, value)| format!("{name}: {}", plain(value))).collect();
    let variables: Vec<String> =
        listing.variables.iter().map(|(name, state)| format!("{name} ({})", state.as_str())).collect();
    vec![listing.name.clone(), notes.join(", "), fields.join(", "), variables.join(", ")]
}

fn doctor(args: &DoctorArgs, given: Settings, registry: &Registry, console: &Console) -> Result<u8, CommandError> {
    let project = project::here(given)?;
    let log_secrets = logging::start(console, project.settings());
    let limit = Duration::from_secs(args.timeout);
    let answers = checked(&project, args.connection.as_ref(), limit, registry, &log_secrets)?;
    if args.json {
        console.json(&json!(answers))?;
    } else if answers.is_empty() {
        console.say(NONE);
    } else {
        let rows = answers.iter().map(health_row).collect();
        let columns = [
            Column::name("connection"),
            Column::key("status"),
            Column::number("ms"),
            Column::text("message").of_lines(),
        ];
        console.data(&table(&columns, rows, stdout_width()))?;
    }
    Ok(u8::from(answers.iter().any(ConnectionHealth::is_failed)))
}

/// Checks all connections of a project, or the one that is named.
pub(super) fn checked(
    project: &Project,
    only: Option<&ConnectionRef>,
    limit: Duration,
    registry: &Registry,
    log_secrets: &LogSecrets,
) -> Result<Vec<ConnectionHealth>, CommandError> {
    let connections = project.connections()?;
    let environment = project.environment(&connections)?;
    let on_secrets = |redactor: &Redactor| log_secrets.add(redactor);
    let inspector = ConnectionInspector::new(&connections, registry, &environment).with_secrets(&on_secrets);
    Ok(wait(inspector.doctor(only, limit))?)
}

fn health_row(answer: &ConnectionHealth) -> Vec<String> {
    let health = &answer.health;
    // JSON has the six words of the contract, and the kind of the error beside them.
    let is_configuration = health.details.get("kind").is_some_and(|kind| kind == "validation");
    let category = match json!(health.category).as_str() {
        Some("unknown") if is_configuration => "configuration".to_owned(),
        category => category.unwrap_or_default().to_owned(),
    };
    let (result, time) = match answer.checked {
        true => (category, health.latency_ms.to_string()),
        false => ("not checked".to_owned(), String::new()),
    };
    vec![answer.name.clone(), result, time, health.message.clone()]
}
