//! A database file of SQLite as a destination and a source.

use std::path::Path;

use osiris_e2e::Project;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};

/// The file, in the directory of the project.
pub(super) const FILE: &str = "out/shop.db";

async fn open(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap()
}

pub(super) async fn execute(project: &Project, sql: &str) {
    let mut connection = open(&project.path(FILE)).await;
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

/// The rows of a query of two columns.
pub(super) async fn rows(project: &Project, sql: &str) -> Vec<(i64, String)> {
    let mut connection = open(&project.path(FILE)).await;
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
