//! Where a run by a cursor may end: nothing that a later run would not read is passed over in silence.

use osiris_testkit::database::{DatabaseServer as _, cursor};
use osiris_testkit::services::MysqlOptions;
use serde_json::{Value, json};
use sqlx::Executor as _;

use super::subject::{Mysql, Reading};

type Runs = cursor::Runs<Mysql>;

async fn runs(setup: &str, cursor: Value) -> Option<Runs> {
    let runs = Runs::of(setup, cursor).await?;
    runs.reading.server.show_transactions().await.unwrap();
    Some(runs)
}

#[tokio::test]
async fn s17_a_cursor_of_another_table_server_or_condition_is_refused() {
    let Some(mut runs) = cursor::refuses_another_source::<Mysql>().await else { return };
    let elsewhere = runs.reading.server.connection_with(json!({"database": "elsewhere", "password": "other"}));
    let error = runs.step_over(elsewhere).run().await.unwrap_err().error.report();
    assert!(error.contains("connection.database") && !error.contains("other`"), "{error}");
    // How it is read does not matter, nor who reads.
    runs.config["batch_size"] = json!(1);
    runs.config["cursor"]["lag"] = json!(0);
    assert!(runs.next().await.0.is_empty());
}

#[tokio::test]
async fn s18_a_value_in_the_future_is_refused_unless_it_is_allowed() {
    let future = "is in the future";
    cursor::refuses_values_that_hide_rows::<Mysql>(&[
        ("DATE", "CURRENT_DATE", "'9999-12-31'", future),
        ("DATE", "CURRENT_DATE", "CURRENT_DATE + INTERVAL 2 DAY", future),
        ("DATETIME(6)", "UTC_TIMESTAMP(6)", "'9999-12-31 23:59:59'", future),
        (
            "TIMESTAMP(6) NULL",
            "CURRENT_TIMESTAMP(6) + INTERVAL 2 MINUTE",
            "CURRENT_TIMESTAMP + INTERVAL 10 MINUTE",
            future,
        ),
        ("YEAR", "YEAR(CURRENT_DATE)", "2155", future),
    ])
    .await;
}

#[tokio::test]
async fn s18_a_time_in_the_servers_own_zone_is_not_in_the_future() {
    let Some(reading) = Reading::start(MysqlOptions::new().with_setting("default_time_zone", "+13:00")).await else {
        return;
    };
    let sql = "CREATE TABLE t (id INT, c DATETIME); \
               INSERT INTO t SELECT 1, CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', '+13:00')";
    reading.execute(sql).await;
    let mut runs = Runs::new(reading, json!({"table": "t", "cursor": {"column": "c"}}));
    assert_eq!(runs.next().await.0, ["1"]);
    runs.reading.execute("INSERT INTO t SELECT 2, UTC_TIMESTAMP() + INTERVAL 14 HOUR").await;
    assert!(runs.refused().await.contains("in the future"));
}

#[tokio::test]
async fn s19_a_greatest_value_that_fell_is_refused_by_the_sources_own_order() {
    let setup =
        "CREATE TABLE t (id INT, c VARCHAR(9) COLLATE utf8mb4_czech_ci); INSERT INTO t VALUES (1, 'h'), (2, 'CH')";
    let Some(mut runs) = runs(setup, json!({"column": "c"})).await else { return };
    assert_eq!(runs.next().await.0, ["1", "2"]);
    // Equal to the saved value, whatever the case.
    runs.reading.execute("UPDATE t SET c = 'ch' WHERE id = 2").await;
    assert_eq!(runs.next().await.0, ["2"]);
    // Above it in bytes, below it in Czech.
    runs.reading.execute("DELETE FROM t WHERE id = 2").await;
    let error = runs.refused().await;
    assert!(error.contains("at or after the saved one") && error.contains("osiris state reset"), "{error}");
    runs.reading.execute("TRUNCATE t").await;
    assert!(runs.refused().await.contains("has no value left"));
    runs.reading.execute("INSERT INTO t VALUES (3, 'a')").await;
    assert!(runs.refused().await.contains("at or after the saved one"));
    runs.config["cursor"]["allow_deletes"] = json!(true);
    assert!(runs.next().await.0.is_empty());
    assert_eq!(runs.state.as_ref().unwrap()["state"]["value"].as_str().unwrap().to_lowercase(), "ch");
    runs.reading.execute("INSERT INTO t VALUES (4, 'i')").await;
    assert_eq!(runs.next().await.0, ["4"]);
}

