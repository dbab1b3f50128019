//! Modes, counts, rejects and schemas of the writer.

use osiris_core::{ErrorKind, StepCounts};
use serde_json::{Value, json};

use super::Database;

const TWO: &str = "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(id, name)";

/// The counts of a write that ends well.
async fn counts(database: &Database, config: Value, sql: &str) -> StepCounts {
    let output = database.write(config, sql).await;
    output.unwrap_or_else(|failure| panic!("{}", failure.error.report())).counts
}

async fn refused(database: &Database, config: Value, sql: &str) -> (ErrorKind, String) {
    let failure = database.write(config, sql).await.unwrap_err();
    (failure.error.kind(), failure.error.report())
}

/// The rows of `t`, as text.
fn rows(database: &Database) -> String {
    database.value("SELECT string_agg(id || '=' || ifnull(name, '∅'), ' ' ORDER BY id) FROM t")
}

#[tokio::test]
async fn every_mode_counts_what_it_does() {
    let database = Database::new("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
    let config = |mode: &str| json!({"table": "T", "mode": mode, "key": "ID"});
    let appended = counts(&database, json!({"table": "t"}), TWO).await;
    assert_eq!((appended.read, appended.inserted), (2, 2));
    let three = "SELECT * FROM (VALUES (2, 'B'), (3, 'c'), (4, NULL)) AS v(id, name)";
    let upserted = counts(&database, config("upsert"), three).await;
    assert_eq!((upserted.inserted, upserted.updated), (2, 1));
    assert_eq!(rows(&database), "1=a 2=B 3=c 4=∅");
    let mut ignoring = config("append");
    ignoring["on_conflict"] = json!("ignore");
    let ignored = counts(&database, ignoring, "SELECT * FROM (VALUES (4, 'x'), (5, 'e')) AS v(id, name)").await;
    assert_eq!((ignored.inserted, ignored.ignored), (1, 1));
    let replaced = counts(&database, config("overwrite"), TWO).await;
    assert_eq!((replaced.inserted, replaced.deleted), (2, 5));
    assert_eq!(rows(&database), "1=a 2=b");
    assert!(!database.path.with_extension("duckdb.wal").exists(), "the log is in the file");
}

#[tokio::test]
async fn rows_of_one_key_are_refused_or_the_last_one_is_kept() {
    let database = Database::new("CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT); INSERT INTO t VALUES ('a', 'old')");
    let twice = "SELECT * FROM (VALUES ('a', 'late', 2), ('a', 'early', 1), ('b', 'b', 0)) AS v(id, name, version)";
    let mut config = json!({"table": "t", "mode": "upsert", "key": "id", "columns": ["id", "name"]});
    let (kind, error) = refused(&database, config.clone(), twice).await;
    assert_eq!(kind, ErrorKind::Validation);
    assert!(error.contains("1 value of the key occurs") && error.contains("dedupe: last"), "{error}");
    (config["dedupe"], config["order_by"]) = (json!("last"), json!("version"));
    let merged = counts(&database, config, twice).await;
    assert_eq!((merged.inserted, merged.updated, merged.ignored), (1, 1, 1));
    assert_eq!(rows(&database), "a=late b=b");
}

#[tokio::test]
async fn rows_at_fault_are_rejected_with_number_column_and_reason() {
    let setup = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL CHECK (name <> 'bad'), more INTEGER DEFAULT 1 CHECK (more < id + 100)); \
                 INSERT INTO t VALUES (7, 'seven', 1)";
    for mode in ["append", "upsert"] {
        let database = Database::new(setup);
        let sql = "SELECT i AS id, CASE i WHEN 3 THEN NULL WHEN 5 THEN 'bad' ELSE 'n' || i END AS name FROM range(1, 11) r(i)";
        let mut config = json!({"table": "t", "mode": mode, "key": "id"});
        let (kind, error) = refused(&database, config.clone(), sql).await;
        assert_eq!(kind, ErrorKind::Integrity, "{error}");
        assert_eq!(rows(&database), "7=seven", "nothing is written");
        config["max_rejects"] = json!(3);
        let counts = counts(&database, config, sql).await;
        let duplicate = u64::from(mode == "append");
        assert_eq!((counts.inserted, counts.rejected, counts.updated), (7, 2 + duplicate, 1 - duplicate));
        let rejects = database
            .bench
            .query("SELECT row_number || ' ' || coalesce(\"column\", '-') || ': ' || reason FROM rejects.write ORDER BY row_number")
            .await
            .unwrap();
        let reasons: Vec<&str> = rejects.rows().iter().filter_map(|row| row[0].as_deref()).collect();
        assert!(reasons.contains(&"3 name: NULL, but the column is NOT NULL"), "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason.starts_with("5 -: CHECK constraint failed: ")), "{reasons:?}");
        assert_eq!(reasons.contains(&"7 id: UNIQUE constraint failed: id"), mode == "append", "{reasons:?}");
    }
}

#[tokio::test]
async fn what_the_type_of_a_column_would_change_is_rejected() {
    for (declared, value) in [
        ("INTEGER", "1.5::DOUBLE"),
        ("TINYINT", "300"),
        ("DOUBLE", "9007199254740993"),
        ("FLOAT", "0.1::DOUBLE"),
        ("DECIMAL(5,1)", "1.25::DECIMAL(12,2)"),
        ("UUID", "'no uuid'"),
        ("ENUM('a')", "'b'"),
        ("JSON", "'{'"),
        ("TIMESTAMP_S", "'2024-01-01 00:00:00.5'::TIMESTAMP"),
        ("TINYINT[]", "[300]"),
    ] {
        let database = Database::new(&format!("CREATE TABLE t (c {declared})"));
        let counts = counts(&database, json!({"table": "t", "max_rejects": 1}), &format!("SELECT {value} AS c")).await;
        assert_eq!(counts.rejected, 1, "{declared} {value}");
    }
    for (declared, value, kept) in [
        ("INTEGER", "2.0::DOUBLE", "2"),
        ("HUGEINT", "5", "5"),
        ("VARCHAR", "12", "12"),
        ("DECIMAL(5,1)", "1.50::DECIMAL(12,2)", "1.5"),
        ("UUID", "'ABCDEF00-0000-0000-0000-000000000001'::UUID", "abcdef00-0000-0000-0000-000000000001"),
        ("TIMESTAMP_NS", "'2024-01-01'::DATE", "2024-01-01 00:00:00"),
        ("BIGINT[]", "[300]", "[300]"),
    ] {
        let database = Database::new(&format!("CREATE TABLE t (c {declared})"));
        counts(&database, json!({"table": "t"}), &format!("SELECT {value} AS c")).await;
        assert_eq!(database.value("SELECT c FROM t"), kept, "{declared} {value}");
    }
    for (declared, value) in [
        ("INTEGER", "'a'"),
        ("VARCHAR", "1.5::DOUBLE"),
        ("VARCHAR", "'a'::BLOB"),
        ("TIMESTAMPTZ", "'2024-01-01'::TIMESTAMP"),
    ] {
        let database = Database::new(&format!("CREATE TABLE t (c {declared})"));
        let (kind, error) = refused(&database, json!({"table": "t"}), &format!("SELECT {value} AS c")).await;
        assert!(kind == ErrorKind::Validation && error.contains("cast"), "{declared} {value}: {error}");
    }
}

#[tokio::test]
async fn everything_in_the_way_is_said_at_once() {
    let database = Database::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, g INTEGER AS (id + 1), needed TEXT NOT NULL); CREATE VIEW v AS SELECT 1 AS id",
    );
    let config = json!({"table": "t", "mode": "upsert", "key": ["id", "g"]});
    let (_, error) = refused(&database, config, "SELECT 1 AS id, 2 AS g, 2 AS nedeed").await;
    for problem in [
        "`g` is generated",
        "did you mean `needed`?",
        "`needed` is NOT NULL",
        "on exactly the columns of `key` (id, g)",
        "the table has: id",
    ] {
        assert!(error.contains(problem), "{problem}: {error}");
    }
    let (_, error) = refused(&database, json!({"table": "v"}), "SELECT 1 AS id").await;
    assert!(error.contains("it is a view"), "{error}");
    let (_, error) = refused(&database, json!({"table": "absent"}), TWO).await;
    assert!(error.contains("no table `absent`") && error.contains("create_if_missing"), "{error}");
}

