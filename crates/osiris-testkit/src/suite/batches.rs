//! The rule about the size of what a writer sends at once.

use super::cancel::MANY_ROWS;
use super::defaults::number_of;
use crate::trial::{ensure, not_applicable};
use crate::{Destination, Outcome, Sample, Trial, Verdict, Violation, process};

/// The field of a writer for the rows of a batch. The rule is tried without it.
const BATCH_SIZE: &str = "batch_size";
/// The rows of a batch, where neither schema nor description of the field has a number of rows.
const USUAL_BATCH: u64 = 1000;
/// Round trips for each batch: it, and what may surround it.
const TRIPS: u64 = 2;
/// The least that a file is written by, in bytes: a page.
const PAGE: u64 = 4096;
/// Write calls for each page: a database writes a page to its journal, with a header, and then to its place.
const CALLS: u64 = 4;
/// Write calls that are none of the writer's: the runtime wakes its threads by them.
const RUNTIME: u64 = 100;

/// What a write took.
struct Effort {
    rows: u64,
    seen: u64,
    /// The bytes of the files or of the rows, where write calls were counted and not round trips.
    bytes: Option<u64>,
}

/// DRV-028: thousands of rows take no more round trips than there are batches of the default size, twice, besides those of a write of
/// ten rows; where no server can be asked, no more write calls than pages were written, four times.
///
/// # Errors
/// What was seen instead.
pub async fn drv_028_writes_in_batches<S: Destination>(trial: &Trial<S>) -> Outcome {
    let (Some(few), Some(many)) = (written(trial, 10).await?, written(trial, MANY_ROWS).await?) else {
        return not_applicable("neither round trips nor write calls can be counted here");
    };
    let (allowed, what) = match many.bytes {
        None => (TRIPS * many.rows.div_ceil(default_batch(trial)?), "round trips"),
        Some(bytes) => (CALLS * bytes.div_ceil(PAGE) + RUNTIME, "write calls"),
    };
    let most = few.seen + allowed;
    ensure!(many.seen <= most, "{} rows took {} {what}, at most {most} are allowed", many.rows, many.seen);
    Ok(Verdict::Holds)
}

/// Writes so many rows in batches of the default size; nothing when the effort cannot be counted.
async fn written<S: Destination>(trial: &Trial<S>, rows: u64) -> Result<Option<Effort>, Violation> {
    let mut job = trial.job(rows).await?;
    let bench = trial.bench()?;
    let schema = trial.driver(&bench)?.config_schema();
    if let Some(config) = job.config.as_object_mut() {
        config.retain(|name, _| schema.field_named(name) != Some(BATCH_SIZE));
    }
    let ready = trial.ready_for(job).await?;
    let (trips, calls) = (trial.subject().round_trips().await?, process::write_calls());
    let output = ready.run().await?;
    let calls = calls.zip(process::write_calls());
    let (seen, bytes) = match (trips.zip(trial.subject().round_trips().await?), calls) {
        (Some((before, after)), _) => (after.saturating_sub(before), None),
        (None, Some((before, after))) => {
            // A server's files are not in the place: then it is the text of the rows that has to be sent.
            let bytes = trial.place().bytes()?.max(text_bytes(Sample::new(rows))?);
            (after.saturating_sub(before), Some(bytes))
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(Effort { rows: output.rows, seen, bytes }))
}

fn text_bytes(sample: Sample) -> Result<u64, Violation> {
    let rows = sample.text()?;
    Ok(rows.rows().iter().flatten().flatten().map(|cell| cell.len() as u64).sum())
}

fn default_batch<S: Destination>(trial: &Trial<S>) -> Result<u64, Violation> {
    let bench = trial.bench()?;
    let schema = trial.driver(&bench)?.config_schema();
    Ok(number_of(&schema.json()["properties"][BATCH_SIZE]).unwrap_or(USUAL_BATCH))
}
