//! `sampleapi.extractor`: one request for each page; while a page is decoded and stored, the next one is fetched.

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, ExecutionContext, Extract, Extracted, Feature, Problem,
    Result, Role, Step, TableSender, TableSink,
};
use osiris_http::pages::{PagePosition, PageQueue, Pager, read_ahead};
use osiris_http::{Document, RowDecoder};

use crate::client::{self, Client, Connect, ResourcePages};
use crate::config::{ConnectionConfig, ExtractorConfig};
use crate::types;

/// Reads the rows of a resource.
pub struct SampleApiExtractor {
    connect: Connect,
}

impl SampleApiExtractor {
    /// The extractor with the default HTTP client.
    pub fn new() -> Self {
        Self::with_client(client::connect())
    }

    /// The extractor with clients that `connect` opens.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for SampleApiExtractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for SampleApiExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "sampleapi.extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads the rows of a resource, page by page",
    )
    .with_connection(ConnectionUse::Required)
    .with_features(&[Feature::Pages]);
    type Connection = ConnectionConfig;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        config.problems()
    }
}

#[async_trait]
impl Extract for SampleApiExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let config = step.config();
        let page_size = if step.dry_run() { config.page_size.min(DRY_RUN_ROWS) } else { config.page_size };
        let api = ResourcePages {
            client: Client::open(&self.connect, step.connection())?.for_step(ctx),
            resource: config.resource.clone(),
        };
        let position = PagePosition::cursor("cursor").with_size("limit", page_size);
        let mut pager = Pager::new(api, position, ctx).with_max_pages(config.max_pages).with_sample(step.dry_run());
        let sender = out.widening_sender()?;
        read_ahead(&mut pager, |pages| store(pages, sender)).await
    }
}

/// Decodes pages on a thread for blocking work, and sends their rows to the store in batches.
async fn store(mut pages: PageQueue<Document>, sender: TableSender) -> Result<Extracted> {
    let mut decoder = RowDecoder::new(types::row_options());
    while let Some(page) = pages.next().await {
        decoder = decoder.decode(page).await?;
        while let Some(batch) = decoder.next_batch() {
            sender.send(batch).await?;
        }
    }
    while let Some(batch) = decoder.finish()? {
        sender.send(batch).await?;
    }
    Ok(Extracted::rows(decoder.rows()).with_altered(decoder.altered()))
}
