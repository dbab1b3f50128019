//! `sample.extractor`: pages of rows into the store.

use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{
    Catalog, Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, Discover, Doctor, ExecutionContext, Extract,
    Extracted, Health, Problem, Result, Role, Step, TableSink,
};

use crate::client::{self, Connect, blocking};
use crate::config::{ExtractorConfig, SampleConnection, check_table};
use crate::types;

/// `sample.extractor`.
pub struct SampleExtractor {
    connect: Connect,
}

impl SampleExtractor {
    /// The extractor as users have it.
    pub fn new() -> Self {
        Self::with_client(client::connect())
    }

    /// The same over another client.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for SampleExtractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for SampleExtractor {
    const SPEC: ComponentSpec =
        ComponentSpec::new("sample.extractor", env!("CARGO_PKG_VERSION"), Role::Extract, "reads a table of sample")
            .with_connection(ConnectionUse::Required);
    type Connection = SampleConnection;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        check_table(&config.table)
    }
}

#[async_trait]
impl Extract for SampleExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, _ctx: &ExecutionContext) -> Result<Extracted> {
        let config = step.config();
        let client = (self.connect)(step.connection(), step.base_dir())?;
        let mut rows = client.read(&config.table)?;
        let sender = out.sender(types::schema()).await?;
        let page_size = config.page_size;
        let mut read = 0;
        loop {
            let (page, rest) = blocking(move || {
                let page = rows.by_ref().take(page_size).collect::<Result<Vec<String>>>()?;
                Ok((page, rows))
            })
            .await?;
            if page.is_empty() {
                break;
            }
            rows = rest;
            read += page.len() as u64;
            sender.send(types::batch(&page)?).await?;
            if step.dry_run() && read >= DRY_RUN_ROWS {
                break;
            }
        }
        Ok(Extracted::rows(read))
    }
}

#[async_trait]
impl Discover for SampleExtractor {
    async fn discover(&self, connection: &SampleConnection, pattern: Option<&str>) -> Result<Catalog> {
        let client = (self.connect)(connection, std::path::Path::new("."))?;
        client::discover(client.as_ref(), pattern)
    }
}

#[async_trait]
impl Doctor for SampleExtractor {
    async fn check(&self, connection: &SampleConnection, _limit: Duration) -> Health {
        client::check(&self.connect, connection)
    }
}
