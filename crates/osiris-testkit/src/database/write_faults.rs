//! A server that dies and a network that breaks in every phase of every mode: the table is the old one or the new one.

use std::time::Duration;

use osiris_core::{ErrorKind, RetryPolicy, StepFailure, StepOutput};
use serde_json::{Value, json};

use super::{DatabaseDriver, DatabaseServer, Writing, lines, settled, through};
use crate::Bench;
use crate::proxy::{Direction, Fault, Proxy};

/// The modes of a writer.
pub const MODES: [&str; 3] = ["append", "overwrite", "upsert"];

const ROWS: u64 = 3000;

/// The configuration of a write in this mode into the table `t`.
pub fn settings(mode: &str) -> Value {
    match mode {
        "upsert" => json!({"table": "t", "mode": mode, "batch_size": 500, "key": "id"}),
        _ => json!({"table": "t", "mode": mode, "batch_size": 500}),
    }
}

/// The statements that make the table as it is before a write: 100 rows of version 0.
pub fn old<S: DatabaseServer>() -> String {
    let numbers = S::numbers(100);
    format!(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t SELECT i, 0 FROM {numbers}"
    )
}

/// What is written in this mode: an append must not meet its own keys.
pub fn data(mode: &str) -> String {
    let first = if mode == "append" { 1000 } else { 1 };
    format!("SELECT (i + {first})::INTEGER AS id, 1 AS v FROM range({ROWS}) r(i)")
}

/// Whether the table is the old one or the new one of this mode. Panics if it is neither.
pub async fn is_new<S: DatabaseServer>(server: &S, mode: &str, when: &str) -> bool {
    let found = lines(&server.rows("SELECT COUNT(*), COALESCE(SUM(v), 0) FROM t").await.unwrap());
    let new = match mode {
        "append" => format!("{}|{ROWS}", ROWS + 100),
        _ => format!("{ROWS}|{ROWS}"),
    };
    assert!(found == "100|0" || found == new, "{mode}, {when}: found {found}");
    found == new
}

/// One attempt of a write.
///
/// # Errors
/// When it fails.
pub async fn once<D: DatabaseDriver>(bench: &Bench, connection: &Value, mode: &str) -> Result<StepOutput, StepFailure> {
    let input = bench.table("source", data(mode).as_str()).await.unwrap();
    let step = bench.step("write", D::WRITER, settings(mode)).connection(connection.clone()).input(&input);
    step.retry(RetryPolicy::never()).run().await
}

/// A failure is of a kind that fits, and one that may be tried again means that nothing was written, or that writing the same again
/// does no harm.
pub fn told(failure: &StepFailure, new: bool, when: &str) {
    let error = &failure.error;
    assert!(matches!(error.kind(), ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Ambiguous), "{when}");
    let harmless = failure.may_have_written;
    assert!(!new || !error.is_retryable() || harmless, "{when}: rows are there, and it would be tried again");
}

/// A connection to the server through the proxy.
pub fn connection<S: DatabaseServer>(server: &S, proxy: &Proxy) -> Value {
    through(server, proxy, &json!({"connect_timeout": 2}))
}

/// Writes over connections that break after so many bytes; the outcome, and whether the rows are there then.
pub async fn cut<D: DatabaseDriver>(
    writing: &Writing<D>,
    proxy: &Proxy,
    (connection, mode, before): (&Value, &str, &str),
    (direction, after): (Direction, u64),
) -> (Result<StepOutput, StepFailure>, bool) {
    writing.execute(before).await;
    proxy.set(Fault::Cut { direction, after });
    let outcome = once::<D>(&writing.bench, connection, mode).await;
    proxy.set(Fault::Pass);
    settled(&writing.server).await;
    let new = is_new(&writing.server, mode, &format!("{direction:?} cut after {after} bytes: {outcome:?}")).await;
    (outcome, new)
}

