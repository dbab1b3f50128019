//! Why a column that should hold numbers is text, for the error of a query that fails because of it.

use duckdb::Connection;
use osiris_core::store::quote;
use osiris_core::{ColumnType, Error, TableRef};

/// The types that a column may have been meant to have, and what its values are then.
const WANTED: [(&str, &str); 2] = [("DOUBLE", "a number"), ("TIMESTAMP", "a date or a time")];

/// The same error with the first row because of which a column is text, where the query names a column of text and most of its
/// values are of another type. Values are looked at only after a failure, and are never shown.
pub(crate) fn with_cause(error: Error, query: &str, inputs: &[TableRef], connection: &Connection) -> Error {
    if !error.message().contains("VARCHAR") {
        return error;
    }
    // The transaction of the query has failed; what it reads was committed before.
    let Ok(connection) = connection.try_clone() else { return error };
    let query = query.to_lowercase();
    for table in inputs.iter().filter(|table| !table.is_arriving()) {
        let texts = table.schema().columns().iter().filter(|column| column.column_type == ColumnType::Varchar);
        for column in texts.filter(|column| query.contains(&column.name.to_lowercase())) {
            if let Some(hint) = cause(&connection, table, &column.name) {
                return error.with_hint(hint);
            }
        }
    }
    error
}

fn cause(connection: &Connection, table: &TableRef, column: &str) -> Option<String> {
    WANTED.iter().find_map(|(wanted, what)| {
        let row = first_other(connection, table, column, wanted)?;
        let step = table.step();
        Some(format!(
            "column `{column}` of step `{step}` was read as VARCHAR because of row {row}, which is not {what}: correct it, set \
             `dtype: {{{column}: {wanted}}}` in that step, or use TRY_CAST"
        ))
    })
}

/// The first row whose value is not of the type, if most values are.
fn first_other(connection: &Connection, table: &TableRef, column: &str, wanted: &str) -> Option<i64> {
    let sql = format!(
        "SELECT count(v) < 2 * count(TRY_CAST(v AS {wanted})), \
         min(CASE WHEN v IS NOT NULL AND TRY_CAST(v AS {wanted}) IS NULL THEN n END) \
         FROM (SELECT {} AS v, row_number() OVER () AS n FROM {})",
        quote(column),
        table.sql()
    );
    let found = connection.query_row(&sql, [], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, Option<i64>>(1)?)));
    let (is_most, row) = found.ok()?;
    row.filter(|_| is_most)
}
