//! `postgres.writer`.

use async_trait::async_trait;
use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DestinationId, ExecutionContext, Feature, Problem, Result, Role, Step,
    TableRef, Write, Written,
};
use osiris_sql::write::{Dedupe, WriteMode, map_columns};
use std::path::Path;

use super::{WriteTask, outcome, write};
use crate::client::{Connect, ConnectionTarget, connect};
use crate::config::{PostgresConnection, WriterConfig};

/// `postgres.writer`.
pub struct PostgresWriter {
    connect: Connect,
}

impl PostgresWriter {
    /// The writer with the default client.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// The same with another client.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for PostgresWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for PostgresWriter {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "postgres.writer",
        env!("CARGO_PKG_VERSION"),
        Role::Write,
        "Writes a table to PostgreSQL: appends, replaces all rows, or replaces by key",
    )
    .with_connection(ConnectionUse::Required)
    .with_features(&[Feature::Streams]);

    type Connection = PostgresConnection;
    type Config = WriterConfig;

    fn validate(config: &WriterConfig) -> Vec<Problem> {
        config.problems()
    }

    /// Rows are read once, and committed after that in one transaction. To keep the last row of a key is to sort them first.
    fn streams(config: &WriterConfig, _: &PostgresConnection) -> bool {
        config.conflict.dedupe == Dedupe::Error
    }
}

#[async_trait]
impl Write for PostgresWriter {
    fn destination(&self, config: &WriterConfig, connection: &PostgresConnection, _: &Path) -> DestinationId {
        destination(config, connection)
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        ctx.rejects().set_limit(config.write.max_rejects);
        let mapped = map_columns(config.write.columns.as_ref(), config.fields().order_names(), input)?;
        let task = WriteTask { dry_run: step.dry_run(), ..WriteTask::new(config, input, mapped, ctx) };
        let client = (self.connect)(ConnectionTarget::new(step.connection(), step.base_dir())).await?;
        let written = write(&client, &task).await;
        client.close().await;
        written
    }

    async fn outcome(
        &self,
        step: &Step<'_, Self>,
        intent: &Intent,
        _: Option<&TableRef>,
        _: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        let client = (self.connect)(ConnectionTarget::new(step.connection(), step.base_dir())).await?;
        let outcome = outcome(&client, intent).await;
        client.close().await;
        outcome
    }
}

/// The destination table, independent of how its address is written.
fn destination(config: &WriterConfig, connection: &PostgresConnection) -> DestinationId {
    let address = &connection.address;
    let server = format!("{}/{}", DestinationId::server(&address.host, address.port), address.database);
    DestinationId::table([server], &format!("{}.{}", config.schema, config.table))
        .replaced(config.fields().mode == WriteMode::Overwrite)
}
