//! The number that SQLite gives each row, and the column that is another name for it
//! (<https://www.sqlite.org/lang_createtable.html#rowid>).

use osiris_core::Result;

use crate::client::{Client, literal};

const DOING: &str = "describing the table";
/// Its names where no column has them.
pub(crate) const NAMES: [&str; 3] = ["rowid", "oid", "_rowid_"];

/// The column that is the number: the only one of the primary key, for which SQLite needs no index.
pub(crate) async fn alias(client: &mut Client, table: &str) -> Result<Option<String>> {
    let table = literal(table);
    let sql = format!(
        "SELECT max(name) FROM pragma_table_xinfo({table}, 'main') WHERE pk > 0 HAVING count(*) = 1 \
         AND NOT EXISTS (SELECT 1 FROM pragma_index_list({table}, 'main') WHERE origin = 'pk')"
    );
    Ok(client.row(&sql, DOING).await?.into_iter().next().flatten())
}

/// Whether SQLite may give the number of a row that was deleted to another one.
pub(crate) async fn is_reused(client: &mut Client, table: &str) -> Result<bool> {
    let table = literal(table);
    let sql = format!(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = {table} COLLATE NOCASE \
         AND sql NOT LIKE '%AUTOINCREMENT%'"
    );
    Ok(client.number(&sql, DOING).await? > 0)
}
