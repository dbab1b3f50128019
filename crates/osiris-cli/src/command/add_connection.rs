//! `connections add`: asks for the fields of a connection, checks it, and adds it to the files of the project.

use std::io::IsTerminal as _;
use std::time::Duration;

use osiris::core::Redactor;
use osiris::pipeline::inspect::{ConnectionHealth, ConnectionInspector};
use osiris::pipeline::{FieldReference, NewConnection, PreparedConnection};
use osiris::{Error, ErrorKind, Registry, Settings};
use serde_json::{Value, json};

use super::{project, wait};
use crate::args::AddConnectionArgs;
use crate::command_error::CommandError;
use crate::console::Console;
use crate::prompt::{ask, ask_hidden};
use crate::{human, logging};

/// The version of what is printed as JSON.
const VERSION: u32 = 1;

pub(super) fn add(
    args: &AddConnectionArgs,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    let project = project::here(given)?;
    let log_secrets = logging::start(console, project.settings());
    let mut connection = NewConnection::new(&args.connection, registry)?;
    args.set.iter().try_for_each(|(name, value)| connection.set(name, value))?;
    // That there is one of this name is said before anything is asked.
    if !connection.prepare(&project)?.variables().is_empty() {
        console.warning(
            "a secret in `--set` is visible to other users of this machine and stays in the shell's history",
            Some("leave it out to be asked for it, or give the name of a variable: `--set 'FIELD=${VARIABLE}'`"),
        );
    }
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !args.json {
        ask_for_fields(&mut connection, args.set.is_empty(), console)?;
    }
    ensure_all(&connection)?;
    let prepared = connection.prepare(&project)?;
    let on_secrets = |redactor: &Redactor| log_secrets.add(redactor);
    let inspector = ConnectionInspector::new(prepared.connections(), registry, prepared.environment());
    let inspector = inspector.with_secrets(&on_secrets);
    inspector.ensure_complete(connection.reference())?;
    let health = match args.no_check {
        true => None,
        false => wait(inspector.doctor(Some(connection.reference()), Duration::from_secs(args.timeout)))?.pop(),
    };
    if let Some(failed) = health.as_ref().filter(|health| health.is_failed()) {
        if args.json {
            console.json(&document(&prepared, failed.name.clone(), false, health.as_ref()))?;
        }
        console.error_line(&format!("{} does not work: {}", failed.name, failed.health.message));
        console.hint("nothing was saved: give other values, or save it as it is with `--no-check`");
        return Ok(1);
    }
    let saved = prepared.save()?;
    console.say(&format!("  added {} to {}", connection.reference(), prepared.path().display()));
    if let Some(path) = &saved.dotenv {
        console.say(&format!("  wrote {} to {}", prepared.variables().join(", "), path.display()));
    }
    if let Some(path) = &saved.gitignore {
        console.say(&format!("  added .env to {}", path.display()));
    }
    if let Some(health) = &health {
        console.say(&format!("  {}: {}", health.name, health.health.message));
    }
    if args.json {
        console.json(&document(&prepared, connection.reference().to_string(), true, health.as_ref()))?;
    }
    Ok(0)
}

fn document(prepared: &PreparedConnection, name: String, saved: bool, health: Option<&ConnectionHealth>) -> Value {
    json!({
        "version": VERSION,
        "name": name,
        "saved": saved,
        "file": prepared.path(),
        "variables": prepared.variables(),
        "health": health,
    })
}

/// Where nobody can be asked, says what is missing.
fn ensure_all(connection: &NewConnection<'_>) -> Result<(), Error> {
    let missing: Vec<String> = connection.missing().into_iter().map(|field| field.path).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let named = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let given = missing.iter().map(|name| format!("--set {name}=...")).collect::<Vec<_>>().join(" ");
    Err(Error::validation(format!("{} needs {named}", connection.reference())).with_hint(format!("add `{given}`")))
}

/// Asks for what is missing, then, if `others`, for the fields that the user names.
fn ask_for_fields(connection: &mut NewConnection<'_>, others: bool, console: &Console) -> Result<(), Error> {
    for field in connection.missing() {
        while !ask_for(&field, connection, console)? {}
    }
    let optional: Vec<FieldReference> = connection.known_fields().into_iter().filter(|field| !field.required).collect();
    if !others || optional.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = optional.iter().map(|field| field.path.as_str()).collect();
    console.report(&format!("other fields: {}", names.join(", ")));
    loop {
        let name = answered(ask("field (enter: no more): ", console)?)?;
        let name = name.trim();
        if name.is_empty() {
            return Ok(());
        }
        match optional.iter().find(|field| field.path == name || field.aliases.iter().any(|alias| alias == name)) {
            Some(field) => drop(ask_for(field, connection, console)?),
            None => console.report(&format!("there is no field `{name}`")),
        }
    }
}

/// Asks for a field. Returns whether it has a value now.
fn ask_for(field: &FieldReference, connection: &mut NewConnection<'_>, console: &Console) -> Result<bool, Error> {
    if !field.about.is_empty() {
        console.report(&format!("  {}", human::one_line(&field.about)));
    }
    let default = field.default.as_ref().map_or_else(String::new, |default| format!(" [{default}]"));
    let question = format!("{}{default}: ", field.path);
    let hidden = connection.is_secret(&field.path);
    let answer = answered(if hidden { ask_hidden(&question, console)? } else { ask(&question, console)? })?;
    let answer = if hidden { answer.as_str() } else { answer.trim() };
    if answer.is_empty() {
        return Ok(false);
    }
    if let Err(error) = connection.set(&field.path, answer) {
        console.error(&error);
        return Ok(false);
    }
    Ok(true)
}

/// What was typed; an error at the end of the input.
fn answered(answer: Option<String>) -> Result<String, Error> {
    answer.ok_or_else(|| Error::new(ErrorKind::Cancelled, "nothing was added: the input has ended"))
}
