//! The mapping between the types of the external system and those of the store, in both directions. A mapping is exact,
//! or the column or row is rejected.
//!
//! | text file | store |
//! | --- | --- |
//! | text, read | VARCHAR |
//! | text, written | VARCHAR, JSON and others that a scan returns as text; numbers with all their digits; BOOLEAN: `true`, `false` |
//! | `2024-01-31` | DATE |
//! | `12:00:00`, with the fraction there is | TIME |
//! | `2024-01-31 12:00:00`, with the fraction there is | TIMESTAMP; instants in UTC, followed by `+00:00` |
//! | - | BLOB, INTERVAL, lists, structs and maps are rejected: they have no unambiguous text |
//!
//! A row with a NUL character is rejected too: other programs could not read the file.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use osiris_core::{ColumnType, Error, Reject, Result, TableSchema};

use crate::client::Row;

/// The schema of a table with these columns.
pub(crate) fn schema(columns: &[String]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>()))
}

/// Rows of a table as a batch of the store.
pub(crate) fn batch(schema: &SchemaRef, rows: &[Row]) -> Result<RecordBatch> {
    let column =
        |index: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row[index].as_deref()).collect::<StringArray>()) };
    let columns = (0..schema.fields().len()).map(column).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| {
        Error::unknown("failed to build a batch of rows")
            .with_hint("this is a bug: please report it")
            .with_source(error)
    })
}

/// Rejects columns of types that cannot be written, and names all of them.
pub(crate) fn check_types(schema: &TableSchema, columns: &[String]) -> Result<()> {
    use ColumnType::{Array, Blob, Interval, List, Map, Struct};
    let written = schema.columns().iter().filter(|column| columns.contains(&column.name));
    let refused: Vec<String> = written
        .filter(|column| matches!(column.column_type, Array(..) | Blob | Interval | List(_) | Map(..) | Struct(_)))
        .map(|column| format!("`{}` ({})", column.name, column.column_type))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::validation(format!("these columns cannot be written as text: {}", refused.join(", ")))
        .with_hint("turn them into text in a step before, or leave them out with `columns`"))
}

/// A batch of the store as rows of a table, and the rejected ones; `first` is the number of the first row.
pub(crate) fn rows(batch: &RecordBatch, first: u64) -> Result<(Vec<Row>, Vec<Reject>)> {
    let cells = texts(batch).map_err(|error| {
        Error::validation("a value cannot be written as text").with_hint("look at the source").with_source(error)
    })?;
    let (mut rows, mut refused) = (Vec::with_capacity(cells.len()), Vec::new());
    for (number, row) in (first..).zip(cells) {
        match row.iter().position(|cell| cell.as_deref().is_some_and(|text| text.contains('\0'))) {
            None => rows.push(row),
            Some(column) => refused.push(Reject {
                row_number: Some(number),
                column: Some(batch.schema().field(column).name().clone()),
                reason: "a NUL character cannot be in a text file".to_owned(),
                row: Some(serde_json::json!(row).to_string()),
            }),
        }
    }
    Ok((rows, refused))
}

fn texts(batch: &RecordBatch) -> Result<Vec<Row>, ArrowError> {
    let options = FormatOptions::new()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f+00:00"));
    let columns = batch.columns().iter().map(|array| Ok((array, ArrayFormatter::try_new(array.as_ref(), &options)?)));
    let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
    let row = |index| {
        let cell = |(array, text): &(&ArrayRef, ArrayFormatter<'_>)| {
            (!array.is_null(index)).then(|| text.value(index).try_to_string()).transpose()
        };
        columns.iter().map(cell).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_no_text_file_can_hold_is_refused_with_its_number_and_column() {
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b\0c"), Some("")]));
        let batch = RecordBatch::try_from_iter_with_nullable([("x", names, true)]).unwrap();
        let (rows, refused) = rows(&batch, 11).unwrap();
        assert_eq!(rows, [[Some("a".to_owned())], [None], [Some(String::new())]]);
        let places: Vec<_> = refused.iter().map(|reject| (reject.row_number, reject.column.as_deref())).collect();
        assert_eq!(places, [(Some(13), Some("x"))]);
    }
}
