//! What became of a write that nobody saw end: the answer to COMMIT lost, the link stalled before it, the process killed behind it, the
//! run cancelled during it. Each test is named after its number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use osiris_core::ErrorKind;
use osiris_core::commit::{CommitEnd, CommitOutcome, Intent};
use osiris_testkit::database::commits::{Log, Run};
use osiris_testkit::database::{settled, through};
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use serde_json::{Value, json};

use crate::subject::Writing;

const ROWS: u64 = 3000;
/// How long a connection waits for an answer.
const READ_LIMIT: Duration = Duration::from_secs(2);
const DATA: &str = "SELECT i::INTEGER AS id, 1 AS v FROM range(3000) r(i)";
const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v int)";

fn config(mode: &str) -> Value {
    match mode {
        "upsert" => json!({"table": "t", "mode": mode, "key": "id", "batch_size": 50}),
        _ => json!({"table": "t", "mode": mode, "batch_size": 50}),
    }
}

/// A server, a proxy before it and a connection through that.
async fn behind_a_proxy() -> Option<(Writing, Arc<Proxy>, Value)> {
    let writing = Writing::new().await?;
    writing.execute(TABLE).await;
    let proxy = Arc::new(Proxy::start(writing.server.address().unwrap()).unwrap());
    let connection = through(&writing.server, &proxy, &json!({"connect_timeout": 5, "timeout": READ_LIMIT.as_secs()}));
    Some((writing, proxy, connection))
}

