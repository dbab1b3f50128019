//! `samplefile.extractor`: reads a table page by page into the store.

use std::sync::Arc;

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, Error, ExecutionContext, Extract, Extracted, Feature,
    Problem, Result, Role, Step, TableSink, Unit, metric,
};
use serde_json::Value;

use crate::client::{self, Connect, Table, blocking};
use crate::config::{ConnectionConfig, ExtractorConfig, check_table};
use crate::types;

/// Reads the rows of a table.
pub struct SampleFileExtractor {
    connect: Connect,
}

impl SampleFileExtractor {
    /// The extractor with the default client.
    pub fn new() -> Self {
        Self::with_client(client::connect())
    }

    /// The extractor with clients that `connect` opens.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }

    async fn open(&self, step: &Step<'_, Self>) -> Result<Table> {
        let (connect, connection) = (Arc::clone(&self.connect), step.connection().clone());
        let name = step.config().table.clone();
        let table = blocking(move || connect(&connection)?.read(&name)).await?;
        if table.columns.is_empty() {
            return Err(Error::validation(format!("the table `{}` has no columns", step.config().table))
                .with_hint("the first line of its file must have their names"));
        }
        Ok(table)
    }
}

impl Default for SampleFileExtractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for SampleFileExtractor {
    const SPEC: ComponentSpec =
        ComponentSpec::new("samplefile.extractor", env!("CARGO_PKG_VERSION"), Role::Extract, "Reads a table")
            .with_connection(ConnectionUse::Required)
            .with_features(&[Feature::Pages]);
    type Connection = ConnectionConfig;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        check_table(&config.table)
    }
}

#[async_trait]
impl Extract for SampleFileExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let Table { columns, rows } = self.open(step).await?;
        let limit = if step.dry_run() { DRY_RUN_ROWS } else { u64::MAX };
        let mut rows = rows.take(usize::try_from(limit).unwrap_or(usize::MAX));
        let schema = types::schema(&columns);
        let sender = out.sender(Arc::clone(&schema)).await?;
        let page_size = step.config().page_size;
        let (mut read, mut pages) = (0, 0_u64);
        loop {
            let (page, rest) = blocking(move || {
                let page = rows.by_ref().take(page_size).collect::<Result<Vec<_>>>()?;
                Ok((page, rows))
            })
            .await?;
            if page.is_empty() {
                break;
            }
            rows = rest;
            read += page.len() as u64;
            pages += 1;
            sender.send(types::batch(&schema, &page)?).await?;
        }
        ctx.log_metric(metric::PAGES_FETCHED, pages, Unit::Calls, Value::Null);
        Ok(Extracted::rows(read))
    }
}
