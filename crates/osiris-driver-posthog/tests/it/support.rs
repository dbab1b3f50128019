//! Helpers: a stand-in, a bench, and steps of the extractor.

use std::sync::Arc;
use std::time::Duration;

use osiris_core::{Registry, Result, RetryPolicy, StepFailure, StepOutput};
use osiris_driver_posthog::{Connect, Posthog, PosthogExtractor};
use osiris_stand_ins::posthog::{Event, PostHog};
use osiris_testkit::{Bench, BenchStep};
use serde_json::{Value, json};

/// 2024-01-31T12:00:00Z, in microseconds.
pub(crate) const NOON: i64 = 1_706_702_400_000_000;
/// A minute in microseconds.
pub(crate) const MINUTE: i64 = 60_000_000;

/// Where runs begin, well before [`NOON`].
pub(crate) fn config(mut fields: Value) -> Value {
    let since = json!("2024-01-01");
    if fields["data_type"] != "person_distinct_ids" {
        fields.as_object_mut().unwrap().entry("initial_since").or_insert(since);
    }
    fields
}

/// The extractor with hardly a delay between its tries.
pub(crate) fn register(registry: &mut Registry) -> Result<()> {
    registry.family(Posthog::new(impatient_client())).extractor(impatient()).add()
}

/// The same, not yet registered.
pub(crate) fn impatient() -> PosthogExtractor {
    PosthogExtractor::with_client(impatient_client())
}

fn impatient_client() -> Connect {
    Arc::new(|settings| {
        let retry = RetryPolicy { initial_delay: Duration::from_millis(1), ..RetryPolicy::times(5) };
        osiris_http::HttpClient::new(settings.with_retry(retry))
    })
}

/// A bench with an extractor for which waiting takes no time.
pub(crate) fn timeless_bench() -> Bench {
    let connect = |settings| {
        let clock = osiris_http::SimulatedClock::starting_at(std::time::SystemTime::now());
        Ok(osiris_http::HttpClient::new(settings)?.with_clock(Arc::new(clock)))
    };
    Bench::new(|registry| registry.extractor(PosthogExtractor::with_client(Arc::new(connect))).add()).unwrap()
}

/// A bench with the impatient extractor.
pub(crate) fn bench() -> Bench {
    Bench::new(register).unwrap()
}

/// A step over the stand-in.
pub(crate) fn step<'a>(bench: &'a Bench, posthog: &PostHog, fields: Value) -> BenchStep<'a> {
    bench
        .step("events", "posthog.extractor", config(fields))
        .connection(posthog.connection())
        .retry(RetryPolicy::never())
}

/// Runs the extractor over the stand-in.
pub(crate) async fn run(bench: &Bench, posthog: &PostHog, fields: Value) -> Result<StepOutput, StepFailure> {
    step(bench, posthog, fields).run().await
}

/// Events with these timestamps, numbered from `first`.
pub(crate) fn events(first: u64, timestamps: impl IntoIterator<Item = i64>) -> Vec<Event> {
    (first..).zip(timestamps).map(|(number, timestamp)| Event::numbered(number, timestamp)).collect()
}

/// The ids of the step's table, in its order.
pub(crate) async fn ids(bench: &Bench, column: &str) -> Vec<String> {
    let rows = bench.query(&format!("SELECT \"{column}\" FROM steps.events")).await.unwrap();
    rows.rows().iter().map(|row| row[0].clone().unwrap()).collect()
}
