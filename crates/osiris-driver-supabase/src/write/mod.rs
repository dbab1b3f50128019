//! `supabase.writer`: writes a table to a Supabase project, or to any PostgreSQL behind PostgREST.
//!
//! With a direct channel (see [`osiris_driver_postgres`]) rows are sent with binary COPY, and each mode is one
//! transaction. Without one (see [`rest`]) they are sent in requests, each of which is a separate transaction.

mod destination;
mod rest;

use std::path::Path;

use async_trait::async_trait;
use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DestinationId, ExecutionContext, Feature, Problem, Result, Role, Step,
    TableRef, Write, Written,
};
use osiris_driver_postgres::write::WriteTask;
use osiris_sql::write::{Dedupe, MappedColumn, map_columns};

use crate::client::advice::by_own_fields;
use crate::client::{Channel, Client, Connect, Target};
use crate::config::{SupabaseConnection, WriterConfig};

/// The context of a write, for both channels.
pub(crate) struct WriteRequest<'a> {
    pub(crate) config: &'a WriterConfig,
    pub(crate) input: &'a TableRef,
    /// The columns to write, without those that only order rows.
    pub(crate) mapped: Vec<MappedColumn>,
    pub(crate) ctx: &'a ExecutionContext,
    pub(crate) dry_run: bool,
}

/// `supabase.writer`.
pub struct SupabaseWriter {
    connect: Connect,
}

impl SupabaseWriter {
    /// The writer with the default client.
    pub fn new() -> Self {
        Self::with_client(crate::client::connect())
    }

    /// The same with another client.
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
    .with_connection(ConnectionUse::Required)
    .with_features(&[Feature::Streams]);

    type Connection = SupabaseConnection;
    type Config = WriterConfig;

    fn validate(config: &WriterConfig) -> Vec<Problem> {
        config.problems()
    }

    /// Over REST each batch is committed by itself.
    fn streams(config: &WriterConfig, connection: &SupabaseConnection) -> bool {
        Channel::choose(connection).is_ok_and(|channel| channel == Channel::Postgres)
            && config.conflict.dedupe == Dedupe::Error
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
        let mapped = map_columns(config.columns.as_ref(), config.fields().order_names(), input)?;
        let job = WriteRequest { config, input, mapped, ctx, dry_run: step.dry_run() };
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
                let mapped = map_columns(config.columns.as_ref(), config.fields().order_names(), input)?;
                rest::outcome(&client, &WriteRequest { config, input, mapped, ctx, dry_run: false }).await
            }
        };
        client.close().await;
        outcome
    }
}

/// Writes over the database; the REST API is notified of changed tables when the transaction ends.
async fn direct(client: &Client, job: &WriteRequest<'_>) -> Result<Written> {
    let config = job.config.direct(&client.target().connection);
    let mut task = WriteTask::new(&config, job.input, job.mapped.clone(), job.ctx);
    task.dry_run = job.dry_run;
    task.after_ddl = Some("NOTIFY pgrst, 'reload schema'");
    osiris_driver_postgres::write::write(&client.direct().await?, &task).await
}
