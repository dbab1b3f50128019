//! Where a run by a cursor may end: nothing that a later run would not read is passed over in silence.

use osiris_core::ErrorKind;
use osiris_testkit::database::cursor;
use osiris_testkit::services::PostgresOptions;
use serde_json::{Value, json};
use sqlx::Executor as _;

use crate::subject::{PostgresDriver, Reading};

type Runs = cursor::Runs<PostgresDriver>;

async fn runs(setup: &str, cursor: Value) -> Option<Runs> {
    Runs::of(setup, cursor).await
}

#[tokio::test]
async fn s17_a_cursor_of_another_table_server_or_condition_is_refused() {
    let Some(runs) = cursor::refuses_another_source::<PostgresDriver>().await else { return };
    // The database is part of a secret address, which is not shown.
    let dsn = runs.reading.server.dsn();
    let elsewhere = format!("{}/elsewhere", dsn.rsplit_once('/').unwrap().0);
    let error = runs.step_over(json!({"dsn": elsewhere})).run().await.unwrap_err().error.report();
    assert!(error.contains("connection.database: ") && error.contains("`elsewhere`"), "{error}");
    // The same address in one line is the same source.
    assert_eq!(runs.step_over(json!({"dsn": dsn})).run().await.unwrap().rows, 0);
}

#[tokio::test]
async fn s18_infinite_and_future_values_are_refused() {
    let (infinite, future) = ("infinite", "is in the future");
    cursor::refuses_values_that_hide_rows::<PostgresDriver>(&[
        ("date", "current_date", "'infinity'", infinite),
        ("timestamp", "localtimestamp", "'infinity'", infinite),
        ("timestamptz", "now()", "'infinity'", infinite),
        ("numeric", "5", "'NaN'", infinite),
        ("date", "current_date", "'9999-12-31'", future),
        ("date", "current_date", "current_date + 2", future),
        ("timestamp", "localtimestamp", "'9999-12-31'", future),
        ("timestamptz", "now() + interval '2 minutes'", "now() + interval '10 minutes'", future),
    ])
    .await;
}

#[tokio::test]
async fn s19_a_greatest_value_that_fell_is_refused() {
    let setup = "CREATE TABLE t (id int, c int); INSERT INTO t VALUES (1, 9), (2, 10)";
    let Some(mut runs) = runs(setup, json!({"column": "c"})).await else { return };
    assert_eq!(runs.next().await.0, ["1", "2"]);
    runs.reading.execute("DELETE FROM t WHERE id = 2").await;
    let error = runs.refused().await;
    assert!(
        error.contains("at or after the saved one") && error.contains("osiris state reset PIPELINE since"),
        "{error}"
    );
    runs.reading.execute("TRUNCATE t").await;
    assert!(runs.refused().await.contains("has no value left"));
    runs.config["cursor"]["allow_deletes"] = json!(true);
    assert!(runs.next().await.0.is_empty());
    runs.reading.execute("INSERT INTO t VALUES (3, 11)").await;
    assert_eq!(runs.next().await.0, ["3"]);
}

#[tokio::test]
async fn s20_rows_that_are_committed_late_are_waited_for() {
    let setup = "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int) PARTITION BY RANGE (id); \
                 CREATE TABLE p PARTITION OF t FOR VALUES FROM (1) TO (1000)";
    cursor::waits_for_rows_that_are_committed_late::<PostgresDriver>(setup).await;
}

#[tokio::test]
async fn s20_columns_that_are_changed_meanwhile_are_not_read_as_they_were() {
    let setup = "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)";
    let Some(mut runs) = runs(setup, json!({"column": "id"})).await else { return };
    let mut late = runs.reading.server.connect().await.unwrap();
    // The change waits for the reader's first transaction, and its second one waits for the change.
    late.execute("BEGIN; INSERT INTO t VALUES (2, 2)").await.unwrap();
    let change = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        late.execute("ALTER TABLE t ALTER v TYPE real USING v + 0.5; COMMIT").await.unwrap();
    });
    let error = runs.refused().await;
    assert!(error.contains("table schema changed while open transactions were waited for"), "{error}");
    change.await.unwrap();
    assert_eq!(runs.next().await.0, ["1", "2"]);
}

