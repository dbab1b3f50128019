//! Rules about a step that ends well: its table, its metrics.

use std::collections::BTreeSet;

use osiris_core::{Role, StepOutput, Unit, event, metric};
use serde_json::Value;

use crate::alone::Alone;
use crate::corpus::STEP_IDS;
use crate::trial::{STEP, ensure, not_applicable};
use crate::{Outcome, Ready, Subject, Trial, Verdict, Violation};

/// DRV-001: the same job under another step id does the same; nothing but id, config, inputs and context counts.
///
/// # Errors
/// What was seen instead.
pub async fn drv_001_runs_with_step_id_config_inputs_and_context_alone<S: Subject>(trial: &Trial<S>) -> Outcome {
    for id in STEP_IDS {
        let ready = trial.ready(4).await?;
        let output = ready.step(id).run_unchecked().await?;
        if let Some(table) = &output.table {
            ensure!(table.step() == id, "the table of step `{id}` is called `{}`", table.step());
            ready.compare(&output).await?;
        }
        let started = ready.bench.last_event(event::STEP_START);
        ensure!(started["step_id"] == id, "step `{id}` logs as {}", started["step_id"]);
    }
    Ok(Verdict::Holds)
}

/// DRV-002: an extractor and a processor return a table and its rows; a writer returns what was acknowledged and no table.
///
/// # Errors
/// What was seen instead.
pub async fn drv_002_returns_table_rows_and_state_by_role<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(7).await?;
    let output = ready.run().await?;
    let expected = expected_rows(&ready, trial.spec()?.role)?;
    ensure!(output.rows == expected, "it returns {} rows, expected {expected}", output.rows);
    match &output.table {
        Some(table) => {
            ensure!(trial.spec()?.role != Role::Write, "a writer returns a table");
            ensure!(table.rows() == output.rows, "its table has {} rows, it returns {}", table.rows(), output.rows);
            ready.compare(&output).await?;
        }
        None => {
            ensure!(trial.spec()?.role == Role::Write, "it returns no table");
            let acknowledged = output.counts.acknowledged();
            ensure!(acknowledged == expected, "{acknowledged} rows were acknowledged, expected {expected}");
        }
    }
    Ok(Verdict::Holds)
}

/// How many rows a good job must come to.
pub(super) fn expected_rows(ready: &Ready, role: Role) -> Result<u64, Violation> {
    if role == Role::Write {
        return Ok(ready.inputs.iter().map(|input| input.table.rows()).sum());
    }
    Ok(ready.expected()?.len() as u64)
}

/// DRV-009: the row metric of the role is there exactly once when the step returns, with the unit `rows`, the step's tag and
/// the right value; a failed step has none.
///
/// # Errors
/// What was seen instead.
pub async fn drv_009_logs_its_row_metric_exactly_once<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(6).await?;
    let output = ready.run().await?;
    let (name, value) = required_metric(&output, trial.spec()?.role);
    let found = ready.bench.metrics().matching("metric", name);
    let [line] = found.as_slice() else {
        return Err(Violation::new(format!("`{name}` was logged {} times", found.len())));
    };
    ensure!(line["value"] == value, "`{name}` is {}, expected {value}", line["value"]);
    ensure!(line["unit"] == Unit::Rows.as_str(), "the unit of `{name}` is {}", line["unit"]);
    ensure!(line["tags"]["step"] == STEP, "the step tag of `{name}` is {}", line["tags"]["step"]);
    for fault in trial.subject().faults(trial.place()).await? {
        let job = trial.with_input(fault.job, crate::Sample::new(6))?;
        let ready = trial.ready_for(job).await?;
        ready.fail(&fault.name).await?;
        let found = ready.bench.metrics().matching("metric", name).len();
        ensure!(found == 0, "a failed step ({}) logged `{name}`", fault.name);
    }
    Ok(Verdict::Holds)
}

fn required_metric(output: &StepOutput, role: Role) -> (&'static str, u64) {
    match role {
        Role::Extract => (metric::ROWS_READ, output.counts.read),
        Role::Transform => (metric::ROWS_PROCESSED, output.rows),
        Role::Write => (metric::ROWS_WRITTEN, output.counts.acknowledged()),
    }
}

/// DRV-010: every metric has a unit of the list and the step's tag; every line of telemetry fits the published schemas.
///
/// # Errors
/// What was seen instead.
pub async fn drv_010_logs_metrics_with_known_units_only<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(6).await?;
    ready.run().await?;
    let mut violations = ready.bench.telemetry_violations();
    let untagged = ready.bench.metrics().lines().into_iter().filter(|line| line["tags"]["step"] != STEP);
    violations.extend(untagged.map(|line| format!("no step tag in {line}")));
    for fault in trial.subject().faults(trial.place()).await? {
        let job = trial.with_input(fault.job, crate::Sample::new(6))?;
        let ready = trial.ready_for(job).await?;
        ready.fail(&fault.name).await?;
        violations.extend(ready.bench.telemetry_violations());
    }
    ensure!(violations.is_empty(), "{}", violations.join("\n"));
    Ok(Verdict::Holds)
}

