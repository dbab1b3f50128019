//! `posthog.extractor`: every row of a range once, proved by a count, in constant memory.
//!
//! Pages are fetched one behind the other by key while the page before is taken apart and stored. After every stretch of rows, and at the
//! end, PostHog is asked how many there are in it; see [`verify`]. The state is what the next run needs to begin where this one ended.

mod adapt;
mod ident;
mod output;
mod pager;
mod plan;
mod seen;
mod state;
mod take;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, ExecutionContext, Extract, Extracted, Problem, Result, Role,
    Step, TableSink, Unit, metric,
};
use serde_json::Value;

use crate::client::{Client, Connect, connect};
use crate::config::{ExtractorConfig, Moment, PosthogConnection};
use adapt::Adapt;
use output::Output;
use pager::Pager;
use plan::Plan;
use take::Taker;

/// What time it is.
pub type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Pages on their way from the network to the store, besides the one being taken apart.
const PAGES_IN_FLIGHT: usize = 1;

/// Reads events, persons, sessions and distinct ids of a project.
pub struct PosthogExtractor {
    connect: Connect,
    now: Now,
}

impl PosthogExtractor {
    /// The component as users have it.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// With another client [DRV-027].
    pub fn with_client(connect: Connect) -> Self {
        Self { connect, now: Arc::new(Utc::now) }
    }

    /// By another clock, which says where a run ends that has no `until`.
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
        "Reads events, persons, sessions and distinct ids out of PostHog, as far as the last run has not",
    )
    .with_connection(ConnectionUse::Required);

    type Connection = PosthogConnection;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        config.problems()
    }
}

#[async_trait]
impl Extract for PosthogExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let (config, connection) = (step.config(), step.connection());
        let plan = Plan::new(config, connection, step.state(), ctx.state_files(), Moment::from((self.now)()))?;
        let client = Client::open(&self.connect, connection, config.max_requests_per_minute)?.for_step(ctx);
        let output = Output::new(out.widening_sender()?, plan.source, config);
        if step.dry_run() {
            return glimpse(client, plan, output).await;
        }
        extract(client, plan, output, ctx).await
    }
}

/// The whole of it.
async fn extract(client: Client, plan: Plan, output: Output, ctx: &ExecutionContext) -> Result<Extracted> {
    let adapt = Arc::new(Adapt::new(plan.page_size));
    let total = verify::total(&client, &plan).await?;
    if let Some(rows) = total {
        ctx.progress().expect_rows(rows);
    }
    let mut pager = Pager::new(client.clone(), &plan, plan.range.clone(), Arc::clone(&adapt));
    let mut taker = Taker::new(client, &plan, output, adapt, total, ctx)?;
    let (pages, mut queue) = tokio::sync::mpsc::channel(PAGES_IN_FLIGHT);
    let fetch = async {
        // Owned by this half alone: the other one sees the end of the queue when it is dropped.
        let pages = pages;
        while let Some(page) = pager.next().await? {
            if pages.send(page).await.is_err() {
                break;
            }
        }
        Result::<()>::Ok(())
    };
    let take = async {
        while let Some(page) = queue.recv().await {
            taker.take(page).await?;
        }
        Ok(())
    };
    tokio::try_join!(fetch, take)?;
    let ended = taker.finish(pager.columns()).await?;
    ctx.log_metric(metric::PAGES_FETCHED, ended.pages, Unit::Calls, Value::Null);
    Ok(Extracted::rows(ended.read)
        .with_deduplicated(ended.deduplicated)
        .with_altered(ended.altered)
        .with_state(plan.state_after(ended.seen)?))
}

/// A dry run: the first rows, and no state.
async fn glimpse(client: Client, mut plan: Plan, mut output: Output) -> Result<Extracted> {
    let rows = u32::try_from(DRY_RUN_ROWS).unwrap_or(u32::MAX);
    plan.page_size = plan.page_size.min(rows);
    let adapt = Arc::new(Adapt::new(plan.page_size));
    let range = plan.range.clone();
    let mut pager = Pager::new(client, &plan, range, adapt);
    let mut read = 0;
    if let Some(page) = pager.next().await? {
        read = page.rows.len() as u64;
        output.push(&page.columns, page.document, Vec::new()).await?;
    } else {
        output.declare(pager.columns());
    }
    let altered = output.finish().await?;
    Ok(Extracted::rows(read).with_altered(altered))
}
