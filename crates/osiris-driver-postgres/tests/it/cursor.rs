//! Incremental extraction: what a run takes, what it leaves, what the next one starts from.

use osiris_core::ErrorKind;
use osiris_testkit::database::cursor;
use serde_json::{Value, json};

use crate::subject::PostgresDriver;

#[tokio::test]
async fn runs_take_every_row_once_also_at_the_boundary() {
    cursor::takes_every_row_once::<PostgresDriver>("timestamptz", "+00", "2024-01-01 05:30:00.000002+05:30").await;
}

#[tokio::test]
async fn every_kind_of_cursor_keeps_its_precision() {
    let kinds = [
        ("bigint", "9223372036854775805", "9223372036854775806", "9223372036854775807"),
        (
            "numeric",
            "0.00000000000000000001",
            "12345678901234567890123456789012345678901234567890.0000000001",
            "12345678901234567890123456789012345678901234567890.0000000002",
        ),
        ("date", "2024-02-28", "2024-02-29", "2024-03-01"),
        ("timestamp", "-infinity", "2024-01-01 00:00:00.999999", "2024-01-01 00:00:01"),
        ("timestamptz", "0044-03-15 12:00:00+00 BC", "2024-01-01 00:00:00.999999+00", "2024-01-01 00:00:01+00"),
        ("varchar(30) COLLATE \"C\"", "a", "b\\'' it''s", "čep"),
        ("char(5)", "a", "b", "c"),
        ("oid", "1", "4294967294", "4294967295"),
    ];
    // The cursor need not be among the columns that are read.
    let table = json!({"table": "t", "columns": ["id"]});
    cursor::keeps_its_precision::<PostgresDriver>(&kinds, table, &json!({"column": "c"})).await;
}

#[tokio::test]
async fn initial_lag_and_boundary_do_what_they_say() {
    let setup = "CREATE TABLE t (id int, at timestamp, d date, x double precision); INSERT INTO t VALUES \
                 (1, '2024-01-01 00:00:00', '2024-01-01', 1), (2, '2024-01-01 00:01:00', '2024-01-02', 2), \
                 (3, '2024-01-01 00:02:00', '2024-01-03', 3)";
    let Some(mut runs) = cursor::begins_where_it_is_told::<PostgresDriver>(setup).await else { return };
    for (column, lag) in [("d", 86_400.0), ("id", 1.5)] {
        runs.state = None;
        runs.config = json!({"table": "t", "where": "id <= 3", "cursor": {"column": column}});
        assert_eq!(runs.next().await.0.len(), 3, "{column}");
        runs.config = json!({"table": "t", "where": "id <= 3", "cursor": {"column": column, "lag": lag}});
        assert_eq!(runs.next().await.0, ["2"], "{column}");
    }
    let with = |cursor: Value| json!({"table": "t", "cursor": cursor});
    for (cursor, wanted) in [
        (json!({"column": "at", "initial": "1 OR 1"}), "invalid input syntax for type timestamp"),
        (json!({"column": "x"}), "`x` cannot be a cursor"),
        (json!({"column": "nope"}), "\"nope\" does not exist"),
    ] {
        let failure = runs.reading.failure(with(cursor)).await;
        assert_eq!(failure.error.kind(), ErrorKind::Validation);
        assert!(failure.error.report().contains(wanted), "{}", failure.error.report());
    }
    // A state that went around the comparison of sources is still of one column.
    let step = runs.reading.bench.step("other", "postgres.extractor", with(json!({"column": "id"})));
    let state = json!({"column": "at", "value": "2024-01-01 00:00:00", "taken": []});
    let step = step.connection(runs.reading.server.connection()).own_state(state).unwrap();
    let failure = step.run().await.unwrap_err();
    assert!(failure.error.report().contains("the saved state belongs to the cursor column `at`"));
}

#[tokio::test]
async fn the_upper_bound_is_frozen_before_the_first_row() {
    cursor::bound_is_taken_before_the_first_row::<PostgresDriver>().await;
}
