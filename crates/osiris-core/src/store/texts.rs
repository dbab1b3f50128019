//! Rows as text, for a person to look at: each value as the store writes it.

use arrow::array::{Array, AsArray as _, RecordBatch};

use super::schema::{Column, TableRef, TableSchema};
use super::types::{ColumnType, UTC};
use super::{Store, TableScan, quote};
use crate::{Error, Result};

/// The values of a row, NULL as none.
pub type TextRow = Vec<Option<String>>;

/// A running scan of a table as text. Dropping it ends the scan.
pub struct TextScan(TableScan);

impl Store {
    /// Reads the rows of a table in their order, each value as text.
    ///
    /// # Errors
    /// The scan cannot be started.
    pub fn texts(&self, table: &TableRef) -> Result<TextScan> {
        let texts = table.schema().names().map(|name| Column::new(name, ColumnType::Varchar)).collect();
        let columns: Vec<String> = table.schema().columns().iter().map(expression).collect();
        let sql = format!("SELECT {} FROM {}", columns.join(", "), table.sql());
        TableScan::start(self, table.workload(), table, sql, TableSchema::new(texts)?).map(TextScan)
    }
}

/// The column as text.
fn expression(column: &Column) -> String {
    let name = quote(&column.name);
    // The store keeps instants in UTC and does not say so.
    let zone = if column.column_type == ColumnType::Instant { format!(" || '{UTC}'") } else { String::new() };
    format!("CAST({name} AS VARCHAR){zone} AS {name}")
}

impl TextScan {
    /// The next rows, a few thousand, or `None` at the end.
    ///
    /// # Errors
    /// As for [`TableScan::next`].
    pub async fn next(&mut self) -> Result<Option<Vec<TextRow>>> {
        self.0.next().await?.map(|batch| rows(&batch)).transpose()
    }
}

fn rows(batch: &RecordBatch) -> Result<Vec<TextRow>> {
    let columns = batch.columns().iter().map(|column| column.as_string_opt::<i32>()).collect::<Option<Vec<_>>>();
    let columns = columns.ok_or_else(|| Error::unknown("a scan of text returned another type"))?;
    let row =
        |row: usize| columns.iter().map(|texts| texts.is_valid(row).then(|| texts.value(row).to_owned())).collect();
    Ok((0..batch.num_rows()).map(row).collect())
}
