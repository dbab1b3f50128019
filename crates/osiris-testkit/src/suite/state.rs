//! The rule about what an extractor leaves for the next run.

use osiris_core::ErrorKind;
use serde_json::{Value, json};

use crate::trial::{STEP, ensure};
use crate::{Job, Outcome, Subject, Trial, Verdict, Violation};

/// CRT-008: a state is used only for the source it was taken from: one of another table, server or condition is refused, one of the
/// same source read in another way is not. A state with a field that the component does not read is refused, never a reason to start
/// over. A component that leaves no state keeps the rule.
///
/// # Errors
/// What was seen instead.
pub async fn crt_008_uses_a_state_only_for_the_source_it_was_taken_from<S: Subject>(trial: &Trial<S>) -> Outcome {
    let Some(incremental) = trial.subject().prepare_incremental(trial.place()).await? else {
        let output = trial.ready(3).await?.run().await?;
        ensure!(output.state.is_none(), "it leaves a state, but `Subject::prepare_incremental` has no job for it");
        return Ok(Verdict::Holds);
    };
    ensure!(!incremental.others.is_empty(), "the subject names no other source");
    ensure!(!incremental.same.is_empty(), "the subject names no other way to read the same source");
    let ready = trial.ready_for(incremental.job.clone()).await?;
    let first = ready.run().await?;
    ensure!(first.rows > 0, "the first run reads no row");
    let Some(state) = first.state else { return Err(Violation::new("the first run leaves no state")) };
    let again = |job: Job, state: Value| {
        let step = ready.bench.step(STEP, trial.subject().component(), job.config.clone());
        step.connection(job.connection).state(state).run_unchecked()
    };
    let second = again(incremental.job.clone(), state.clone()).await?;
    ensure!(second.rows == 0, "the second run takes {} rows once more", second.rows);
    for (name, job) in incremental.same {
        let same = again(job, state.clone()).await?;
        ensure!(same.rows == 0, "with {name} it takes {} rows once more", same.rows);
    }
    match again(incremental.job.clone(), with_unknown_field(&state)).await {
        Ok(_) => return Err(Violation::new("a state with a field that it does not read is accepted")),
        Err(failure) => {
            let (kind, report) = (failure.error.kind(), failure.error.report());
            ensure!(
                kind == ErrorKind::Validation,
                "unknown field of a state: expected a validation error, found {kind}: {report}"
            );
        }
    }
    for (name, job) in incremental.others {
        match again(job, state.clone()).await {
            Ok(_) => return Err(Violation::new(format!("a state is used for another source: {name}"))),
            Err(failure) => {
                let (kind, report) = (failure.error.kind(), failure.error.report());
                ensure!(kind == ErrorKind::Validation, "{name}: expected a validation error, found {kind}: {report}");
                ensure!(report.contains("another source"), "{name}: the error does not say why: {report}");
            }
        }
    }
    Ok(Verdict::Holds)
}

/// The saved state with a field that no driver reads.
fn with_unknown_field(saved: &Value) -> Value {
    let mut saved = saved.clone();
    match &mut saved["state"] {
        Value::Object(fields) => drop(fields.insert(UNKNOWN_FIELD.to_owned(), Value::from("kept by another version"))),
        other => *other = json!({UNKNOWN_FIELD: other.take()}),
    }
    saved
}

const UNKNOWN_FIELD: &str = "osiris_testkit_unknown";
