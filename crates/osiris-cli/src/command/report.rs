//! The report of a run: errors, the ledger, a summary, the next action.

use std::io::Write;

use osiris::core::Role;
use osiris::pipeline::{LedgerStep, StepReport, StepStatus, error_json};
use osiris::{Diagnostics, Error, ErrorKind, Outcome, Plan, RunReport};
use serde_json::{Value, json};

use crate::command_error::CommandError;
use crate::console::Console;
use crate::human;
use crate::table::{ledger_table, rejects_text};
use crate::terminal::stderr_width;

/// Printed between the bars after the first signal.
pub(super) fn interrupting() {
    let _ = writeln!(
        std::io::stderr(),
        "interrupted: stopping; a commit that has begun is waited for. Interrupt again to end at once"
    );
}

/// Printed before the program ends at the second signal.
pub(super) fn ending_at_once() {
    let _ = writeln!(
        std::io::stderr(),
        "ended at once: rows that were being committed may or may not be in their destination, and temporary files or tables may be left"
    );
}

pub(super) fn ended(report: &RunReport, plan: &Plan, json: bool, console: &Console) -> Result<(), CommandError> {
    let steps: Vec<LedgerStep> = report.steps.iter().map(LedgerStep::from).collect();
    let has_failed = |step: &&StepReport| matches!(step.status, StepStatus::Failed | StepStatus::Ambiguous);
    let failed: Vec<&StepReport> = report.steps.iter().filter(has_failed).collect();
    failed.iter().for_each(|step| step_error(step, plan, console));
    report.problems.iter().for_each(|problem| console.error_line(&plan.redactor().scrub(problem)));
    report.warnings.iter().for_each(|warning| console.warning_line(&plan.redactor().scrub(warning)));
    console.say(&format!("\n{}", ledger_table(&steps, stderr_width())));
    for step in &report.steps {
        if let Some(rejects) = &step.rejects {
            console.say(&rejects_text(&step.id, rejects, &step.reject_reasons));
            console.say(&format!("  all of them: osiris runs rejects {} {}", report.run_id, step.id));
        }
    }
    console.say(&format!("run {} in {}", report.run_id, report.directory.display()));
    console.say(&summary(report, plan, console));
    if let Some(hint) = next(report, plan) {
        console.hint(&hint);
    }
    console.for_more(failed.iter().filter_map(|step| step.error.as_ref()).map(Error::code));
    if json {
        console.json(&document(report, plan))?;
    }
    Ok(())
}

/// The result of a run.
pub(super) fn document(report: &RunReport, plan: &Plan) -> Value {
    let scrubbed = |problem: &String| plan.redactor().scrub(problem).into_owned();
    json!({
        "run_id": report.run_id,
        "pipeline": plan.name(),
        "outcome": report.outcome,
        "exit_code": report.outcome.exit_code(),
        "dry_run": plan.is_dry_run(),
        "directory": report.directory,
        "duration_ms": u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX),
        "problems": report.problems.iter().map(scrubbed).collect::<Vec<_>>(),
        "steps": report.steps.iter().map(|step| step_json(&LedgerStep::from(step), step, plan)).collect::<Vec<_>>(),
    })
}

/// The command that continues the run. If the outcome of a write is unknown, it depends on what the user finds in the
/// destination.
fn next(report: &RunReport, plan: &Plan) -> Option<String> {
    if report.outcome == Outcome::Done || plan.is_dry_run() || !report.directory.join("store.duckdb").exists() {
        return None;
    }
    // What is in no file cannot be planned again.
    plan.pipeline().source.path()?;
    let resume = format!("osiris run {} --resume {}", plan.pipeline().source.name(), report.run_id);
    // Without a step that is done there is nothing that a resumed run would not do again.
    let is_done = |step: &StepReport| step.status.is_done() || step.may_have_written;
    if report.outcome != Outcome::Ambiguous && !report.steps.iter().any(is_done) {
        return None;
    }
    let must_be_fixed = |error: &Error| {
        use ErrorKind as Kind;
        matches!(error.kind(), Kind::Validation | Kind::Auth | Kind::Permission | Kind::Integrity)
            && !error.is_retryable()
    };
    if report.outcome != Outcome::Ambiguous {
        let is_wrong = report.steps.iter().filter_map(|step| step.error.as_ref()).any(must_be_fixed);
        let first = if is_wrong { "fix the error, then " } else { "" };
        return Some(format!("{first}resume the run with `{resume}`"));
    }
    let steps = report.steps.iter().filter(|step| step.status == StepStatus::Ambiguous);
    let assumed: String = steps.map(|step| format!(" --assume-written {}", step.id)).collect();
    Some(format!(
        "if all rows are there, `{resume}{assumed}` goes on without writing them; if none is, or you have removed those that are, `{resume} --force` writes them"
    ))
}

