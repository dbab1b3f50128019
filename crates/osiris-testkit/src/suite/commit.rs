//! The rule about the point of no return of a writer: it is announced before it, waited for after it, and never passed twice.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use osiris_core::{CommitEnd, CommitLog, CommitRecord, ErrorKind, Result as CoreResult, StepFailure, StepOutput};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::write::{after, holds, job_of, write};
use crate::trial::{STEP, ensure};
use crate::{Destination, Job, Mode, Outcome, Rows, Sample, Trial, Verdict, Violation};

/// At which of its awaits from the announcement of its commit on a writer is stopped: each of the first, then some.
const AWAITS: [u32; 24] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 24, 28, 34, 42, 52, 64];
/// At which of them its time limit strikes: each costs that time.
const LIMITED: [u32; 11] = [0, 1, 2, 3, 4, 6, 8, 11, 16, 24, 40];
/// How long the record of an outcome takes in the trial of what comes after it: longer than the limit of the step.
const LATE: Duration = Duration::from_millis(700);
/// How late a timer may fire.
const TIMER: Duration = Duration::from_millis(5);
/// What a writer may take besides what it took undisturbed, until its time limit strikes.
const SLACK: Duration = Duration::from_millis(100);
/// The time limit of that trial.
const LIMIT: Duration = Duration::from_millis(600);
const OLD: Sample = Sample::new(30);

/// What a log does when a commit is announced and when its outcome is known.
enum Probe {
    /// Waits until the trial has looked at the destination.
    Look(mpsc::UnboundedSender<oneshot::Sender<()>>),
    /// Does nothing.
    None,
    /// Cancels the step as the outcome is recorded, and takes its time.
    CancelAtEnd(CancellationToken),
    /// Takes its time to record the outcome.
    Late,
}

#[derive(Default)]
struct Seen {
    begun: Vec<CommitRecord>,
    committed: u32,
}

/// A log in memory, with a probe.
struct Log {
    probe: Probe,
    seen: Mutex<Seen>,
}

