//! Files that are locked, damaged or missing, and commits whose outcome is asked for.

use std::fs;
use std::time::{Duration, Instant};

use osiris_core::{CommitOutcome, ErrorKind, Intent};
use osiris_testkit::Bench;
use serde_json::{Value, json};
use sqlx::Executor as _;

use crate::database::{Database, open};

const ONE: &str = "SELECT 1 AS i";

#[tokio::test]
async fn a_locked_file_is_a_timeout_that_is_tried_again() {
    let database = Database::new("CREATE TABLE t (i INTEGER)").await;
    let mut other = open(&database.path).await.unwrap();
    other.execute("BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)").await.unwrap();
    for failure in [database.write(json!({"table": "t"}), ONE).await, database.read(json!({"table": "t"})).await] {
        let error = failure.unwrap_err().error;
        assert!(error.kind() == ErrorKind::Timeout && error.is_retryable(), "{}", error.report());
        assert!(error.hint().unwrap().contains("busy_timeout"));
    }
    other.execute("ROLLBACK").await.unwrap();
    database.write(json!({"table": "t"}), ONE).await.unwrap();
    assert_eq!(database.value("SELECT count(*) FROM t").await, "1");
}

#[tokio::test]
async fn a_reader_that_keeps_the_commit_waiting_leaves_the_old_rows() {
    let database = Database::new("CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (7)").await;
    let mut reader = open(&database.path).await.unwrap();
    reader.execute("BEGIN; SELECT * FROM t").await.unwrap();
    let failure = database.write(json!({"table": "t"}), ONE).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Timeout, "{}", failure.error.report());
    reader.execute("COMMIT").await.unwrap();
    assert_eq!(database.value("SELECT group_concat(i) FROM t").await, "7");
}

#[tokio::test]
async fn a_damaged_file_is_an_error_of_its_own() {
    let database = Database::new(
        "CREATE TABLE t (s TEXT); WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
         INSERT INTO t SELECT printf('%0200d', i) FROM n",
    )
    .await;
    let mut bytes = fs::read(&database.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xa5);
    fs::write(&database.path, bytes).unwrap();
    let failure = database.read(json!({"table": "t"})).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Validation);
    assert!(failure.error.hint().unwrap().contains("backup"), "{}", failure.error.report());
}

async fn health(bench: &Bench, fields: Value) -> String {
    let connection = bench.connection("sqlite.extractor", &fields).unwrap();
    let family = bench.driver("sqlite.extractor").unwrap().family();
    let health = family.check(&connection, Duration::from_secs(2)).await;
    format!("{} {} {:?}", health.ok, health.message, health.details)
}

#[tokio::test]
async fn the_doctor_tells_what_the_file_is() {
    let database = Database::new("CREATE TABLE t (i INTEGER)").await;
    let bench = &database.bench;
    let good = health(bench, database.connection()).await;
    assert!(
        good.starts_with("true") && good.contains("\"tables\": \"1\"") && good.contains("\"encoding\": \"UTF-8\""),
        "{good}"
    );
    let path = bench.place().join("new.db");
    let new = health(bench, json!({"path": path, "create_if_missing": true})).await;
    assert!(new.starts_with("true") && new.contains("a writer creates it") && !path.exists(), "{new}");
    let missing = health(bench, json!({"path": path})).await;
    assert!(missing.starts_with("false there is no file"), "{missing}");
    let text = bench.place().write("text.db", "no database, but long enough for a header ".repeat(20)).unwrap();
    let text = health(bench, json!({"path": text})).await;
    assert!(text.starts_with("false") && text.contains("not a SQLite database"), "{text}");
}

#[tokio::test]
async fn a_missing_file_is_created_only_where_the_connection_says_so_and_read_only_is_kept() {
    let bench = Bench::new(osiris_driver_sqlite::register).unwrap();
    let input = bench.table("input", ONE).await.unwrap();
    let write = |fields: Value, dry_run: bool| {
        let step = bench.step("write", "sqlite.writer", json!({"table": "t", "create_if_missing": true}));
        let step = step.connection(fields).input(&input);
        if dry_run { step.dry_run() } else { step }
    };
    let path = bench.place().join("new.db");
    // A relative path starts at the pipeline's directory.
    let creating = json!({"path": "new.db", "create_if_missing": true});
    write(creating.clone(), true).run().await.unwrap();
    assert!(!path.exists());
    write(creating.clone(), false).run().await.unwrap();
    assert!(path.exists());
    let failure = write(json!({"path": "new.db", "read_only": true}), false).run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Permission);
}

#[tokio::test]
async fn a_query_that_takes_long_ends_with_its_step() {
    let database = Database::new("CREATE TABLE t (i INTEGER)").await;
    let endless =
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT CAST(max(i) AS INTEGER) AS i FROM n";
    let threads = || fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let before = threads();
    let step = database.bench.step("endless", "sqlite.extractor", json!({"query": endless}));
    let step = step.connection(database.connection()).timeout(Duration::from_millis(200));
    let failure = step.retry(osiris_core::RetryPolicy::never()).run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Timeout);
    let deadline = Instant::now() + Duration::from_secs(10);
    while threads() > before {
        assert!(Instant::now() < deadline, "the statement still runs");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn outcome(database: &Database, token: Value) -> CommitOutcome {
    let config = json!({"table": "t", "commit_table": "commits"});
    let connection = json!({"path": database.path, "create_if_missing": true});
    let step = database.bench.step("write", "sqlite.writer", config).connection(connection);
    let (step, request) = step.prepare().unwrap();
    let context = database.bench.run_context().step("write");
    let intent = Intent::new("table `t`").with_token(token);
    step.outcome(&request, &intent, &osiris_core::Inputs::none(), &context).await.unwrap()
}

#[tokio::test]
async fn a_commit_is_found_by_its_row() {
    let database = Database::new("CREATE TABLE t (i INTEGER)").await;
    database.write(json!({"table": "t", "commit_table": "commits"}), ONE).await.unwrap();
    assert_eq!(database.value("SELECT count(*) FROM commits").await, "1");
    let token = database.value("SELECT token FROM commits").await;
    let (now, old) = (database.value("datetime('now')").await, database.value("datetime('now', '-30 days')").await);
    let committed = CommitOutcome::Committed { written: None };
    for (table, token, at, creates, expected) in [
        ("commits", token.as_str(), &now, false, committed),
        ("commits", token.as_str(), &old, false, committed),
        ("commits", "other", &now, false, CommitOutcome::NotCommitted),
        // Its row may have been removed since.
        ("commits", "other", &old, false, CommitOutcome::Unknown),
        ("absent", "other", &now, true, CommitOutcome::NotCommitted),
        // The table was there.
        ("absent", "other", &now, false, CommitOutcome::Unknown),
    ] {
        let intent = json!({"table": table, "token": token, "at": at, "creates": creates});
        assert_eq!(outcome(&database, intent.clone()).await, expected, "{intent}");
    }
    // A token of an earlier version does not say when it was.
    assert_eq!(outcome(&database, json!({"table": "commits", "token": "other"})).await, CommitOutcome::Unknown);
}

#[tokio::test]
async fn a_file_that_is_gone_tells_nothing_and_is_not_created() {
    let database = Database::new("").await;
    fs::remove_file(&database.path).unwrap();
    let token = json!({"table": "commits", "token": "other", "at": "2026-01-01 00:00:00", "creates": true});
    assert_eq!(outcome(&database, token).await, CommitOutcome::Unknown);
    assert!(!database.path.exists());
}
