//! `graphql.extractor`: one request for each page; while a page is decoded and stored, the next one is fetched.

mod answer;
mod columns;
mod fetch;
mod nested;
mod pages;
mod plan;
mod store;

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, ExecutionContext, Extract, Extracted, Problem, Result, Role, Step,
    TableSink,
};
use tokio::sync::mpsc;

use crate::client::{Connect, Target, connect};
use crate::config::{GraphqlConfig, GraphqlConnection};
use plan::Plan;

/// Pages on their way between the network and the store.
const PAGES_IN_FLIGHT: usize = 1;

/// Reads the rows of a query.
#[derive(Clone)]
pub struct GraphqlExtractor {
    connect: Connect,
}

impl GraphqlExtractor {
    /// Over HTTP.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// Over clients that `connect` opens: with another clock, another pace, or none at all.
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
    .with_connection(ConnectionUse::Required);
    type Connection = GraphqlConnection;
    type Config = GraphqlConfig;

    fn validate(config: &GraphqlConfig) -> Vec<Problem> {
        match Plan::new(config) {
            Ok(plan) => plan.warnings,
            Err(problems) => problems,
        }
    }
}

#[async_trait]
impl Extract for GraphqlExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let mut plan = Plan::of_checked(step.config())?;
        if step.dry_run() {
            plan.keep_small();
        }
        let target = Target::of_step(step.connection(), step.base_dir(), step.config());
        let client = (self.connect)(&Target { shrinks: plan.shrinks(), ..target })?.for_step(ctx);
        let (sender, receiver) = mpsc::channel(PAGES_IN_FLIGHT);
        let fetching = fetch::pages(&plan, &client, sender, ctx);
        let storing = store::pages(&plan, receiver, out, ctx);
        let ((), extracted) = tokio::try_join!(fetching, storing)?;
        Ok(extracted)
    }
}
