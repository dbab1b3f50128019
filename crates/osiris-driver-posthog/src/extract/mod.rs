//! `posthog.extractor`: every row of a range once, verified by a count, in constant memory.
//!
//! Pages are fetched one after the other by key, while the page before is decoded and stored. After every segment of
//! rows, and at the end, PostHog is asked how many rows it has; see [`verify`]. The state is what the next run needs to
//! begin where this one ended.

mod bounds;
mod consumer;
mod ident;
mod late;
mod migrate;
mod output;
mod page;
mod pager;
mod plan;
mod seen_keys;
mod state;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, ExecutionContext, Extract, Extracted, Feature, Problem,
    Result, Role, Step, TableSink, Unit, metric,
};
use osiris_http::pages::{PageSource as _, read_ahead};
use serde_json::Value;

use crate::client::{Client, Connect, connect};
use crate::config::{ConnectionConfig, ExtractorConfig, Timestamp};
use bounds::QueryBounds;
use consumer::PageConsumer;
use output::Output;
use pager::RangePager;
use plan::ExtractPlan;

/// The clock of the extractor.
pub type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Reads events, persons, sessions and distinct ids of a project.
pub struct PosthogExtractor {
    connect: Connect,
    now: Now,
}

impl PosthogExtractor {
    /// The extractor with the default HTTP client and the system's clock.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// The extractor with another client [DRV-027].
    pub fn with_client(connect: Connect) -> Self {
        Self { connect, now: Arc::new(Utc::now) }
    }

    /// With another clock, which says where a run without `until` ends.
    #[must_use]
    pub fn with_clock(mut self, now: Now) -> Self {
        self.now = now;
        self
    }
}

impl Default for PosthogExtractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for PosthogExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "posthog.extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads events, persons, sessions and distinct ids of PostHog, from where the last run ended",
    )
    .with_connection(ConnectionUse::Required)
    .with_features(&[Feature::Pages, Feature::Incremental]);

    type Connection = ConnectionConfig;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        config.problems()
    }
}

#[async_trait]
impl Extract for PosthogExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let (config, connection) = (step.config(), step.connection());
        let plan =
            ExtractPlan::new(config, connection, step.state(), ctx.state_files(), Timestamp::from((self.now)()))?;
        let client = Client::open(&self.connect, connection, config.max_requests_per_minute)?.for_step(ctx);
        let output = Output::new(out.widening_sender()?, plan.source, config);
        if step.dry_run() {
            return dry_run_sample(client, plan, output).await;
        }
        extract(client, plan, output, ctx).await
    }
}

/// Reads every row of the range.
async fn extract(client: Client, plan: ExtractPlan, output: Output, ctx: &ExecutionContext) -> Result<Extracted> {
    if let Some(late) = plan.late_rows(&client).await? {
        ctx.log_metric("rows_late", late, Unit::Rows, Value::Null);
    }
    let bounds = Arc::new(QueryBounds::new(plan.page_size));
    let total = verify::total(&client, &plan).await?;
    if let Some(rows) = total {
        ctx.progress().expect_rows(rows);
    }
    let mut pager = RangePager::new(client.clone(), &plan, plan.range.clone(), Arc::clone(&bounds));
    let mut consumer = PageConsumer::new(client.clone(), &plan, output, bounds, total, ctx)?;
    read_ahead(&mut pager, |queue| consumer.consume(queue)).await?;
    let summary = consumer.finish(pager.columns()).await?;
    ctx.log_metric(metric::PAGES_FETCHED, summary.pages, Unit::Calls, Value::Null);
    Ok(Extracted::rows(summary.read)
        .with_deduplicated(summary.deduplicated)
        .with_altered(summary.altered)
        .with_state(plan.state_after(summary.seen, &client).await?))
}

/// A dry run: the first rows, and no state.
async fn dry_run_sample(client: Client, mut plan: ExtractPlan, mut output: Output) -> Result<Extracted> {
    let rows = u32::try_from(DRY_RUN_ROWS).unwrap_or(u32::MAX);
    plan.page_size = plan.page_size.min(rows);
    let bounds = Arc::new(QueryBounds::new(plan.page_size));
    let range = plan.range.clone();
    let mut pager = RangePager::new(client, &plan, range, bounds);
    let mut read = 0;
    if let Some(page) = pager.next_page().await? {
        read = page.rows.len() as u64;
        output.push(&page.columns, page.document, Vec::new()).await?;
    } else {
        output.declare(pager.columns());
    }
    let altered = output.finish().await?;
    Ok(Extracted::rows(read).with_altered(altered))
}