#[tokio::test]
async fn tables_and_columns_are_added_in_the_same_transaction() {
    let database = Database::new("CREATE SCHEMA s");
    let config = json!({
        "schema": "s", "table": "t", "create_if_missing": true, "key": "id", "schema_evolution": "add_columns"
    });
    counts(&database, config.clone(), TWO).await;
    counts(&database, config.clone(), "SELECT 3 AS id, 'c' AS name, 2.5::DECIMAL(20,3) AS price").await;
    let schema = "SELECT string_agg(name || ' ' || type || ' ' || pk, ', ') FROM pragma_table_info('s.t')";
    assert_eq!(database.value(schema), "id INTEGER true, name VARCHAR false, price DECIMAL(20,3) false");
    let (kind, _) = refused(&database, config, "SELECT 3 AS id, 'again' AS name, 1 AS more").await;
    assert_eq!(kind, ErrorKind::Integrity);
    assert!(!database.value(schema).contains("more"));
}

#[tokio::test]
async fn a_row_without_its_parent_is_rejected_and_rows_that_are_referred_to_are_kept() {
    let database = Database::new(
        "CREATE TABLE parent (id INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1); \
         CREATE TABLE t (id INTEGER PRIMARY KEY REFERENCES parent (id), name TEXT); INSERT INTO t VALUES (1, 'old')",
    );
    let config = json!({"table": "t", "mode": "overwrite", "max_rejects": 1});
    let written = counts(&database, config.clone(), TWO).await;
    assert_eq!((written.inserted, written.deleted, written.rejected), (1, 1, 1));
    let (kind, error) = refused(&database, json!({"table": "parent", "mode": "overwrite"}), "SELECT 5 AS id").await;
    assert!(kind == ErrorKind::Validation && error.contains("mode: upsert"), "{error}");
    assert_eq!(rows(&database), "1=a");
}

