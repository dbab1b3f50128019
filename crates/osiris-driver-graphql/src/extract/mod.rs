//! `graphql.extractor`: one request for each page; while a page is decoded and stored, the next one is fetched.

mod answer;
mod api;
mod columns;
mod count;
mod nested;
mod plan;
mod store;

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, ExecutionContext, Extract, Extracted, Feature, Problem, Result, Role,
    Step, TableSink,
};
use osiris_http::pages::read_ahead;

use crate::client::{Connect, ConnectionTarget, connect};
use crate::config::{ConnectionConfig, ExtractorConfig};
use api::QueryPages;
use plan::ExtractPlan;

/// Reads the rows of a query.
#[derive(Clone)]
pub struct GraphqlExtractor {
    connect: Connect,
}

impl GraphqlExtractor {
    /// The extractor with the default HTTP client.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// The extractor with clients that `connect` opens, such as with another clock or another pace.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for GraphqlExtractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for GraphqlExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "graphql.extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads the rows of a GraphQL query, page by page",
    )
    .with_connection(ConnectionUse::Inline)
    .with_features(&[Feature::Pages]);
    type Connection = ConnectionConfig;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        match ExtractPlan::new(config) {
            Ok(plan) => plan.warnings,
            Err(problems) => problems,
        }
    }

    fn notes(config: &ExtractorConfig, _: &ConnectionConfig) -> Vec<String> {
        let first = ExtractPlan::new(config).ok().and_then(|plan| plan.first_page());
        first.map(|first| format!("pages from {first}")).into_iter().collect()
    }
}

#[async_trait]
impl Extract for GraphqlExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let mut plan = ExtractPlan::of_checked(step.config())?;
        if step.dry_run() {
            plan.keep_small();
        }
        let target = ConnectionTarget::of_step(step.connection(), step.base_dir(), step.config());
        let client = (self.connect)(&ConnectionTarget { shrinks: plan.shrinks(), ..target })?.for_step(ctx);
        let mut pages = QueryPages::new(&plan, client, ctx);
        read_ahead(&mut pages, |queue| store::pages(&plan, queue, out, ctx)).await
    }
}
