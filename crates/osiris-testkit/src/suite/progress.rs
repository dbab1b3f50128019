//! The rule about the counters of a step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use osiris_core::{Progress, Role, StepOutput};

use crate::trial::{INPUT, STEP, ensure, not_applicable};
use crate::{Job, Outcome, Ready, Sample, Subject, Trial, Verdict, Violation};

/// About 50 MB: several batches of any component.
const LARGE: Sample = Sample::new(200_000).with_padding(192);
/// How often the counters are looked at.
const PAUSE: Duration = Duration::from_micros(200);

/// DRV-014: a step of many rows has counted its rows or bytes by its end, never more rows than there are, and some of them while it
/// runs. A component that can count only at its end lists the rule in [`Subject::not_applicable`].
///
/// # Errors
/// What was seen instead.
pub async fn drv_014_reports_progress<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(3000).await?;
    let (output, _, _) = watched(&ready).await?;
    let ready = large(trial).await?;
    let (large, progress, seen) = watched(&ready).await?;
    ensure!(large.rows >= output.rows, "{} rows came through", large.rows);
    let all = (progress.rows(), progress.bytes());
    let between = |some: u64, all: u64| some > 0 && some < all;
    if seen.iter().any(|(rows, bytes)| between(*rows, all.0) || between(*bytes, all.1)) {
        return Ok(Verdict::Holds);
    }
    let jump = format!("its counters went from nothing to {} rows and {} bytes at once", all.0, all.1);
    let is_listed = trial.subject().not_applicable().iter().any(|(rule, _)| *rule == "DRV-014");
    if is_listed { not_applicable(jump) } else { Err(Violation::new(jump)) }
}

/// A job of many rows.
async fn large<S: Subject>(trial: &Trial<S>) -> Result<Ready, Violation> {
    let job = match trial.spec()?.role {
        Role::Write => {
            let job = trial.subject().prepare(trial.place(), 0).await?;
            Job::new(job.config).connection(job.connection).input(INPUT, LARGE)
        }
        _ => match trial.subject().prepare_volume(trial.place(), LARGE).await? {
            Some(job) => job,
            None => trial.job(50_000).await?,
        },
    };
    trial.ready_for(job).await
}

/// Runs the job. The counters as they were whenever they were looked at, and what they have to be at the end.
async fn watched(ready: &Ready) -> Result<(StepOutput, Arc<Progress>, Vec<(u64, u64)>), Violation> {
    let progress = Arc::new(Progress::default());
    let ended = Arc::new(AtomicBool::new(false));
    let (counters, stop) = (Arc::clone(&progress), Arc::clone(&ended));
    let watching = thread::spawn(move || {
        let mut seen = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let now = (counters.rows(), counters.bytes());
            if seen.last() != Some(&now) {
                seen.push(now);
            }
            thread::sleep(PAUSE);
        }
        seen
    });
    let output = ready.step(STEP).progress(&progress).run_unchecked().await;
    ended.store(true, Ordering::Relaxed);
    let seen = watching.join().map_err(|_| Violation::new("the counters could not be looked at"))?;
    let output = output?;
    let handled = output.counts.read.max(output.rows);
    ensure!(progress.rows() > 0 || progress.bytes() > 0, "{handled} rows went by without progress");
    ensure!(progress.rows() <= handled, "progress says {} rows, there are {handled}", progress.rows());
    for (what, done, total) in
        [("rows", progress.rows(), progress.total_rows()), ("bytes", progress.bytes(), progress.total_bytes())]
    {
        ensure!(
            total.is_none_or(|total| done <= total),
            "progress passes its own total of {what}: {done} of {total:?}"
        );
    }
    Ok((output, progress, seen))
}
