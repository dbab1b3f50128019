//! Whether a key is one: what a writer asks before it has a server look for duplicates.

use super::{Store, TableRef, quote, store_error};
use crate::Result;

impl Store {
    /// Whether no two rows of `table` are equal in all of these columns. NULL counts as a value.
    ///
    /// # Errors
    /// Columns the table does not have, or a store that cannot be read.
    pub async fn is_unique(&self, table: &TableRef, columns: &[&str]) -> Result<bool> {
        if columns.is_empty() {
            return Ok(table.rows() < 2);
        }
        let key: Vec<String> = columns.iter().map(|name| quote(name)).collect();
        let sql = format!(
            "SELECT count(*) = 0 FROM (SELECT 1 FROM {} GROUP BY {} HAVING count(*) > 1 LIMIT 1)",
            table.sql(),
            key.join(", ")
        );
        self.call(move |connection| {
            let asked = connection.query_row(&sql, [], |row| row.get(0));
            asked.map_err(|error| store_error(error, "the keys of a table could not be compared"))
        })
        .await
    }
}
