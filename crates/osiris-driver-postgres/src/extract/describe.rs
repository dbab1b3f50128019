//! Describes the columns of a statement before it runs: with a row of NULLs, which needs no prepared statement, as
//! poolers lose those. The catalog has what the protocol omits.

use std::collections::{BTreeMap, BTreeSet};

use osiris_core::{Error, Result};
use sqlx::postgres::PgColumn;
use sqlx::{AssertSqlSafe, Column as _, Row as _};

use super::cast;
use super::source::described;
use crate::client::Session;
use crate::error::postgres_error;
use crate::types::decode::{Family, SourceColumn, oid};

const CONTEXT: &str = "reading the columns";

/// The columns of `sql`, in order. Runs inside a transaction, which keeps the table definitions.
///
/// # Errors
/// When the server rejects the statement.
pub(super) async fn describe(session: &mut Session, sql: &str) -> Result<Vec<SourceColumn>> {
    let described = described(sql);
    let row = sqlx::raw_sql(AssertSqlSafe(described)).fetch_one(&mut **session).await;
    let row = row.map_err(|error| postgres_error(error, CONTEXT))?;
    if row.columns().is_empty() {
        return Err(
            Error::validation("the statement returns no columns").with_hint("write a statement that returns columns")
        );
    }
    let families = families(session, row.columns()).await?;
    let modifiers = modifiers(session, row.columns()).await?;
    let computed = row.columns().iter().any(|column| type_of(column) == oid::NUMERIC && origin(column).is_none());
    let casts = if computed { cast::modifiers(session, sql).await? } else { Vec::new() };
    let column = |(index, column): (usize, &PgColumn)| {
        let oid = type_of(column);
        let modifier = match origin(column) {
            Some(origin) => modifiers.get(&origin).copied(),
            None => casts.get(index).copied().flatten(),
        };
        SourceColumn {
            name: column.name().to_owned(),
            oid,
            modifier: modifier.unwrap_or(-1),
            family: families.get(&oid).copied().unwrap_or_default(),
        }
    };
    Ok(row.columns().iter().enumerate().map(column).collect())
}

/// The type's object id, which the library knows for every column.
fn type_of(column: &PgColumn) -> u32 {
    column.type_info().oid().map_or(0, |oid| oid.0)
}

/// The table and column number that the values come from, if unchanged.
fn origin(column: &PgColumn) -> Option<(u32, i16)> {
    Some((column.relation_id()?.0, column.relation_attribute_no()?))
}

/// Finds the enums and arrays among types that are not built in or unknown here.
async fn families(session: &mut Session, columns: &[PgColumn]) -> Result<BTreeMap<u32, Family>> {
    let unknown: BTreeSet<u32> = columns.iter().map(type_of).filter(|oid| !oid::is_known(*oid)).collect();
    if unknown.is_empty() {
        return Ok(BTreeMap::new());
    }
    let list: Vec<String> = unknown.iter().map(u32::to_string).collect();
    // An array type is recognised by its element type: a fixed-length type such as `point` has elements too.
    let sql = format!(
        "SELECT t.oid, t.typtype, e.oid IS NOT NULL FROM pg_catalog.pg_type t \
         LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid WHERE t.oid IN ({})",
        list.join(", ")
    );
    let rows = session.rows(&sql, CONTEXT).await?;
    let family = |row: Vec<Option<String>>| {
        let [oid, kind, is_array] = <[Option<String>; 3]>::try_from(row).ok()?;
        let family = match (kind.as_deref(), is_array.as_deref()) {
            (Some("e"), _) => Family::Enum,
            (_, Some("t")) => Family::Array,
            _ => Family::Other,
        };
        Some((oid?.parse().ok()?, family))
    };
    Ok(rows.into_iter().filter_map(family).collect())
}

/// The modifiers of the numeric columns that come from tables, through domains of any depth.
async fn modifiers(session: &mut Session, columns: &[PgColumn]) -> Result<BTreeMap<(u32, i16), i32>> {
    let origins: BTreeSet<(u32, i16)> =
        columns.iter().filter(|column| type_of(column) == oid::NUMERIC).filter_map(origin).collect();
    if origins.is_empty() {
        return Ok(BTreeMap::new());
    }
    let list: Vec<String> = origins.iter().map(|(table, number)| format!("({table}, {number})")).collect();
    let sql = format!(
        "WITH RECURSIVE layer AS (\
             SELECT attrelid, attnum, atttypid AS type, atttypmod AS modifier FROM pg_catalog.pg_attribute \
             WHERE (attrelid, attnum) IN ({}) \
             UNION ALL \
             SELECT l.attrelid, l.attnum, t.typbasetype, CASE WHEN l.modifier = -1 THEN t.typtypmod ELSE l.modifier END \
             FROM layer l JOIN pg_catalog.pg_type t ON t.oid = l.type WHERE t.typtype = 'd') \
         SELECT attrelid, attnum, max(modifier) FROM layer GROUP BY 1, 2",
        list.join(", ")
    );
    let rows = session.rows(&sql, CONTEXT).await?;
    let modifier = |row: Vec<Option<String>>| {
        let [table, number, modifier] = <[Option<String>; 3]>::try_from(row).ok()?;
        Some(((table?.parse().ok()?, number?.parse().ok()?), modifier?.parse().ok()?))
    };
    Ok(rows.into_iter().filter_map(modifier).collect())
}