/// Cuts in both directions, all along the way.
pub async fn a_connection_that_is_cut_anywhere_leaves_the_old_table_or_the_new<D: DatabaseDriver>() {
    let Some(writing) = Writing::<D>::with(Default::default()).await else { return };
    let proxy = Proxy::start(writing.server.address().unwrap()).unwrap();
    let connection = connection(&writing.server, &proxy);
    let before = old::<D::Server>();
    for mode in MODES {
        writing.execute(&before).await;
        let (up, down) = (proxy.passed(Direction::Up), proxy.passed(Direction::Down));
        once::<D>(&writing.bench, &connection, mode).await.unwrap();
        let (up, down) = (proxy.passed(Direction::Up) - up, proxy.passed(Direction::Down) - down);
        let mut outcomes = [0; 2];
        for (direction, all) in [(Direction::Up, up), (Direction::Down, down)] {
            for part in 1..=12 {
                let after = all * part / 12;
                let (outcome, new) = cut(&writing, &proxy, (&connection, mode, &before), (direction, after)).await;
                outcomes[usize::from(new)] += 1;
                let when = format!("{mode}, {direction:?} cut after {after} of {all} bytes: {outcome:?}");
                match outcome {
                    Ok(_) => assert!(new, "{when}"),
                    Err(failure) => told(&failure, new, &when),
                }
            }
        }
        assert!(outcomes[0] > 3, "{mode}: the cuts came too late: {outcomes:?}");
    }
}

/// `kill -9` of the server, all along the way.
pub async fn a_server_that_is_killed_in_any_phase_has_the_old_table_or_the_new<D: DatabaseDriver>() {
    let Some(writing) = Writing::<D>::with(D::Server::durable()).await else { return };
    let proxy = Proxy::start(writing.server.address().unwrap()).unwrap();
    let connection = connection(&writing.server, &proxy);
    let before = old::<D::Server>();
    let Writing { mut server, bench, .. } = writing;
    for mode in MODES {
        server.execute(&before).await.unwrap();
        let start = proxy.passed(Direction::Up);
        once::<D>(&bench, &connection, mode).await.unwrap();
        let all = proxy.passed(Direction::Up) - start;
        for part in [2, 5, 8, 10, 11, 12] {
            server.execute(&before).await.unwrap();
            let start = proxy.passed(Direction::Up);
            let mut write = std::pin::pin!(once::<D>(&bench, &connection, mode));
            let reached = async {
                while proxy.passed(Direction::Up) - start < all * part / 12 {
                    tokio::task::yield_now().await;
                }
            };
            let early = tokio::select! { outcome = &mut write => Some(outcome), () = reached => None };
            server.kill().unwrap();
            let outcome = match early {
                Some(outcome) => outcome,
                None => write.await,
            };
            server.restart().await.unwrap();
            let when = format!("{mode}, killed at {part}/12: {outcome:?}");
            let new = is_new(&server, mode, &when).await;
            match outcome {
                Ok(_) => assert!(new, "{when}"),
                Err(failure) => told(&failure, new, &when),
            }
        }
        server.execute(&before).await.unwrap();
        once::<D>(&bench, &connection, mode).await.unwrap();
        assert!(is_new(&server, mode, "at the end").await);
        assert_eq!(lines(&server.rows(D::Server::TABLES).await.unwrap()), "t", "{mode} left something behind");
    }
}

/// Silence is noticed; a network that is back after a second is used by the next attempt.
pub async fn a_network_that_stalls_is_noticed_and_one_that_comes_back_is_used<D: DatabaseDriver>() {
    let Some(writing) = Writing::<D>::with(Default::default()).await else { return };
    writing.execute(&old::<D::Server>()).await;
    let proxy = Proxy::start(writing.server.address().unwrap()).unwrap();
    let connection = through(&writing.server, &proxy, &D::Server::impatient());
    proxy.set(Fault::Stall { direction: Direction::Up, after: 8000 });
    let failure = once::<D>(&writing.bench, &connection, "append").await.unwrap_err();
    assert!(matches!(failure.error.kind(), ErrorKind::Timeout | ErrorKind::Network), "{:?}", failure.error);
    proxy.set(Fault::Refuse);
    let input = writing.bench.table("source", data("append").as_str()).await.unwrap();
    let retry = RetryPolicy { max_attempts: 20, initial_delay: Duration::from_millis(200), ..RetryPolicy::default() };
    let step = writing.bench.step("write", D::WRITER, settings("append")).connection(connection).input(&input);
    let back = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.set(Fault::Pass);
    };
    let (outcome, ()) = tokio::join!(step.retry(retry).run(), back);
    assert!(outcome.unwrap().attempts > 1);
    assert!(is_new(&writing.server, "append", "after the network came back").await);
}
