//! The rule about memory.

use osiris_core::Role;

use crate::alone::Alone;
use crate::trial::{INPUT, ensure, not_applicable};
use crate::{BenchOptions, Job, Outcome, Ready, Sample, Subject, Trial, Verdict, Violation, process};

/// What the run store may use.
const MEMORY_LIMIT: u64 = 64 << 20;
/// What the process may use besides, as the project promises.
const ALLOWANCE: u64 = 150 << 20;
/// Bytes in a row of the sample, about.
const ROW: u64 = 256;
/// Six times the limit: far more than limit and allowance together, so that a driver that holds the table is seen.
const SAMPLE: Sample = Sample::new(MEMORY_LIMIT * 6 / ROW).with_padding(192);

/// DRV-029: a table of six times the store's memory limit goes through whole, and the process grows by no more than the
/// limit and 150 MB.
///
/// # Errors
/// What was seen instead.
pub async fn drv_029_streams_within_the_memory_limit<S: Subject>(trial: &Trial<S>) -> Outcome {
    let role = trial.spec()?.role;
    let body = async {
        let prepared = match role {
            Role::Write => {
                let Job { config, connection, .. } = trial.subject().prepare(trial.place(), 0).await?;
                Some(Job::new(config).connection(connection).input(INPUT, SAMPLE))
            }
            _ => trial.subject().prepare_volume(trial.place(), SAMPLE).await?,
        };
        let Some(job) = prepared else { return not_applicable("`Subject::prepare_volume` returns none") };
        let options = BenchOptions::new().in_a_file().with_memory_limit(MEMORY_LIMIT).with_threads(2);
        let ready = Ready::new(trial.subject().component(), trial.bench_with(&options)?, job).await?;
        measure(&ready).await
    };
    Ok(Alone::new().run(trial.test(), body).await?.0)
}

async fn measure(ready: &Ready) -> Outcome {
    process::reset_peak();
    let before = process::resident_bytes();
    let output = ready.run().await?;
    ensure!(output.rows == SAMPLE.rows(), "{} of {} rows came through", output.rows, SAMPLE.rows());
    let (Some(before), Some(peak)) = (before, process::peak_bytes()) else {
        return Err(Violation::new("the memory of this process cannot be read on this system"));
    };
    let grown = peak.saturating_sub(before);
    let bound = MEMORY_LIMIT + ALLOWANCE;
    let megabytes = |bytes: u64| bytes >> 20;
    ensure!(
        grown <= bound,
        "the process grew by {} MB over a table of {} MB, at most {} are allowed",
        megabytes(grown),
        megabytes(SAMPLE.rows() * ROW),
        megabytes(bound)
    );
    Ok(Verdict::Holds)
}
