//! How many rows SQL has read from CSV files, by DuckDB's own account.
//!
//! The step that makes a view over a CSV file has counted its rows in the bytes. DuckDB reads the file with a parser of
//! its own, so each reader proves that it has met as many rows: a scan counts what it passes on, and SQL is asked for
//! the profile of its plan, which costs nothing. Only where the plan stops early, as with LIMIT, are the rows counted
//! by a statement of its own.

use duckdb::Connection;

use super::schema::TableRef;
use super::{Store, store_error, transaction};
use crate::{Error, Result};

/// Runs one statement; returns the rows of each scan of CSV files as well, sorted.
pub(super) fn profiled<T>(connection: &Connection, work: impl FnOnce() -> Result<T>) -> Result<(T, Vec<u64>)> {
    connection
        .execute_batch("SET enable_profiling = 'no_output'; SET profiling_coverage = 'ALL'")
        .map_err(|error| store_error(error, "the run store could not be set up"))?;
    let result = work()?;
    let mut scans = Vec::new();
    let mut operators: Vec<_> = connection.get_profiling_info().into_iter().collect();
    while let Some(operator) = operators.pop() {
        if operator.metrics.get("extra_info").is_some_and(|info| info.starts_with("{Function=READ_CSV,")) {
            scans.extend(operator.metrics.get("rows_scanned").and_then(|rows| rows.parse::<u64>().ok()));
        }
        operators.extend(operator.children);
    }
    scans.sort_unstable();
    Ok((result, scans))
}

impl Store {
    /// Whether every row of `inputs` that only their sources have counted was met by SQL whose `scans` of files had so
    /// many rows each; counts them where that cannot be told.
    ///
    /// # Errors
    /// DuckDB finds another number of rows than the source.
    pub(crate) async fn ensure_rows_met(&self, inputs: impl Iterator<Item = &TableRef>, scans: &[u64]) -> Result<()> {
        let uncounted: Vec<&TableRef> = inputs.filter(|table| !table.is_counted()).collect();
        let mut wanted: Vec<u64> = uncounted.iter().flat_map(|table| table.scans()).copied().collect();
        wanted.sort_unstable();
        let is_all = wanted == scans;
        for table in uncounted {
            if !is_all {
                let sql = table.sql();
                let met = self.call(move |connection| transaction::count(connection, &sql)).await?;
                ensure_met(table, met)?;
            }
            table.set_counted();
        }
        Ok(())
    }
}

/// # Errors
/// DuckDB has met another number of rows than the source of `table` has counted.
pub(super) fn ensure_met(table: &TableRef, met: u64) -> Result<()> {
    if met == table.rows() {
        return Ok(());
    }
    Err(Error::integrity(format!(
        "the step `{}` counted {} rows in its files, but {met} were read from them",
        table.step(),
        table.rows()
    ))
    .with_hint(
        "this is a bug: please report it with the first lines of the files; a copy of them is read with a large `limit`",
    ))
}

/// The `result` of work over `inputs`: what DuckDB says of a line of a file is about a file that its step has found
/// right.
pub(crate) fn unless_misread<'a, T>(inputs: impl Iterator<Item = &'a TableRef>, result: Result<T>) -> Result<T> {
    let Err(error) = result else { return result };
    let mut uncounted = inputs.filter(|table| !table.is_counted());
    match uncounted.next() {
        Some(table) if error.report().contains("Original Line") => Err(Error::new(
            error.kind(),
            format!("the files of the step `{}` are read differently than they were scanned", table.step()),
        )
        .with_hint(
            "this is a bug: please report it with the first lines of the files; a copy of them is read with a large `limit`",
        )
        .with_source(error)),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_of_a_statement_has_the_rows_of_each_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv");
        std::fs::write(&path, "1\n2\n3\n").unwrap();
        let connection = Connection::open_in_memory().unwrap();
        let read = format!("read_csv('{}', header = false, columns = {{'c': 'BIGINT'}})", path.display());
        let rows = |sql: &str| {
            let run = || connection.execute_batch(sql).map_err(|error| store_error(error, "the query failed"));
            profiled(&connection, run).unwrap().1
        };
        assert_eq!(rows(&format!("CREATE TABLE a AS FROM {read} WHERE c > 1")), [3]);
        assert_eq!(rows(&format!("CREATE TABLE b AS SELECT x.c FROM {read} x, {read} y")), [3, 3]);
        assert_eq!(rows("CREATE TABLE c AS FROM b"), Vec::<u64>::new());
    }
}
