//! Reading a source to look at its rows: a run that leaves nothing behind.

use osiris_core::store::TextRow;
use osiris_core::{Code, Error, Result, Store};

use super::ledger::StepColumn;
use super::outcome::Outcome;
use super::{RunOptions, Silent, StoreChoice, run_then};
use crate::Plan;

/// The table whose rows are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadTable {
    /// Its columns; redacted.
    pub columns: Vec<StepColumn>,
    /// How many rows it has.
    pub rows: u64,
}

/// Runs `plan`, whose only step reads, in a directory of its own, which is gone at the end. `take` gets the rows of its table, some
/// thousands at a time and at least once, until it returns false.
///
/// # Errors
/// The run cannot start, or why its step failed.
pub async fn read(
    plan: &Plan,
    options: &RunOptions,
    take: &mut dyn FnMut(&ReadTable, Vec<TextRow>) -> bool,
) -> Result<()> {
    let Some(step) = plan.steps().first() else { return Err(Error::unknown("a plan that reads has no step")) };
    let directory = tempfile::Builder::new().prefix("osiris-").tempdir()?;
    let options = RunOptions { root: directory.path().to_path_buf(), store: StoreChoice::Memory, ..options.clone() };
    let report = run_then(plan, &options, None, &Silent, |store| hand_over(store, &step.id, plan, take)).await?;
    match report.steps.into_iter().find_map(|step| step.error) {
        Some(error) if error.code() == Code::TooManyRejects => {
            Err(error.with_hint("`osiris copy` from the same source keeps the rejected rows and says why they were"))
        }
        Some(error) => Err(error),
        None if report.outcome == Outcome::Done => Ok(()),
        None => Err(Error::integrity(plan.redactor().scrub(&report.problems.join("; ")).into_owned())),
    }
}

async fn hand_over(
    store: Store,
    step: &str,
    plan: &Plan,
    take: &mut dyn FnMut(&ReadTable, Vec<TextRow>) -> bool,
) -> Result<()> {
    let Some(table) = store.table(step).await? else { return Err(Error::unknown("the table that was read is gone")) };
    let columns = table.schema().columns().iter().map(|column| StepColumn::new(column, plan.redactor()));
    let read = ReadTable { columns: columns.collect(), rows: table.rows() };
    let mut scan = store.texts(&table)?;
    let mut goes_on = take(&read, Vec::new());
    while goes_on {
        let Some(rows) = scan.next().await? else { break };
        goes_on = take(&read, rows);
    }
    Ok(())
}
