//! A server, a bench before it, and the extractor between them.

use std::sync::Arc;

use osiris_core::{Error, Progress, RetryPolicy, StepFailure, StepOutput};
use serde_json::{Value, json};

use super::{DatabaseDriver, DatabaseServer};
use crate::{Bench, Rows};

/// A server of the test's own with a bench.
pub struct Reading<D: DatabaseDriver> {
    /// The server.
    pub server: D::Server,
    /// Where steps run.
    pub bench: Bench,
}

impl<D: DatabaseDriver> Reading<D> {
    /// Nothing when servers are left out.
    pub async fn start(options: <D::Server as DatabaseServer>::Options) -> Option<Self> {
        let server = D::Server::start_with(options).await.unwrap()?;
        Some(Self { server, bench: Bench::new(D::register).unwrap() })
    }

    /// Runs statements at the server.
    pub async fn execute(&self, sql: &str) {
        self.server.execute(sql).await.unwrap();
    }

    /// Runs an extraction over a connection that may differ from the server's own.
    ///
    /// # Errors
    /// When the extraction fails.
    pub async fn run(&self, step: &str, config: Value, connection: Value) -> Result<StepOutput, StepFailure> {
        let connection = D::connection(&self.server, connection);
        self.bench.step(step, D::EXTRACTOR, config).connection(connection).run().await
    }

    /// What an extraction gives.
    pub async fn rows(&self, config: Value) -> Rows {
        let output = self.run("rows", config.clone(), json!({})).await;
        let output = output.unwrap_or_else(|failure| panic!("{config}: {}", failure.error.report()));
        self.bench.rows(&output.table.unwrap()).await.unwrap()
    }

    /// The total of a step that reads all of a table is that of the server's statistics. `t` has 860 rows with the numbers `a`,
    /// and its statistics were taken when it had 900.
    pub async fn total_is_estimated(&self) {
        let cases = [
            (json!({"table": "t"}), Some(900)),
            (json!({"table": "t", "limit": 40, "order_by": "a"}), Some(40)),
            (json!({"table": "t", "partition_by": "a"}), Some(900)),
            (json!({"table": "t", "where": "a > 100"}), None),
            (json!({"query": "SELECT * FROM t"}), None),
            (json!({"table": "t", "cursor": {"column": "a"}}), None),
        ];
        for (config, expected) in cases {
            let total = self.total_of(config.clone(), json!({})).await;
            // The statistics are about right: these are of so few pages that they nearly are.
            let is_near = total.zip(expected).is_none_or(|(total, expected)| total.abs_diff(expected) <= 100);
            assert!(total.is_some() == expected.is_some() && is_near, "{config}: {total:?}");
        }
    }

    /// The estimate of the total that is there at the end of an extraction.
    pub async fn total_of(&self, config: Value, connection: Value) -> Option<u64> {
        let progress = Arc::new(Progress::default());
        let step = self.bench.step("counted", D::EXTRACTOR, config.clone()).progress(&progress);
        let done = step.connection(D::connection(&self.server, connection)).run().await;
        done.unwrap_or_else(|failure| panic!("{config}: {}", failure.error.report()));
        self.bench.store().drop_table("counted").await.unwrap();
        assert_eq!(progress.is_estimate(), progress.total_rows().is_some(), "{config}");
        progress.total_rows()
    }

    /// The message, facts and hint of an extraction that fails.
    pub async fn failure(&self, config: Value) -> StepFailure {
        self.run("fails", config, json!({})).await.unwrap_err()
    }

    /// One attempt over this connection; the rows that came. Of a failure nothing stays, and it says what to do.
    ///
    /// # Errors
    /// When the extraction fails.
    pub async fn once(&self, connection: Value, config: Value) -> Result<u64, Error> {
        // A table of an earlier try would stay as it was.
        self.bench.store().drop_table("faulty").await.unwrap();
        let step = self.bench.step("faulty", D::EXTRACTOR, config).connection(connection);
        match step.retry(RetryPolicy::never()).run().await {
            Ok(output) => Ok(output.rows),
            Err(failure) => {
                let tables = self.bench.query("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'faulty'").await;
                assert_eq!(tables.unwrap().rows()[0][0].as_deref(), Some("0"), "something of the table stayed");
                assert!(failure.error.hint().is_some(), "{}", failure.error.report());
                Err(failure.error)
            }
        }
    }
}

/// The columns of a table with their types.
pub fn types(output: &StepOutput) -> Vec<String> {
    let columns = output.table.as_ref().unwrap().schema().columns().iter();
    columns.map(|column| format!("{} {}", column.name, column.column_type)).collect()
}

/// Rows with `∅` for NULL.
pub fn texts(rows: &Rows) -> Vec<Vec<String>> {
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "∅".to_owned());
    rows.rows().iter().map(|row| row.iter().map(cell).collect()).collect()
}