impl Log {
    fn new(probe: Probe) -> Arc<Self> {
        Arc::new(Self { probe, seen: Mutex::default() })
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CommitLog for Log {
    fn begun(&self, record: &CommitRecord) -> CoreResult<()> {
        self.seen(|seen| seen.begun.push(record.clone()));
        match &self.probe {
            Probe::Look(looks) => {
                let (looked, wait) = oneshot::channel();
                if looks.send(looked).is_ok() {
                    let _ = wait.blocking_recv();
                }
            }
            Probe::CancelAtEnd(_) | Probe::Late | Probe::None => {}
        }
        Ok(())
    }

    fn ended(&self, _: &CommitRecord, end: &CommitEnd) -> CoreResult<()> {
        if matches!(end, CommitEnd::Committed { .. }) {
            self.seen(|seen| seen.committed += 1);
            match &self.probe {
                Probe::CancelAtEnd(token) => {
                    token.cancel();
                    std::thread::sleep(Duration::from_millis(50));
                }
                Probe::Late => std::thread::sleep(LATE),
                _ => {}
            }
        }
        Ok(())
    }
}

/// CRT-009: before a writer changes its destination for good it announces that; from there on neither a cancellation nor its time
/// limit drops it or has it write twice, and what it says afterwards is what the destination holds. In every mode, at its awaits.
///
/// # Errors
/// What was seen instead.
pub async fn crt_009_is_neither_dropped_nor_repeated_once_it_commits<S: Destination>(trial: &Trial<S>) -> Outcome {
    for mode in trial.subject().modes() {
        let took = announces(trial, mode).await?;
        // Time enough for a writer to get there on a machine that has other things to do.
        let limit = Stop::Limit(took * 3 + SLACK);
        for (stop, awaits) in [(Stop::Cancel, &AWAITS[..]), (limit, &LIMITED)] {
            for at in awaits {
                if stopped_at(trial, mode, stop, *at).await? == Stopped::TooLate {
                    break;
                }
            }
        }
        ends_after_its_commit(trial, mode).await?;
    }
    Ok(Verdict::Holds)
}

/// What is written over the old rows, as a job and as what the destination then holds.
async fn prepared<S: Destination>(trial: &Trial<S>, mode: Mode) -> Result<(Job, Rows), Violation> {
    let new = Sample::new(40).starting_at(20);
    let job = trial.job(0).await?;
    let first = if trial.subject().modes().contains(&Mode::Overwrite) { Mode::Overwrite } else { mode };
    write(trial, &job, first, OLD).await?;
    Ok((job_of(trial, &job, mode, new), after(mode, OLD, new)?))
}

/// Returns how long it took.
async fn announces<S: Destination>(trial: &Trial<S>, mode: Mode) -> Result<Duration, Violation> {
    let (job, expected) = prepared(trial, mode).await?;
    let ready = trial.ready_for(job).await?;
    let started = Instant::now();
    let (looks, mut wanted) = mpsc::unbounded_channel();
    let log = Log::new(Probe::Look(looks));
    let look = async {
        let Some(looked) = wanted.recv().await else { return Ok(()) };
        let found = holds(trial, Some(&OLD.text()?), &format!("{}, as it is announced", mode.as_str())).await;
        // Later commits of the same attempt find the earlier ones.
        wanted.close();
        let _ = looked.send(());
        found
    };
    let run = ready.step(STEP).commit_log(Arc::clone(&log) as _).run_unchecked();
    tokio::pin!(run);
    tokio::pin!(look);
    let ended = tokio::select! {
        ended = &mut run => ended,
        found = &mut look => {
            found?;
            run.await
        }
    };
    ended?;
    let took = started.elapsed();
    holds(trial, Some(&expected), mode.as_str()).await?;
    let (begun, committed) = log.seen(|seen| (seen.begun.len(), seen.committed));
    ensure!(begun > 0, "{}: it changed its destination without `begin_commit`", mode.as_str());
    ensure!(committed > 0, "{}: it never said that it had committed", mode.as_str());
    Ok(took)
}

/// What stops a writer.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// Its cancellation.
    Cancel,
    /// Its time limit.
    Limit(Duration),
}

/// Whether there was a moment to stop it.
#[derive(Debug, PartialEq, Eq)]
enum Stopped {
    InTime,
    TooLate,
}

/// Polls a step, and stops it when it is polled for the `at`th time since its commit was announced.
struct StopAtAwait<'a, F> {
    run: Pin<Box<F>>,
    log: &'a Log,
    token: CancellationToken,
    stop: Stop,
    started: Instant,
    at: u32,
    polls: u32,
}

impl<F> StopAtAwait<'_, F> {
    fn strike(&self) {
        match self.stop {
            Stop::Cancel => self.token.cancel(),
            // The step finds its limit passed when it is polled next.
            Stop::Limit(limit) => std::thread::sleep((limit + TIMER).saturating_sub(self.started.elapsed())),
        }
    }
}

impl<F: Future> Future for StopAtAwait<'_, F> {
    type Output = (F::Output, Stopped);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.log.seen(|seen| !seen.begun.is_empty()) {
            if self.polls == self.at {
                self.strike();
            }
            self.polls += 1;
        }
        let ended = self.run.as_mut().poll(context);
        let stopped = if self.polls > self.at { Stopped::InTime } else { Stopped::TooLate };
        ended.map(|ended| (ended, stopped))
    }
}

