//! Builds Arrow batches, sized by bytes, from the rows of a source, value by value. The driver's [`Decoder`] decodes a
//! value.

mod column;
mod text;
mod values;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

pub use column::{ColumnPlan, Decoder, MAX_DECIMAL_DIGITS, ValueError, column_plans, schema, uuid_field};
pub use text::texts;
pub use values::Values;

use osiris_core::{Code, Error, Result};

/// A batch is full when it has this many bytes, whatever its number of rows.
const BATCH_BYTES: usize = 16 << 20;

/// One column of a batch in the making.
struct ColumnBuilder<D> {
    plan: ColumnPlan<D>,
    values: Values,
}

/// A batch in the making, and the counts of all before it.
pub struct BatchBuilder<D> {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder<D>>,
    rows: usize,
    bytes: usize,
    max_rows: usize,
    total: u64,
    altered: u64,
}

impl<D: Decoder> BatchBuilder<D> {
    /// For rows of these columns, at most `max_rows` to a batch.
    pub fn new(plans: &[ColumnPlan<D>], max_rows: usize) -> Self {
        let builder =
            |plan: &ColumnPlan<D>| ColumnBuilder { plan: plan.clone(), values: Values::new(plan.field.data_type()) };
        let columns = plans.iter().map(builder).collect();
        Self { schema: schema(plans), columns, rows: 0, bytes: 0, max_rows, total: 0, altered: 0 }
    }

    /// All values so far that a policy altered.
    pub fn altered(&self) -> u64 {
        self.altered
    }

    /// Adds a row; `None` is NULL. Returns whether the batch is full.
    ///
    /// # Errors
    /// A value that could not be read, or that its column's type cannot hold and no policy allows to alter; too many or
    /// too few values.
    pub fn push<'a>(&mut self, values: impl ExactSizeIterator<Item = Result<Option<D::Value<'a>>>>) -> Result<bool> {
        if values.len() != self.columns.len() {
            return Err(Error::validation("table schema changed while it was read")
                .with_code(Code::SourceChanged)
                .with_hint("run the step again"));
        }
        self.total += 1;
        for (column, value) in self.columns.iter_mut().zip(values) {
            let Some(value) = value? else {
                column.values.push_null();
                continue;
            };
            self.bytes += D::size(&value);
            let plan = &mut column.plan;
            match plan.decoder.decode(value, &mut column.values) {
                Ok(altered) => self.altered += u64::from(altered),
                Err(refused) => {
                    return Err(plan.decoder.error(plan.name(), refused).with_context("row", self.total));
                }
            }
        }
        self.rows += 1;
        Ok(self.rows >= self.max_rows || self.bytes >= BATCH_BYTES)
    }

    /// The rows since the last batch, if there are any.
    ///
    /// # Errors
    /// A value that its column's type cannot hold.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let before = self.total - self.rows as u64;
        let arrays = self.columns.iter_mut().map(|ColumnBuilder { plan, values }| {
            values.finish().map_err(|row| {
                let error = plan.decoder.error(plan.name(), D::invalid_text());
                error.with_context("row", before + row as u64 + 1)
            })
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map(Some)
            .map_err(|error| Error::unknown("cannot build a batch from the rows of the source").with_source(error))
    }
}
