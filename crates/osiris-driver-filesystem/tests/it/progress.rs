//! Counters that advance while DuckDB reads or writes a Parquet file, and while a CSV file is scanned.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use osiris_core::Progress;
use osiris_testkit::Bench;
use serde_json::json;

const ROWS: u64 = 4_000_000;

/// The rows that were counted while `work` went on, those at its beginning and at its end left out.
async fn sampled<T>(progress: &Progress, work: impl Future<Output = T>) -> (T, Vec<u64>) {
    let mut work = std::pin::pin!(work);
    let mut seen = Vec::new();
    loop {
        tokio::select! {
            done = &mut work => return (done, seen),
            () = tokio::time::sleep(Duration::from_millis(10)) => {
                let rows = progress.rows();
                if rows > 0 && rows < ROWS {
                    seen.push(rows);
                }
            }
        }
    }
}

#[tokio::test]
async fn rows_are_counted_while_duckdb_writes_and_reads_a_parquet_file() {
    let bench = Bench::new(osiris_driver_filesystem::register).unwrap();
    let rows = format!("SELECT i, random() AS r, i::VARCHAR AS s FROM range({ROWS}) x(i)");
    let table = bench.table("source", rows.as_str()).await.unwrap();
    let path = bench.place().join("out.parquet");
    let write = json!({"path": path});
    let read = json!({"path": path, "materialize": "table"});
    for (id, component, config) in
        [("write", "filesystem.parquet_writer", write), ("read", "filesystem.parquet_extractor", read)]
    {
        let progress = Arc::new(Progress::default());
        let mut step = bench.step(id, component, config).progress(&progress);
        if id == "write" {
            step = step.input(&table);
        }
        let (done, seen) = sampled(&progress, step.run()).await;
        done.unwrap();
        assert!(!seen.is_empty() && seen.is_sorted(), "{component}: {seen:?}");
        assert_eq!(progress.rows(), ROWS, "{component}");
    }
}

#[tokio::test]
async fn bytes_of_a_csv_file_that_is_scanned_twice_or_unpacked_are_never_more_than_expected() {
    let bench = Bench::new(osiris_driver_filesystem::register).unwrap();
    // DuckDB takes one kind of line end: such a file is scanned once more for a copy.
    let mixed = format!("a,b\n{}", "1,x\n2,y\r\n".repeat(10_000));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(mixed.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    for (id, extension, bytes) in [("mixed", "csv", mixed.into_bytes()), ("packed", "csv.gz", packed)] {
        let path = bench.place().join(format!("{id}.{extension}"));
        std::fs::write(&path, &bytes).unwrap();
        let progress = Arc::new(Progress::default());
        let step = bench.step(id, "filesystem.csv_extractor", json!({"path": path})).progress(&progress);
        step.run().await.unwrap();
        let (done, all) = (progress.bytes(), progress.total_bytes().unwrap());
        assert_eq!(all, bytes.len() as u64, "{id}");
        assert!(done > all / 2 && done <= all, "{id}: {done} of {all}");
    }
}
