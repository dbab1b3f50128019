//! `duckdb.processor` through the registry, over a real store, and the components of database files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod assertions;
mod conformance;
mod database;
mod files;
mod names;
mod progress;
mod sandbox;
mod sql;

use std::sync::Arc;

use osiris_core::{
    Inputs, Prepared, PreparedStep, Registry, ResolvedConnection, Result, RunContext, StepFailure, StepOutput,
    StepRequest, Store, StoreKind, StoreOptions, TableRef, Telemetry,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A run with a store in memory.
struct Run {
    context: RunContext,
    registry: Registry,
    directory: TempDir,
}

impl Run {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::new(StoreKind::Memory, directory.path().join("tmp"))).unwrap();
        let context = RunContext::new(store, Telemetry::discard(), directory.path(), CancellationToken::new());
        let mut registry = Registry::new();
        osiris_driver_duckdb::register(&mut registry).unwrap();
        Self { context, registry, directory }
    }

    fn store(&self) -> &Store {
        self.context.store()
    }

    /// A step's table, made from SQL.
    async fn table(&self, step: &str, sql: &'static str) -> TableRef {
        let sink = self.store().sink(step).await.unwrap();
        sink.call(move |tx| tx.create_table_as(sql, &|_| false)).await.unwrap();
        sink.finish().await.unwrap()
    }

    fn prepare(&self, config: &Value) -> Prepared {
        let driver = self.registry.get("duckdb.processor").unwrap();
        driver.prepare(config, Some(&ResolvedConnection::none()), self.directory.path())
    }

    fn step(&self, config: &Value) -> Result<Arc<dyn PreparedStep>> {
        self.prepare(config).into_step()
    }

    async fn process(&self, config: Value, inputs: Inputs) -> Result<StepOutput, StepFailure> {
        let step = self.step(&config).map_err(|error| StepFailure {
            error: error.with_step("out-put"),
            counts: Default::default(),
            duration: Default::default(),
            attempts: 0,
            waited: Default::default(),
            may_have_written: false,
        })?;
        step.run(&StepRequest::new("out-put"), &inputs, &self.context.step("out-put")).await
    }

    /// The message, hint and all, of a step that must fail.
    async fn refused(&self, config: Value, inputs: Inputs) -> String {
        let failure = self.process(config, inputs).await.expect_err("the step must fail");
        assert!(self.store().table("out-put").await.unwrap().is_none(), "a failed step left its table");
        let hint = failure.error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("{}{hint}", failure.error)
    }

    /// The rows of a table as text, columns joined by `|`.
    async fn rows(&self, table: &TableRef) -> Vec<String> {
        let columns: Vec<String> =
            table.schema().names().map(|name| format!("coalesce(\"{name}\"::VARCHAR, 'NULL')")).collect();
        let sql = format!("SELECT concat_ws('|', {}) FROM {}", columns.join(", "), table.sql());
        self.store()
            .call(move |connection| {
                let mut statement = connection.prepare(&sql).unwrap();
                Ok(statement.query_map([], |row| row.get(0)).unwrap().map(|row| row.unwrap()).collect())
            })
            .await
            .unwrap()
    }
}