async fn stopped_at<S: Destination>(trial: &Trial<S>, mode: Mode, stop: Stop, at: u32) -> Result<Stopped, Violation> {
    let (job, expected) = prepared(trial, mode).await?;
    let ready = trial.ready_for(job).await?;
    let log = Log::new(Probe::None);
    let step = ready.step(STEP).commit_log(Arc::clone(&log) as _);
    let (step, how) = match stop {
        Stop::Cancel => (step, "cancelled"),
        Stop::Limit(limit) => (step.timeout(limit), "over its time limit"),
    };
    let run = Box::pin(step.run_unchecked());
    let token = ready.bench.run_context().cancel().clone();
    let started = Instant::now();
    let (ended, stopped) = StopAtAwait { run, log: &log, token, stop, started, at, polls: 0 }.await;
    let when = format!("{}, {how} at await {at} after its commit was announced", mode.as_str());
    let found = trial.subject().read(trial.place()).await?.unwrap_or_default();
    let (is_old, is_new) = (OLD.text()?.difference(&found).is_none(), expected.difference(&found).is_none());
    check(&ended, &log, stop, is_old, is_new, &when)?;
    Ok(stopped)
}

/// Whether what a stopped writer said is what its destination holds.
fn check(
    ended: &Result<StepOutput, StepFailure>,
    log: &Log,
    stop: Stop,
    is_old: bool,
    is_new: bool,
    when: &str,
) -> Result<(), Violation> {
    let (attempts, repeatable, parts) = log.seen(|seen| {
        let intents = || seen.begun.iter().map(|record| &record.intent);
        let attempts = seen.begun.iter().map(|record| record.attempt).max().unwrap_or(0);
        (attempts, intents().all(osiris_core::Intent::is_repeatable), intents().any(osiris_core::Intent::is_in_parts))
    });
    // One that is over its limit before it could commit is tried again; what it leaves is looked at.
    ensure!(matches!(stop, Stop::Limit(_)) || attempts <= 1, "{when}: it began {attempts} times");
    let expected = match stop {
        Stop::Cancel => ErrorKind::Cancelled,
        Stop::Limit(_) => ErrorKind::Timeout,
    };
    match ended {
        Ok(_) => ensure!(is_new, "{when}: it ended well, and the destination does not hold its rows"),
        Err(failure) if failure.error.kind() == ErrorKind::Ambiguous => {
            ensure!(parts || is_old || is_new, "{when}: the destination holds a mixture: {:?}", failure.error);
            ensure!(parts, "{when}: nobody knows what it did, although nothing is wrong: {:?}", failure.error);
        }
        Err(failure) if failure.may_have_written => {
            ensure!(repeatable && (parts || is_old || is_new), "{when}: the destination holds a mixture");
        }
        Err(failure) => {
            ensure!(failure.error.kind() == expected, "{when}: it ends in {:?}", failure.error);
            ensure!(is_old, "{when}: it says that nothing was written, and the destination has changed");
        }
    }
    Ok(())
}

/// A cancellation, or the time limit, once the outcome is known.
async fn ends_after_its_commit<S: Destination>(trial: &Trial<S>, mode: Mode) -> Result<(), Violation> {
    for late in [false, true] {
        let (job, expected) = prepared(trial, mode).await?;
        let ready = trial.ready_for(job).await?;
        let token = ready.bench.run_context().cancel().clone();
        let log = Log::new(if late { Probe::Late } else { Probe::CancelAtEnd(token) });
        let step = ready.step(STEP).commit_log(Arc::clone(&log) as _);
        let ended = if late { step.timeout(LIMIT).run_unchecked().await } else { step.run_unchecked().await };
        let when = if late { "over its time limit" } else { "cancelled" };
        let when = format!("{}, {when} after its commit", mode.as_str());
        match ended {
            Ok(output) => ensure!(output.attempts == 1, "{when}: it was tried {} times", output.attempts),
            // A slow destination may be over the limit before it has begun.
            Err(failure) if late && log.seen(|seen| seen.committed) == 0 => {
                ensure!(!failure.may_have_written, "{when}: {:?}", failure.error);
                continue;
            }
            Err(failure) => return Err(Violation::new(format!("{when}: it ends in {:?}", failure.error))),
        }
        holds(trial, Some(&expected), &when).await?;
    }
    Ok(())
}
