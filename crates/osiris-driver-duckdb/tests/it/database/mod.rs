//! Database files as source and destination. Files are filled and read here without the driver's code.

mod conformance;
mod cursor;
mod faults;
mod read;
mod round_trip;
mod sharing;
mod write;

use std::path::{Path, PathBuf};

use duckdb::Connection;
use osiris_core::{Error, Result, RetryPolicy, StepFailure, StepOutput};
use osiris_testkit::{Bench, InputTable, Row, Rows};
use serde_json::{Value, json};

fn failed(error: duckdb::Error) -> Error {
    Error::unknown("the test's own statement failed").with_source(error)
}

fn execute(path: &Path, sql: &str) -> Result<()> {
    Connection::open(path).and_then(|connection| connection.execute_batch(sql)).map_err(failed)
}

/// The rows of a query as text: columns have to be cast to it.
fn rows(path: &Path, sql: &str) -> Result<Rows> {
    let connection = Connection::open(path).map_err(failed)?;
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let mut found = statement.query([]).map_err(failed)?;
    let mut all: Vec<Row> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let count = row.as_ref().column_count();
        all.push(
            (0..count)
                .map(|index| row.get::<_, Option<String>>(index))
                .collect::<duckdb::Result<Row>>()
                .map_err(failed)?,
        );
    }
    if let Some(statement) = found.as_ref() {
        names = statement.column_names();
    }
    let mut rows = Rows::new(names);
    all.into_iter().for_each(|row| rows.push(row));
    Ok(rows)
}

/// A file and a bench.
struct Database {
    bench: Bench,
    path: PathBuf,
}

impl Database {
    fn new(setup: &str) -> Self {
        let bench = Bench::new(osiris_driver_duckdb::register).unwrap();
        let path = bench.place().join("test.duckdb");
        execute(&path, setup).unwrap();
        Self { bench, path }
    }

    fn connection(&self) -> Value {
        json!({"path": self.path, "busy_timeout": 0.1})
    }

    fn execute(&self, sql: &str) {
        execute(&self.path, sql).unwrap();
    }

    /// A value as DuckDB prints it, such as a count.
    fn value(&self, sql: &str) -> String {
        let rows = rows(&self.path, &format!("SELECT CAST(({sql}) AS VARCHAR)")).unwrap();
        rows.rows()[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
    }

    async fn read(&self, config: Value) -> Result<StepOutput, StepFailure> {
        self.bench.store().drop_table("read").await.unwrap();
        self.bench.step("read", "duckdb.extractor", config).connection(self.connection()).run().await
    }

    /// The types and the rows of an extraction, with `∅` for NULL.
    async fn extracted(&self, config: Value) -> (Vec<String>, Vec<Vec<String>>) {
        let output = self.read(config).await.unwrap_or_else(|failure| panic!("{}", failure.error.report()));
        let table = output.table.unwrap();
        let types = table.schema().columns().iter().map(|column| column.column_type.to_string()).collect();
        let rows = self.bench.rows(&table).await.unwrap();
        let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "∅".to_owned());
        (types, rows.rows().iter().map(|row| row.iter().map(cell).collect()).collect())
    }

    async fn refused(&self, config: Value) -> String {
        self.read(config).await.unwrap_err().error.report()
    }

    async fn write(&self, config: Value, data: impl Into<InputTable>) -> Result<StepOutput, StepFailure> {
        self.bench.store().drop_table("input").await.unwrap();
        let input = self.bench.table("input", data).await.unwrap();
        let step = self.bench.step("write", "duckdb.writer", config).connection(self.connection());
        step.retry(RetryPolicy::never()).input(&input).run().await
    }
}
