//! How encoded rows are sent, and how rows are shown.

use arrow::array::{Array, RecordBatch};
use mysql_async::Value;

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

/// Encoded rows as parameters, for [`Channel::Insert`].
pub(super) fn parameters(mut rest: &[u8]) -> Vec<Value> {
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
