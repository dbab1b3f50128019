//! `duckdb.writer`: the rows of a table into a table of a database file, in one transaction.

mod commit;
mod faults;
mod staging;
mod target;
mod task;

use std::path::Path;

use async_trait::async_trait;
use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DestinationId, ExecutionContext, Problem, Result, Role, Step, TableRef,
    Write, Written,
};
use osiris_sql::write::{WriteMode, map_columns};

use self::task::WriteTask;
use crate::client::{Access, Connect, Target, connect, real_path};
use crate::config::{ConnectionConfig, WriterConfig};

/// Writes rows to a table.
pub struct DuckdbWriter {
    connect: Connect,
}

impl DuckdbWriter {
    /// The writer with the default client.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// The writer with clients that `connect` opens.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for DuckdbWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for DuckdbWriter {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "duckdb.writer",
        env!("CARGO_PKG_VERSION"),
        Role::Write,
        "Writes a table to a DuckDB database file: appends, replaces all rows, or replaces by key",
    )
    .with_connection(ConnectionUse::Required);
    type Connection = ConnectionConfig;
    type Config = WriterConfig;

    fn validate(config: &WriterConfig) -> Vec<Problem> {
        config.problems()
    }
}

// The writer takes no rows that are still arriving. It waits until nobody in the process reads the file: a reader whose rows it took
// would wait for it.
#[async_trait]
impl Write for DuckdbWriter {
    fn destination(&self, config: &WriterConfig, connection: &ConnectionConfig, base: &Path) -> DestinationId {
        let path = real_path(&base.join(&connection.path));
        let table = format!("{}.{}", config.schema, config.table).to_lowercase();
        DestinationId::table([path.display().to_string()], &table)
            .replaced(config.fields().mode == WriteMode::Overwrite)
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        ctx.rejects().set_limit(config.write.max_rejects);
        let mapped = map_columns(config.write.columns.as_ref(), config.fields().order_names(), input)?;
        let access = if step.dry_run() { Access::Check } else { Access::Write };
        let target = Target::new(step.connection(), step.base_dir(), access).of_run(ctx);
        let file = target.path.display().to_string();
        let mut client = (self.connect)(target).await?;
        let task = WriteTask { config, file, input, mapped, ctx, dry_run: step.dry_run() };
        let written = task.run(&mut client).await;
        client.close().await;
        written
    }

    async fn outcome(
        &self,
        step: &Step<'_, Self>,
        intent: &Intent,
        _: Option<&TableRef>,
        ctx: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        let target = Target::new(step.connection(), step.base_dir(), Access::Ask).of_run(ctx);
        if !target.path.exists() {
            // Whether it was there, and what became of it, is not known.
            return Ok(CommitOutcome::Unknown);
        }
        let mut client = (self.connect)(target).await?;
        let outcome = commit::outcome(&mut client, &step.config().schema, intent).await;
        client.close().await;
        outcome
    }
}
