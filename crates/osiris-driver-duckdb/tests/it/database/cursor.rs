//! Incremental reading.

use serde_json::{Value, json};

use super::Database;

/// Runs that follow each other.
struct Runs {
    database: Database,
    config: Value,
    state: Option<Value>,
}

impl Runs {
    fn new(setup: &str, cursor: Value) -> Self {
        Self { database: Database::new(setup), config: json!({"table": "t", "cursor": cursor}), state: None }
    }

    /// The values of the first column that the next run reads, sorted, or its error.
    async fn next(&mut self) -> Result<Vec<String>, String> {
        let bench = &self.database.bench;
        bench.store().drop_table("since").await.unwrap();
        let step = bench.step("since", "duckdb.extractor", self.config.clone()).connection(self.database.connection());
        let step = match self.state.clone() {
            Some(state) => step.state(state),
            None => step,
        };
        let output = step.run().await.map_err(|failure| failure.error.report())?;
        self.state = output.state;
        let rows = bench.rows(&output.table.unwrap()).await.unwrap();
        let mut values: Vec<String> = rows.rows().iter().map(|row| row[0].clone().unwrap_or_default()).collect();
        values.sort();
        Ok(values)
    }
}

#[tokio::test]
async fn each_row_is_read_once_also_at_the_boundary() {
    for (declared, old, new) in [
        ("INTEGER", "5", "9"),
        ("HUGEINT", "10000000000000000000000000000000000000", "10000000000000000000000000000000000001"),
        ("DECIMAL(5,2)", "5.5", "5.75"),
        ("DATE", "'2024-01-31'", "'2024-02-01'"),
        ("TIMESTAMP", "'2024-01-31 10:00:00'", "'2024-01-31 10:00:00.000001'"),
        ("TIMESTAMP_NS", "'2024-01-31 10:00:00'", "'2024-01-31 10:00:00.000000001'"),
        ("TIMESTAMPTZ", "'2024-01-31 10:00:00+02'", "'2024-01-31 10:00:00+01'"),
        ("VARCHAR", "'it''s'", "'z'"),
    ] {
        let setup =
            format!("CREATE TABLE t (name TEXT, c {declared}); INSERT INTO t VALUES ('a', {old}), ('b', {old})");
        let mut runs = Runs::new(&setup, json!({"column": "c"}));
        assert_eq!(runs.next().await.unwrap(), ["a", "b"], "{declared}");
        assert!(runs.next().await.unwrap().is_empty(), "{declared}");
        runs.database.execute(&format!("INSERT INTO t VALUES ('c', {old}), ('d', {new})"));
        assert_eq!(runs.next().await.unwrap(), ["c", "d"], "{declared}");
        assert!(runs.next().await.unwrap().is_empty(), "{declared}");
    }
}

#[tokio::test]
async fn a_lag_goes_back_whatever_the_type() {
    for (declared, saved, late, lost, lag) in [
        ("TIMESTAMP", "'2024-01-31 10:00:00'", "'2024-01-31 09:59:00'", "'2024-01-31 09:58:59'", 60.0),
        ("TIMESTAMPTZ", "'2024-01-31 10:00:00+00'", "'2024-01-31 09:59:00+00'", "'2024-01-31 09:58:59+00'", 60.0),
        ("DATE", "'2024-01-31'", "'2024-01-30'", "'2024-01-29'", 60.0),
        ("UTINYINT", "5", "3", "2", 2.0),
        ("DECIMAL(5,2)", "5", "4.5", "4.49", 0.5),
    ] {
        let setup = format!("CREATE TABLE t (name TEXT, c {declared}); INSERT INTO t VALUES ('a', {saved})");
        let mut runs = Runs::new(&setup, json!({"column": "c", "lag": lag}));
        assert_eq!(runs.next().await.unwrap(), ["a"], "{declared}");
        runs.database.execute(&format!("INSERT INTO t VALUES ('late', {late}), ('lost', {lost})"));
        assert_eq!(runs.next().await.unwrap(), ["late"], "{declared}");
    }
}

#[tokio::test]
async fn what_a_later_run_would_miss_is_an_error() {
    for (declared, value, message) in [
        ("INTEGER", "NULL", "NULL in the cursor column"),
        ("DATE", "'2999-01-01'", "in the future"),
        ("TIMESTAMP", "'2999-01-01'", "in the future"),
        ("TIMESTAMPTZ", "'2999-01-01 00:00:00+00'", "in the future"),
        ("TIMESTAMP", "'infinity'", "infinite"),
        ("DOUBLE", "1.5", "cannot be a cursor"),
        ("BLOB", "'a'", "cannot be a cursor"),
    ] {
        let setup = format!("CREATE TABLE t (c {declared}); INSERT INTO t VALUES ({value})");
        let error = Runs::new(&setup, json!({"column": "c"})).next().await.unwrap_err();
        assert!(error.contains(message), "{declared}: {error}");
    }
    let setup = "CREATE TABLE t (c DATE); INSERT INTO t VALUES ('2024-01-31')";
    let error = Runs::new(setup, json!({"column": "c", "initial": "soon"})).next().await.unwrap_err();
    assert!(error.contains("invalid `initial`"), "{error}");
}
