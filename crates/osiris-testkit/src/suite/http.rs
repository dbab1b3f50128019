//! Rules of components that talk HTTP: the pace at which they do.

use std::time::{Duration, Instant};

use osiris_core::Role;

use crate::trial::{ensure, not_applicable};
use crate::{Job, Outcome, Sample, Subject, Trial, Verdict, Violation};

/// DRV-015: a component that is told that most of a limit is used slows down by itself: it never gets a 429.
///
/// # Errors
/// What was seen instead.
pub async fn drv_015_slows_down_near_a_rate_limit<S: Subject>(trial: &Trial<S>) -> Outcome {
    match trial.subject().prepare_near_limit(trial.place()).await? {
        None => not_applicable("the subject prepares no server with a rate limit"),
        Some(job) => {
            run_patiently(trial, job).await?;
            Ok(Verdict::Holds)
        }
    }
}

/// DRV-016: after a 429 the component waits as long as the server says and then goes on, without losing a row.
///
/// # Errors
/// What was seen instead.
pub async fn drv_016_waits_as_long_as_the_server_says<S: Subject>(trial: &Trial<S>) -> Outcome {
    let Some(job) = trial.subject().prepare_throttled(trial.place()).await? else {
        return not_applicable("the subject prepares no server that answers 429");
    };
    let elapsed = run_patiently(trial, job).await?;
    ensure!(elapsed >= Duration::from_secs(1), "it went on after {elapsed:?}, the server asked for a second");
    ensure!(elapsed < Duration::from_secs(20), "it went on after {elapsed:?}, the server asked for a second");
    Ok(Verdict::Holds)
}

async fn run_patiently<S: Subject>(trial: &Trial<S>, job: Job) -> Result<Duration, Violation> {
    let job = trial.with_input(job, Sample::new(20))?;
    let ready = trial.ready_for(job).await?;
    let started = Instant::now();
    let output = ready.run().await?;
    if trial.spec()?.role != Role::Write {
        ready.compare(&output).await?;
    }
    Ok(started.elapsed())
}
