//! Incremental reading.

use std::sync::{Arc, Mutex};

use osiris_core::StepCounts;
use serde_json::{Value, json};

use crate::database::Database;

/// Runs that follow each other.
pub(crate) struct Runs {
    pub(crate) database: Database,
    pub(crate) config: Value,
    pub(crate) state: Option<Value>,
}

impl Runs {
    pub(crate) async fn new(setup: &str, cursor: Value) -> Self {
        let config = json!({"table": "t", "cursor": cursor});
        Self { database: Database::new(setup).await, config, state: None }
    }

    /// The values of the first column that the next run reads, sorted, or its error.
    pub(crate) async fn next(&mut self) -> Result<Vec<String>, String> {
        self.counted().await.map(|(values, _)| values)
    }

    /// The same with what was counted.
    pub(crate) async fn counted(&mut self) -> Result<(Vec<String>, StepCounts), String> {
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
        Ok((values, output.counts))
    }
}

#[tokio::test]
async fn each_row_is_read_once_also_at_the_boundary() {
    for (declared, old, new) in [
        ("INTEGER", "5", "9"),
        ("DECIMAL(5,2)", "5.5", "5.75"),
        ("DECIMAL(38,0)", "1e20", "2e20"),
        ("DATETIME", "'2024-01-31T10:00'", "'2024-01-31T10:01'"),
        ("DATETIME", "'2024-01-31 10:00:00.000'", "'2024-01-31 10:00:00.500'"),
        ("DATETIME", "'2024-01-31 10:00:00'", "'2024-01-31 10:00:00.500000'"),
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
        ("INTEGER", "1), (500), (x'3939'", "BLOB"),
        ("INTEGER", "1), (2), ('text'", "TEXT"),
        ("TEXT", "'b'), ('c'), (x'61'", "BLOB"),
        ("TEXT", "'a'), (CAST(x'ff' AS TEXT)", "UTF-8"),
        ("DATE", "'2024-01-31'), (19000", "INTEGER"),
        ("DATETIME", "1700000000), (1700000001", "INTEGER"),
        ("DECIMAL(12,2)", "1.5), (9e999", "expected digits"),
        ("DATE", "'2024-01-31'), ('31.01.2024'", "expected YYYY-MM-DD"),
        ("DATE", "'2024-01-31'), ('2024-02-30'", "expected YYYY-MM-DD"),
        ("DATETIME", "'2024-01-31T09:00:00'), ('2024-01-31 10:00:00'", "with a `T`"),
        ("DATETIME", "'2024-01-31 10:00'), ('2024-01-31 10:00:00'", "several lengths"),
        ("DATETIME", "'2024-01-31 10:00:00.5'), ('2024-01-31 10:00:00.50'", "several lengths"),
        ("DATETIME", "'2024-01-31 10:00:00'), ('2024-01-31 10:00:00.000'", "several lengths"),
        ("REAL", "1.5", "cannot be a cursor"),
        ("DECIMAL TEXT(20,2)", "'1.5'", "cannot be a cursor"),
    ] {
        let mut runs = Runs::new(&setup(declared, value), json!({"column": "c"})).await;
        let error = runs.next().await.unwrap_err();
        assert!(error.contains(message), "{declared}: {error}");
    }
    for (declared, old, new, message) in [
        ("DATE", "'2024-01-31'", "20240201", "INTEGER"),
        ("DATE", "'2024-01-31'", "'01/02/2025'", "expected YYYY-MM-DD"),
        ("DATETIME", "'2024-01-31T10:00:00'", "'2024-01-31 23:00:00'", "with a `T`"),
        ("TEXT", "'m'", "x'00'", "BLOB"),
    ] {
        let mut runs = Runs::new(&setup(declared, old), json!({"column": "c"})).await;
        runs.next().await.unwrap();
        runs.database.execute(&format!("INSERT INTO t VALUES ({new})")).await;
        let error = runs.next().await.unwrap_err();
        assert!(error.contains(message), "{declared} {new}: {error}");
    }
    let mut runs = Runs::new(&setup("INTEGER", "7"), json!({"column": "c"})).await;
    runs.next().await.unwrap();
    runs.database.execute("UPDATE t SET c = 3").await;
    assert!(runs.next().await.unwrap_err().contains("state reset"));
    runs.config["columns"] = json!(["rowid"]);
    runs.state = None;
    assert!(runs.next().await.unwrap_err().contains("not among the columns"));
}

