//! Reading by ranges: every row once, all of one snapshot.

use osiris_core::ErrorKind;
use serde_json::json;

use super::{DatabaseDriver, DatabaseServer, Reading, texts};

/// Every row of `t` once by each of the columns: 5002 rows, whose `x` are 1 to 5000, -1 and -2, or none.
pub async fn ranges_hold_every_row_once<D: DatabaseDriver>(reading: &Reading<D>, columns: &[&str]) {
    let setup = "CREATE TABLE e (id INT); CREATE TABLE one (id INT); INSERT INTO one VALUES (5), (5), (NULL)";
    reading.execute(setup).await;
    for column in columns {
        for (source, name) in [("table", "t"), ("query", "SELECT * FROM t")] {
            let config = json!({source: name, "partition_by": column, "partitions": 3});
            let output = reading.run("ranges", config, json!({})).await;
            let output = output.unwrap_or_else(|failure| panic!("{source} {column}: {}", failure.error.report()));
            assert_eq!((output.rows, output.counts.read), (5002, 5002), "{source} {column}");
            let sums = reading.bench.query("SELECT sum(x), count(DISTINCT x) FROM steps.ranges").await.unwrap();
            assert_eq!(texts(&sums), [["12502497", "5002"]], "{source} {column}");
        }
    }
    for (table, rows) in [("e", 0), ("one", 3)] {
        let output = reading.run("small", json!({"table": table, "partition_by": "id"}), json!({})).await.unwrap();
        assert_eq!(output.rows, rows);
    }
}

/// Amounts move between the ranges all the while, and their sum stays.
pub async fn ranges_are_of_one_snapshot<D: DatabaseDriver>(reading: &Reading<D>) {
    let numbers = D::Server::numbers(4000);
    let setup =
        format!("CREATE TABLE t (id INT PRIMARY KEY, amount BIGINT); INSERT INTO t SELECT i, 1000 FROM {numbers}");
    reading.execute(&setup).await;
    let mut session = reading.server.session().await.unwrap();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::spawn(async move {
        let mut moves = 0_u32;
        while stopped.try_recv().is_err() {
            let (from, to) = (moves % 1000 + 1, 4000 - moves % 997);
            let sql = format!(
                "BEGIN; UPDATE t SET amount = amount - 7 WHERE id = {from}; \
                 UPDATE t SET amount = amount + 7 WHERE id = {to}; COMMIT"
            );
            D::Server::run(&mut session, &sql).await.unwrap();
            moves += 1;
        }
        moves
    });
    for (source, name) in [("table", "t"), ("query", "SELECT * FROM t")].into_iter().cycle().take(12) {
        let config = json!({source: name, "partition_by": "id", "partitions": 4});
        reading.run("moving", config, json!({})).await.unwrap();
        let sum = reading.bench.query("SELECT sum(amount), count(*) FROM steps.moving").await.unwrap();
        assert_eq!(texts(&sum), [["4000000", "4000"]]);
    }
    stop.send(()).unwrap();
    assert!(writer.await.unwrap() > 12, "the writer did not move anything meanwhile");
}

/// A column that cannot be divided is refused.
pub async fn refuses_a_column_without_ranges<D: DatabaseDriver>(reading: &Reading<D>) {
    let failure = reading.failure(json!({"query": "SELECT 'x' AS v", "partition_by": "v"})).await;
    assert_eq!(failure.error.kind(), ErrorKind::Validation);
    assert!(failure.error.report().contains("`v` cannot be split into ranges"), "{}", failure.error.report());
}
