//! The types of the source against those of the store, both ways. A mapping is exact, or the row is refused.
//!
//! | sample | store |
//! | --- | --- |
//! | a line | VARCHAR, never NULL |

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use osiris_core::{Error, Reject, Result};

/// The one column of every table.
pub(crate) const COLUMN: &str = "line";

/// The columns of every table.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(COLUMN, DataType::Utf8, false)]))
}

/// Rows of the source as a batch of the store.
pub(crate) fn batch(rows: &[String]) -> Result<RecordBatch> {
    let lines: ArrayRef = Arc::new(StringArray::from_iter_values(rows));
    RecordBatch::try_new(schema(), vec![lines]).map_err(|error| Error::unknown("a page is no batch").with_source(error))
}

/// A batch of one column as rows of the destination, and those that cannot be rows; `first` is the number of its first row.
pub(crate) fn rows(batch: &RecordBatch, column: &str, first: u64) -> Result<(Vec<String>, Vec<Reject>)> {
    let text = cast(batch.column(0), &DataType::Utf8).map_err(|error| {
        Error::validation(format!("column `{column}` cannot be written as text")).with_source(error)
    })?;
    let (mut rows, mut refused) = (Vec::with_capacity(text.len()), Vec::new());
    for (number, value) in (first..).zip(text.as_string::<i32>()) {
        let mut refuse = |reason: &str| {
            refused.push(Reject {
                row_number: Some(number),
                column: Some(column.to_owned()),
                reason: reason.to_owned(),
                row: value.map(str::to_owned),
            });
        };
        match value {
            None => refuse("NULL cannot be a line"),
            Some(value) if value.contains(['\n', '\r']) => refuse("a line break cannot be in a line"),
            Some(value) => rows.push(value.to_owned()),
        }
    }
    Ok((rows, refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_line_is_refused_with_its_row_and_reason() {
        let lines: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b\nc"), Some("")]));
        let batch = RecordBatch::try_from_iter([("x", lines)]).unwrap();
        let (rows, refused) = rows(&batch, "x", 11).unwrap();
        assert_eq!(rows, ["a", ""]);
        let numbers: Vec<_> = refused.iter().map(|reject| reject.row_number.unwrap()).collect();
        assert_eq!(numbers, [12, 13]);
    }
}
