//! How many NULLs a committed table has, by column: what a writer asks before it writes into columns that take none.

use super::{Store, TableRef, quote, store_error};
use crate::Result;

impl Store {
    /// The number of NULLs in each of these columns of `table`, in their order.
    ///
    /// # Errors
    /// Columns the table does not have, or a store that cannot be read.
    pub async fn null_counts(&self, table: &TableRef, columns: &[&str]) -> Result<Vec<u64>> {
        if columns.is_empty() {
            return Ok(Vec::new());
        }
        let counts: Vec<String> = columns.iter().map(|name| format!("count(*) - count({})", quote(name))).collect();
        let sql = format!("SELECT unnest([{}])::UBIGINT FROM {}", counts.join(", "), table.sql());
        self.call(move |connection| {
            let failed = |error| store_error(error, "the NULLs of a table could not be counted");
            let mut statement = connection.prepare(&sql).map_err(failed)?;
            let counts = statement.query_map([], |row| row.get(0)).map_err(failed)?;
            counts.collect::<Result<Vec<u64>, _>>().map_err(failed)
        })
        .await
    }
}
