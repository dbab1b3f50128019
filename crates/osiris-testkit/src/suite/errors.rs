//! Rules about a step that fails: what the error says, what it is called, and what it must not hold.

use osiris_core::{ErrorKind, Problem, Redactor, ResolvedConnection, RetryPolicy, StepFailure, event};
use serde_json::{Map, Value, json};

use super::run::text;
use crate::corpus::SECRETS;
use crate::trial::{STEP, ensure, not_applicable};
use crate::{Fault, Job, Outcome, Ready, Sample, Subject, Trial, Verdict, Violation};

/// Runs every fault of the subject and hands over how it ended.
async fn each_fault<S: Subject>(
    trial: &Trial<S>,
    mut check: impl FnMut(&Fault, &Ready, &StepFailure) -> Result<(), Violation>,
) -> Result<usize, Violation> {
    let faults = trial.subject().faults(trial.place()).await?;
    ensure!(!faults.is_empty(), "the subject has no faults: `Subject::faults` needs at least one");
    let count = faults.len();
    for fault in faults {
        let job = trial.with_input(fault.job.clone(), Sample::new(20))?;
        let ready = trial.ready_for(job).await?;
        let failure = ready.fail(&fault.name).await?;
        check(&fault, &ready, &failure)?;
        let table = ready.bench.store().table(STEP).await?;
        ensure!(table.is_none(), "a failed step left a table ({})", fault.name);
    }
    Ok(count)
}

/// DRV-003: every fault is an error whose message names the step, is an event, and leaves no table behind.
///
/// # Errors
/// What was seen instead.
pub async fn drv_003_fails_loudly_and_names_the_step<S: Subject>(trial: &Trial<S>) -> Outcome {
    each_fault(trial, |fault, ready, failure| {
        let message = failure.error.to_string();
        ensure!(message.contains(STEP), "the message does not name the step ({}): {message}", fault.name);
        ensure!(!failure.error.message().is_empty(), "no message ({})", fault.name);
        if is_refused(ready, failure, fault)? {
            return Ok(());
        }
        let failed = ready.bench.last_event(event::STEP_FAILED);
        ensure!(failed["step_id"] == STEP, "no `step_failed` event ({})", fault.name);
        ensure!(ready.bench.last_event(event::STEP_COMPLETE).is_null(), "a failed step is complete ({})", fault.name);
        Ok(())
    })
    .await?;
    Ok(Verdict::Holds)
}

/// Whether the step was refused by [`Driver::prepare`](osiris_core::Driver::prepare): a validation error, before anything began.
fn is_refused(ready: &Ready, failure: &StepFailure, fault: &Fault) -> Result<bool, Violation> {
    if failure.attempts > 0 {
        return Ok(false);
    }
    let kind = failure.error.kind();
    ensure!(kind == ErrorKind::Validation, "{}: refused before it ran with a {kind} error", fault.name);
    let begun = ready.bench.last_event(event::STEP_START);
    ensure!(begun.is_null(), "{}: a step that was refused has begun", fault.name);
    Ok(true)
}

/// DRV-017: every fault has the kind that the subject says, is reported with a known category, and is tried again only when
/// it is network or timeout.
///
/// # Errors
/// What was seen instead.
pub async fn drv_017_categorises_errors_and_retries_only_network_and_timeout<S: Subject>(trial: &Trial<S>) -> Outcome {
    const CATEGORIES: [&str; 6] = ["auth", "network", "permission", "timeout", "validation", "unknown"];
    each_fault(trial, |fault, ready, failure| {
        let kind = failure.error.kind();
        ensure!(kind == fault.kind, "{}: expected a {} error, found {:?}", fault.name, fault.kind, failure.error);
        if is_refused(ready, failure, fault)? {
            return Ok(());
        }
        let failed = ready.bench.last_event(event::STEP_FAILED);
        let category = text(&failed, "category");
        ensure!(CATEGORIES.contains(&category), "{}: `{category}` is no category", fault.name);
        let passing = matches!(kind, ErrorKind::Network | ErrorKind::Timeout);
        ensure!(
            passing || !failure.error.is_retryable(),
            "{}: a {kind} error says that a later try may succeed",
            fault.name
        );
        let allowed = if failure.error.is_retryable() { RetryPolicy::default().max_attempts } else { 1 };
        ensure!(failure.attempts == allowed, "{}: tried {} times, not {allowed}", fault.name, failure.attempts);
        Ok(())
    })
    .await?;
    Ok(Verdict::Holds)
}

/// DRV-018: every fault's error says what to do, and no secret of the connection is in any error, event or metric, in
/// whatever spelling.
///
/// # Errors
/// What was seen instead.
pub async fn drv_018_says_what_to_do_and_leaks_no_secret<S: Subject>(trial: &Trial<S>) -> Outcome {
    each_fault(trial, |fault, _, failure| {
        let hint = failure.error.hint().unwrap_or_default();
        ensure!(!hint.is_empty(), "{}: the error has no hint: {:?}", fault.name, failure.error);
        Ok(())
    })
    .await?;
    for secret in SECRETS {
        let faults = trial.subject().faults(trial.place()).await?;
        let good = Fault::new("a good job", ErrorKind::Unknown, trial.job(5).await?);
        for fault in faults.into_iter().chain([good]) {
            let job = trial.with_input(fault.job, Sample::new(5))?;
            for (field, connection) in with_secret(trial, &job.connection, secret)? {
                let ready = trial.ready_for(Job { connection, ..job.clone() }).await?;
                let outcome = ready.step(STEP).retry(RetryPolicy::never()).run_unchecked().await;
                let mut said = format!("{}\n{}", ready.bench.events().text(), ready.bench.metrics().text());
                if let Err(failure) = outcome {
                    said.push_str(&format!("\n{:?}\n{}", failure.error, failure.error.report()));
                }
                ensure!(!holds(&said, secret), "{}: the secret {secret:?} in `{field}` is in {said}", fault.name);
            }
        }
    }
    Ok(Verdict::Holds)
}

