//! Rows of binary COPY into Arrow batches, sized by bytes.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use osiris_core::{Error, Result};

use super::column::ColumnPlan;
use super::copy::Tuple;
use super::value::ColumnBuilder;

/// A batch is handed over when it has this many bytes, whatever its rows.
const BATCH_BYTES: usize = 16 << 20;
/// Room for so many rows is made before the first.
const FIRST_ROWS: usize = 4096;

/// A batch in the making, and the counts of all before it.
pub(crate) struct BatchBuilder {
    schema: SchemaRef,
    plans: Arc<[ColumnPlan]>,
    columns: Vec<ColumnBuilder>,
    rows: usize,
    bytes: usize,
    max_rows: usize,
    total: u64,
    altered: u64,
}

impl BatchBuilder {
    /// For rows of these columns, at most `max_rows` to a batch.
    pub(crate) fn new(plans: &Arc<[ColumnPlan]>, max_rows: usize) -> Self {
        let capacity = max_rows.min(FIRST_ROWS);
        Self {
            schema: Arc::new(Schema::new(plans.iter().map(|plan| plan.field.clone()).collect::<Vec<_>>())),
            plans: Arc::clone(plans),
            columns: plans.iter().map(|plan| ColumnBuilder::new(plan, capacity)).collect(),
            rows: 0,
            bytes: 0,
            max_rows,
            total: 0,
            altered: 0,
        }
    }

    /// The schema of every batch.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// All values so far that a policy altered.
    pub(crate) fn altered(&self) -> u64 {
        self.altered
    }

    /// Adds a row; says whether the batch is full.
    ///
    /// # Errors
    /// A value that its column's type cannot hold and no policy allows to alter; the column is named.
    pub(crate) fn push(&mut self, row: Tuple<'_>) -> Result<bool> {
        if row.len() != self.columns.len() {
            return Err(Error::validation("the columns changed between their description and the first row")
                .with_hint("somebody altered the table: run it again"));
        }
        self.total += 1;
        for ((column, plan), field) in self.columns.iter_mut().zip(self.plans.iter()).zip(row.fields()) {
            let Some(raw) = field else {
                column.push_null();
                continue;
            };
            self.bytes += raw.len();
            let altered = column.push(raw).map_err(|refused| refused.in_column(&plan.name, self.total))?;
            self.altered += u64::from(altered);
        }
        self.rows += 1;
        Ok(self.rows >= self.max_rows || self.bytes >= BATCH_BYTES)
    }

    /// The rows since the last batch, if there are any.
    ///
    /// # Errors
    /// None that rows could cause.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let arrays = self.columns.iter_mut().zip(self.plans.iter()).map(|(column, plan)| column.finish(plan)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map(Some)
            .map_err(|error| Error::unknown("rows of the source are no batch").with_source(error))
    }
}
