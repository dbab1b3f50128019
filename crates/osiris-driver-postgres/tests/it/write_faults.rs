//! What goes wrong while rows are written: as for any database, many cuts in one run, statements that are slow or cancelled, and
//! commits that nobody saw end.

use std::time::{Duration, Instant};

use osiris_core::{ErrorKind, RetryPolicy};
use osiris_testkit::database::config;
use osiris_testkit::database::write_faults::{self, MODES, connection, cut, data, is_new, old, once, settings, told};
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::json;

use crate::subject::{PostgresDriver, Writing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_anywhere_leaves_the_old_table_or_the_new() {
    write_faults::a_connection_that_is_cut_anywhere_leaves_the_old_table_or_the_new::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_any_phase_has_the_old_table_or_the_new() {
    write_faults::a_server_that_is_killed_in_any_phase_has_the_old_table_or_the_new::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_stalls_is_noticed_and_one_that_comes_back_is_used() {
    write_faults::a_network_that_stalls_is_noticed_and_one_that_comes_back_is_used::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_with_ten_cut_connections_ends_with_exactly_the_right_rows() {
    let Some(writing) = Writing::with(PostgresOptions::new()).await else { return };
    let proxy = Proxy::start(writing.server.address().unwrap()).unwrap();
    let connection = connection(&writing.server, &proxy);
    for mode in MODES {
        writing.execute(&old::<Postgres>()).await;
        let input = writing.bench.table("source", data(mode).as_str()).await.unwrap();
        // Each time a little further on its way: in the middle of the rows, before the commit, after it.
        let cut = std::cell::Cell::new(0_u64);
        let next = || {
            let direction = if cut.get().is_multiple_of(2) { Direction::Up } else { Direction::Down };
            let after = if direction == Direction::Up { 6_000 * (cut.get() + 1) } else { 400 * (cut.get() + 1) };
            let fault = if cut.get() < 10 { Fault::Cut { direction, after } } else { Fault::Pass };
            cut.set(cut.get() + 1);
            proxy.set(fault);
        };
        next();
        let mut attempts = 0;
        loop {
            let step = writing.bench.step("write", "postgres.writer", settings(mode)).connection(connection.clone());
            match step.input(&input).retry(RetryPolicy::never()).run().await {
                Ok(_) => break,
                Err(failure) => {
                    attempts += 1;
                    assert!(failure.error.is_retryable(), "{mode}: {:?}", failure.error);
                }
            }
            next();
        }
        proxy.set(Fault::Pass);
        assert!(attempts > 3, "{mode}: nothing was cut");
        assert!(is_new(&writing.server, mode, "after ten cuts").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_slow_but_at_work_is_waited_for() {
    let Some(writing) = Writing::with(PostgresOptions::new()).await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$; \
             CREATE TRIGGER slow AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION slow()",
        )
        .await;
    let connection = writing.server.connection_with(json!({"timeout": 1}));
    let input = writing.bench.table("source", "SELECT 1 AS id, 2 AS v").await.unwrap();
    let step = writing.bench.step("write", "postgres.writer", config(json!({}))).connection(connection).input(&input);
    assert_eq!(step.retry(RetryPolicy::never()).run().await.unwrap().counts.inserted, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_somebody_cancels_leaves_the_old_table() {
    let Some(writing) = Writing::with(PostgresOptions::new()).await else { return };
    writing.execute(&old::<Postgres>()).await;
    let mut other = writing.server.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE t SET v = v WHERE id = 50").execute(&mut other).await.unwrap();
    let canceller = async {
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        let deadline = Instant::now() + Duration::from_secs(60);
        while writing.shown(cancel).await.is_empty() {
            assert!(Instant::now() < deadline, "no statement waits for a lock");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (outcome, ()) = tokio::join!(once::<PostgresDriver>(&writing.bench, &writing.connection, "upsert"), canceller);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Timeout, "{:?}", failure.error);
    assert!(!is_new(&writing.server, "upsert", "cancelled").await);
}

/// A role that cannot sign in again once a row of its is committed.
const ONCE: &str = "DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, v int); \
    INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i; \
    DO $$ BEGIN CREATE ROLE once; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
    ALTER ROLE once LOGIN PASSWORD 'pw'; GRANT ALL ON t TO once; \
    CREATE OR REPLACE FUNCTION lock_out() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS \
      $$ BEGIN ALTER ROLE once NOLOGIN; RETURN NULL; END $$; \
    CREATE TRIGGER lock_out AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION lock_out()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_saw_end_is_asked_for_and_reported_where_nobody_can_be_asked() {
    let Some(writing) = Writing::with(PostgresOptions::new()).await else { return };
    let proxy = Proxy::start(writing.server.address().unwrap()).unwrap();
    let connection = connection(&writing.server, &proxy);
    let before = old::<Postgres>();
    let what = (&connection, "append", before.as_str());
    // The least bytes of answers with which the write ends well.
    let (mut too_few, mut enough) = (0, 1 << 14);
    while too_few + 1 < enough {
        let middle = (too_few + enough) / 2;
        let (outcome, _) = cut(&writing, &proxy, what, (Direction::Down, middle)).await;
        if outcome.is_ok() { enough = middle } else { too_few = middle }
    }
    // Around there the end of the commit is not seen. Over a third connection it is asked for: whether it was done, or never
    // reached the server.
    let (mut done, mut undone) = (0, 0);
    for after in (enough - 40..enough + 4).cycle().take(200) {
        let accepted = proxy.accepted();
        let (outcome, new) = cut(&writing, &proxy, what, (Direction::Down, after)).await;
        let asked = proxy.accepted() - accepted > 2;
        match outcome {
            Ok(_) => {
                assert!(new);
                done += u32::from(asked);
            }
            Err(failure) => {
                told(&failure, new, &format!("{after} bytes: {failure:?}"));
                undone += u32::from(asked && !new && failure.error.is_retryable());
            }
        }
        if done > 0 && undone > 0 {
            break;
        }
    }
    assert!(done > 0 && undone > 0, "nobody had to ask: {done} done, {undone} undone");
    let mut as_once = connection.clone();
    as_once["user"] = json!("once");
    as_once["password"] = json!("pw");
    let what = (&as_once, "append", ONCE);
    // The names are of other lengths, so the place is looked for again.
    for after in (enough - 40..enough + 100).cycle().take(600) {
        let (outcome, new) = cut(&writing, &proxy, what, (Direction::Down, after)).await;
        let Err(failure) = outcome else { continue };
        told(&failure, new, &format!("{after} bytes: {failure:?}"));
        if failure.error.message().contains("either all of the rows are there or none of them") {
            assert!(new && failure.attempts == 1 && !failure.error.is_retryable());
            return;
        }
    }
    panic!("no cut fell into the commit");
}
