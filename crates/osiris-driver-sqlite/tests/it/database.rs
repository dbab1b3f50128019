//! A database file and a bench next to it. Files are filled and read here without the driver's code.

use std::path::{Path, PathBuf};

use osiris_core::{Error, Result, RetryPolicy, StepFailure, StepOutput};
use osiris_testkit::{Bench, InputTable, Row, Rows};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Executor as _, Row as _, Statement as _};

pub(crate) async fn open(path: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(false);
    options.connect().await.map_err(failed)
}

pub(crate) async fn execute(path: &Path, sql: &str) -> Result<()> {
    let mut connection = open(path).await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}

/// The rows of a query as text: columns have to be cast to it.
pub(crate) async fn rows(path: &Path, sql: &str) -> Result<Rows> {
    let mut connection = open(path).await?;
    let sql = || AssertSqlSafe(sql.to_owned());
    let statement = connection.prepare(sqlx::SqlSafeStr::into_sql_str(sql())).await.map_err(failed)?;
    let mut rows = Rows::new(statement.columns().iter().map(|column| column.name().to_owned()));
    for row in connection.fetch_all(sqlx::query(sql())).await.map_err(failed)? {
        rows.push((0..row.len()).map(|index| row.get_unchecked::<Option<String>, _>(index)).collect::<Row>());
    }
    connection.close().await.map_err(failed)?;
    Ok(rows)
}

fn failed(error: sqlx::Error) -> Error {
    Error::unknown("the test's own statement failed").with_source(error)
}

/// A file and a bench.
pub(crate) struct Database {
    pub(crate) bench: Bench,
    pub(crate) path: PathBuf,
}

impl Database {
    pub(crate) async fn new(setup: &str) -> Self {
        let bench = Bench::new(osiris_driver_sqlite::register).unwrap();
        let path = bench.place().join("test.db");
        execute(&path, setup).await.unwrap();
        Self { bench, path }
    }

    pub(crate) fn connection(&self) -> Value {
        json!({"path": self.path, "busy_timeout": 0.1})
    }

    pub(crate) async fn execute(&self, sql: &str) {
        execute(&self.path, sql).await.unwrap();
    }

    /// A value that SQLite prints, such as a count.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let rows = rows(&self.path, &format!("SELECT CAST(({sql}) AS TEXT)")).await.unwrap();
        rows.rows()[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
    }

    pub(crate) async fn read(&self, config: Value) -> Result<StepOutput, StepFailure> {
        self.bench.store().drop_table("read").await.unwrap();
        self.bench.step("read", "sqlite.extractor", config).connection(self.connection()).run().await
    }

    /// The types and the rows of an extraction, with `∅` for NULL.
    pub(crate) async fn extracted(&self, config: Value) -> (Vec<String>, Vec<Vec<String>>) {
        let output = self.read(config).await.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
        let table = output.table.unwrap();
        let types = table.schema().columns().iter().map(|column| column.column_type.to_string()).collect();
        let rows = self.bench.rows(&table).await.unwrap();
        let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "∅".to_owned());
        (types, rows.rows().iter().map(|row| row.iter().map(cell).collect()).collect())
    }

    pub(crate) async fn refused(&self, config: Value) -> String {
        self.read(config).await.unwrap_err().error.report()
    }

    pub(crate) async fn write(&self, config: Value, data: impl Into<InputTable>) -> Result<StepOutput, StepFailure> {
        self.bench.store().drop_table("input").await.unwrap();
        let input = self.bench.table("input", data).await.unwrap();
        let step = self.bench.step("write", "sqlite.writer", config).connection(self.connection());
        step.retry(RetryPolicy::never()).input(&input).run().await
    }
}
