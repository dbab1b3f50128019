//! How fast the writer is against `\copy` of psql with a prepared binary file. Run by hand, in release:
//! `cargo test --release -p osiris-driver-postgres --features bundled --test it write_speed -- --ignored --nocapture`

use std::time::Instant;

use osiris_testkit::database::speed::{COLUMNS, TABLE};
use osiris_testkit::services::PostgresOptions;
use serde_json::json;

use crate::subject::Writing;

const ROWS: u64 = 1_500_000;

#[ignore = "a measurement"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measure_loading_against_the_servers_own_client() {
    let options = PostgresOptions::new().with_setting("shared_buffers", "256MB").with_setting("max_wal_size", "4GB");
    let Some(writing) = Writing::with(options).await else { return };
    writing.execute(&format!("CREATE TABLE t {TABLE}; CREATE TABLE by_hand {TABLE}")).await;
    let input =
        writing.bench.table("source", format!("SELECT {COLUMNS} FROM range({ROWS}) r(i)").as_str()).await.unwrap();
    let file = writing.bench.place().join("rows.bin");
    let psql = |command: String| {
        let dsn = writing.server.dsn();
        let status = std::process::Command::new("psql").args([&dsn, "-qc", &command]).status().unwrap();
        assert!(status.success());
    };
    writing.write_table(json!({"table": "t"}), &input).await.unwrap();
    psql(format!("\\copy t TO '{}' (FORMAT binary)", file.display()));
    for _ in 0..3 {
        writing.execute("TRUNCATE t, by_hand").await;
        writing.execute("CHECKPOINT").await;
        let started = Instant::now();
        psql(format!("\\copy by_hand FROM '{}' (FORMAT binary)", file.display()));
        let by_hand = started.elapsed();
        writing.execute("CHECKPOINT").await;
        let started = Instant::now();
        writing.write_table(json!({"table": "t"}), &input).await.unwrap();
        let written = started.elapsed();
        println!(
            "\\copy {by_hand:.2?}, postgres.writer {written:.2?}: {:.2}x",
            written.as_secs_f64() / by_hand.as_secs_f64()
        );
    }
    let started = Instant::now();
    let output = writing.write_table(json!({"table": "t", "mode": "overwrite"}), &input).await.unwrap();
    println!("overwrite of {ROWS} rows {:.2?}: {:?}", started.elapsed(), output.counts);
    writing.execute("CREATE TABLE keyed AS TABLE by_hand; ALTER TABLE keyed ADD PRIMARY KEY (id)").await;
    writing.execute("UPDATE keyed SET note = 'old' WHERE id % 2 = 0; DELETE FROM keyed WHERE id % 5 = 0").await;
    let started = Instant::now();
    let upsert = json!({"table": "keyed", "mode": "upsert", "key": "id"});
    let output = writing.write_table(upsert, &input).await.unwrap();
    println!("upsert of {ROWS} rows {:.2?}: {:?}", started.elapsed(), output.counts);
}
