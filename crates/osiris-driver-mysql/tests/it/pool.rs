//! What a step leaves at the server, however it ends: nothing.

use std::time::{Duration, Instant};

use osiris_testkit::services::MysqlOptions;
use osiris_testkit::{Bench, Sample};
use serde_json::json;

use super::Server;

/// Polls until the server has no connection but the one that asks.
async fn left_alone(server: &Server, after: &str) {
    let sql = "SELECT GROUP_CONCAT(INFO, COMMAND) FROM information_schema.PROCESSLIST \
               WHERE USER = 'osiris' AND ID <> CONNECTION_ID()";
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match server.value(sql).await.unwrap() {
            None => return,
            Some(left) => assert!(Instant::now() < deadline, "after {after}: {left}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_outlives_its_step() {
    let Some(server) = Server::start_with(MysqlOptions::new()).await.unwrap() else { return };
    server.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await.unwrap();
    let bench = Bench::new(osiris_driver_mysql::register).unwrap();
    let read =
        |query: &str| bench.step("read", "mysql.extractor", json!({"query": query})).connection(server.connection());
    read("SELECT * FROM t").run().await.unwrap();
    left_alone(&server, "a success").await;
    read("SELECT nothing FROM t").run().await.unwrap_err();
    left_alone(&server, "a failure").await;
    // Counting every pair of columns keeps the server busy for a long while, and nothing is sent meanwhile.
    let busy =
        "SELECT COUNT(*) FROM information_schema.COLUMNS a, information_schema.COLUMNS b, information_schema.COLUMNS c";
    let cancelled = tokio::time::timeout(Duration::from_millis(500), read(busy).run()).await;
    assert!(cancelled.is_err(), "the statement was not long enough");
    left_alone(&server, "a cancellation").await;

    let write = |table: &str, create: bool| {
        bench
            .step("write", "mysql.writer", json!({"table": table, "create_table": create}))
            .connection(server.connection())
    };
    let input = bench.table("input", Sample::new(10)).await.unwrap();
    write("w", true).input(&input).run().await.unwrap();
    left_alone(&server, "a written table").await;
    write("missing", false).input(&input).run().await.unwrap_err();
    left_alone(&server, "a table that is missing").await;
}
