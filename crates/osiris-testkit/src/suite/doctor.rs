//! The rules of components that declare a doctor.

use std::time::{Duration, Instant};

use osiris_core::{Error, Health, HealthCategory};
use serde_json::Value;

use super::errors::{holds, with_secret};
use crate::corpus::SECRETS;
use crate::trial::{ensure, not_applicable};
use crate::{Outcome, Subject, Trial, Verdict, Violation};

/// The limit of a check, as the command line has it.
const LIMIT: Duration = Duration::from_secs(2);
/// What a check may take beyond its limit.
const GRACE: Duration = Duration::from_secs(1);

async fn check<S: Subject>(trial: &Trial<S>, fields: &Value, limit: Duration) -> Result<Health, Violation> {
    let bench = trial.bench()?;
    let connection = bench.connection(trial.subject().component(), fields)?;
    let started = Instant::now();
    let health = trial.driver(&bench)?.family().check(&connection, limit).await;
    let elapsed = started.elapsed();
    ensure!(elapsed <= limit + GRACE, "a check took {elapsed:?}, its limit was {limit:?}");
    Ok(health)
}

fn declared<S: Subject>(trial: &Trial<S>) -> Result<bool, Violation> {
    let bench = trial.bench()?;
    Ok(trial.driver(&bench)?.family().has_doctor())
}

/// DRV-022: a connection that works is `ok`; one that does not has the category of its fault and says what is wrong; both within the
/// limit.
///
/// # Errors
/// What was seen instead.
pub async fn drv_022_answers_within_the_limit<S: Subject>(trial: &Trial<S>) -> Outcome {
    if !declared(trial)? {
        return not_applicable("it declares no doctor");
    }
    let job = trial.job(3).await?;
    let health = check(trial, &job.connection, LIMIT).await?;
    ensure!(health.ok && health.category == HealthCategory::Ok, "a connection that works is {health:?}");
    for fault in trial.subject().faults(trial.place()).await?.into_iter().filter(|fault| fault.connection) {
        let health = check(trial, &fault.job.connection, LIMIT).await?;
        let expected = Health::failed(Duration::ZERO, &Error::new(fault.kind, fault.name.clone())).category;
        ensure!(!health.ok, "{}: the connection is said to work: {health:?}", fault.name);
        ensure!(health.category == expected, "{}: expected the category {expected:?}, found {health:?}", fault.name);
        ensure!(!health.message.is_empty(), "{}: no message", fault.name);
    }
    Ok(Verdict::Holds)
}

/// DRV-023: whatever the connection is, a check returns, and nothing it says holds a secret.
///
/// # Errors
/// What was seen instead.
pub async fn drv_023_never_fails_and_never_leaks<S: Subject>(trial: &Trial<S>) -> Outcome {
    if !declared(trial)? {
        return not_applicable("it declares no doctor");
    }
    let mut connections = vec![trial.job(3).await?.connection, Value::Null];
    connections.extend(trial.subject().faults(trial.place()).await?.into_iter().map(|fault| fault.job.connection));
    for connection in connections {
        check(trial, &connection, Duration::from_millis(1)).await?;
        for secret in SECRETS {
            for (field, fields) in with_secret(trial, &connection, secret)? {
                let health = check(trial, &fields, LIMIT).await?;
                let said = serde_json::to_string(&health).unwrap_or_default();
                let said = format!("{said}\n{health:?}\n{}", health.message);
                ensure!(!holds(&said, secret), "the secret {secret:?} in `{field}` is in {said}");
            }
        }
    }
    Ok(Verdict::Holds)
}
