//! A server, a bench before it, and the extractor between them, over the direct channel.

use osiris_core::{StepFailure, StepOutput};
use osiris_testkit::services::{Postgres, PostgresOptions};
use osiris_testkit::{Bench, Rows};
use serde_json::{Value, json};

/// A server of the test's own with a bench.
pub(crate) struct Reading {
    pub(crate) server: Postgres,
    pub(crate) bench: Bench,
}

impl Reading {
    /// Nothing when servers are left out.
    pub(crate) async fn start(options: PostgresOptions) -> Option<Self> {
        let server = Postgres::start_with(options).await.unwrap()?;
        Some(Self { server, bench: Bench::new(osiris_driver_supabase::register).unwrap() })
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.server.execute(sql).await.unwrap();
    }

    /// Runs an extraction over a connection that may differ from the server's own.
    pub(crate) async fn run(&self, step: &str, config: Value, connection: Value) -> Result<StepOutput, StepFailure> {
        let connection = self.server.connection_with(connection);
        self.bench.step(step, "supabase.extractor", config).connection(connection).run().await
    }

    pub(crate) async fn rows(&self, config: Value) -> Rows {
        let output = self.run("rows", config.clone(), json!({})).await;
        let output = output.unwrap_or_else(|failure| panic!("{config}: {}", failure.error.report()));
        self.bench.rows(&output.table.unwrap()).await.unwrap()
    }

    /// The message, facts and hint of an extraction that fails.
    pub(crate) async fn failure(&self, config: Value) -> StepFailure {
        self.run("fails", config, json!({})).await.unwrap_err()
    }
}

/// The types of a table.
pub(crate) fn types(output: &StepOutput) -> Vec<String> {
    let columns = output.table.as_ref().unwrap().schema().columns().to_vec();
    columns.into_iter().map(|column| format!("{} {}", column.name, column.column_type)).collect()
}

/// Rows with `∅` for NULL.
pub(crate) fn texts(rows: &Rows) -> Vec<Vec<String>> {
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "∅".to_owned());
    rows.rows().iter().map(|row| row.iter().map(cell).collect()).collect()
}
