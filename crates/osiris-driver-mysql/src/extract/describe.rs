//! Describes the columns of a statement before it runs, by preparing it over the second client, which shows precision,
//! lengths and character sets that sqlx hides. MariaDB sends some types as text; its catalog says which.

use mysql_async::consts::ColumnType as Wire;
use mysql_async::prelude::Queryable as _;
use osiris_core::{Error, Result};
use osiris_sql::within;
use std::collections::BTreeSet;

use crate::client::{Session, SqlMode, Target, literal};
use crate::types::{Declared, SourceColumn};
use crate::wire;

const CONTEXT: &str = "preparing the query";

/// The columns of `sql`, in order.
///
/// # Errors
/// When the server rejects the statement.
pub(super) async fn describe(target: &Target, sql: &str, session: &mut Session) -> Result<Vec<SourceColumn>> {
    let mut second = wire::open(&target.connection, &target.base_dir).await?;
    let preparing = async { second.prep(sql).await.map_err(|error| wire::wire_error(error, CONTEXT)) };
    let prepared = within(target.connection.read_timeout, "`read_timeout` of the connection", CONTEXT, preparing).await;
    let columns = prepared.map(|statement| statement.columns().iter().map(SourceColumn::from).collect::<Vec<_>>());
    // Its only statement has ended; a clean close is not needed.
    drop(tokio::spawn(second.disconnect()));
    let mut columns = columns?;
    if columns.is_empty() {
        let hint = match session.facts().mariadb {
            true => "write a statement that returns rows",
            false => {
                "write a statement that returns rows; MySQL does not report the columns of EXPLAIN and SHOW CREATE before they run"
            }
        };
        return Err(Error::validation("the statement returns no columns").with_hint(hint));
    }
    if session.facts().mariadb {
        declare(&mut columns, session).await?;
    }
    Ok(columns)
}

/// Finds the text columns that are JSON or UUIDs in MariaDB's catalog.
async fn declare(columns: &mut [SourceColumn], session: &mut Session) -> Result<()> {
    let texts = columns.iter().filter(|column| is_text(column.wire));
    let Some(list) = origins(texts, &session.facts().sql_mode) else { return Ok(()) };
    let typed = session
        .rows(
            &format!(
                "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS \
                 WHERE (TABLE_SCHEMA, TABLE_NAME) IN ({list}) AND DATA_TYPE = 'uuid'"
            ),
            CONTEXT,
        )
        .await?;
    let checked = session
        .rows(
            &format!(
                "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
                 WHERE (CONSTRAINT_SCHEMA, TABLE_NAME) IN ({list}) AND CHECK_CLAUSE LIKE 'json_valid(`%`)'"
            ),
            CONTEXT,
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

/// The tables of the columns, as a list for IN; `None` if there are none.
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

/// Checks that every table of the columns has transactions: without them several connections cannot share one
/// snapshot.
///
/// # Errors
/// For a table with an engine without transactions.
pub(super) async fn require_transactions(columns: &[SourceColumn], session: &mut Session) -> Result<()> {
    let Some(list) = origins(columns.iter(), &session.facts().sql_mode) else { return Ok(()) };
    let sql = format!(
        "SELECT t.TABLE_NAME, t.ENGINE FROM information_schema.TABLES t JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
         WHERE (t.TABLE_SCHEMA, t.TABLE_NAME) IN ({list}) AND e.TRANSACTIONS <> 'YES'"
    );
    let without = session.rows(&sql, "checking the storage engines of the tables").await?;
    match without.first().map(Vec::as_slice) {
        Some([Some(table), Some(engine)]) => Err(Error::validation(format!(
            "table `{table}` has the engine {engine} without transactions: several connections cannot share one snapshot of it"
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
