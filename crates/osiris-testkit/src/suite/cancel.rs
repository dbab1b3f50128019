//! The rule about what a step leaves behind, however it ends: files, tables, open handles.

use std::time::{Duration, Instant};

use osiris_core::{ErrorKind, Role};

use super::run::expected_rows;
use crate::alone::Alone;
use crate::trial::{STEP, ensure};
use crate::{Listing, Outcome, Ready, Subject, Trial, Verdict, Violation, process};

/// Rows enough for a cancellation to fall into the middle of them.
pub(super) const MANY_ROWS: u64 = 10_000;
/// How long the clean-up of threads may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The moments at which a step is stopped.
pub(super) const MOMENTS: [u64; 7] = [0, 500, 2000, 5000, 12_000, 30_000, 80_000];

/// How a step is stopped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    /// Its cancellation token is set.
    Token,
    /// Its future is dropped.
    Drop,
}

/// CRT-003: after success, failure and cancellation at many moments no file, no open handle and no part of a table
/// is left, and the step can run again at once.
///
/// # Errors
/// What was seen instead.
pub async fn crt_003_releases_everything_on_success_failure_and_cancellation<S: Subject>(trial: &Trial<S>) -> Outcome {
    let body = async {
        ends_clean(trial).await?;
        for stop in [Stop::Token, Stop::Drop] {
            for moment in MOMENTS {
                stops_clean(trial, stop, Duration::from_micros(moment)).await?;
            }
        }
        Ok(Verdict::Holds)
    };
    Ok(Alone::new().run(trial.test(), body).await?.0)
}

/// Success and failure, several times over: nothing adds up.
async fn ends_clean<S: Subject>(trial: &Trial<S>) -> Result<(), Violation> {
    let ready = trial.ready(50).await?;
    let role = trial.spec()?.role;
    ready.run().await?;
    let (files, open) = (trial.place().listing()?, process::open_files());
    for _ in 0..3 {
        let output = ready.run().await?;
        ensure!(output.rows == expected_rows(&ready, role)?, "a later run has {} rows", output.rows);
    }
    no_new_files(trial, &files).await?;
    no_more_open(open).await?;
    for fault in trial.subject().faults(trial.place()).await? {
        let job = trial.with_input(fault.job, crate::Sample::new(50))?;
        let ready = trial.ready_for(job).await?;
        ready.fail(&fault.name).await?;
        let (files, open) = (trial.place().listing()?, process::open_files());
        for _ in 0..3 {
            ready.fail(&fault.name).await?;
        }
        no_new_files(trial, &files).await?;
        no_more_open(open).await?;
    }
    Ok(())
}

async fn stops_clean<S: Subject>(trial: &Trial<S>, stop: Stop, moment: Duration) -> Result<(), Violation> {
    let ready = trial.ready(MANY_ROWS).await?;
    // So that a writer's file is there already: what is new after the stop is then something left over.
    ready.step("earlier-step").run_unchecked().await?;
    let files = trial.place().listing()?;
    if stopped(&ready, stop, moment).await? {
        no_new_files(trial, &files).await?;
        // A stop that comes while the table is being committed may find it whole, never in part.
        if let Some(table) = ready.bench.store().table(STEP).await? {
            let (rows, whole) = (table.rows(), expected_rows(&ready, trial.spec()?.role)?);
            ensure!(rows == whole, "a step stopped after {moment:?} left {rows} of {whole} rows");
        }
    }
    let again = trial.ready_for(ready.job.clone()).await?;
    let output = again.run().await?;
    if trial.spec()?.role != Role::Write {
        again.compare(&output).await?;
    }
    let rows = expected_rows(&again, trial.spec()?.role)?;
    ensure!(output.rows == rows, "run again it has {} rows, expected {rows}", output.rows);
    Ok(())
}

/// Runs the job and stops it at `moment`. Says whether it was stopped before it was done.
pub(super) async fn stopped(ready: &Ready, stop: Stop, moment: Duration) -> Result<bool, Violation> {
    let run = ready.step(STEP).run_unchecked();
    match stop {
        Stop::Token => {
            let token = ready.bench.run_context().cancel().clone();
            let (outcome, ()) = tokio::join!(run, async {
                tokio::time::sleep(moment).await;
                token.cancel();
            });
            match outcome {
                Ok(_) => Ok(false),
                // A write in parts that is stopped between two of them: what is there is looked at next.
                Err(failure) if matches!(failure.error.kind(), ErrorKind::Cancelled | ErrorKind::Ambiguous) => Ok(true),
                Err(failure) => Err(Violation::new(format!("cancelled, it ends in {:?}", failure.error))),
            }
        }
        Stop::Drop => match tokio::time::timeout(moment, run).await {
            Ok(outcome) => outcome.map(|_| false).map_err(Violation::from),
            Err(_) => Ok(true),
        },
    }
}

/// Waits until the place has no other names than `before`.
pub(super) async fn no_new_files<S: Subject>(trial: &Trial<S>, before: &Listing) -> Result<(), Violation> {
    let started = Instant::now();
    loop {
        let after = trial.place().listing();
        // A file that goes while the directory is being read is not there, which is what is waited for.
        if let Ok(after) = after {
            let known = before.names();
            let new: Vec<_> = after.names().into_iter().filter(|name| !known.contains(name)).collect();
            if new.is_empty() {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "files are left: {new:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until no more files are open than there were.
async fn no_more_open(before: Option<usize>) -> Result<(), Violation> {
    let started = Instant::now();
    loop {
        let (Some(before), Some(now)) = (before, process::open_files()) else { return Ok(()) };
        if now <= before {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "{} more files are open than before", now - before);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
