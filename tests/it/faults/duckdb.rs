//! A database file of DuckDB as a destination and a source.

use std::path::Path;

use ::duckdb::Connection;
use osiris_e2e::Project;

/// The file, in the directory of the project.
pub(super) const FILE: &str = "out/shop.duckdb";

fn open(file: &Path) -> Connection {
    Connection::open(file).unwrap()
}

pub(super) fn execute(project: &Project, sql: &str) {
    open(&project.path(FILE)).execute_batch(sql).unwrap();
}

/// The rows of a query of two columns.
pub(super) fn rows(project: &Project, sql: &str) -> Vec<(i64, String)> {
    let connection = open(&project.path(FILE));
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(|row| row.unwrap()).collect()
}
