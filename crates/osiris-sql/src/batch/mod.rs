//! Builds Arrow batches, sized by bytes, from the rows of a source, value by value. The driver's [`ColumnBuilder`]
//! decodes a value.

mod text;
mod values;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, SchemaRef};

pub use text::texts;
pub use values::Values;

use osiris_core::{Error, Result};

/// A batch is full when it has this many bytes, whatever its number of rows.
const BATCH_BYTES: usize = 16 << 20;

/// The plans of all columns of a source.
///
/// # Errors
/// Every column that cannot be mapped, each with advice.
pub fn column_plans<P>(plans: impl Iterator<Item = Result<P, String>>, hint: &'static str) -> Result<Vec<P>> {
    let (mut planned, mut problems) = (Vec::new(), Vec::new());
    for plan in plans {
        match plan {
            Ok(plan) => planned.push(plan),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok(planned);
    }
    Err(Error::validation(format!("columns without an exact type: {}", problems.join("; "))).with_hint(hint))
}

/// A column of UUIDs.
pub fn uuid_field(name: &str) -> Field {
    Field::new(name, DataType::FixedSizeBinary(16), true)
        .with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())])
}

/// One column of a batch in the making.
pub trait ColumnBuilder {
    /// A value as the source sends it: its bytes, or its bytes with their type where each value has its own.
    type Value<'a>;
    /// Why a value was rejected.
    type Refused;

    /// The size of a value, in bytes.
    fn size(value: &Self::Value<'_>) -> usize;

    /// The values so far.
    fn values(&mut self) -> &mut Values;

    /// Adds a value. Returns whether it was altered, as a policy of the step allows.
    ///
    /// # Errors
    /// A value that the column's type cannot hold.
    fn push(&mut self, value: Self::Value<'_>) -> Result<bool, Self::Refused>;

    /// Why a text was rejected whose encoding is invalid, which is found when the batch is full.
    fn invalid_text() -> Self::Refused;

    /// The error for the user: the column and what to do, never the value.
    fn error(&self, refused: Self::Refused) -> Error;
}

/// A batch in the making, and the counts of all before it.
pub struct BatchBuilder<C> {
    schema: SchemaRef,
    columns: Vec<C>,
    rows: usize,
    bytes: usize,
    max_rows: usize,
    total: u64,
    altered: u64,
}

impl<C: ColumnBuilder> BatchBuilder<C> {
    /// For rows of `schema`, at most `max_rows` to a batch.
    pub fn new(schema: SchemaRef, columns: Vec<C>, max_rows: usize) -> Self {
        Self { schema, columns, rows: 0, bytes: 0, max_rows, total: 0, altered: 0 }
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
    pub fn push<'a>(&mut self, values: impl ExactSizeIterator<Item = Result<Option<C::Value<'a>>>>) -> Result<bool> {
        if values.len() != self.columns.len() {
            return Err(Error::validation("table schema changed while it was read").with_hint("run the step again"));
        }
        self.total += 1;
        for (column, value) in self.columns.iter_mut().zip(values) {
            let Some(value) = value? else {
                column.values().push_null();
                continue;
            };
            self.bytes += C::size(&value);
            match column.push(value) {
                Ok(altered) => self.altered += u64::from(altered),
                Err(refused) => return Err(column.error(refused).with_context("row", self.total)),
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
        let arrays = self.columns.iter_mut().map(|column| {
            column.values().finish().map_err(|row| {
                let error = column.error(C::invalid_text());
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
