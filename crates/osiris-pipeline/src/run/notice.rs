//! What is told about a run that failed, to whoever the settings name: a small document without secrets.

use osiris_core::{Error, ErrorKind};
use serde_json::{Value, json};

use super::outcome::Outcome;
use super::report::{RunReport, StepStatus};
use crate::diagnostic::error_json;
use crate::{ExitCode, Plan};

/// Changes when a field changes its meaning or goes.
const VERSION: u64 = 1;

/// The status of a run that could not start or go on.
const NOT_STARTED: &str = "not_started";

/// The document about a run; none where it succeeded, was interrupted by its user, or was a dry run.
pub fn failure_notice(plan: &Plan, report: &RunReport) -> Option<Value> {
    if plan.is_dry_run() || matches!(report.outcome, Outcome::Done | Outcome::Interrupted) {
        return None;
    }
    let has_failed = |status| matches!(status, StepStatus::Failed | StepStatus::Ambiguous);
    let failed = report.steps.iter().find(|step| has_failed(step.status));
    let error = match failed.and_then(|step| step.error.as_ref()) {
        Some(error) => short(error),
        None => json!({"kind": null, "message": report.problems.first(), "hint": null, "retryable": false}),
    };
    Some(of_plan(
        plan,
        error,
        &json!({
            "run_id": report.run_id,
            "status": report.outcome,
            "exit_code": report.outcome.exit_code(),
            "step": failed.map(|step| &step.id),
        }),
    ))
}

/// The document about a run that could not start or go on although its plan is valid; none where its user ended it.
pub fn refusal_notice(plan: &Plan, error: &Error) -> Option<Value> {
    if plan.is_dry_run() || error.kind() == ErrorKind::Cancelled {
        return None;
    }
    Some(of_plan(
        plan,
        short(error),
        &json!({
            "run_id": null,
            "status": NOT_STARTED,
            "exit_code": ExitCode::of_error(error).code(),
            "step": error.step(),
        }),
    ))
}

/// The document about a pipeline that was refused before there was a plan of it. `file` is the name of its file, `refusal` what
/// is [printed of it](crate::failure_document): its first error counts.
pub fn unplanned_notice(file: Option<&str>, refusal: &Value) -> Value {
    let mut found = refusal["diagnostics"].as_array().into_iter().flatten();
    let error = found.find(|found| found["severity"] == "error").unwrap_or(&Value::Null);
    let kind = error["kind"].as_str().unwrap_or(ErrorKind::Validation.as_str());
    let retryable = error["retryable"].as_bool().unwrap_or_default();
    let error = json!({"kind": kind, "message": error["message"], "hint": error["hint"], "retryable": retryable});
    let run = json!({"run_id": null, "status": NOT_STARTED, "exit_code": refusal["exit_code"], "step": null});
    document(file, &error, &run)
}

fn of_plan(plan: &Plan, mut error: Value, run: &Value) -> Value {
    plan.redactor().scrub_json(&mut error);
    document(Some(plan.name()), &error, run)
}

fn document(pipeline: Option<&str>, error: &Value, run: &Value) -> Value {
    json!({
        "version": VERSION,
        "pipeline": pipeline,
        "run_id": run["run_id"],
        "status": run["status"],
        "exit_code": run["exit_code"],
        "step": run["step"],
        "error": error,
    })
}

/// What is wrong and what to do, without facts and causes, which may name what is nobody else's business.
fn short(error: &Error) -> Value {
    let mut full = error_json(error);
    let mut field = |name: &str| full[name].take();
    json!({"kind": field("kind"), "message": field("message"), "hint": field("hint"), "retryable": field("retryable")})
}
