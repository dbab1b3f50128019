//! The extractor through its public interface, on a real store, against a real engine over HTTP.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod access;
mod bad;
mod complete;
mod conformance;
mod discover;
mod early;
mod engines;
mod largest;
mod lost;
mod nested;
mod pages;
mod partial;
mod rows;

use std::sync::Arc;
use std::time::SystemTime;

use osiris_core::{Error, Registry, Result, RetryPolicy, StepOutput};
use osiris_driver_graphql::{Connect, ConnectionTarget, register_with_client, settings};
use osiris_http::{HttpClient, SimulatedClock};
use osiris_stand_ins::graphql::Api;
use osiris_testkit::http_server::{HttpServer, Reply};
use osiris_testkit::{Bench, Rows};
use serde_json::{Value, json};

const COMPONENT: &str = "graphql.extractor";

/// Clients whose waits take no time.
fn quick() -> Connect {
    Arc::new(|target: &ConnectionTarget<'_>| Ok(HttpClient::new(settings(target)?)?.with_clock(Arc::new(clock()))))
}

fn clock() -> SimulatedClock {
    SimulatedClock::starting_at(SystemTime::UNIX_EPOCH)
}

fn bench() -> Bench {
    Bench::new(|registry: &mut Registry| register_with_client(registry, quick())).unwrap()
}

/// Runs one step, without a second try.
async fn run(bench: &Bench, api: &Api, config: Value) -> Result<StepOutput> {
    run_at(bench, json!({"endpoint": api.endpoint()}), config).await
}

async fn run_at(bench: &Bench, connection: Value, config: Value) -> Result<StepOutput> {
    let step = bench.step("items", COMPONENT, config).connection(connection).retry(RetryPolicy::never());
    step.run().await.map_err(Error::from)
}

/// The rows of a step that ended well.
async fn rows(bench: &Bench, output: &StepOutput) -> Rows {
    bench.rows(output.table.as_ref().unwrap()).await.unwrap()
}

/// Kind, message, context and hint of the error of a step, without the port of this run.
async fn failure(api: &Api, config: Value) -> String {
    shown(&run(&bench(), api, config).await.unwrap_err(), api)
}

/// A step against a server with these answers: what came of it, and how many requests there were.
async fn answered(bench: &Bench, replies: Vec<Value>, config: Value) -> (Result<StepOutput>, usize) {
    let replies = replies.iter().map(|reply| Reply::json(200, reply));
    let server = HttpServer::scripted(replies).unwrap();
    let outcome = run_at(bench, json!({"endpoint": server.url()}), config).await;
    (outcome, server.requests().len())
}

fn shown(error: &Error, api: &Api) -> String {
    let address = api.endpoint();
    let host = address.trim_end_matches("/graphql");
    format!("{}: {}", error.kind(), error.report().replace(host, "http://host"))
}

/// Every item by cursor, ten at a time.
fn by_cursor(fields: &str) -> Value {
    let query = format!(
        "query ($first: Int, $after: String) {{ items(first: $first, after: $after) {{
           totalCount nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    json!({
        "query": query,
        "data_path": "data.items.nodes",
        "pagination": {"page_size_variable": "first", "page_size": 10},
    })
}

/// The last value of a metric.
fn metric(bench: &Bench, name: &str) -> Option<u64> {
    bench.metrics().matching("metric", name).last().and_then(|line| line["value"].as_u64())
}
