//! Writing over REST when connections break: never a row twice, never one missing without a word.

use std::time::Duration;

use osiris_core::ErrorKind;
use osiris_stand_ins::supabase::Trouble;
use serde_json::json;

use crate::rest_world::{World, table};

const SETUP: &str = "CREATE TABLE t (id bigint PRIMARY KEY, name text); CREATE TABLE bare (id bigint, name text)";
const ROWS: &str = "SELECT i AS id, 'row ' || i AS name FROM range(2000) r(i)";

/// Ways to break ten requests, before and after they were done.
const TROUBLES: [Trouble; 5] =
    [Trouble::DropAnswer, Trouble::CutRequest, Trouble::LoseAnswer, Trouble::CutAnswer(1), Trouble::Status(503)];

#[tokio::test(flavor = "multi_thread")]
async fn ten_cut_connections_in_the_middle_of_a_write_end_with_exactly_the_right_rows() {
    let Some(world) = World::new(SETUP).await else { return };
    world.execute("INSERT INTO t SELECT i, 'old' FROM generate_series(1000, 2999) i").await;
    for (mode, expected) in [("upsert", "3000|2000"), ("overwrite", "2000|2000")] {
        let before = world.requests("POST");
        // One in three requests breaks.
        for trouble in TROUBLES.iter().cycle().take(10) {
            world.gateway.next_for("POST", Trouble::Slow(Duration::ZERO));
            world.gateway.next_for("POST", Trouble::Slow(Duration::ZERO));
            world.gateway.next_for("POST", trouble.clone());
        }
        let config = table(json!({"mode": mode, "key": "id", "batch_size": 50, "retries": 5}));
        let output = world.write(config, ROWS).await.unwrap_or_else(|failure| panic!("{:?}", failure.error));
        assert_eq!(output.rows, 2000, "{mode}");
        let found = world.rows("SELECT count(*), count(*) FILTER (WHERE name = 'row ' || id) FROM t").await;
        assert_eq!(found, expected, "{mode}");
        assert_eq!(world.requests("POST") - before, 1 + 40 + 10, "ten of them came again");
        world.gateway.calm();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_ignores_known_keys_is_repeated_and_never_doubles() {
    let Some(world) = World::new(SETUP).await else { return };
    world.gateway.every("POST", 4, Trouble::DropAnswer);
    let config = table(json!({"key": "id", "on_conflict": "ignore", "batch_size": 100}));
    let output = world.write(config, ROWS).await.unwrap();
    assert_eq!(output.rows, 2000);
    assert_eq!(world.rows("SELECT count(*), count(DISTINCT id) FROM t").await, "2000|2000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_append_is_repeated_only_where_nothing_was_done() {
    let Some(world) = World::new(SETUP).await else { return };
    // The first request asks, without a row; the second has rows.
    for harmless in [Trouble::RateLimited(1), Trouble::CutRequest] {
        world.execute("DELETE FROM bare").await;
        world.gateway.next_for("POST", Trouble::Slow(Duration::ZERO));
        world.gateway.next_for("POST", harmless.clone());
        let written = world.write(json!({"table": "bare"}), "SELECT i AS id, 'x' AS name FROM range(20) r(i)").await;
        world.gateway.calm();
        match written {
            Ok(output) => assert_eq!(output.rows, 20, "{harmless:?}"),
            // A connection that breaks says nothing of what was done.
            Err(failure) => assert!(failure.error.report().contains("outcome: unknown"), "{:?}", failure.error),
        }
        let count: u64 = world.rows("SELECT count(*) FROM bare").await.parse().unwrap();
        assert!(count == 0 || count == 20, "{count}");
    }
    for trouble in [Trouble::DropAnswer, Trouble::LoseAnswer, Trouble::CutAnswer(0)] {
        world.execute("DELETE FROM bare").await;
        world.gateway.next_for("POST", Trouble::Slow(Duration::ZERO));
        world.gateway.next_for("POST", Trouble::Slow(Duration::ZERO));
        world.gateway.next_for("POST", trouble.clone());
        let config = json!({"table": "bare", "batch_size": 10});
        let written = world.write(config, "SELECT i AS id, 'x' AS name FROM range(30) r(i)").await;
        world.gateway.calm();
        let rows = world.rows("SELECT count(*), count(DISTINCT id) FROM bare").await;
        match written {
            Ok(_) => assert_eq!(rows, "30|30", "{trouble:?}"),
            Err(failure) => {
                let error = failure.error;
                assert!(!error.is_retryable(), "{error:?}");
                assert!(
                    error.report().contains("outcome: unknown") && error.report().contains("rows written before: 10"),
                    "{}",
                    error.report()
                );
                assert_eq!(rows, "20|20", "{trouble:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_of_an_overwrite_are_repeated_too() {
    let Some(world) = World::new(SETUP).await else { return };
    world.execute("INSERT INTO t SELECT i, 'old' FROM generate_series(1, 3000) i").await;
    world.gateway.every("DELETE", 2, Trouble::DropAnswer);
    world.gateway.every("GET", 3, Trouble::CutAnswer(100));
    let output =
        world.write(table(json!({"mode": "overwrite", "key": "id"})), "SELECT 5 AS id, 'new' AS name").await.unwrap();
    assert_eq!(output.counts.updated, 1);
    assert_eq!(world.rows("SELECT * FROM t").await, "5|new");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_dies_in_the_middle_is_waited_for_and_the_write_goes_on() {
    let Some(mut world) = World::new(SETUP).await else { return };
    world.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.0005); RETURN NEW; END';
         CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    .await;
    let input = world.bench.table("source", ROWS).await.unwrap();
    let config = table(json!({"mode": "upsert", "key": "id", "batch_size": 100, "retries": 8}));
    let step =
        world.bench.step("write", "supabase.writer", config).connection(world.gateway.connection()).input(&input);
    let (server, api, gateway) = (&world.server, &mut world.api, &world.gateway);
    let kill = async {
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while gateway.requests().iter().filter(|seen| seen.method() == "POST").count() < 4 {
            assert!(std::time::Instant::now() < deadline, "{}", server.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        api.kill().unwrap();
        api.restart().await.unwrap();
    };
    let (written, ()) = tokio::join!(step.run(), kill);
    let output = written.unwrap_or_else(|failure| panic!("{:?}", failure.error));
    assert_eq!(output.rows, 2000);
    assert_eq!(world.rows("SELECT count(*) FROM t WHERE name = 'row ' || id").await, "2000");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_pass_is_not_tried_again() {
    let Some(world) = World::new(SETUP).await else { return };
    let input = world.bench.table("source", "SELECT 1 AS id, 'x' AS name").await.unwrap();
    let write = |key: String| {
        let connection = world.gateway.connection_with(json!({"key": key}));
        world.bench.step("write", "supabase.writer", table(json!({}))).connection(connection).input(&input).run()
    };
    let expired = write(osiris_stand_ins::supabase::tokens::expired()).await.unwrap_err();
    assert_eq!(expired.error.kind(), ErrorKind::Auth, "{:?}", expired.error);
    let before = world.gateway.requests().len();
    world.execute("REVOKE ALL ON t FROM anon").await;
    let anon = write(osiris_stand_ins::supabase::tokens::anon()).await.unwrap_err();
    assert!(matches!(anon.error.kind(), ErrorKind::Permission | ErrorKind::Validation), "{:?}", anon.error);
    assert!(world.gateway.requests().len() - before <= 2, "nothing is repeated");
}
