//! Assertions on a result, checked in the transaction that created it: a failing result is never committed.

use osiris_core::store::{StoreTransaction, quote, quote_text};
use osiris_core::{Reject, Result};

use crate::config::{Assertion, RowCount, Severity};
use crate::error::sql_error;

/// Failing rows kept for each assertion.
const KEPT: usize = 100;

/// A failed assertion.
pub(crate) struct Failed {
    pub(crate) name: String,
    pub(crate) severity: Severity,
    pub(crate) rows: u64,
    pub(crate) offenders: Vec<Reject>,
}

/// Checks all `assertions` on the table `result` and returns those that fail.
pub(crate) fn check(tx: &StoreTransaction<'_>, result: &str, assertions: &[Assertion]) -> Result<Vec<Failed>> {
    let mut failed = Vec::new();
    for assertion in assertions {
        let name = name_of(assertion);
        let sql = offenders_sql(result, assertion);
        let (rows, offenders) = offenders(tx, &sql, &name)?;
        if rows > 0 {
            failed.push(Failed { name, severity: assertion.severity, rows, offenders });
        }
    }
    Ok(failed)
}

fn name_of(assertion: &Assertion) -> String {
    if let Some(name) = &assertion.name {
        return name.clone();
    }
    if let Some(columns) = &assertion.not_null {
        return format!("{} not null", columns.columns().join(", "));
    }
    if let Some(columns) = &assertion.unique {
        return format!("{} unique", columns.columns().join(", "));
    }
    if let Some(accepted) = &assertion.accepted_values {
        return format!("{} accepted values", accepted.column);
    }
    if assertion.row_count.is_some() { "row count".to_owned() } else { "sql".to_owned() }
}

/// A SELECT of the failing rows.
fn offenders_sql(result: &str, assertion: &Assertion) -> String {
    if let Some(columns) = &assertion.not_null {
        let nulls: Vec<String> = columns.columns().iter().map(|column| format!("{} IS NULL", quote(column))).collect();
        return format!("SELECT * FROM {result} WHERE {}", nulls.join(" OR "));
    }
    if let Some(columns) = &assertion.unique {
        let keys = columns.columns().iter().map(|column| quote(column)).collect::<Vec<_>>();
        let given: Vec<String> = keys.iter().map(|key| format!("{key} IS NOT NULL")).collect();
        let (keys, given) = (keys.join(", "), given.join(" AND "));
        return format!("SELECT * FROM {result} WHERE {given} QUALIFY count(*) OVER (PARTITION BY {keys}) > 1");
    }
    if let Some(accepted) = &assertion.accepted_values {
        let column = quote(&accepted.column);
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let values: Vec<String> = accepted.values.iter().map(|value| quote_text(&text(value))).collect();
        return format!(
            "SELECT * FROM {result} WHERE {column} IS NOT NULL AND {column}::VARCHAR NOT IN ({})",
            values.join(", ")
        );
    }
    if let Some(RowCount { min, max, equals }) = assertion.row_count {
        let bound = |operator: &str, bound: Option<u64>| bound.map(|bound| format!("count(*) {operator} {bound}"));
        let broken: Vec<String> =
            [bound("<", min), bound(">", max), bound("<>", equals)].into_iter().flatten().collect();
        return format!("SELECT count(*) AS row_count FROM {result} HAVING {}", broken.join(" OR "));
    }
    assertion.sql.clone().unwrap_or_default()
}

/// How many rows `sql` returns, and the first of them as JSON.
fn offenders(tx: &StoreTransaction<'_>, sql: &str, name: &str) -> Result<(u64, Vec<Reject>)> {
    const COUNT: &str = "SELECT count(*)::UBIGINT FROM (";
    let connection = tx.connection();
    let rows: u64 = connection
        .query_row(&format!("{COUNT}{sql}\n)"), [], |row| row.get(0))
        .map_err(|error| sql_error(error, sql, COUNT.len()).with_context("assertion", name))?;
    if rows == 0 {
        return Ok((0, Vec::new()));
    }
    let failed = |error| sql_error(error, sql, usize::MAX).with_context("assertion", name);
    let select = format!("SELECT to_json(offender)::VARCHAR FROM ({sql}\n) AS offender LIMIT {KEPT}");
    let mut statement = connection.prepare(&select).map_err(failed)?;
    let texts = statement.query_map([], |row| row.get::<_, Option<String>>(0)).map_err(failed)?;
    let offenders = texts
        .map(|row| Ok(Reject { row_number: None, column: None, reason: format!("assertion `{name}`"), row: row? }))
        .collect::<duckdb::Result<_>>()
        .map_err(failed)?;
    Ok((rows, offenders))
}