/// Stands around the step's own output, on both streams.
const FENCE: &str = "osiris-testkit fence";

/// DRV-011: a step that runs prints nothing, neither to the standard output nor to the standard error.
///
/// # Errors
/// What was seen instead.
pub async fn drv_011_prints_nothing<S: Subject>(trial: &Trial<S>) -> Outcome {
    let body = async {
        let ready = trial.ready(5).await?;
        fence();
        let outcome = ready.run().await;
        fence();
        outcome?;
        let faults = trial.subject().faults(trial.place()).await?;
        for fault in faults {
            let job = trial.with_input(fault.job, crate::Sample::new(5))?;
            let ready = trial.ready_for(job).await?;
            fence();
            let failure = ready.fail(&fault.name).await;
            fence();
            failure?;
        }
        Ok(Verdict::Holds)
    };
    let (verdict, output) = Alone::new().run(trial.test(), body).await?;
    if let Some(output) = output {
        for (stream, bytes) in [("standard output", &output.stdout), ("standard error", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            let parts: Vec<&str> = text.split(FENCE).collect();
            ensure!(parts.len() > 2, "the step's {stream} could not be seen");
            let printed: String = parts.iter().skip(1).step_by(2).map(|part| part.trim()).collect();
            ensure!(printed.is_empty(), "it prints to the {stream}: {printed}");
        }
    }
    Ok(verdict)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "marks where the step's own output would be")]
fn fence() {
    println!("{FENCE}");
    eprintln!("{FENCE}");
}

/// DRV-024: an extractor's and a processor's rows are in the run store under the step's id, with the promised types.
///
/// # Errors
/// What was seen instead.
pub async fn drv_024_leaves_its_table_in_the_run_store<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(50).await?;
    let output = ready.run().await?;
    let Some(table) = &output.table else { return not_applicable("it makes no table") };
    let committed = ready.bench.store().table(STEP).await?;
    ensure!(committed.as_ref() == Some(table), "the table it returns is not the one in the store");
    ready.compare(&output).await?;
    let names: BTreeSet<&str> = table.schema().names().collect();
    ensure!(!names.is_empty(), "its table has no columns");
    Ok(Verdict::Holds)
}

/// CRT-001: a second run sees what the source or the input holds then, not what the first one saw.
///
/// # Errors
/// What was seen instead.
pub async fn crt_001_keeps_no_data_between_runs<S: Subject>(trial: &Trial<S>) -> Outcome {
    let mut ready = trial.ready(9).await?;
    let role = trial.spec()?.role;
    for rows in [9, 4, 11] {
        let job = trial.job(rows).await?;
        ready.take(job).await?;
        let output = ready.run().await?;
        let expected = expected_rows(&ready, role)?;
        ensure!(output.rows == expected, "a later run has {} rows, expected {expected}", output.rows);
        if role != Role::Write {
            ready.compare(&output).await?;
        }
    }
    Ok(Verdict::Holds)
}

/// DRV-026: a dry run of an extractor or a processor ends well, reads little and changes no file, neither when all is well nor
/// when it finds what is wrong.
///
/// # Errors
/// What was seen instead.
pub async fn drv_026_changes_nothing_in_a_dry_run<S: Subject>(trial: &Trial<S>) -> Outcome {
    let rows = osiris_core::DRY_RUN_ROWS * 3;
    let ready = trial.ready(rows).await?;
    let before = trial.place().listing()?;
    let output = ready.step(STEP).dry_run().run_unchecked().await?;
    let limit = osiris_core::DRY_RUN_ROWS;
    if trial.spec()?.role == Role::Extract {
        ensure!(output.counts.read <= limit, "a dry run read {} rows, at most {limit} are allowed", output.counts.read);
    }
    let changes = before.difference(&trial.place().listing()?);
    ensure!(changes.is_none(), "a dry run changed files: {}", changes.unwrap_or_default());
    dry_run_finds_faults(trial).await
}

pub(super) async fn dry_run_finds_faults<S: Subject>(trial: &Trial<S>) -> Outcome {
    for fault in trial.subject().faults(trial.place()).await?.into_iter().filter(|fault| fault.checked) {
        let job = trial.with_input(fault.job, crate::Sample::new(6))?;
        let ready = trial.ready_for(job).await?;
        let before = trial.place().listing()?;
        let outcome = ready.step(STEP).dry_run().run_unchecked().await;
        ensure!(outcome.is_err(), "a dry run does not find: {}", fault.name);
        let changes = before.difference(&trial.place().listing()?);
        ensure!(changes.is_none(), "a dry run changed files: {}", changes.unwrap_or_default());
    }
    Ok(Verdict::Holds)
}

/// The value of an event's field, for messages.
pub(super) fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_default()
}
