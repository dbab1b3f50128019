//! A server that dies and a network that breaks in every phase of every mode: the table is the old one or the new one.

use std::time::Duration;

use osiris_core::{ErrorKind, RetryPolicy, StepFailure, StepOutput};
use osiris_testkit::Bench;
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::{Value, json};

use crate::writing::{Fixture, config, shown};

const ROWS: u64 = 3000;
const MODES: [&str; 3] = ["append", "overwrite", "upsert"];

fn settings(mode: &str) -> Value {
    let mut settings = config(json!({"mode": mode, "batch_size": 500}));
    if mode == "upsert" {
        settings["key"] = json!("id");
    }
    settings
}

/// The table before a write: 100 rows of version 0.
/// The test's server commits before it writes; what it had before it is killed must be there after.
const OLD: &str = "SET synchronous_commit = on; \
    DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) i";

fn data(mode: &str) -> String {
    // An append must not meet its own keys.
    let first = if mode == "append" { 1000 } else { 1 };
    format!("SELECT (i + {first})::INTEGER AS id, 1 AS v FROM range({ROWS}) r(i)")
}

/// Whether the table is the old one or the new one of this mode. Panics if it is neither.
async fn is_new(server: &Postgres, mode: &str, when: &str) -> bool {
    let found = shown(server, "SELECT count(*), sum(v) FROM t").await;
    let new = match mode {
        "append" => format!("{}|{ROWS}", ROWS + 100),
        _ => format!("{ROWS}|{ROWS}"),
    };
    assert!(found == "100|0" || found == new, "{mode}, {when}: found {found}");
    found == new
}

async fn once(bench: &Bench, connection: &Value, mode: &str) -> Result<StepOutput, StepFailure> {
    let input = bench.table("source", data(mode).as_str()).await.unwrap();
    let step = bench.step("write", "supabase.writer", settings(mode)).connection(connection.clone()).input(&input);
    step.retry(RetryPolicy::never()).run().await
}

