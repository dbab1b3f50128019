//! `supabase.writer`: the rows of a table into a table of a Supabase project, or of any PostgreSQL behind PostgREST.
//!
//! With a direct channel (see [`osiris_driver_postgres`]) rows go by binary COPY, and each mode is one transaction. Without one (see [`rest`])
//! they go by requests, of which each is a transaction of its own.

mod destination;
mod rest;

use std::path::Path;

use async_trait::async_trait;
use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DestinationId, ExecutionContext, Problem, Result, Role, Step, TableRef,
    Write, Written,
};
use osiris_driver_postgres::write::WriteTask;
use osiris_sql::write::{MappedColumn, map_columns};

use crate::client::advice::by_own_fields;
use crate::client::{Channel, Client, Connect, Target};
use crate::config::{SupabaseConnection, WriterConfig};

/// What a write is about, whatever the channel.
pub(crate) struct Job<'a> {
    pub(crate) config: &'a WriterConfig,
    pub(crate) input: &'a TableRef,
    /// The columns that are written. Those that only order rows are not among them.
    pub(crate) mapped: Vec<MappedColumn>,
    pub(crate) ctx: &'a ExecutionContext,
    pub(crate) dry_run: bool,
}

/// `supabase.writer`.
pub struct SupabaseWriter {
    connect: Connect,
}

impl SupabaseWriter {
    /// The writer as users have it.
    pub fn new() -> Self {
        Self::with_client(crate::client::connect())
    }

    /// The same over another client.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for SupabaseWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for SupabaseWriter {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "supabase.writer",
        env!("CARGO_PKG_VERSION"),
        Role::Write,
        "Writes a table to Supabase or PostgreSQL: appends, replaces all rows, or replaces by key",
    )
    .with_connection(ConnectionUse::Required);

    type Connection = SupabaseConnection;
    type Config = WriterConfig;

    fn validate(config: &WriterConfig) -> Vec<Problem> {
        config.problems()
    }
}

#[async_trait]
impl Write for SupabaseWriter {
    fn destination(&self, config: &WriterConfig, connection: &SupabaseConnection, _: &Path) -> DestinationId {
        destination::destination(config, connection)
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        ctx.rejects().set_limit(config.max_rejects);
        let mapped = map_columns(config.columns.as_ref(), config.order_names(), input)?;
        let job = Job { config, input, mapped, ctx, dry_run: step.dry_run() };
        let client = (self.connect)(Target::new(step.connection(), step.base_dir())).await?;
        let written = match client.channel() {
            Channel::Postgres => direct(&client, &job).await.map_err(by_own_fields),
            Channel::Rest => rest::write(&client, &job).await,
        };
        client.close().await;
        written
    }

    async fn outcome(
        &self,
        step: &Step<'_, Self>,
        intent: &Intent,
        input: Option<&TableRef>,
        ctx: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        let client = (self.connect)(Target::new(step.connection(), step.base_dir())).await?;
        let outcome = match (client.channel(), input) {
            (Channel::Postgres, _) => {
                osiris_driver_postgres::write::outcome(&client.direct().await?, intent).await.map_err(by_own_fields)
            }
            (Channel::Rest, None) => Ok(CommitOutcome::Unknown),
            (Channel::Rest, Some(input)) => {
                let config = step.config();
                let mapped = map_columns(config.columns.as_ref(), config.order_names(), input)?;
                rest::outcome(&client, &Job { config, input, mapped, ctx, dry_run: false }).await
            }
        };
        client.close().await;
        outcome
    }
}

/// Writes over the database; the REST API is told of changed tables when the transaction ends.
async fn direct(client: &Client, job: &Job<'_>) -> Result<Written> {
    let config = job.config.direct();
    let mut task = WriteTask::new(&config, job.input, job.mapped.clone(), job.ctx);
    task.dry_run = job.dry_run;
    task.after_ddl = Some("NOTIFY pgrst, 'reload schema'");
    osiris_driver_postgres::write::write(&client.direct().await?, &task).await
}