async fn count(writing: &Writing) -> u64 {
    writing.shown("SELECT count(*) FROM t").await.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s59_a_lost_answer_to_commit_is_asked_for_and_the_step_goes_on() {
    let Some((writing, proxy, connection)) = behind_a_proxy().await else { return };
    for mode in ["append", "overwrite", "upsert"] {
        writing.execute("DELETE FROM t").await;
        // COMMIT arrives and its answer does not, until the time limit of the connection has passed.
        let (link, connections) = (Arc::clone(&proxy), Arc::new(AtomicU64::new(0)));
        let before = Arc::clone(&connections);
        let log = Log::new(move || {
            before.store(link.accepted(), SeqCst);
            link.set(Fault::BLACK_HOLE);
            let link = Arc::clone(&link);
            std::thread::spawn(move || {
                std::thread::sleep(READ_LIMIT + Duration::from_millis(500));
                link.set(Fault::Pass);
            });
        });
        let output =
            Run::new(&writing.bench, "postgres.writer", &connection, config(mode), DATA, &log).await.run().await;
        let output = output.unwrap_or_else(|failure| panic!("{mode}: {:?}", failure.error));
        assert_eq!((output.rows, output.attempts, count(&writing).await), (ROWS, 1, ROWS), "{mode}");
        assert!(proxy.accepted() > connections.load(SeqCst), "{mode}: nobody asked over another connection");
        assert!(matches!(log.ends().as_slice(), [CommitEnd::Committed { .. }]), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s57_a_commit_that_is_stuck_in_the_network_never_takes_place_once_it_is_said_not_to_have() {
    let Some((writing, proxy, connection)) = behind_a_proxy().await else { return };
    let stall = Arc::clone(&proxy);
    // Only the first commit gets stuck.
    let once = std::sync::Once::new();
    let log = Log::new(move || once.call_once(|| stall.set(Fault::Stall { direction: Direction::Up, after: 20_000 })));
    let run = Run::new(&writing.bench, "postgres.writer", &connection, config("append"), DATA, &log).await;
    let failure = run.run().await.unwrap_err();
    assert!(failure.error.is_retryable() && failure.error.kind() != ErrorKind::Ambiguous, "{:?}", failure.error);
    assert_eq!(log.ends().last(), Some(&CommitEnd::NotCommitted));
    // The network comes back, and with it whatever was under way.
    proxy.set(Fault::Pass);
    settled(&writing.server).await;
    assert_eq!(count(&writing).await, 0);
    assert_eq!(run.asked(&log.intent()).await, CommitOutcome::NotCommitted);
    assert_eq!(run.run().await.unwrap_or_else(|failure| panic!("{:?}", failure.error)).rows, ROWS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s57_where_nobody_can_be_asked_the_step_is_ambiguous() {
    let Some((writing, proxy, connection)) = behind_a_proxy().await else { return };
    let stall = Arc::clone(&proxy);
    let log = Log::new(move || stall.set(Fault::BLACK_HOLE));
    let run = Run::new(&writing.bench, "postgres.writer", &connection, config("append"), DATA, &log).await;
    let failure = run.run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Ambiguous, "{:?}", failure.error);
    assert!(!failure.error.is_retryable() && failure.attempts == 1);
    assert!(
        failure.error.message().contains("either all of the rows are there or none of them"),
        "{:?}",
        failure.error
    );
    // COMMIT arrived: only the answer did not.
    proxy.set(Fault::Pass);
    settled(&writing.server).await;
    let there = count(&writing).await;
    let expected = if there == ROWS { CommitOutcome::Committed { written: None } } else { CommitOutcome::NotCommitted };
    assert_eq!(run.asked(&log.intent()).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s58_a_run_that_is_cancelled_while_the_server_commits_learns_that_the_rows_are_there() {
    let Some((writing, proxy, connection)) = behind_a_proxy().await else { return };
    let connection = {
        let mut patient = connection;
        patient["timeout"] = json!(30);
        patient
    };
    let stall = Arc::clone(&proxy);
    let log = Log::new(move || stall.set(Fault::Stall { direction: Direction::Down, after: 0 }));
    let run = Run::new(&writing.bench, "postgres.writer", &connection, config("append"), DATA, &log).await;
    let cancel = run.context().cancel().clone();
    let interrupted = async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while count(&writing).await == 0 {
            assert!(Instant::now() < deadline, "nothing was committed");
        }
        cancel.cancel();
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.set(Fault::Pass);
    };
    let (output, ()) = tokio::join!(run.run(), interrupted);
    let output = output.unwrap_or_else(|failure| panic!("{:?}", failure.error));
    assert_eq!((output.rows, count(&writing).await), (ROWS, ROWS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s60_a_run_that_resumes_one_that_was_killed_behind_its_commit_asks_for_the_transaction() {
    let Some((writing, _proxy, connection)) = behind_a_proxy().await else { return };
    let log = Log::new(|| {});
    let run = Run::new(&writing.bench, "postgres.writer", &connection, config("append"), DATA, &log).await;
    run.run().await.unwrap();
    // As the record has it: the answer was never written down.
    let record = serde_json::to_value(log.intent()).unwrap();
    let intent: Intent = serde_json::from_value(record.clone()).unwrap();
    assert_eq!(run.asked(&intent).await, CommitOutcome::Committed { written: None });
    assert_eq!(intent.written().unwrap().inserted, ROWS);
    // One that was rolled back, and one that is still waiting for us.
    for (end, outcome) in
        [("ROLLBACK", CommitOutcome::NotCommitted), ("COMMIT", CommitOutcome::Committed { written: None })]
    {
        let mut session = writing.server.connect().await.unwrap();
        let (number,): (i64,) = {
            sqlx::raw_sql("BEGIN; DELETE FROM t WHERE id = 1").execute(&mut session).await.unwrap();
            sqlx::query_as("SELECT txid_current()").fetch_one(&mut session).await.unwrap()
        };
        sqlx::raw_sql(end).execute(&mut session).await.unwrap();
        let mut token = intent.token().clone();
        token["transaction"] = json!(number.to_string());
        assert_eq!(run.asked(&Intent::new("t").with_token(token)).await, outcome, "{end}");
    }
    // Another server has transactions of the same numbers.
    let mut token = intent.token().clone();
    token["server"] = json!("1");
    let asked = run.outcome(&Intent::new("t").with_token(token)).await;
    assert!(asked.unwrap_err().message().contains("another server"));
}
