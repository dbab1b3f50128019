//! Encoded rows that are sent together, with what is needed to send some of them again and to report a rejected one.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use osiris_core::{Column, Reject};

use super::WriteColumn;

/// A row of a batch as JSON, for display; the batch has these columns.
pub(super) type Shown = fn(&RecordBatch, &[Column], usize) -> Option<String>;

/// Encoded rows.
#[derive(Debug, Clone)]
pub struct Chunk {
    bytes: Bytes,
    /// Where each row ends.
    ends: Vec<usize>,
    /// The number of each row in the input, from 1.
    numbers: Vec<u64>,
    /// The rows with changed values, and their number.
    altered: Vec<(usize, u64)>,
    /// The batches of the rows, with the number of their first row, to report a rejected row.
    batches: Vec<(u64, RecordBatch)>,
    columns: Arc<[Column]>,
    shown: Shown,
}

impl Chunk {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of some of its rows.
    pub fn slice(&self, rows: &Range<usize>) -> Bytes {
        self.bytes.slice(self.start(rows.start)..self.start(rows.end))
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The number of changed values in some of its rows.
    pub fn altered(&self, rows: &Range<usize>) -> u64 {
        self.altered.iter().filter(|(row, _)| rows.contains(row)).map(|(_, values)| values).sum()
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    /// One of its rows as a reject.
    pub fn reject(&self, row: usize, column: Option<String>, reason: String) -> Reject {
        let number = self.numbers.get(row).copied();
        let shown = number.and_then(|number| {
            let (first, batch) = self.batches.iter().rev().find(|(first, _)| *first <= number)?;
            (self.shown)(batch, &self.columns, usize::try_from(number - first).ok()?)
        });
        Reject { row_number: number, column, reason, row: shown }
    }
}

/// The limits of a chunk.
#[derive(Debug, Clone, Copy)]
pub struct ChunkLimits {
    /// The most rows.
    pub rows: usize,
    /// A chunk ends with the row that reaches this size.
    pub bytes: usize,
    /// The most bytes of a chunk with several rows.
    pub max_bytes: usize,
}

/// The chunk in the making, and those that are full.
pub(super) struct Chunks {
    limits: ChunkLimits,
    pub(super) bytes: Vec<u8>,
    chunk: Chunk,
    full: VecDeque<Chunk>,
}

impl Chunks {
    pub(super) fn new<C>(columns: &[WriteColumn<C>], limits: ChunkLimits, shown: Shown) -> Self {
        let columns = columns.iter().map(|column| column.source.clone()).collect();
        Self { limits, bytes: Vec::new(), chunk: empty(columns, shown), full: VecDeque::new() }
    }

    /// Adds the row that was encoded last, from `start` on, to the chunk, or to the next one if it is full. The row has
    /// the number `number`, and the first row of its batch `first`.
    pub(super) fn keep(&mut self, number: u64, altered: u64, start: usize, (first, batch): (u64, &RecordBatch)) {
        if self.bytes.len() > self.limits.max_bytes && !self.chunk.ends.is_empty() {
            let row = self.bytes.split_off(start);
            self.cut();
            self.bytes.extend_from_slice(&row);
        }
        // A chunk keeps only batches with at least one of its rows.
        if self.chunk.batches.last().is_none_or(|(last, _)| *last != first) {
            self.chunk.batches.push((first, batch.clone()));
        }
        if altered > 0 {
            self.chunk.altered.push((self.chunk.ends.len(), altered));
        }
        self.chunk.ends.push(self.bytes.len());
        self.chunk.numbers.push(number);
        if self.bytes.len() >= self.limits.bytes || self.chunk.ends.len() >= self.limits.rows {
            self.cut();
        }
    }

    /// A row that was not kept, as a reject.
    pub(super) fn refuse(
        &self,
        number: u64,
        column: Option<usize>,
        reason: String,
        (first, batch): (u64, &RecordBatch),
    ) -> Reject {
        let columns = &self.chunk.columns;
        let row = usize::try_from(number - first).ok().and_then(|row| (self.chunk.shown)(batch, columns, row));
        let column = column.and_then(|column| columns.get(column)).map(|column| column.name.clone());
        Reject { row_number: Some(number), column, reason, row }
    }

    /// Finishes the current chunk.
    pub(super) fn cut(&mut self) {
        if self.chunk.ends.is_empty() {
            return;
        }
        let next = empty(Arc::clone(&self.chunk.columns), self.chunk.shown);
        let mut chunk = std::mem::replace(&mut self.chunk, next);
        let capacity = self.bytes.len() + self.bytes.len() / 16;
        chunk.bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity)).into();
        self.full.push_back(chunk);
    }

    /// A full chunk.
    pub(super) fn next(&mut self) -> Option<Chunk> {
        self.full.pop_front()
    }
}

fn empty(columns: Arc<[Column]>, shown: Shown) -> Chunk {
    let bytes = Bytes::new();
    Chunk { bytes, ends: Vec::new(), numbers: Vec::new(), altered: Vec::new(), batches: Vec::new(), columns, shown }
}
