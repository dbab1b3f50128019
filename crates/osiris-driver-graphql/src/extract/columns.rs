//! The columns of a table, independent of the values in the rows: an object that is null in every row of a batch makes
//! no column of its own, and every selected field has a column even if no row has it.

use std::collections::BTreeSet;

use arrow::array::{Array as _, RecordBatch};
use osiris_core::{Error, Result, TableSender};
use osiris_http::RowDecoder;

use super::plan::ExtractPlan;
use crate::types::{objects, promised, row_options};

/// Hands batches to the store.
pub(super) struct Columns<'a> {
    plan: &'a ExtractPlan,
    sender: TableSender,
    /// Objects that are flattened: a column of their name can only hold null.
    objects: BTreeSet<String>,
    sent: BTreeSet<String>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(plan: &'a ExtractPlan, sender: TableSender) -> Self {
        let objects = if plan.flatten { objects(&plan.selected) } else { BTreeSet::new() };
        Self { plan, sender, objects, sent: BTreeSet::new() }
    }

    /// Sends a batch.
    ///
    /// # Errors
    /// The first error of the store.
    pub(super) async fn send(&mut self, batch: RecordBatch) -> Result<()> {
        let batch = self.without_null_objects(batch)?;
        self.sent.extend(batch.schema().fields().iter().map(|field| field.name().clone()));
        self.sender.send(batch).await
    }

    /// A list is JSON in a column of its name, so only a column without a value is left out. Its rows stay.
    fn without_null_objects(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let schema = batch.schema();
        let holds = |index: &usize| {
            let is_object = self.objects.contains(schema.field(*index).name());
            !is_object || batch.column(*index).logical_null_count() < batch.num_rows()
        };
        let kept: Vec<usize> = (0..batch.num_columns()).filter(holds).collect();
        if kept.is_empty() || kept.len() == batch.num_columns() {
            return Ok(batch);
        }
        batch.project(&kept).map_err(|error| Error::unknown("failed to remove columns").with_source(error))
    }

    /// Adds the columns that the query selects and no row had. The members of a list do not become columns.
    ///
    /// # Errors
    /// The first error of the store.
    pub(super) async fn finish(self) -> Result<()> {
        let inside = |name: &str, other: &str| name.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
        let is_there =
            |name: &str| self.sent.iter().any(|sent| sent == name || inside(name, sent) || inside(sent, name));
        let missing = promised(&self.plan.selected, self.plan.flatten).into_iter().filter(|(name, _)| !is_there(name));
        let mut decoder = RowDecoder::new(row_options(&self.plan.selected, self.plan.flatten).with_columns(missing));
        while let Some(batch) = decoder.finish()? {
            self.sender.send(batch).await?;
        }
        Ok(())
    }
}