/// A step of the ledger, its error with all its facts and, where it is one of SQL, its place in the pipeline file.
fn step_json(step: &LedgerStep, report: &StepReport, plan: &Plan) -> Value {
    let mut value = json!(step);
    if let Some(error) = &report.error {
        value["error"] = error_json(error);
        let found = diagnosed(report, plan, error).map(|diagnostics| diagnostics.to_json());
        let place = |name: &str| found.as_ref().map_or(Value::Null, |found| found[0][name].clone());
        value["error"]["location"] = match place("file") {
            Value::Null => Value::Null,
            file => json!({"file": file, "line": place("line"), "column": place("column")}),
        };
    }
    value
}

/// An error of SQL is shown in the pipeline file, any other in words.
fn step_error(step: &StepReport, plan: &Plan, console: &Console) {
    let Some(error) = &step.error else { return };
    match diagnosed(step, plan, error) {
        Some(diagnostics) => console.report(&console.rendered(&diagnostics)),
        None => console.error(error),
    }
}

fn diagnosed(step: &StepReport, plan: &Plan, error: &Error) -> Option<Diagnostics> {
    let fact = |name: &str| error.context().iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
    let offset = fact("offset")?.parse().ok()?;
    plan.diagnose(&step.id, fact("pointer").unwrap_or("/query"), offset, error)
}

fn summary(report: &RunReport, plan: &Plan, console: &Console) -> String {
    let time = format!("{} s", human::seconds(report.duration));
    match report.outcome {
        Outcome::Done if plan.is_dry_run() => {
            format!("{}: everything was checked, nothing was written, {time}", console.good("dry run"))
        }
        Outcome::Done => {
            let sum = |role: Role, rows: fn(&StepReport) -> u64| {
                report.steps.iter().filter(|step| step.role == role).map(rows).sum::<u64>()
            };
            let read = sum(Role::Extract, |step| step.counts.read);
            let written = sum(Role::Write, |step| step.counts.acknowledged());
            let rejected: u64 = report.steps.iter().map(|step| step.counts.rejected).sum();
            let confirmed = names(report, |step| step.confirmed.is_some());
            let confirmed_note = match confirmed.as_str() {
                "" => String::new(),
                steps => format!("; confirmed and not counted: {steps}"),
            };
            format!(
                "{}: the ledger balances, {} read, {} written, {} rejected, {time}{confirmed_note}",
                console.good("done"),
                human::rows(read),
                human::count(written),
                human::count(rejected)
            )
        }
        Outcome::Integrity => format!("{}: rows are missing, rejected or wrong, {time}", console.bad("integrity")),
        Outcome::TryLater => format!("{}: a later try may succeed, {time}", console.bad("failed")),
        Outcome::Ambiguous => {
            let steps = names(report, |step| step.status == StepStatus::Ambiguous);
            format!("{}: it is unknown what {steps} has written, {time}", console.bad("ambiguous"))
        }
        Outcome::Interrupted => {
            let steps = names(report, |step| step.may_have_written);
            let left = if steps.is_empty() {
                "the stopped steps have written no rows".to_owned()
            } else {
                format!("{steps} may have written rows, and writes the same rows when it runs again")
            };
            format!("{}: {left}, {time}", console.bad("interrupted"))
        }
        Outcome::Failed | Outcome::Running => format!("{}, {time}", console.bad("failed")),
    }
}

/// The steps of which `holds` is true, to begin a sentence with.
fn names(report: &RunReport, holds: impl Fn(&StepReport) -> bool) -> String {
    let ids = report.steps.iter().filter(|step| holds(step)).map(|step| format!("step `{}`", step.id));
    ids.collect::<Vec<_>>().join(", ")
}
