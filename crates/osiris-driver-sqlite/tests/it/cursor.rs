//! Incremental reading.

use serde_json::{Value, json};

use crate::database::Database;

/// Runs that follow each other.
struct Runs {
    database: Database,
    config: Value,
    state: Option<Value>,
}

impl Runs {
    async fn new(setup: &str, cursor: Value) -> Self {
        let config = json!({"table": "t", "cursor": cursor});
        Self { database: Database::new(setup).await, config, state: None }
    }

    /// The values of the first column that the next run reads, sorted, or its error.
    async fn next(&mut self) -> Result<Vec<String>, String> {
        let bench = &self.database.bench;
        bench.store().drop_table("since").await.unwrap();
        let step = bench.step("since", "sqlite.extractor", self.config.clone()).connection(self.database.connection());
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
        ("DECIMAL(5,2)", "5.5", "5.75"),
        ("DATE", "'2024-01-31'", "'2024-02-01'"),
        ("DATETIME", "'2024-01-31 10:00:00'", "'2024-01-31 10:00:00.5'"),
        ("TEXT", "'it''s'", "'z'"),
    ] {
        let setup =
            format!("CREATE TABLE t (name TEXT, c {declared}); INSERT INTO t VALUES ('a', {old}), ('b', {old})");
        let mut runs = Runs::new(&setup, json!({"column": "c"})).await;
        assert_eq!(runs.next().await.unwrap(), ["a", "b"], "{declared}");
        assert!(runs.next().await.unwrap().is_empty(), "{declared}");
        runs.database.execute(&format!("INSERT INTO t VALUES ('c', {old}), ('d', {new})")).await;
        assert_eq!(runs.next().await.unwrap(), ["c", "d"], "{declared}");
        assert!(runs.next().await.unwrap().is_empty(), "{declared}");
    }
}

#[tokio::test]
async fn a_lag_goes_back_and_a_query_can_have_a_cursor() {
    let setup = "CREATE TABLE t (name TEXT, c DATETIME); INSERT INTO t VALUES ('a', '2024-01-31 10:00:00')";
    let mut runs = Runs::new(setup, json!({"column": "c", "lag": 60, "initial": "2024-01-01"})).await;
    runs.config = json!({"query": "SELECT * FROM t -- all", "cursor": runs.config["cursor"]});
    assert_eq!(runs.next().await.unwrap(), ["a"]);
    runs.database
        .execute("INSERT INTO t VALUES ('late', '2024-01-31 09:59:00'), ('lost', '2024-01-31 09:58:59')")
        .await;
    assert_eq!(runs.next().await.unwrap(), ["late"]);
}

#[tokio::test]
async fn what_a_later_run_would_miss_is_an_error() {
    let setup = |declared: &str, value: &str| format!("CREATE TABLE t (c {declared}); INSERT INTO t VALUES ({value})");
    for (declared, value, message) in [
        ("INTEGER", "NULL", "NULL in the cursor column"),
        ("DATE", "date('now', '3 days')", "in the future"),
        ("DATETIME", "datetime('now', '1 days')", "in the future"),
        ("INTEGER", "'text'", "has no such value"),
        ("DATETIME", "'2024-01-31T09:00:00'), ('2024-01-31 10:00:00'", "with a `T`"),
        ("REAL", "1.5", "cannot be a cursor"),
        ("DECIMAL TEXT(20,2)", "'1.5'", "cannot be a cursor"),
    ] {
        let mut runs = Runs::new(&setup(declared, value), json!({"column": "c"})).await;
        let error = runs.next().await.unwrap_err();
        assert!(error.contains(message), "{declared}: {error}");
    }
    let mut runs = Runs::new(&setup("INTEGER", "7"), json!({"column": "c"})).await;
    runs.next().await.unwrap();
    runs.database.execute("UPDATE t SET c = 3").await;
    assert!(runs.next().await.unwrap_err().contains("state reset"));
    runs.config["columns"] = json!(["rowid"]);
    runs.state = None;
    assert!(runs.next().await.unwrap_err().contains("not among the columns"));
}