#[tokio::test]
async fn a_row_that_another_unique_key_refuses_is_reported_by_its_columns_and_without_its_value() {
    let setup = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE); INSERT INTO t VALUES (1, 'a@example.com')";
    let database = Database::new(setup);
    let config = json!({"table": "t", "mode": "upsert", "key": "id"});
    let (kind, report) = refused(&database, config.clone(), "SELECT 2 AS id, 'a@example.com' AS name").await;
    assert_eq!(kind, ErrorKind::Integrity);
    assert!(report.contains("unique key: name") && !report.contains("a@example.com"), "{report}");
    // The row itself may keep its value.
    let kept = counts(&database, config, "SELECT 1 AS id, 'a@example.com' AS name").await;
    assert_eq!((kept.updated, kept.rejected), (1, 0));
}

#[tokio::test]
async fn no_name_of_a_column_is_taken() {
    let sql = "SELECT 1 AS osiris_row, 2 AS osiris_input, 'a' AS c1";
    for setup in
        ["", "CREATE TABLE t (osiris_row INTEGER PRIMARY KEY, osiris_input INTEGER CHECK (osiris_input > 0), c1 TEXT)"]
    {
        let database = Database::new(setup);
        let config = json!({"table": "t", "mode": "upsert", "key": "osiris_row", "create_if_missing": true});
        assert_eq!(counts(&database, config, sql).await.inserted, 1);
        assert_eq!(database.value("SELECT osiris_row || osiris_input || c1 FROM t"), "12a");
    }
}

#[tokio::test]
async fn many_rows_are_written_in_their_order() {
    let database = Database::new("");
    let sql = "SELECT i AS id, repeat('x', 100) AS padding FROM range(200000) r(i)";
    let written = counts(&database, json!({"table": "t", "create_if_missing": true}), sql).await;
    assert_eq!(written.inserted, 200_000);
    assert_eq!(database.value("SELECT count(*) FROM t WHERE id = rowid"), "200000");
}