#[tokio::test]
async fn s20_a_query_waits_for_whoever_writes() {
    let setup = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (2)";
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading.execute(setup).await;
    let config = json!({"query": "SELECT id FROM t", "timeout": 1, "cursor": {"column": "id"}});
    let mut runs = Runs::new(reading, config);
    let mut late = runs.reading.server.connect().await.unwrap();
    late.execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    assert!(runs.refused().await.contains("still open"));
    late.execute("COMMIT").await.unwrap();
    assert_eq!(runs.next().await.0, ["1", "2"]);
}

#[tokio::test]
async fn s20_a_transaction_that_began_earlier_and_writes_later_bounds_the_moments() {
    let setup = "CREATE TABLE t (id int PRIMARY KEY, at timestamptz DEFAULT now())";
    let Some(mut runs) = runs(setup, json!({"column": "at"})).await else { return };
    runs.reading.execute("INSERT INTO t VALUES (1)").await;
    // It has a time, and has written nothing yet.
    let mut late = runs.reading.server.connect().await.unwrap();
    late.execute("BEGIN; SELECT now()").await.unwrap();
    runs.reading.execute("INSERT INTO t VALUES (3)").await;
    runs.config["timeout"] = json!(1);
    assert_eq!(runs.next().await.0, ["1"], "what came after it began belongs to a later run");
    late.execute("INSERT INTO t VALUES (2); COMMIT").await.unwrap();
    assert_eq!(runs.next().await.0, ["2", "3"]);
    assert!(runs.next().await.0.is_empty());
}

#[tokio::test]
async fn s20_a_time_without_a_zone_cannot_be_bounded_and_is_refused() {
    let setup = "CREATE TABLE t (id int PRIMARY KEY, at timestamp DEFAULT now())";
    let Some(mut runs) = runs(setup, json!({"column": "at"})).await else { return };
    runs.reading.execute("INSERT INTO t VALUES (1)").await;
    let mut late = runs.reading.server.connect().await.unwrap();
    late.execute("BEGIN; SELECT now()").await.unwrap();
    runs.config["timeout"] = json!(1);
    assert!(runs.refused().await.contains("still open"));
    runs.config["cursor"]["lag"] = json!(3600);
    assert_eq!(runs.next().await.0, ["1"], "with a lag nothing is waited for");
}

#[tokio::test]
async fn s20_an_account_without_rights_sees_enough() {
    let setup = "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int); \
                 CREATE ROLE plain LOGIN PASSWORD 'plain-secret'; GRANT SELECT ON t TO plain";
    let Some(runs) = runs(setup, json!({"column": "id"})).await else { return };
    let mut late = runs.reading.server.connect().await.unwrap();
    late.execute("BEGIN; INSERT INTO t (v) VALUES (1)").await.unwrap();
    runs.reading.execute("INSERT INTO t (v) VALUES (2)").await;
    let connection = runs.reading.server.connection_with(json!({"user": "plain", "password": "plain-secret"}));
    let config = json!({"table": "t", "timeout": 1, "cursor": {"column": "id"}});
    let step = runs.reading.bench.step("since", "postgres.extractor", config).connection(connection);
    let error = step.retry(osiris_core::RetryPolicy::never()).run().await.unwrap_err().error;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.report());
    assert!(error.report().contains("still open"), "{}", error.report());
}

/// They are waited for: there is nothing to warn of.
#[tokio::test]
async fn s20_nobody_is_warned_of_rows_that_are_committed_late() {
    let Some(runs) = runs("CREATE TABLE t (id int PRIMARY KEY)", json!({"column": "id"})).await else { return };
    let connection = runs.reading.server.connection();
    let prepared = runs.reading.bench.prepare("postgres.extractor", &runs.config, &connection).unwrap();
    assert!(prepared.warnings().is_empty(), "{:?}", prepared.warnings());
}

#[tokio::test]
async fn s21_rows_without_a_value_are_an_error_counted_or_read_once() {
    cursor::rows_without_a_value_follow_the_policy::<PostgresDriver>().await;
}
