//! `supabase.extractor`: a table, or a query, of a Supabase project, or of any PostgreSQL behind PostgREST.
//!
//! With a direct channel (see [`direct`]) rows are read with binary COPY from one snapshot. Without one (see [`rest`])
//! they are read page by page.

mod direct;
mod rest;

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, ExecutionContext, Extract, Extracted, Feature, Problem, Result,
    ResumeFrom, Role, Step, TableSink,
};

use crate::client::advice::by_own_fields;
use crate::client::{Channel, Connect, Target, connect};
use crate::config::{ExtractorConfig, SupabaseConnection};

/// `supabase.extractor`.
pub struct SupabaseExtractor {
    connect: Connect,
}

impl SupabaseExtractor {
    /// The extractor with the default client.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// The same with another client.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for SupabaseExtractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for SupabaseExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "supabase.extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads a table or a query of Supabase, over its database or its REST API",
    )
    .with_connection(ConnectionUse::Required)
    .with_features(&[Feature::Pages, Feature::Incremental, Feature::ParallelReads, Feature::Streams]);
    type Connection = SupabaseConnection;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        config.problems()
    }

    fn warnings(config: &ExtractorConfig, connection: &SupabaseConnection) -> Vec<Problem> {
        let is_rest = Channel::choose(connection).is_ok_and(|channel| channel == Channel::Rest);
        let warning = config.cursor.as_ref().filter(|_| is_rest).and_then(|cursor| {
            cursor.late_commits(
                "/cursor",
                "the REST API does not report open transactions",
                "or read over the database (`dsn` or `pg_host` in the connection), where they are waited for",
            )
        });
        warning.into_iter().collect()
    }

    fn streams(_: &ExtractorConfig, connection: &SupabaseConnection) -> bool {
        Channel::choose(connection).is_ok_and(|channel| channel == Channel::Postgres)
    }

    fn resume_from(_: &ExtractorConfig, connection: &SupabaseConnection) -> ResumeFrom {
        match Channel::choose(connection) {
            Ok(Channel::Postgres) => ResumeFrom::Source,
            _ => ResumeFrom::Store,
        }
    }
}

#[async_trait]
impl Extract for SupabaseExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let client = (self.connect)(Target::new(step.connection(), step.base_dir())).await?;
        let extracted = match client.channel() {
            Channel::Postgres => direct::extract(&client.direct().await?, step, out, ctx).await.map_err(by_own_fields),
            Channel::Rest => {
                let config = step.config();
                let table = config.table.as_deref().unwrap_or_default();
                let job = rest::RestExtractTask {
                    config,
                    table,
                    id: step.id(),
                    state: step.state(),
                    dry_run: step.dry_run(),
                    ctx,
                };
                rest::extract(&client, &job, out).await
            }
        };
        client.close().await;
        extracted
    }
}
