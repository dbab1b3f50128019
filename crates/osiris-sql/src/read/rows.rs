//! The rows of one statement on their way into batches.

use arrow::array::RecordBatch;
use osiris_core::Result;

use super::Counts;
use super::cursor::{Boundary, RowDigest};
use crate::batch::{BatchBuilder, Decoder};

/// Collects the rows of one statement in batches, and counts them.
pub struct RowCollector<'a, D: Decoder> {
    batch: BatchBuilder<D>,
    boundary: Option<&'a mut Boundary>,
    counts: Counts,
}

impl<'a, D: Decoder> RowCollector<'a, D> {
    /// For the rows of a statement; at a boundary only those that no earlier run has taken.
    pub fn new(batch: BatchBuilder<D>, boundary: Option<&'a mut Boundary>) -> Self {
        Self { batch, boundary, counts: Counts::default() }
    }

    /// How many rows have come.
    pub fn read(&self) -> u64 {
        self.counts.read
    }

    /// Takes a row; returns a batch when it is full. `digest` identifies the row.
    ///
    /// # Errors
    /// A value that its column's type cannot hold.
    pub fn push<'v>(
        &mut self,
        digest: impl FnOnce() -> Result<RowDigest>,
        values: impl ExactSizeIterator<Item = Result<Option<D::Value<'v>>>>,
    ) -> Result<Option<RecordBatch>> {
        self.counts.read += 1;
        if let Some(boundary) = &mut self.boundary
            && !boundary.note(digest()?)?
        {
            self.counts.deduplicated += 1;
            return Ok(None);
        }
        if self.batch.push(values)? { self.batch.finish() } else { Ok(None) }
    }

    /// The last batch, if there are rows in it, and the counts.
    ///
    /// # Errors
    /// A text whose encoding is invalid.
    pub fn finish(mut self) -> Result<(Option<RecordBatch>, Counts)> {
        let last = self.batch.finish()?;
        self.counts.altered = self.batch.altered();
        Ok((last, self.counts))
    }
}
