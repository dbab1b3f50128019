//! How far a query has come, as DuckDB estimates.

use std::sync::Arc;
use std::time::Duration;

use osiris_core::Progress;
use osiris_testkit::Bench;
use serde_json::json;

#[tokio::test]
async fn a_query_says_how_far_it_has_come_while_it_runs() {
    let bench = Bench::new(osiris_driver_duckdb::register).unwrap();
    let table = bench.table("source", "SELECT i, random() AS r FROM range(5000000) x(i)").await.unwrap();
    let progress = Arc::new(Progress::default());
    let config = json!({"query": "SELECT i::VARCHAR AS s, sum(r) AS r FROM source GROUP BY ALL"});
    let step = bench.step("sums", "duckdb.processor", config).input(&table).progress(&progress);
    let mut run = std::pin::pin!(step.run());
    let mut seen = Vec::new();
    let done = loop {
        tokio::select! {
            done = &mut run => break done,
            () = tokio::time::sleep(Duration::from_millis(10)) => seen.extend(progress.share()),
        }
    };
    assert_eq!(done.unwrap().rows, 5_000_000);
    assert!(!seen.is_empty() && seen.is_sorted(), "{seen:?}");
    assert!(seen.iter().all(|share| *share < Progress::WHOLE), "{seen:?}");
    assert_eq!(progress.rows(), 5_000_000);
}
