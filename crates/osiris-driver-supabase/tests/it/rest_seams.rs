//! Where the promise broke between requests, over REST. Each test is named after its number.

use std::time::{Duration, Instant};

use osiris_core::{ErrorKind, RetryPolicy};
use osiris_stand_ins::supabase::Trouble;
use serde_json::json;

use crate::rest_world::{World, table};

const SETUP: &str = "CREATE TABLE t (id bigint PRIMARY KEY, name text)";

#[tokio::test(flavor = "multi_thread")]
async fn s46_a_server_that_asks_for_a_year_ends_the_step_and_the_error_says_until_when() {
    let Some(world) = World::new(SETUP).await else { return };
    let input = world.bench.table("source", "SELECT 1 AS id, 'x' AS name").await.unwrap();
    world.gateway.every("POST", 1, Trouble::RateLimited(31_536_000));
    let started = Instant::now();
    let step = world.bench.step("write", "supabase.writer", table(json!({}))).connection(world.gateway.connection());
    let failure = step.input(&input).retry(RetryPolicy::default()).run().await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(60));
    assert!(failure.error.is_retryable() && failure.attempts == 1, "{:?}", failure.error);
    assert!(failure.error.hint().unwrap().contains("run again after"), "{:?}", failure.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn s47_a_step_cannot_change_what_a_write_means() {
    let Some(world) = World::new(SETUP).await else { return };
    for prefer in ["resolution=merge-duplicates", "tx=rollback", "count=none", "return=minimal", "missing=default"] {
        let text =
            world.refused(table(json!({"prefer": prefer})), "SELECT 1 AS id, 'x' AS name", ErrorKind::Validation).await;
        assert!(text.contains("prefer"), "{text}");
    }
    assert_eq!(world.rows("SELECT count(*) FROM t").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn s48_what_an_overwrite_deletes_is_counted_by_its_keys_even_when_an_answer_is_lost() {
    let Some(world) = World::new(SETUP).await else { return };
    world.execute("INSERT INTO t SELECT i, 'old' FROM generate_series(1, 3000) i").await;
    world.gateway.next_for("DELETE", Trouble::DropAnswer);
    world.gateway.next_for("DELETE", Trouble::LoseAnswer);
    let overwrite = table(json!({"mode": "overwrite", "key": "id"}));
    let output = world.write(overwrite, "SELECT 5 AS id, 'new' AS name").await.unwrap();
    assert_eq!((output.counts.updated, output.counts.deleted), (1, 2999));
    assert_eq!(world.rows("SELECT * FROM t").await, "5|new");
}

#[tokio::test(flavor = "multi_thread")]
async fn s48_rows_that_the_key_may_not_delete_are_no_deleted_rows() {
    let Some(world) = World::new(SETUP).await else { return };
    world
        .execute(
            "INSERT INTO t VALUES (1, 'old'), (2, 'old'); ALTER TABLE t ENABLE ROW LEVEL SECURITY; \
             GRANT ALL ON t TO anon; CREATE POLICY all_but_delete ON t FOR SELECT TO anon USING (true); \
             CREATE POLICY add ON t FOR INSERT TO anon WITH CHECK (true); \
             CREATE POLICY change ON t FOR UPDATE TO anon USING (true)",
        )
        .await;
    let input = world.bench.table("source", "SELECT 3 AS id, 'new' AS name").await.unwrap();
    let connection = world.gateway.connection_with(json!({"key": osiris_stand_ins::supabase::tokens::anon()}));
    let overwrite = table(json!({"mode": "overwrite", "key": "id"}));
    let step = world.bench.step("write", "supabase.writer", overwrite).connection(connection).input(&input);
    let failure = step.run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Permission, "{:?}", failure.error);
    assert!(failure.error.message().contains("2 of 2 rows were not deleted"), "{:?}", failure.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn s49_rows_that_are_ignored_are_counted_by_their_keys() {
    let setup = r#"CREATE TABLE t (a int, "b c" text, name text, PRIMARY KEY (a, "b c"));
        INSERT INTO t SELECT i, 'k,"' || i, 'old' FROM generate_series(1, 1500) i"#;
    let Some(world) = World::new(setup).await else { return };
    let ignore = table(json!({"key": ["a", "b c"], "on_conflict": "ignore"}));
    let data = r#"SELECT i::INTEGER AS a, 'k,"' || i AS "b c", 'new' AS name FROM range(1000, 2000) r(i)"#;
    let before = world.requests("GET");
    let output = world.write(ignore, data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.ignored), (499, 501));
    assert!(world.requests("GET") > before, "nobody asked for the keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn s52_every_page_of_a_read_over_rest_is_an_event() {
    let Some(world) = World::new(SETUP).await else { return };
    world.execute("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 250) i").await;
    world.read(json!({"table": "t", "page_size": 100})).await.unwrap();
    let pages = world.bench.events().matching("event", "extraction.page");
    let rows: u64 = pages.iter().filter_map(|page| page["rows"].as_u64()).sum();
    assert!(pages.len() >= 3 && rows == 250, "{pages:?}");
    assert_eq!(world.bench.telemetry_violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn s61_a_dead_link_is_not_taken_for_requests_that_are_too_large() {
    let Some(world) = World::new(SETUP).await else { return };
    let input = world.bench.table("source", "SELECT i AS id, 'x' AS name FROM range(2000) r(i)").await.unwrap();
    for mode in ["upsert", "overwrite"] {
        let before = world.requests("POST");
        world.gateway.every("POST", 1, Trouble::Slow(Duration::from_secs(600)));
        let started = Instant::now();
        let config = table(json!({"mode": mode, "key": "id", "timeout": 1, "retries": 2}));
        let step = world.bench.step("write", "supabase.writer", config).connection(world.gateway.connection());
        let failure = step.input(&input).retry(RetryPolicy::never()).run().await.unwrap_err();
        world.gateway.calm();
        assert_eq!(failure.error.kind(), ErrorKind::Timeout, "{:?}", failure.error);
        assert!(failure.error.is_connection_failed() && started.elapsed() < Duration::from_secs(30), "{mode}");
        assert!(world.requests("POST") - before <= 3, "{mode}: {} requests", world.requests("POST") - before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s64_an_api_that_is_away_for_some_seconds_is_outlasted_by_default_even_by_an_append() {
    let Some(world) = World::new(SETUP).await else { return };
    let input = world.bench.table("source", "SELECT i AS id, 'x' AS name FROM range(2000) r(i)").await.unwrap();
    // In the middle: what was written before must not be written again.
    for _ in 0..2 {
        world.gateway.next_for("POST", Trouble::Slow(Duration::ZERO));
    }
    for _ in 0..6 {
        world.gateway.next_for("POST", Trouble::RateLimited(1));
    }
    let config = table(json!({"batch_size": 500}));
    let step = world.bench.step("write", "supabase.writer", config).connection(world.gateway.connection());
    let output = step.input(&input).run().await.unwrap();
    assert_eq!((output.rows, output.attempts), (2000, 1));
    assert_eq!(world.rows("SELECT count(*), count(DISTINCT id) FROM t").await, "2000|2000");
}
