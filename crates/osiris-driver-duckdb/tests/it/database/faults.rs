//! Files that are locked, damaged or missing, and commits whose outcome is asked for.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use osiris_core::{CommitOutcome, ErrorKind, Intent};
use osiris_testkit::Bench;
use serde_json::{Value, json};

use super::Database;

const ONE: &str = "SELECT 1 AS i";
/// The file that a process of the test keeps open, in its environment.
const HELD: &str = "OSIRIS_TEST_HELD_DATABASE";

/// No test: a process that opens a file and waits for the end of its input.
#[test]
fn another_process_holds_the_file() {
    let Some(path) = std::env::var_os(HELD) else { return };
    let _connection = duckdb::Connection::open(&path).unwrap();
    fs::write(format!("{}.open", path.display()), "").unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[tokio::test]
async fn a_file_that_another_program_has_open_is_a_timeout_that_is_tried_again() {
    let database = Database::new("CREATE TABLE t (i INTEGER)");
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "database::faults::another_process_holds_the_file", "--nocapture"])
        .env(HELD, &database.path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let open = database.path.with_extension("duckdb.open");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !open.exists() {
        assert!(Instant::now() < deadline, "the other process does not open the file");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for failure in [database.write(json!({"table": "t"}), ONE).await, database.read(json!({"table": "t"})).await] {
        let error = failure.unwrap_err().error;
        assert!(error.kind() == ErrorKind::Timeout && error.is_retryable(), "{}", error.report());
        assert!(error.message().contains("another program") && error.hint().unwrap().contains("busy_timeout"));
    }
    drop(other.stdin.take());
    other.wait().unwrap();
    database.write(json!({"table": "t"}), ONE).await.unwrap();
    assert_eq!(database.value("SELECT count(*) FROM t"), "1");
}

#[tokio::test]
async fn a_damaged_file_is_an_error_of_its_own() {
    let database = Database::new("CREATE TABLE t AS SELECT i, repeat('x', 200) AS s FROM range(20000) r(i)");
    let mut bytes = fs::read(&database.path).unwrap();
    // Behind the headers.
    bytes[12_288..].iter_mut().for_each(|byte| *byte ^= 0xa5);
    fs::write(&database.path, bytes).unwrap();
    let error = database.read(json!({"table": "t"})).await.unwrap_err().error;
    assert_eq!(error.kind(), ErrorKind::Validation, "{}", error.report());
    assert!(error.hint().unwrap().contains("backup"), "{}", error.report());
}

async fn health(bench: &Bench, fields: Value) -> String {
    let connection = bench.connection("duckdb.extractor", &fields).unwrap();
    let family = bench.driver("duckdb.extractor").unwrap().family();
    let health = family.check(&connection, Duration::from_secs(2)).await;
    format!("{} {} {:?}", health.ok, health.message, health.details)
}

#[tokio::test]
async fn the_doctor_tells_what_the_file_is() {
    let database = Database::new("CREATE TABLE t (i INTEGER)");
    let bench = &database.bench;
    let good = health(bench, database.connection()).await;
    assert!(
        good.starts_with("true") && good.contains("\"tables\": \"1\"") && good.contains("duckdb_version"),
        "{good}"
    );
    let path = bench.place().join("new.duckdb");
    let new = health(bench, json!({"path": path, "create_if_missing": true})).await;
    assert!(new.starts_with("true") && new.contains("a writer creates it") && !path.exists(), "{new}");
    let missing = health(bench, json!({"path": path})).await;
    assert!(missing.starts_with("false there is no file"), "{missing}");
    let text = bench.place().write("text.duckdb", "no database, but long enough for a header ".repeat(200)).unwrap();
    let text = health(bench, json!({"path": text})).await;
    assert!(text.starts_with("false") && text.contains("not a DuckDB database"), "{text}");
    let sqlite = bench.place().write("a.db", format!("SQLite format 3\0{}", "\0".repeat(5000))).unwrap();
    let sqlite = health(bench, json!({"path": sqlite})).await;
    assert!(sqlite.starts_with("false") && sqlite.contains("such as SQLite"), "{sqlite}");
}

#[tokio::test]
async fn a_missing_file_is_created_only_where_the_connection_says_so_and_read_only_is_kept() {
    let bench = Bench::new(osiris_driver_duckdb::register).unwrap();
    let input = bench.table("input", ONE).await.unwrap();
    let write = |fields: Value, dry_run: bool| {
        let step = bench.step("write", "duckdb.writer", json!({"table": "t", "create_if_missing": true}));
        let step = step.connection(fields).input(&input);
        if dry_run { step.dry_run() } else { step }
    };
    let path = bench.place().join("new.duckdb");
    // A relative path starts at the pipeline's directory.
    let creating = json!({"path": "new.duckdb", "create_if_missing": true});
    write(creating.clone(), true).run().await.unwrap();
    assert!(!path.exists());
    write(creating.clone(), false).run().await.unwrap();
    assert!(path.exists());
    let failure = write(json!({"path": "new.duckdb", "read_only": true}), false).run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Permission);
    let failure = write(json!({"path": "absent.duckdb"}), false).run().await.unwrap_err();
    assert!(failure.error.hint().unwrap().contains("create_if_missing"), "{}", failure.error.report());
    let nowhere = json!({"path": "no/new.duckdb", "create_if_missing": true});
    let failure = write(nowhere, false).run().await.unwrap_err();
    assert!(failure.error.message().contains("there is no directory"), "{}", failure.error.report());
}

#[tokio::test]
async fn a_query_that_takes_long_ends_with_its_step() {
    let database = Database::new("CREATE TABLE t (i INTEGER)");
    let endless = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT (i + 1) % 1000 FROM n) SELECT max(i) AS i FROM n";
    let step = database.bench.step("endless", "duckdb.extractor", json!({"query": endless}));
    let step = step.connection(database.connection()).timeout(Duration::from_millis(300));
    let failure = step.retry(osiris_core::RetryPolicy::never()).run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Timeout, "{}", failure.error.report());
    // The file is free again: whoever writes waits until it is.
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, database.write(json!({"table": "t"}), ONE)).await.unwrap().unwrap();
}

async fn outcome(database: &Database, token: Value) -> CommitOutcome {
    let config = json!({"table": "t", "commit_table": "commits"});
    let connection = json!({"path": database.path, "create_if_missing": true});
    let step = database.bench.step("write", "duckdb.writer", config).connection(connection);
    let (step, request) = step.prepare().unwrap();
    let context = database.bench.run_context().step("write");
    let intent = Intent::new("table `t`").with_token(token);
    step.outcome(&request, &intent, &osiris_core::Inputs::none(), &context).await.unwrap()
}

#[tokio::test]
async fn a_commit_is_found_by_its_row() {
    let database = Database::new("CREATE TABLE t (i INTEGER)");
    database.write(json!({"table": "t", "commit_table": "commits"}), ONE).await.unwrap();
    assert_eq!(database.value("SELECT count(*) FROM commits"), "1");
    let token = database.value("SELECT token FROM commits");
    let now = database.value("SELECT committed_at FROM commits");
    let old = database.value("SELECT committed_at - to_days(31) FROM commits");
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
    fs::remove_file(&database.path).unwrap();
    let token = json!({"table": "commits", "token": "other", "at": now, "creates": true});
    assert_eq!(outcome(&database, token).await, CommitOutcome::Unknown);
    assert!(!database.path.exists());
}
