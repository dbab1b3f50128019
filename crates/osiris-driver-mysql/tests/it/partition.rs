//! Reading by ranges: every row once, of one moment, or a refusal that names what is missing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use osiris_core::ErrorKind;
use osiris_testkit::database::ranges;
use osiris_testkit::services::MysqlOptions;
use serde_json::json;

use super::subject::Reading;

#[tokio::test]
async fn ranges_of_every_kind_hold_every_row_once() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading.execute(&format!("GRANT RELOAD ON *.* TO {}", reading.server.account())).await;
    reading
        .execute(
            "CREATE TABLE t (id BIGINT UNSIGNED, d DATE, m DATETIME(6), s TIMESTAMP NULL, x INT) ENGINE=InnoDB;
             INSERT INTO t SELECT seq * 1000003, '2000-01-01' + INTERVAL seq DAY, '2000-01-01' + INTERVAL seq * 7 MINUTE, \
             '2000-01-01' + INTERVAL seq HOUR, seq FROM JSON_TABLE(CONCAT('[', REPEAT('0,', 4999), '0]'), '$[*]' COLUMNS (seq FOR ORDINALITY)) numbers;
             INSERT INTO t VALUES (NULL, NULL, NULL, NULL, -1), (18446744073709551615, '9999-12-31', '9999-12-31', NULL, -2)",
        )
        .await;
    ranges::ranges_hold_every_row_once(&reading, &["id", "d", "m", "s", "x"]).await;
    let failure = reading
        .run("wide", json!({"table": "t", "partition_by": "x", "partitions": 200}), json!({}))
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Validation, "{}", failure.error.report());
}

#[tokio::test]
async fn all_ranges_are_read_at_one_moment_while_amounts_move_between_them() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading.execute(&format!("GRANT RELOAD ON *.* TO {}", reading.server.account())).await;
    ranges::ranges_are_of_one_snapshot(&reading).await;
}

#[tokio::test]
async fn a_missing_privilege_is_named_and_nothing_is_read() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    let database = reading.server.database();
    reading
        .execute(&format!(
            "CREATE TABLE t (id INT) ENGINE=InnoDB; INSERT INTO t VALUES (1), (2); \
             CREATE USER reader IDENTIFIED BY 'secret'; GRANT SELECT ON `{database}`.* TO reader"
        ))
        .await;
    let account = json!({"user": "reader", "password": "secret"});
    for (source, name, right) in [("table", "t", "LOCK TABLES"), ("query", "SELECT * FROM t", "RELOAD")] {
        let config = json!({source: name, "partition_by": "id"});
        let failure = reading.run("refused", config, account.clone()).await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Permission);
        assert!(failure.error.report().contains(right), "{}", failure.error.report());
        assert_eq!(failure.counts.read, 0);
    }
    reading.execute(&format!("GRANT LOCK TABLES ON `{database}`.* TO reader")).await;
    let output = reading.run("allowed", json!({"table": "t", "partition_by": "id"}), account).await.unwrap();
    assert_eq!(output.rows, 2);
}

#[tokio::test]
async fn columns_that_cannot_be_divided_and_clauses_that_contradict_are_refused() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading.execute("CREATE TABLE old (id INT) ENGINE=MyISAM").await;
    let failure = reading.failure(json!({"table": "old", "partition_by": "id"})).await;
    assert!(
        failure.error.report().contains("has the engine MyISAM without transactions"),
        "{}",
        failure.error.report()
    );
    ranges::refuses_a_column_without_ranges(&reading).await;
    let problems_of = |config| reading.bench.config_problems("mysql.extractor", &config).unwrap();
    let problems = problems_of(json!({
        "table": "t", "query": "DELETE FROM t", "partition_by": "a", "cursor": {"column": "b"}, "partitions": 1
    }));
    assert!(problems.iter().any(|problem| problem.pointer == "/partitions"), "{problems:?}");
    let config =
        json!({"table": "t", "partition_by": "a", "cursor": {"column": "b"}, "limit": 3, "columns": ["a", "A"]});
    let problems: BTreeSet<String> = problems_of(config).into_iter().map(|problem| problem.pointer).collect();
    assert_eq!(problems.iter().collect::<Vec<_>>(), ["/columns/1", "/limit", "/partition_by"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s43_writers_are_let_through_while_the_lock_is_waited_for() {
    for (what, source, lock) in [("table", "t", "LOCK TABLES%"), ("query", "SELECT id, v FROM t", "FLUSH TABLES%")] {
        let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
        reading.execute(&format!("GRANT RELOAD ON *.* TO {}", reading.server.account())).await;
        reading.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2)").await;
        let mut slow = reading.server.connect().await.unwrap();
        let id: u64 = sqlx::query_scalar("SELECT CONNECTION_ID()").fetch_one(&mut slow).await.unwrap();
        let statement = sqlx::raw_sql("UPDATE t SET v = v + SLEEP(100) WHERE id = 1").execute(&mut slow);
        let waits = async |statement: &str| {
            let sql = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '{statement}'");
            let deadline = Instant::now() + Duration::from_secs(60);
            while reading.server.value(&sql).await.unwrap().as_deref() == Some("0") {
                assert!(Instant::now() < deadline, "no `{statement}` runs");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let extraction = async {
            waits("UPDATE t%").await;
            let config = json!({what: source, "partition_by": "id", "timeout": 60});
            reading.run("parts", config, json!({})).await
        };
        let others = async {
            waits(lock).await;
            let started = Instant::now();
            reading.execute("INSERT INTO t VALUES (3, 3)").await;
            assert!(started.elapsed() < Duration::from_secs(10), "{what}: {:?}", started.elapsed());
            reading.execute(&format!("KILL {id}")).await;
        };
        let (output, (), ended) = tokio::join!(extraction, others, statement);
        assert!(ended.is_err(), "{what}: the slow statement ended by itself");
        assert_eq!(output.unwrap().rows, 3, "{what}");
    }
}
