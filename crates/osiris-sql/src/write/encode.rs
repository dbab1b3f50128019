//! Encodes batches as chunks. Rows that cannot be encoded are returned as rejects. No I/O.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use osiris_core::{Column, Reject, Result};

use super::WriteColumn;
use super::chunk::{Chunk, ChunkLimits, Chunks};

/// Why a value cannot be written, as the reason of the reject.
pub type ConversionError = Cow<'static, str>;

/// Writes the non-NULL value of a row.
pub type CellEncoder<'a> = Box<dyn Fn(usize, &mut Vec<u8>) -> Result<(), ConversionError> + 'a>;

/// Why a row cannot be written: the index of its column, where it is one column's, and the reason.
pub type RowError = (Option<usize>, ConversionError);

/// Encodes rows for one database.
pub trait RowEncoder: Send {
    /// The encoders of the columns of one batch.
    type Columns<'a>
    where
        Self: 'a;

    /// Prepares a batch whose columns are those that are written, in order.
    ///
    /// # Errors
    /// For a type that a scan of the run store never returns.
    fn columns<'a>(&'a self, batch: &'a RecordBatch) -> Result<Self::Columns<'a>>;

    /// Appends a row of the batch, whose number in the input is `number`. Returns how many of its values a policy
    /// changed.
    ///
    /// # Errors
    /// A row that the table would not keep as it is; what was appended is removed.
    fn row(&self, columns: &mut Self::Columns<'_>, row: usize, number: u64, out: &mut Vec<u8>)
    -> Result<u64, RowError>;

    /// A row as JSON, for display; the batch has these columns.
    fn shown(batch: &RecordBatch, columns: &[Column], row: usize) -> Option<String>;
}

/// Fills chunks from batches.
pub struct Encoder<E> {
    rows: E,
    next_number: u64,
    chunks: Chunks,
    refused: Vec<Reject>,
}

impl<E: RowEncoder> Encoder<E> {
    /// Encodes `columns` with `rows`.
    pub fn new<C>(rows: E, columns: &[WriteColumn<C>], limits: ChunkLimits) -> Self {
        Self { rows, next_number: 1, chunks: Chunks::new(columns, limits, E::shown), refused: Vec::new() }
    }

    /// Encodes a batch whose columns are those that are written, in order.
    ///
    /// # Errors
    /// For a type that a scan of the run store never returns.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut columns = self.rows.columns(batch)?;
        let first = self.next_number;
        for row in 0..batch.num_rows() {
            let number = self.next_number;
            self.next_number += 1;
            let start = self.chunks.bytes.len();
            match self.rows.row(&mut columns, row, number, &mut self.chunks.bytes) {
                Ok(altered) => self.chunks.keep(number, altered, start, (first, batch)),
                Err((column, reason)) => {
                    self.chunks.bytes.truncate(start);
                    self.refused.push(self.chunks.refuse(number, column, reason.into_owned(), (first, batch)));
                }
            }
        }
        Ok(())
    }

    /// Finishes the current chunk.
    pub fn cut(&mut self) {
        self.chunks.cut();
    }

    /// A full chunk.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        self.chunks.next()
    }

    /// The rows rejected since the last call.
    pub fn refused(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.refused)
    }
}
