//! `runs`: past runs.

use osiris::Settings;
use osiris::pipeline::{LedgerStep, PastRun, StepStatus};
use serde_json::{Value, json};

use super::project;
use crate::args::{RunsCommand, ShowRunArgs};
use crate::command_error::CommandError;
use crate::console::Console;
use crate::human;
use crate::table::{ledger_table, table};

pub(super) fn execute(command: &RunsCommand, given: Settings, console: &Console) -> Result<u8, CommandError> {
    let runs = project::here(given)?.runs();
    match command {
        RunsCommand::List(args) => {
            let found = runs.list()?;
            if args.json {
                console.json(&found.iter().map(|run| json_of(run, false)).collect())?;
            } else if found.is_empty() {
                console.say("there are no runs yet");
            } else {
                let head = ["run", "pipeline", "outcome", "started (UTC)", "seconds"];
                console.data(&table(&head, found.iter().map(row).collect(), &[4]))?;
            }
        }
        RunsCommand::Show(args) => show(&runs.find(args.run.as_deref())?, args, console)?,
    }
    Ok(0)
}

fn show(run: &PastRun, args: &ShowRunArgs, console: &Console) -> Result<(), CommandError> {
    if args.json {
        return console.json(&json_of(run, true));
    }
    let record = run.record();
    let mut text = format!(
        "run {} of {}: {}\n  started {}, {} s\n  {}\n",
        record.run_id,
        record.pipeline,
        run.outcome().as_str(),
        record.started_at.format("%Y-%m-%d %H:%M:%S UTC"),
        seconds(run),
        run.directory().display()
    );
    for (name, value) in &record.params {
        text.push_str(&format!("  {name}={value}\n"));
    }
    if let Some(ledger) = run.ledger() {
        text.push_str(&format!("\n{}", ledger_table(&ledger.steps)));
        for step in &ledger.steps {
            if let Some(rejects) = &step.rejects {
                text.push_str(&format!("rejects of {}: {}\n", step.id, run.directory().join(rejects).display()));
            }
            // A step that was stopped is not why, if another one failed.
            let failed = |step: &LedgerStep| matches!(step.status, StepStatus::Failed | StepStatus::Ambiguous);
            let is_why = failed(step) || !ledger.steps.iter().any(failed);
            if let Some(error) = step.error.as_ref().filter(|_| is_why) {
                text.push_str(&format!("\nerror: {error}\n"));
            }
        }
    }
    for problem in &record.problems {
        text.push_str(&format!("\nerror: {problem}\n"));
    }
    console.data(&text)
}

fn row(run: &PastRun) -> Vec<String> {
    let record = run.record();
    let started = record.started_at.format("%Y-%m-%d %H:%M:%S").to_string();
    vec![record.run_id.clone(), record.pipeline.clone(), run.outcome().as_str().to_owned(), started, seconds(run)]
}

fn seconds(run: &PastRun) -> String {
    let record = run.record();
    let duration = record.finished_at.and_then(|finished| (finished - record.started_at).to_std().ok());
    duration.map_or_else(|| "-".to_owned(), human::seconds)
}

/// The record of a run with its actual outcome; with its ledger if `whole`.
fn json_of(run: &PastRun, whole: bool) -> Value {
    let mut value = json!(run.record());
    value["outcome"] = json!(run.outcome());
    value["directory"] = json!(run.directory());
    if whole {
        value["ledger"] = json!(run.ledger());
    }
    value
}
