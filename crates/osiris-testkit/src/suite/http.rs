//! Rules of components that talk HTTP: the pace at which they do.

use std::time::{Duration, Instant};

use osiris_core::Role;

use crate::trial::{ensure, not_applicable};
use crate::{Job, Outcome, RateLimit, Ready, Sample, Subject, Trial, Verdict, Violation};

/// What the server asks for: longer than any first back-off, so that a client that ignores it comes too early.
const WAIT: Duration = Duration::from_secs(3);
/// How much longer than that a step may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where the HTTP client of Osiris counts the requests that it sent again.
const REQUESTS_REPEATED: &str = "requests_repeated";

/// DRV-015: a component that is told that most of a limit is used slows down by itself: it never gets a 429, and repeats nothing.
///
/// # Errors
/// What was seen instead.
pub async fn drv_015_slows_down_near_a_rate_limit<S: Subject>(trial: &Trial<S>) -> Outcome {
    let limit = RateLimit::nearly_used();
    let Some(job) = trial.subject().prepare_near_limit(trial.place(), &limit).await? else {
        return not_applicable("`Subject::prepare_near_limit` returns none");
    };
    let ready = ready(trial, job).await?;
    let ended = run(trial, &ready).await;
    let refused = limit.refused();
    ensure!(
        refused == 0,
        "{refused} requests came too early although the server had said that its limit is nearly used"
    );
    ended?;
    let handled = limit.admitted();
    ensure!(handled > 1, "the server handled {handled} requests: a limit is tried with several");
    let repeated = ready.bench.metrics().matching("metric", REQUESTS_REPEATED);
    ensure!(repeated.is_empty(), "requests were sent again: {repeated:?}");
    Ok(Verdict::Holds)
}

/// DRV-016: after a 429 the component waits as long as the server says, sends no request before, and then goes on without losing a
/// row.
///
/// # Errors
/// What was seen instead.
pub async fn drv_016_waits_as_long_as_the_server_says<S: Subject>(trial: &Trial<S>) -> Outcome {
    let limit = RateLimit::refusing_the_first(WAIT);
    let Some(job) = trial.subject().prepare_throttled(trial.place(), &limit).await? else {
        return not_applicable("`Subject::prepare_throttled` returns none");
    };
    let ready = ready(trial, job).await?;
    let started = Instant::now();
    let ended = run(trial, &ready).await;
    let elapsed = started.elapsed();
    let early = limit.refused().saturating_sub(1);
    ensure!(early == 0, "{early} requests came before the {WAIT:?} were over that the server had asked for");
    ended?;
    ensure!(limit.refused() > 0 && limit.admitted() > 0, "the server of `Subject::prepare_throttled` had no requests");
    ensure!(elapsed < WAIT + PATIENCE, "it went on after {elapsed:?}, the server asked for {WAIT:?}");
    Ok(Verdict::Holds)
}

async fn ready<S: Subject>(trial: &Trial<S>, job: Job) -> Result<Ready, Violation> {
    trial.ready_for(trial.with_input(job, Sample::new(20))?).await
}

async fn run<S: Subject>(trial: &Trial<S>, ready: &Ready) -> Result<(), Violation> {
    let output = ready.run().await?;
    if trial.spec()?.role != Role::Write {
        ready.compare(&output).await?;
    }
    Ok(())
}
