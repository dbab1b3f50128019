//! `connections`: what the project can connect to, without connecting.

use osiris::Settings;
use osiris::pipeline::{ConnectionListing, list_connections};
use serde_json::{Value, json};

use super::project;
use crate::args::ConnectionsCommand;
use crate::console::Console;
use crate::failure::Failure;
use crate::table::table;

pub(super) fn execute(command: &ConnectionsCommand, given: Settings, console: &Console) -> Result<u8, Failure> {
    let ConnectionsCommand::List(args) = command;
    let project = project::here(given)?;
    let connections = project.connections()?;
    let environment = project.environment(&connections)?;
    let listed = list_connections(&connections, &osiris::registry()?, &environment);
    if args.json {
        console.json(&json!(listed))?;
    } else if listed.is_empty() {
        console.say("no connections are defined: write an osiris_connections.yaml");
    } else {
        let rows = listed.iter().map(row).collect();
        console.data(&table(&["connection", "", "fields", "variables"], rows, &[]))?;
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