fn through(fixture: &Fixture, proxy: &Proxy) -> Value {
    fixture.server.connection_with(json!({
        "pg_host": "127.0.0.1", "pg_port": proxy.port(), "tls": "disabled", "connect_timeout": 2
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_anywhere_leaves_the_old_table_or_the_new() {
    let Some(fixture) = Fixture::with(PostgresOptions::new()).await else { return };
    let proxy = Proxy::start(fixture.server.address().unwrap()).unwrap();
    let connection = through(&fixture, &proxy);
    for mode in MODES {
        fixture.execute(OLD).await;
        let (up, down) = (proxy.passed(Direction::Up), proxy.passed(Direction::Down));
        once(&fixture.bench, &connection, mode).await.unwrap();
        let (up, down) = (proxy.passed(Direction::Up) - up, proxy.passed(Direction::Down) - down);
        let mut outcomes = [0; 2];
        for (direction, all) in [(Direction::Up, up), (Direction::Down, down)] {
            for part in 1..=12 {
                fixture.execute(OLD).await;
                let after = all * part / 12;
                proxy.set(Fault::Cut { direction, after });
                let outcome = once(&fixture.bench, &connection, mode).await;
                proxy.set(Fault::Pass);
                settled(&fixture).await;
                let when = format!("{direction:?} cut after {after} of {all} bytes: {outcome:?}");
                let new = is_new(&fixture.server, mode, &when).await;
                outcomes[usize::from(new)] += 1;
                match outcome {
                    Ok(_) => assert!(new, "{mode}, {when}"),
                    Err(failure) => told(&failure, new, &format!("{mode}, {when}")),
                }
            }
        }
        assert!(outcomes[0] > 3, "{mode}: the cuts came too late: {outcomes:?}");
    }
}

/// A failure is of a kind that fits, and one that may be tried again means that nothing was written.
fn told(failure: &StepFailure, new: bool, when: &str) {
    let error = &failure.error;
    assert!(matches!(error.kind(), ErrorKind::Network | ErrorKind::Timeout), "{when}");
    assert!(!(new && error.is_retryable()), "{when}: rows are there, and it would be tried again");
}

/// Waits until the server has noticed which connections are gone and has undone their work.
async fn settled(fixture: &Fixture) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'osiris'";
    while fixture.shown(busy).await != "0" {
        let all = "SELECT pid, state, wait_event, query FROM pg_stat_activity WHERE application_name = 'osiris'";
        assert!(std::time::Instant::now() < deadline, "connections stay: {}", fixture.shown(all).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_with_ten_cut_connections_ends_with_exactly_the_right_rows() {
    let Some(fixture) = Fixture::with(PostgresOptions::new()).await else { return };
    let proxy = Proxy::start(fixture.server.address().unwrap()).unwrap();
    let connection = through(&fixture, &proxy);
    for mode in MODES {
        fixture.execute(OLD).await;
        let input = fixture.bench.table("source", data(mode).as_str()).await.unwrap();
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
            let step = fixture.bench.step("write", "supabase.writer", settings(mode)).connection(connection.clone());
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
        assert!(is_new(&fixture.server, mode, "after ten cuts").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_any_phase_has_the_old_table_or_the_new() {
    let Some(fixture) = Fixture::with(PostgresOptions::new()).await else { return };
    let proxy = Proxy::start(fixture.server.address().unwrap()).unwrap();
    let connection = through(&fixture, &proxy);
    let Fixture { mut server, bench, .. } = fixture;
    for mode in MODES {
        server.execute(OLD).await.unwrap();
        let before = proxy.passed(Direction::Up);
        once(&bench, &connection, mode).await.unwrap();
        let all = proxy.passed(Direction::Up) - before;
        for part in [2, 5, 8, 10, 11, 12] {
            server.execute(OLD).await.unwrap();
            let start = proxy.passed(Direction::Up);
            let writing = once(&bench, &connection, mode);
            let mut writing = std::pin::pin!(writing);
            let reached = async {
                while proxy.passed(Direction::Up) - start < all * part / 12 {
                    tokio::task::yield_now().await;
                }
            };
            let early = tokio::select! { outcome = &mut writing => Some(outcome), () = reached => None };
            server.kill().unwrap();
            let outcome = match early {
                Some(outcome) => outcome,
                None => writing.await,
            };
            server.restart().await.unwrap();
            let when = format!("killed at {part}/12: {outcome:?}");
            let new = is_new(&server, mode, &when).await;
            match outcome {
                Ok(_) => assert!(new, "{mode}, {when}"),
                Err(failure) => told(&failure, new, &format!("{mode}, {when}")),
            }
        }
        server.execute(OLD).await.unwrap();
        once(&bench, &connection, mode).await.unwrap();
        assert!(is_new(&server, mode, "at the end").await);
        let tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN \
            ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)";
        assert_eq!(shown(&server, tables).await, "t", "{mode} left something behind");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_stalls_is_noticed_and_one_that_comes_back_is_used() {
    let Some(fixture) = Fixture::with(PostgresOptions::new()).await else { return };
    fixture.execute(OLD).await;
    let proxy = Proxy::start(fixture.server.address().unwrap()).unwrap();
    let mut connection = through(&fixture, &proxy);
    connection["timeout"] = json!(1);
    proxy.set(Fault::Stall { direction: Direction::Up, after: 8000 });
    let failure = once(&fixture.bench, &connection, "append").await.unwrap_err();
    assert!(matches!(failure.error.kind(), ErrorKind::Timeout | ErrorKind::Network), "{:?}", failure.error);
    proxy.set(Fault::Refuse);
    let input = fixture.bench.table("source", data("append").as_str()).await.unwrap();
    let retry = RetryPolicy { max_attempts: 20, initial_delay: Duration::from_millis(200), ..RetryPolicy::default() };
    let step = fixture.bench.step("write", "supabase.writer", settings("append")).connection(connection).input(&input);
    let back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.set(Fault::Pass);
    };
    let (outcome, ()) = tokio::join!(step.retry(retry).run(), back);
    assert!(outcome.unwrap().attempts > 1);
    assert!(is_new(&fixture.server, "append", "after the network came back").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_slow_but_at_work_is_waited_for() {
    let Some(fixture) = Fixture::with(PostgresOptions::new()).await else { return };
    fixture
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$; \
             CREATE TRIGGER slow AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION slow()",
        )
        .await;
    let connection = fixture.server.connection_with(json!({"timeout": 1}));
    let input = fixture.bench.table("source", "SELECT 1 AS id, 2 AS v").await.unwrap();
    let step = fixture.bench.step("write", "supabase.writer", config(json!({}))).connection(connection).input(&input);
    assert_eq!(step.retry(RetryPolicy::never()).run().await.unwrap().counts.inserted, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_somebody_cancels_leaves_the_old_table() {
    let Some(fixture) = Fixture::with(PostgresOptions::new()).await else { return };
    fixture.execute(OLD).await;
    let mut other = fixture.server.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE t SET v = v WHERE id = 50").execute(&mut other).await.unwrap();
    let canceller = async {
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        while fixture.shown(cancel).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (outcome, ()) = tokio::join!(once(&fixture.bench, &fixture.connection, "upsert"), canceller);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Timeout, "{:?}", failure.error);
    assert!(!is_new(&fixture.server, "upsert", "cancelled").await);
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
    let Some(fixture) = Fixture::with(PostgresOptions::new()).await else { return };
    let proxy = Proxy::start(fixture.server.address().unwrap()).unwrap();
    let connection = through(&fixture, &proxy);
    // The least bytes of answers with which the write ends well.
    let (mut too_few, mut enough) = (0, 1 << 14);
    while too_few + 1 < enough {
        let middle = (too_few + enough) / 2;
        if cut(&fixture, &proxy, &connection, OLD, middle).await.0.is_ok() { enough = middle } else { too_few = middle }
    }
    // Around there the end of the commit is not seen. Over a third connection it is asked for: whether it was done, or never
    // reached the server.
    let (mut done, mut undone) = (0, 0);
    for after in (enough - 40..enough + 4).cycle().take(200) {
        let before = proxy.accepted();
        let (outcome, new) = cut(&fixture, &proxy, &connection, OLD, after).await;
        let asked = proxy.accepted() - before > 2;
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
    let mut connection = connection;
    connection["pg_user"] = json!("once");
    connection["pg_password"] = json!("pw");
    // The names are of other lengths, so the place is looked for again.
    for after in (enough - 40..enough + 100).cycle().take(600) {
        let (outcome, new) = cut(&fixture, &proxy, &connection, ONCE, after).await;
        let Err(failure) = outcome else { continue };
        told(&failure, new, &format!("{after} bytes: {failure:?}"));
        if failure.error.message().contains("they are there or not") {
            assert!(new && failure.attempts == 1 && !failure.error.is_retryable());
            return;
        }
    }
    panic!("no cut fell into the commit");
}

/// Appends over connections that break after so many bytes of answers; whether the rows are there then.
async fn cut(
    fixture: &Fixture,
    proxy: &Proxy,
    connection: &Value,
    before: &str,
    after: u64,
) -> (Result<StepOutput, StepFailure>, bool) {
    fixture.execute(before).await;
    proxy.set(Fault::Cut { direction: Direction::Down, after });
    let outcome = once(&fixture.bench, connection, "append").await;
    proxy.set(Fault::Pass);
    settled(fixture).await;
    let new = is_new(&fixture.server, "append", &format!("{after} bytes of answers: {outcome:?}")).await;
    (outcome, new)
}
