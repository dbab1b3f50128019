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

/// Whether `column` is the number, and SQLite may give that of a row that was deleted to another row.
pub(crate) async fn is_reused(client: &mut Client, table: &str, column: &str) -> Result<bool> {
    let is_number = match alias(client, table).await? {
        Some(alias) if alias.eq_ignore_ascii_case(column) => true,
        _ => NAMES.iter().any(|name| name.eq_ignore_ascii_case(column)),
    };
    let (table, column) = (literal(table), literal(column));
    let sql = format!(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = {table} COLLATE NOCASE \
         AND sql NOT LIKE '%AUTOINCREMENT%' AND NOT EXISTS \
         (SELECT 1 FROM pragma_table_xinfo({table}, 'main') WHERE name = {column} COLLATE NOCASE AND pk = 0)"
    );
    Ok(is_number && client.number(&sql, DOING).await? > 0)
}
