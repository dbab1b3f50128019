//! Incremental extraction: what a run takes, what it leaves, what the next one starts from.

use osiris_core::ErrorKind;
use osiris_testkit::database::cursor;
use serde_json::json;

use super::subject::Mysql;

#[tokio::test]
async fn runs_take_every_row_once_also_at_the_boundary() {
    cursor::takes_every_row_once::<Mysql>("DATETIME(6)", "", "2024-01-01 00:00:00.000002").await;
}

#[tokio::test]
async fn every_kind_of_cursor_keeps_its_precision() {
    let kinds = [
        ("BIGINT UNSIGNED", "18446744073709551613", "18446744073709551614", "18446744073709551615"),
        (
            "DECIMAL(38,10)",
            "0.0000000001",
            "1234567890123456789012345678.0000000001",
            "1234567890123456789012345678.0000000002",
        ),
        ("DATE", "2024-02-28", "2024-02-29", "2024-03-01"),
        ("TIMESTAMP(6) NULL", "2024-01-01 00:00:00.999998", "2024-01-01 00:00:00.999999", "2024-01-01 00:00:01"),
        ("VARCHAR(30) COLLATE utf8mb4_czech_ci", "cibule", "čep", "chata it''s"),
        ("YEAR", "1999", "2000", "2155"),
    ];
    let cursor = json!({"column": "c", "allow_future": true});
    cursor::keeps_its_precision::<Mysql>(&kinds, json!({"table": "t"}), &cursor).await;
}

#[tokio::test]
async fn initial_lag_and_boundary_do_what_they_say() {
    let setup = "CREATE TABLE t (id INT, at DATETIME); INSERT INTO t VALUES (1, '2024-01-01 00:00:00'), \
                 (2, '2024-01-01 00:01:00'), (3, '2024-01-01 00:02:00')";
    let Some(mut runs) = cursor::begins_where_it_is_told::<Mysql>(setup).await else { return };
    runs.config["cursor"] = json!({"column": "id"});
    let step = runs.reading.bench.step("other", "mysql.extractor", runs.config.clone());
    let step = step.connection(runs.reading.server.connection()).state(runs.state.clone().unwrap());
    let failure = step.run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Validation);
    assert!(failure.error.report().contains("cursor.column: `at` -> `id`"), "{}", failure.error.report());
    runs.config["cursor"] = json!({"column": "at", "initial": "1 OR 1"});
    let failure = runs.reading.failure(runs.config.clone()).await;
    assert!(failure.error.report().contains("not a value of its column"), "{}", failure.error.report());
}

#[tokio::test]
async fn the_upper_bound_is_frozen_before_the_first_row() {
    cursor::bound_is_taken_before_the_first_row::<Mysql>().await;
}
