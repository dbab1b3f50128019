//! `sqlite.writer`: the rows of a table into a table of a file, in one transaction.

mod commit;
mod loader;
mod merge;
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
use crate::client::{Access, Connect, Target, connect};
use crate::config::{ConnectionConfig, WriterConfig};

/// Writes rows to a table.
pub struct SqliteWriter {
    connect: Connect,
}

impl SqliteWriter {
    /// The writer with the default client.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// The writer with clients that `connect` opens.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for SqliteWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for SqliteWriter {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "sqlite.writer",
        env!("CARGO_PKG_VERSION"),
        Role::Write,
        "Writes a table to a SQLite database: appends, replaces all rows, or replaces by key",
    )
    .with_connection(ConnectionUse::Required);
    type Connection = ConnectionConfig;
    type Config = WriterConfig;

    fn validate(config: &WriterConfig) -> Vec<Problem> {
        config.problems()
    }
}

#[async_trait]
impl Write for SqliteWriter {
    fn destination(&self, config: &WriterConfig, connection: &ConnectionConfig, base: &Path) -> DestinationId {
        let path = base.join(&connection.path);
        // A file that a writer creates is found by its directory.
        let directory = path.parent().and_then(|directory| directory.canonicalize().ok());
        let missing = directory.zip(path.file_name()).map(|(directory, name)| directory.join(name));
        let path = path.canonicalize().ok().or(missing).unwrap_or(path);
        DestinationId::table([path.display().to_string()], &config.table.to_lowercase())
            .replaced(config.fields().mode == WriteMode::Overwrite)
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        ctx.rejects().set_limit(config.write.max_rejects);
        let mapped = map_columns(config.write.columns.as_ref(), config.fields().order_names(), input)?;
        let access = if step.dry_run() { Access::Check } else { Access::Write };
        let target = Target::new(step.connection(), step.base_dir(), access);
        let file = target.path.display().to_string();
        let mut client = (self.connect)(target).await?;
        let encoding = client.row("PRAGMA encoding", "opening the file").await?.into_iter().next().flatten();
        let in_utf_16 = encoding.is_some_and(|encoding| encoding != "UTF-8");
        let task = WriteTask { config, file, input, mapped, ctx, dry_run: step.dry_run(), in_utf_16 };
        let written = task.run(&mut client).await;
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
        let target = Target::new(step.connection(), step.base_dir(), Access::Ask);
        if !target.path.exists() {
            // Whether it was there, and what became of it, is not known.
            return Ok(CommitOutcome::Unknown);
        }
        let mut client = (self.connect)(target).await?;
        let outcome = commit::outcome(&mut client, intent).await;
        client.close().await;
        outcome
    }
}
