//! `runs`: past runs.

use std::path::Path;

use osiris::core::visible_line;
use osiris::pipeline::{CleanOptions, PastRun, Runs, error_json, write_private};
use osiris::{Error, Settings};
use serde_json::{Value, json};

use super::{project, rejects};
use crate::args::{CleanRunsArgs, ReportArgs, RunsCommand, ShowRunArgs};
use crate::command_error::CommandError;
use crate::console::Console;
use crate::human;
use crate::report::Report;
use crate::table::{Column, ledger_table, rejects_text, table};
use crate::terminal::stdout_width;

/// A run's id begins with the time when it started.
const RUNS: [Column; 5] = [
    Column::key("run"),
    Column::name("pipeline"),
    Column::text("outcome"),
    Column::key("started (UTC)").optional(),
    Column::number("seconds").optional(),
];

/// The report of a run, in its directory.
const REPORT: &str = "report.html";

pub(super) fn execute(command: &RunsCommand, given: Settings, console: &Console) -> Result<u8, CommandError> {
    let runs = project::here(given)?.runs();
    match command {
        RunsCommand::List(args) => {
            let found = runs.list()?;
            if args.json {
                console.json(&found.iter().map(|run| document(run, false)).collect())?;
            } else if found.is_empty() {
                console.say("there are no runs yet");
            } else {
                console.data(&table(&RUNS, found.iter().map(row).collect(), stdout_width()))?;
            }
        }
        RunsCommand::Clean(args) => return clean(&runs, args, console),
        RunsCommand::Rejects(args) => rejects::rejects(&runs.find(args.run.as_deref())?, args, console)?,
        RunsCommand::Report(args) => report(&runs.find(args.run.as_deref())?, args, console)?,
        RunsCommand::Show(args) => show(&runs.find(args.run.as_deref())?, args, console)?,
    }
    Ok(0)
}

fn clean(runs: &Runs, args: &CleanRunsArgs, console: &Console) -> Result<u8, CommandError> {
    let options = CleanOptions::new().with_keep(args.keep).with_older_than(args.older_than).with_dry_run(args.dry_run);
    let cleaned = runs.clean(&options)?;
    let bytes: u64 = cleaned.runs.iter().map(|one| one.bytes).sum();
    let exit_code = u8::from(!cleaned.failures.is_empty());
    if args.json {
        let ids: Vec<&str> = cleaned.runs.iter().map(|one| one.run.record().run_id.as_str()).collect();
        let failures: Vec<Value> = cleaned.failures.iter().map(error_json).collect();
        console.json(&json!({"dry_run": args.dry_run, "runs": ids, "bytes": bytes, "failures": failures}))?;
        return Ok(exit_code);
    }
    let word = if args.dry_run { "would remove" } else { "removed" };
    for one in &cleaned.runs {
        let record = one.run.record();
        console.say(&format!("{word} {} of {} ({})", record.run_id, record.pipeline, human::bytes(one.bytes)));
    }
    cleaned.failures.iter().for_each(|error| console.error(error));
    let count = cleaned.runs.len();
    let ending = if count == 1 { "" } else { "s" };
    console.say(&format!("{word} {count} run{ending}, {}", human::bytes(bytes)));
    Ok(exit_code)
}

fn show(run: &PastRun, args: &ShowRunArgs, console: &Console) -> Result<(), CommandError> {
    if args.json {
        return console.json(&document(run, true));
    }
    let record = run.record();
    let mut text = format!(
        "run {} of {}: {}\n  started {}, {} s\n  {}\n",
        record.run_id,
        record.pipeline,
        run.outcome().about(),
        record.started_at.format("%Y-%m-%d %H:%M:%S UTC"),
        seconds(run),
        run.directory().display()
    );
    for (name, value) in &record.params {
        text.push_str(&format!("  {name}={}\n", visible_line(value)));
    }
    if let Some(ledger) = run.ledger() {
        text.push_str(&format!("\n{}", ledger_table(&ledger.steps, stdout_width())));
        for step in &ledger.steps {
            if let Some(rejects) = &step.rejects {
                let path = run.directory().join(rejects);
                text.push_str(&format!("{}\n", rejects_text(&step.id, &path, &step.reject_reasons)));
            }
            if let Some(error) = ledger.decisive_error(step) {
                text.push_str(&format!("\nerror: {error}\n"));
            }
        }
    }
    for problem in &record.problems {
        text.push_str(&format!("\nerror: {problem}\n"));
    }
    console.data(&text)
}

/// Writes the report of a run, by default into its directory.
fn report(run: &PastRun, args: &ReportArgs, console: &Console) -> Result<(), CommandError> {
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    if to_stdout && args.json {
        let message = "the report goes to the standard output, where --json would print its path";
        return Err(Error::validation(message).with_hint("leave out --json, or name a file: `--output FILE`").into());
    }
    let report = Report::of(run)?;
    let page = report.to_html();
    if to_stdout {
        return console.data(&page);
    }
    let path = args.output.clone().unwrap_or_else(|| run.directory().join(REPORT));
    write_private(&path, page.as_bytes())?;
    if args.json {
        console.json(&json!({"run_id": run.record().run_id, "path": path}))?;
    } else {
        console.say(&format!("wrote {}", path.display()));
    }
    if report.holds_rows() {
        console.warning_line("the report shows rejected rows with their values: give it only to who may see them");
    }
    Ok(())
}

fn row(run: &PastRun) -> Vec<String> {
    let record = run.record();
    let started = record.started_at.format("%Y-%m-%d %H:%M:%S").to_string();
    vec![record.run_id.clone(), record.pipeline.clone(), run.outcome().about().to_owned(), started, seconds(run)]
}

fn seconds(run: &PastRun) -> String {
    run.duration().map_or_else(|| "-".to_owned(), human::seconds)
}

/// The record of a run with its actual outcome; with its ledger if `whole`.
pub(super) fn document(run: &PastRun, whole: bool) -> Value {
    let mut value = json!(run.record());
    value["outcome"] = json!(run.outcome());
    value["directory"] = json!(run.directory());
    if whole {
        value["ledger"] = json!(run.ledger());
    }
    value
}
