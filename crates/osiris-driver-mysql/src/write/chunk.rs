//! Encoded rows for a channel, with what is needed to report a rejected one.

use std::ops::Range;

use arrow::array::{Array, RecordBatch};
use bytes::Bytes;
use mysql_async::Value;
use osiris_core::Reject;

use super::nested;

/// How rows are sent to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    /// `LOAD DATA LOCAL INFILE`: tab-separated lines.
    Load,
    /// Prepared multi-row `INSERT`: each cell prefixed with its length.
    Insert,
}

/// The length of a NULL among parameters.
pub(super) const NULL: u32 = u32::MAX;

/// Encoded rows that are sent together.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    /// Where each row ends.
    pub(super) ends: Vec<usize>,
    /// The number of each row in the input, from 1.
    pub(super) numbers: Vec<u64>,
    /// The batches of the rows, with the number of their first row, to report a rejected row.
    pub(super) batches: Vec<(u64, RecordBatch)>,
}

impl Chunk {
    pub(super) fn rows(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn slice(&self, rows: &Range<usize>) -> Bytes {
        self.bytes.slice(self.start(rows.start)..self.start(rows.end))
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    /// The rows as parameters, for [`Channel::Insert`].
    pub(super) fn parameters(&self, rows: &Range<usize>) -> Vec<Value> {
        let mut rest = &self.bytes[self.start(rows.start)..self.start(rows.end)];
        let mut values = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length);
            if length == NULL {
                values.push(Value::NULL);
                rest = after;
                continue;
            }
            let (value, after) = after.split_at(usize::try_from(length).unwrap_or(after.len()).min(after.len()));
            values.push(Value::Bytes(value.to_vec()));
            rest = after;
        }
        values
    }

    /// One of its rows as a reject.
    pub(super) fn reject(&self, row: usize, column: Option<String>, reason: String) -> Reject {
        let number = self.numbers.get(row).copied();
        let shown = number.and_then(|number| {
            let (first, batch) = self.batches.iter().rev().find(|(first, _)| *first <= number)?;
            shown(batch, usize::try_from(number - first).ok()?)
        });
        Reject { row_number: number, column, reason, row: shown }
    }
}

/// A row as JSON, for display.
pub(super) fn shown(batch: &RecordBatch, row: usize) -> Option<String> {
    let mut fields = serde_json::Map::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if row >= column.len() {
            return None;
        }
        let value = match column.is_null(row) {
            true => serde_json::Value::Null,
            false => nested::plain(column, row).ok()?.into(),
        };
        fields.insert(field.name().clone(), value);
    }
    Some(serde_json::Value::Object(fields).to_string())
}
