//! What the columns of a statement are, before it runs: asked by preparing it over the second client, which shows digits,
//! lengths and character sets where sqlx hides them. MariaDB sends some types as text; its catalog says which.

use mysql_async::consts::ColumnType as Wire;
use mysql_async::prelude::Queryable as _;
use osiris_core::{Error, Result};
use std::collections::BTreeSet;

use crate::client::{Session, SqlMode, Target, literal};
use crate::error::within;
use crate::types::{Declared, SourceColumn};
use crate::wire;

const DOING: &str = "preparing the query";

/// The columns of `sql`, in order.
///
/// # Errors
/// What the server says against the statement.
pub(super) async fn describe(target: &Target, sql: &str, session: &mut Session) -> Result<Vec<SourceColumn>> {
    let mut second = wire::open(&target.connection, &target.base_dir).await?;
    let preparing = async { second.prep(sql).await.map_err(|error| wire::wire_error(error, DOING)) };
    let prepared = within(target.connection.read_timeout, DOING, preparing).await;
    let columns = prepared.map(|statement| statement.columns().iter().map(SourceColumn::from).collect::<Vec<_>>());
    // Its only statement has ended; nobody waits for its farewell.
    drop(tokio::spawn(second.disconnect()));
    let mut columns = columns?;
    if columns.is_empty() {
        let hint = match session.facts().mariadb {
            true => "write a statement that returns rows",
            false => {
                "write a statement that returns rows; MySQL does not tell the columns of EXPLAIN and SHOW CREATE before they run"
            }
        };
        return Err(Error::validation("the statement has no columns").with_hint(hint));
    }
    if session.facts().mariadb {
        declare(&mut columns, session).await?;
    }
    Ok(columns)
}

/// Asks MariaDB's catalog which texts are JSON, and which are UUIDs.
async fn declare(columns: &mut [SourceColumn], session: &mut Session) -> Result<()> {
    let texts = columns.iter().filter(|column| is_text(column.wire));
    let Some(list) = origins(texts, &session.facts().sql_mode) else { return Ok(()) };
    let typed = session
        .rows(
            &format!(
                "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS \
                 WHERE (TABLE_SCHEMA, TABLE_NAME) IN ({list}) AND DATA_TYPE = 'uuid'"
            ),
            DOING,
        )
        .await?;
    let checked = session
        .rows(
            &format!(
                "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
                 WHERE (CONSTRAINT_SCHEMA, TABLE_NAME) IN ({list}) AND CHECK_CLAUSE LIKE 'json_valid(`%`)'"
            ),
            DOING,
        )
        .await?;
    for column in columns.iter_mut().filter(|column| is_text(column.wire)) {
        let Some((schema, table, name)) = &column.origin else { continue };
        let is =
            |row: &[Option<String>], index: usize, text: &str| row.get(index).and_then(Option::as_deref) == Some(text);
        let here = |row: &&Vec<Option<String>>| is(row, 0, schema) && is(row, 1, table);
        let clause = format!("json_valid(`{name}`)");
        if typed.iter().filter(here).any(|row| is(row, 2, name)) {
            column.declared = Some(Declared::Uuid);
        } else if checked.iter().filter(here).any(|row| is(row, 3, &clause)) {
            column.declared = Some(Declared::Json);
        }
    }
    Ok(())
}

/// The tables that columns come from, as a list for IN; nothing when there are none.
fn origins<'a>(columns: impl Iterator<Item = &'a SourceColumn>, mode: &SqlMode) -> Option<String> {
    let tables: BTreeSet<(&str, &str)> = columns
        .filter_map(|column| column.origin.as_ref().map(|(schema, table, _)| (schema.as_str(), table.as_str())))
        .collect();
    let list: Vec<String> = tables
        .into_iter()
        .map(|(schema, table)| format!("({}, {})", literal(schema, mode), literal(table, mode)))
        .collect();
    (!list.is_empty()).then(|| list.join(", "))
}

/// Makes sure that every table that shows in the columns has transactions: without them several connections cannot see one
/// moment.
///
/// # Errors
/// A table of an engine without transactions, named.
pub(super) async fn require_transactions(columns: &[SourceColumn], session: &mut Session) -> Result<()> {
    let Some(list) = origins(columns.iter(), &session.facts().sql_mode) else { return Ok(()) };
    let sql = format!(
        "SELECT t.TABLE_NAME, t.ENGINE FROM information_schema.TABLES t JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
         WHERE (t.TABLE_SCHEMA, t.TABLE_NAME) IN ({list}) AND e.TRANSACTIONS <> 'YES'"
    );
    let without = session.rows(&sql, "looking at the tables").await?;
    match without.first().map(Vec::as_slice) {
        Some([Some(table), Some(engine)]) => Err(Error::validation(format!(
            "`{table}` is of the engine {engine}, which has no transactions: several connections cannot see one moment of it"
        ))
        .with_hint("remove `partition_by`")),
        _ => Ok(()),
    }
}

fn is_text(wire: Wire) -> bool {
    matches!(
        wire,
        Wire::MYSQL_TYPE_STRING
            | Wire::MYSQL_TYPE_VAR_STRING
            | Wire::MYSQL_TYPE_VARCHAR
            | Wire::MYSQL_TYPE_BLOB
            | Wire::MYSQL_TYPE_TINY_BLOB
            | Wire::MYSQL_TYPE_MEDIUM_BLOB
            | Wire::MYSQL_TYPE_LONG_BLOB
    )
}
