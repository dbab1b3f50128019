//! A server that dies and a network that breaks in every phase of every mode: the table is the old one or the new one.

use std::time::Duration;

use osiris_core::{ErrorKind, RetryPolicy, StepFailure, StepOutput};
use osiris_testkit::Bench;
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::{Mariadb, MariadbOptions};
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
const OLD: &str =
    "DROP TABLE IF EXISTS t; CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t SELECT seq, 0 FROM seq_1_to_100";

fn data(mode: &str) -> String {
    // An append must not meet its own keys.
    let first = if mode == "append" { 1000 } else { 1 };
    format!("SELECT (i + {first})::INTEGER AS id, 1 AS v FROM range({ROWS}) r(i)")
}

/// Whether the table is the old one or the new one of this mode. Panics if it is neither.
async fn is_new(server: &Mariadb, mode: &str, when: &str) -> bool {
    let found = shown(server, "SELECT COUNT(*), COALESCE(SUM(v), 0) FROM t").await;
    let new = match mode {
        "append" => format!("{}|{ROWS}", ROWS + 100),
        _ => format!("{ROWS}|{ROWS}"),
    };
    assert!(found == "100|0" || found == new, "{mode}, {when}: found {found}");
    found == new
}

async fn once(bench: &Bench, connection: &Value, mode: &str) -> Result<StepOutput, StepFailure> {
    let input = bench.table("source", data(mode).as_str()).await.unwrap();
    let step = bench.step("write", "mysql.writer", settings(mode)).connection(connection.clone()).input(&input);
    step.retry(RetryPolicy::never()).run().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_anywhere_leaves_the_old_table_or_the_new() {
    let Some(fixture) = Fixture::new().await else { return };
    let proxy = Proxy::start(fixture.server.address().unwrap()).unwrap();
    let connection =
        fixture.server.connection_with(json!({"host": "127.0.0.1", "port": proxy.port(), "tls": "disabled"}));
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
        once(&fixture.bench, &connection, mode).await.ok();
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
    let busy =
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER <> 'system user'";
    while fixture.shown(busy).await != "0" {
        assert!(
            std::time::Instant::now() < deadline,
            "connections stay: {}",
            fixture.shown("SHOW FULL PROCESSLIST").await
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_any_phase_has_the_old_table_or_the_new() {
    let options = MariadbOptions::new().with_setting("innodb-flush-log-at-trx-commit", "1");
    let Some(fixture) = Fixture::with(options).await else { return };
    let proxy = Proxy::start(fixture.server.address().unwrap()).unwrap();
    let connection =
        fixture.server.connection_with(json!({"host": "127.0.0.1", "port": proxy.port(), "tls": "disabled"}));
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
        assert_eq!(shown(&server, "SHOW TABLES").await, "t", "{mode} left something behind");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_stalls_is_noticed_and_one_that_comes_back_is_used() {
    let Some(fixture) = Fixture::new().await else { return };
    fixture.execute(OLD).await;
    let proxy = Proxy::start(fixture.server.address().unwrap()).unwrap();
    let connection = fixture.server.connection_with(json!({
        "host": "127.0.0.1", "port": proxy.port(), "tls": "disabled", "read_timeout": 1, "connect_timeout": 1
    }));
    proxy.set(Fault::Stall { direction: Direction::Up, after: 4000 });
    let failure = once(&fixture.bench, &connection, "append").await.unwrap_err();
    assert!(matches!(failure.error.kind(), ErrorKind::Timeout | ErrorKind::Network), "{:?}", failure.error);
    proxy.set(Fault::Refuse);
    let input = fixture.bench.table("source", data("append").as_str()).await.unwrap();
    let retry = RetryPolicy { max_attempts: 20, initial_delay: Duration::from_millis(200), ..RetryPolicy::default() };
    let step = fixture.bench.step("write", "mysql.writer", settings("append")).connection(connection).input(&input);
    let back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.set(Fault::Pass);
    };
    let (outcome, ()) = tokio::join!(step.retry(retry).run(), back);
    assert!(outcome.unwrap().attempts > 1);
    assert!(is_new(&fixture.server, "append", "after the network came back").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_somebody_kills_leaves_the_old_table() {
    let Some(fixture) = Fixture::new().await else { return };
    fixture.execute(OLD).await;
    let mut other = fixture.server.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE t SET v = v + 0 WHERE id = 50; SELECT * FROM t FOR UPDATE")
        .execute(&mut other)
        .await
        .unwrap();
    let connection = fixture.connection.clone();
    let killer = async {
        let find = "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'";
        loop {
            if let Some(id) = fixture.server.value(find).await.unwrap() {
                fixture.execute(&format!("KILL QUERY {id}")).await;
                return;
            }
            // The server renews this view only when it was left alone for a tenth of a second.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    let (outcome, ()) = tokio::join!(once(&fixture.bench, &connection, "upsert"), killer);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Timeout, "{:?}", failure.error);
    assert!(!is_new(&fixture.server, "upsert", "killed").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_saw_end_is_reported_as_such_and_not_tried_again() {
    let Some(fixture) = Fixture::new().await else { return };
    let proxy = Proxy::start(fixture.server.address().unwrap()).unwrap();
    let connection =
        fixture.server.connection_with(json!({"host": "127.0.0.1", "port": proxy.port(), "tls": "disabled"}));
    // How many bytes of answers the write needs: the last of them are the answer to the commit.
    let (mut too_few, mut enough) = (0, 1 << 16);
    while too_few + 1 < enough {
        let middle = (too_few + enough) / 2;
        if cut(&fixture, &proxy, &connection, middle).await.0.is_ok() { enough = middle } else { too_few = middle }
    }
    for less in 1..16 {
        let (outcome, new) = cut(&fixture, &proxy, &connection, enough - less).await;
        let Err(failure) = outcome else { continue };
        told(&failure, new, &format!("{less} bytes less: {failure:?}"));
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
    after: u64,
) -> (Result<StepOutput, StepFailure>, bool) {
    fixture.execute(OLD).await;
    proxy.set(Fault::Cut { direction: Direction::Down, after });
    let outcome = once(&fixture.bench, connection, "append").await;
    proxy.set(Fault::Pass);
    settled(fixture).await;
    let new = is_new(&fixture.server, "append", &format!("{after} bytes of answers: {outcome:?}")).await;
    (outcome, new)
}