#[tokio::test]
async fn s20_rows_that_are_committed_late_are_waited_for() {
    let setup = "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT)";
    cursor::waits_for_rows_that_are_committed_late::<Mysql>(setup).await;
}

#[tokio::test]
async fn s20_readers_are_not_waited_for_and_rolled_back_rows_do_no_harm() {
    let setup = "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT); INSERT INTO t (v) VALUES (1)";
    let Some(mut runs) = runs(setup, json!({"column": "id"})).await else { return };
    let mut reader = runs.reading.server.connect().await.unwrap();
    reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT").await.unwrap();
    reader.execute("SELECT * FROM t").await.unwrap();
    runs.config["timeout"] = json!(2);
    assert_eq!(runs.next().await.0, ["1"]);
    let mut writer = runs.reading.server.connect().await.unwrap();
    writer.execute("BEGIN; INSERT INTO t (v) VALUES (2)").await.unwrap();
    assert!(runs.refused().await.contains("still open"));
    writer.execute("ROLLBACK").await.unwrap();
    runs.reading.execute("INSERT INTO t (v) VALUES (3)").await;
    assert_eq!(runs.next().await.0, ["3"]);
}

#[tokio::test]
async fn s20_an_account_that_may_not_see_transactions_reads_with_a_warning() {
    let setup = "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1); \
                 CREATE USER plain@'%' IDENTIFIED BY 'plain-secret'";
    let Some(runs) = runs(setup, json!({"column": "id"})).await else { return };
    let database = runs.reading.server.database();
    runs.reading.execute(&format!("GRANT SELECT ON `{database}`.* TO plain@'%'")).await;
    let connection = runs.reading.server.connection_with(json!({"user": "plain", "password": "plain-secret"}));
    let step = runs.reading.bench.step("since", "mysql.extractor", runs.config.clone()).connection(connection.clone());
    let output = step.run().await.unwrap();
    assert_eq!(output.rows, 1);
    let prepared = |config| runs.reading.bench.prepare("mysql.extractor", config, &connection).unwrap();
    let of_cursor = prepared(&runs.config);
    let warnings = of_cursor.warnings();
    assert!(warnings[0].message.contains("committed late") && !warnings[0].is_error(), "{warnings:?}");
    let lagging = json!({"table": "t", "cursor": {"column": "id", "lag": 5}});
    assert!(prepared(&lagging).warnings().is_empty());
}

#[tokio::test]
async fn s21_rows_without_a_value_are_an_error_counted_or_read_once() {
    cursor::rows_without_a_value_follow_the_policy::<Mysql>().await;
}

#[tokio::test]
async fn s22_many_rows_at_the_boundary_are_taken_once_each() {
    let setup = "CREATE TABLE t (id INT PRIMARY KEY, c DATE); INSERT INTO t SELECT seq, '2024-01-01' FROM JSON_TABLE(CONCAT('[', REPEAT('0,', 1000004), '0]'), '$[*]' COLUMNS (seq FOR ORDINALITY)) numbers";
    let Some(mut runs) = runs(setup, json!({"column": "c"})).await else { return };
    assert_eq!(runs.next().await.0.len(), 1_000_005);
    assert!(runs.state.as_ref().unwrap().to_string().len() < 2000);
    runs.reading.execute("INSERT INTO t VALUES (2000000, '2024-01-01')").await;
    let (ids, output) = runs.next().await;
    assert_eq!((ids, output.counts.deduplicated), (vec!["2000000".to_owned()], 1_000_005));
}
