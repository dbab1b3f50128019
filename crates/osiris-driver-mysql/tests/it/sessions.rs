//! Sessions of steps that are dropped: whatever the moment, the server is told, and nothing that they made stays.

use std::time::{Duration, Instant};

use osiris_testkit::Bench;
use osiris_testkit::database::config;
use osiris_testkit::services::MysqlOptions;
use serde_json::json;

use super::Server;
use super::subject::Writing;

/// Polls until a query of the administrator gives this value.
async fn until(server: &Server, sql: &str, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = server.value(sql).await.unwrap().unwrap_or_default();
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const SESSIONS: &str = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'osiris'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s63_an_overwrite_that_is_stopped_half_way_leaves_no_table() {
    let Some(mut writing) = Writing::with(MysqlOptions::new()).await else { return };
    // An account that sees everything has the table exchanged.
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'old')").await;
    writing.execute("CREATE USER seer@'%' IDENTIFIED BY 'pw'; GRANT ALL ON *.* TO seer@'%'").await;
    writing.connection = writing.server.connection_with(json!({"user": "seer", "password": "pw"}));
    let data = "SELECT i::INTEGER AS id, repeat('x', 100) AS v FROM range(1000000) r(i)";
    let input = writing.bench.table("source", data).await.unwrap();
    let half_way = async {
        until(
            &writing.server,
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME LIKE '%osiris%new%'",
            "1",
        )
        .await;
    };
    tokio::select! {
        outcome = writing.write_table(config(json!({"mode": "overwrite", "batch_size": 2000})), &input) => {
            panic!("the write was done before it could be stopped: {outcome:?}")
        }
        () = half_way => {}
    }
    assert_eq!(writing.shown("SHOW TABLES").await, "t");
    assert_eq!(writing.shown("SELECT v FROM t").await, "old");
    until(&writing.server, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'seer'", "0").await;
}

/// As after Ctrl-C: the runtime of the step is the one that goes away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s45_the_server_is_told_although_the_runtime_is_shutting_down() {
    let Some(server) = Server::start_with(MysqlOptions::new()).await.unwrap() else { return };
    server.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1)").await.unwrap();
    let mut other = server.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE").execute(&mut other).await.unwrap();
    let connection = server.connection();
    let (started, has_started) = std::sync::mpsc::channel();
    let (stop, is_stopped) = std::sync::mpsc::channel::<()>();
    let step = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.spawn(async move {
            let bench = Bench::new(osiris_driver_mysql::register).unwrap();
            let input = bench.table("source", "SELECT 1 AS id, 2 AS v").await.unwrap();
            let settings = config(json!({"mode": "upsert", "key": "id"}));
            let _ = bench.step("write", "mysql.writer", settings).connection(connection).input(&input).run().await;
        });
        started.send(()).unwrap();
        is_stopped.recv().unwrap();
        runtime.shutdown_timeout(Duration::from_secs(5));
    });
    has_started.recv().unwrap();
    let waits =
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'osiris' AND INFO LIKE 'INSERT INTO%'";
    until(&server, waits, "1").await;
    stop.send(()).unwrap();
    until(&server, SESSIONS, "0").await;
    step.join().unwrap();
}