#[tokio::test]
async fn a_first_value_is_compared_in_the_form_of_the_column() {
    for (declared, values, initial, expected) in [
        ("INTEGER", "9), (10", json!("10"), "10"),
        ("DECIMAL(5,2)", "5.5), (5.75", json!("5.60"), "5.75"),
        ("DATE", "'2024-01-09'), ('2024-01-10'", json!("2024-01-10"), "2024-01-10"),
        (
            "DATETIME",
            "'2024-01-31T09:00:00'), ('2024-01-31T10:00:00'",
            json!("2024-01-31 10:00"),
            "2024-01-31 10:00:00",
        ),
        ("DATETIME", "'2024-01-31 09:00'), ('2024-01-31 10:00'", json!("2024-01-31T10:00:00"), "2024-01-31 10:00:00"),
        (
            "DATETIME",
            "'2024-01-31 09:00:00.999'), ('2024-01-31 10:00:00.000'",
            json!("2024-01-31T10:00"),
            "2024-01-31 10:00:00",
        ),
        ("TEXT", "'10'), ('9'", json!(9), "9"),
    ] {
        let setup = format!("CREATE TABLE t (c {declared}); INSERT INTO t VALUES ({values})");
        let mut runs = Runs::new(&setup, json!({"column": "c", "initial": initial})).await;
        assert_eq!(runs.next().await.unwrap(), [expected], "{declared} from {initial}");
    }
    for (declared, value, initial) in [
        ("DATE", "'2024-01-31'", json!("2024-1-1")),
        ("DATE", "'2024-01-31'", json!("2024-01-01T00:00:00")),
        ("DATE", "'2024-01-31'", json!(20240101)),
        ("DATETIME", "'2024-01-31 10:00:00'", json!("2024-02-30 10:00")),
        ("DATETIME", "'2024-01-31 10:00:00'", json!(1_700_000_000)),
        ("INTEGER", "5", json!("1-2")),
        ("DECIMAL(5,2)", "5", json!("0.005")),
    ] {
        let setup = format!("CREATE TABLE t (c {declared}); INSERT INTO t VALUES ({value})");
        let mut runs = Runs::new(&setup, json!({"column": "c", "initial": initial})).await;
        let error = runs.next().await.unwrap_err();
        assert!(error.contains("invalid `initial`"), "{declared} from {initial}: {error}");
    }
}

#[tokio::test]
async fn a_saved_value_is_compared_in_the_form_that_the_column_has_now() {
    let setup = "CREATE TABLE t (name TEXT, c DATETIME); INSERT INTO t VALUES ('a', '2024-01-31T10:00:00')";
    let mut runs = Runs::new(setup, json!({"column": "c"})).await;
    assert_eq!(runs.next().await.unwrap(), ["a"]);
    let rewritten = "UPDATE t SET c = replace(c, 'T', ' '); \
                     INSERT INTO t VALUES ('b', '2024-01-31 23:00:00'), ('c', '2024-02-01 00:00:00')";
    runs.database.execute(rewritten).await;
    // The row at the saved value has changed.
    assert_eq!(runs.next().await.unwrap(), ["a", "b", "c"]);
    runs.database.execute("DROP TABLE t; CREATE TABLE t (name TEXT, c INTEGER); INSERT INTO t VALUES ('a', 5)").await;
    let error = runs.next().await.unwrap_err();
    assert!(error.contains("does not fit the column `c`, which is BIGINT now"), "{error}");
}

#[tokio::test]
async fn a_lag_beyond_all_time_reads_from_the_first_row() {
    for (declared, old, late) in [
        ("DATE", "'2024-01-31'", "'0000-01-01'"),
        ("DATETIME", "'2024-01-31T10:00:00'", "'0000-01-01T00:00:00'"),
        ("INTEGER", "9223372036854775807", "-9223372036854775808"),
    ] {
        let setup = format!("CREATE TABLE t (name TEXT, c {declared}); INSERT INTO t VALUES ('a', {old})");
        let mut runs = Runs::new(&setup, json!({"column": "c", "lag": 1.0e12})).await;
        assert_eq!(runs.next().await.unwrap(), ["a"]);
        runs.database.execute(&format!("INSERT INTO t VALUES ('late', {late})")).await;
        let found = runs.next().await.unwrap();
        // Of numbers a lag is a difference, and this one is smaller than the range of integers.
        assert_eq!(found.is_empty(), declared == "INTEGER", "{declared}: {found:?}");
    }
}

#[tokio::test]
async fn a_lag_reaches_times_that_are_written_without_seconds() {
    let setup = "CREATE TABLE t (name TEXT, c DATETIME); INSERT INTO t VALUES ('a', '2024-01-31T10:00')";
    let mut runs = Runs::new(setup, json!({"column": "c", "lag": 60})).await;
    assert_eq!(runs.next().await.unwrap(), ["a"]);
    runs.database.execute("INSERT INTO t VALUES ('late', '2024-01-31T09:59'), ('lost', '2024-01-31T09:58')").await;
    assert_eq!(runs.next().await.unwrap(), ["late"]);
}

#[tokio::test]
async fn ids_that_sqlite_gives_again_are_warned_of() {
    for (table, cursor, warns) in [
        ("t (id INTEGER PRIMARY KEY, name TEXT)", json!({"column": "id"}), true),
        ("t (id INTEGER PRIMARY KEY, name TEXT)", json!({"column": "id", "lag": 100}), false),
        ("t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)", json!({"column": "id"}), false),
        ("t (id INTEGER PRIMARY KEY, name TEXT) WITHOUT ROWID", json!({"column": "id"}), false),
        ("t (id INTEGER UNIQUE, name TEXT)", json!({"column": "id"}), false),
        ("t (id INTEGER UNIQUE, oid INTEGER DEFAULT 1)", json!({"column": "oid"}), false),
    ] {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let setup = format!("CREATE TABLE {table}; INSERT INTO t (id) VALUES (1)");
        let mut runs = Runs::new(&setup, cursor.clone()).await;
        assert_eq!(runs.next().await.unwrap(), ["1"]);
        drop(guard);
        assert_eq!(lines.text().contains("AUTOINCREMENT"), warns, "{table} {cursor}: {}", lines.text());
    }
}

/// What is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
