//! `postgres.extractor`.

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, ExecutionContext, Extract, Extracted, Feature, Problem, Result,
    ResumeFrom, Role, Step, TableSink,
};

use super::{ExtractTask, SourceSql, TableSql, extract};
use crate::client::{Connect, ConnectionTarget, connect, quote};
use crate::config::{ExtractorConfig, PostgresConnection};

/// `postgres.extractor`.
pub struct PostgresExtractor {
    connect: Connect,
}

impl PostgresExtractor {
    /// The extractor with the default client.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// The same with another client.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for PostgresExtractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for PostgresExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "postgres.extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads a table or a query of PostgreSQL",
    )
    .with_connection(ConnectionUse::Required)
    .with_features(&[Feature::Incremental, Feature::ParallelReads, Feature::Streams]);
    type Connection = PostgresConnection;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        config.problems()
    }

    fn streams(_: &ExtractorConfig, _: &PostgresConnection) -> bool {
        true
    }

    fn resume_from(_: &ExtractorConfig, _: &PostgresConnection) -> ResumeFrom {
        ResumeFrom::Source
    }
}

#[async_trait]
impl Extract for PostgresExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let config = step.config();
        let list;
        let source = match (&config.query, &config.read.table) {
            (Some(query), _) => SourceSql::Query(query),
            (None, table) => {
                let columns = config.read.columns.iter().flatten().map(|name| quote(name)).collect::<Vec<_>>();
                list = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
                SourceSql::Table(TableSql {
                    schema: config.schema.as_deref().unwrap_or("public"),
                    table: table.as_deref().unwrap_or_default(),
                    list: &list,
                    condition: config.read.condition.as_deref(),
                    order_by: config.read.order_by.as_deref(),
                    limit: config.read.limit,
                    offset: config.read.offset,
                })
            }
        };
        let task = ExtractTask {
            state: step.state(),
            dry_run: step.dry_run(),
            timeout: config.timeout,
            statement_timeout: config.statement_timeout,
            batch_size: config.read.batch_size,
            partition_by: config.partition_by.as_deref(),
            partitions: config.partitions,
            cursor: config.read.cursor.as_ref(),
            policies: config.policies,
            ..ExtractTask::new(step.id(), source)
        };
        let client = (self.connect)(ConnectionTarget::new(step.connection(), step.base_dir())).await?;
        let extracted = extract(&client, &task, out, ctx).await;
        client.close().await;
        extracted
    }
}
