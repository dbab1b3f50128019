//! Rules about rows that pass without a table: see [`Component::streams`](osiris_core::Component::streams).

use osiris_core::store::DirectEdge;
use osiris_core::{Error, ErrorKind, TableRef};

use super::write::{after, holds, job_of, write};
use crate::trial::{INPUT, STEP, ensure};
use crate::{Bench, Destination, Mode, Outcome, Ready, Sample, Subject, Trial, Verdict, Violation};

/// DRV-024: an extractor that says it streams gives the same rows, with the same types, to a step that takes them while they arrive.
///
/// # Errors
/// What was seen instead.
pub async fn drv_024_hands_its_rows_straight_on_if_it_streams<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(2999).await?;
    if !ready.streams()? {
        return Ok(Verdict::Holds);
    }
    let (edge, mut arrivals) = DirectEdge::new("taker-step");
    let giving = ready.step(STEP).handing_over(edge).run_unchecked();
    let taking = async {
        let mut taken = None;
        while let Some(table) = arrivals.next().await {
            taken = Some(ready.bench.rows(&table).await);
        }
        taken
    };
    let (output, taken) = tokio::join!(giving, taking);
    let (output, taken) = (output?, taken.ok_or_else(|| Violation::new("it ended without a table"))??);
    let expected = ready.expected()?;
    if let Some(difference) = expected.difference(&taken) {
        return Err(Violation::new(format!("rows that were handed on are not as expected: {difference}")));
    }
    ensure!(output.rows == taken.len() as u64, "it returns {} rows, {} were taken", output.rows, taken.len());
    let stored = ready.bench.store().table(STEP).await?;
    ensure!(stored.is_none(), "its rows are in the store although they were handed on");
    Ok(Verdict::Holds)
}

/// DRV-024: a writer that says it streams writes rows while they arrive, and keeps nothing of them when they break off.
///
/// # Errors
/// What was seen instead.
pub async fn drv_024_takes_arriving_rows_if_it_streams<S: Destination>(trial: &Trial<S>) -> Outcome {
    let (old, new) = (Sample::new(20), Sample::new(9000).starting_at(100));
    let job = trial.job(0).await?;
    let first = trial.subject().modes().into_iter().find(|mode| *mode == Mode::Overwrite);
    for mode in trial.subject().atomic_modes() {
        write(trial, &job, first.unwrap_or(mode), old).await?;
        let ready = trial.ready_for(job_of(trial, &job, mode, old)).await?;
        if !ready.streams()? {
            return Ok(Verdict::Holds);
        }
        let broken = arriving(&ready.bench, new, false).await?;
        let failure = match ready.step(STEP).inputs(&Bench::inputs([broken])).run_unchecked().await {
            Ok(_) => return Err(Violation::new("it ended well although its rows broke off")),
            Err(failure) => failure,
        };
        ensure!(failure.error.kind() == ErrorKind::Cancelled, "{:?}", failure.error);
        holds(trial, Some(&old.text()?), "after rows that broke off").await?;
        let whole = arriving(&ready.bench, new, true).await?;
        let output = ready.step(STEP).inputs(&Bench::inputs([whole])).run_unchecked().await?;
        ensure!(output.counts.read == new.rows(), "it read {} rows of {}", output.counts.read, new.rows());
        holds(trial, Some(&after(mode, old, new)?), "after rows that arrived").await?;
    }
    Ok(Verdict::Holds)
}

impl Ready {
    /// Whether the component says that it streams with this job.
    pub(super) fn streams(&self) -> Result<bool, Violation> {
        let name = self.driver()?.spec().name;
        Ok(self.bench.prepare(name, &self.job.config, &self.job.connection)?.into_step()?.streams())
    }
}

/// The sample as rows that arrive while they are read. Their end comes only if they are `whole`.
async fn arriving(bench: &Bench, sample: Sample, whole: bool) -> Result<TableRef, Violation> {
    let (edge, mut arrivals) = DirectEdge::new(STEP);
    let sink = bench.store().direct_sink(edge, INPUT);
    tokio::spawn(async move {
        for batch in sample.batches() {
            let batch = batch?;
            sink.sender(batch.schema()).await?.send(batch).await?;
        }
        if whole {
            sink.finish().await?;
        }
        Ok::<(), Error>(())
    });
    arrivals.next().await.ok_or_else(|| Violation::new("the sample could not be sent"))
}