/// The connection with `secret` in one of its secret fields, once for each of them, and with what the subject makes of it.
/// The other secret fields stay, unless the driver refuses them beside this one.
pub(super) fn with_secret<S: Subject>(
    trial: &Trial<S>,
    connection: &Value,
    secret: &str,
) -> Result<Vec<(String, Value)>, Violation> {
    let bench = trial.bench()?;
    let driver = trial.driver(&bench)?;
    let schema = driver.connection_schema();
    let fields: Map<String, Value> = connection.as_object().cloned().unwrap_or_default();
    let mut all = Vec::new();
    for field in schema.fields().map(|(field, _)| field).filter(|field| schema.is_secret(field)) {
        let with = |keeps: &dyn Fn(&str) -> bool| {
            let mut fields = fields.clone();
            fields.retain(|name, _| schema.field_named(name) != Some(field) && keeps(name));
            fields.insert(field.to_owned(), json!(secret));
            fields
        };
        let mut beside = with(&|_| true);
        let alone = with(&|name| !schema.is_secret(name));
        let is_good = |fields: &Map<String, Value>| {
            let connection = ResolvedConnection::from_fields(fields.clone(), schema);
            !driver.family().check_connection(&connection).iter().any(Problem::is_error)
        };
        if !is_good(&beside) && is_good(&alone) {
            beside = alone;
        }
        all.push((field.to_owned(), Value::Object(beside)));
    }
    if !all.is_empty() {
        let inside = trial.subject().connections_with_secret(connection, secret);
        all.extend(inside.into_iter().map(|connection| ("part of a field".to_owned(), connection)));
    }
    Ok(all)
}

/// Whether `text` has the secret: as it is, in a form that the redactor knows, in other letters, or backwards.
pub(super) fn holds(text: &str, secret: &str) -> bool {
    let folded = secret.to_lowercase();
    let backwards: String = secret.chars().rev().collect();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let plain = text.to_lowercase();
    plain.contains(&folded)
        || text.contains(&backwards)
        || plain.contains(&hex)
        || matches!(Redactor::new([secret]).scrub(text), std::borrow::Cow::Owned(_))
}

/// CRT-007: a connection that fails is an event `connection_failed` with step, category and error, and an error of that
/// category.
///
/// # Errors
/// What was seen instead.
pub async fn crt_007_reports_a_connection_failure_as_event_and_category<S: Subject>(trial: &Trial<S>) -> Outcome {
    let faults = trial.subject().faults(trial.place()).await?;
    if trial.spec()?.connection.is_needed() {
        shows_every_kind(&faults, trial.subject().impossible_connection_faults())?;
    } else if !faults.iter().any(|fault| fault.connection) {
        return not_applicable("it has no connection that could fail");
    }
    each_fault(trial, |fault, ready, failure| {
        if !fault.connection {
            return Ok(());
        }
        let failed = ready.bench.last_event(event::CONNECTION_FAILED);
        ensure!(failed["step_id"] == STEP, "{}: no `connection_failed` event", fault.name);
        let category = failure.error.kind().category();
        ensure!(
            failed["category"] == category,
            "{}: the event says {}, not {category}",
            fault.name,
            failed["category"]
        );
        ensure!(!text(&failed, "error").is_empty(), "{}: the event has no error", fault.name);
        Ok(())
    })
    .await?;
    Ok(Verdict::Holds)
}

/// Whether the connection fails in each of the ways in which connections fail, but for those that are listed as impossible.
fn shows_every_kind(faults: &[Fault], impossible: &[(ErrorKind, &str)]) -> Result<(), Violation> {
    for kind in [ErrorKind::Auth, ErrorKind::Network, ErrorKind::Timeout] {
        let shown = faults.iter().any(|fault| fault.connection && fault.kind == kind);
        let listed = impossible.iter().any(|(listed, _)| *listed == kind);
        ensure!(
            shown || listed,
            "it requires a connection: `Subject::faults` needs one `of_connection` of the kind {kind}, or \
             `Subject::impossible_connection_faults` the reason why there is none"
        );
        ensure!(
            !(shown && listed),
            "{kind} is listed in `Subject::impossible_connection_faults`, and there is such a fault"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_disguise() {
        let secret = "p@ss/W0rd+==";
        for text in ["x p@ss/W0rd+== y", "p@ss/w0rd+==", "==+dr0W/ss@p", "p%40ss%2FW0rd%2B%3D%3D", "cEBzcy9XMHJkKz09"] {
            assert!(holds(text, secret), "{text}");
        }
        assert!(!holds("nothing here ***", secret));
    }
}
