//! Modes, counts, rejects and schemas of the writer.

use osiris_core::{ErrorKind, StepCounts};
use serde_json::{Value, json};

use crate::database::Database;

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
async fn rows(database: &Database) -> String {
    database.value("SELECT group_concat(id || '=' || ifnull(name, '∅'), ' ' ORDER BY id) FROM t").await
}

#[tokio::test]
async fn every_mode_counts_what_it_does() {
    let database = Database::new("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)").await;
    let config = |mode: &str| json!({"table": "T", "mode": mode, "key": "ID"});
    let appended = counts(&database, json!({"table": "t"}), TWO).await;
    assert_eq!((appended.read, appended.inserted), (2, 2));
    let three = "SELECT * FROM (VALUES (2, 'B'), (3, 'c'), (4, NULL)) AS v(id, name)";
    let upserted = counts(&database, config("upsert"), three).await;
    assert_eq!((upserted.inserted, upserted.updated), (2, 1));
    assert_eq!(rows(&database).await, "1=a 2=B 3=c 4=∅");
    let mut ignoring = config("append");
    ignoring["on_conflict"] = json!("ignore");
    let ignored = counts(&database, ignoring, "SELECT * FROM (VALUES (4, 'x'), (5, 'e')) AS v(id, name)").await;
    assert_eq!((ignored.inserted, ignored.ignored), (1, 1));
    let replaced = counts(&database, config("overwrite"), TWO).await;
    assert_eq!((replaced.inserted, replaced.deleted), (2, 5));
    assert_eq!(rows(&database).await, "1=a 2=b");
}

#[tokio::test]
async fn rows_of_one_key_are_refused_or_the_last_one_is_kept() {
    let setup = "CREATE TABLE t (id TEXT COLLATE NOCASE PRIMARY KEY, name TEXT); INSERT INTO t VALUES ('A', 'old')";
    let database = Database::new(setup).await;
    let twice = "SELECT * FROM (VALUES ('a', 'late', 2), ('A', 'early', 1), ('b', 'b', 0)) AS v(id, name, version)";
    let mut config = json!({"table": "t", "mode": "upsert", "key": "id", "columns": ["id", "name"]});
    let (kind, error) = refused(&database, config.clone(), twice).await;
    assert_eq!(kind, ErrorKind::Validation);
    assert!(error.contains("1 keys") && error.contains("dedupe: last"), "{error}");
    (config["dedupe"], config["order_by"]) = (json!("last"), json!("version"));
    let merged = counts(&database, config, twice).await;
    assert_eq!((merged.inserted, merged.updated, merged.ignored), (1, 1, 1));
    assert_eq!(rows(&database).await, "A=late b=b");
}

#[tokio::test]
async fn rows_at_fault_are_rejected_with_number_column_and_reason() {
    let setup = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL CHECK (name <> 'bad')); INSERT INTO t VALUES (7, 'seven')";
    for mode in ["append", "upsert"] {
        let database = Database::new(setup).await;
        let sql = "SELECT i AS id, CASE i WHEN 3 THEN NULL WHEN 5 THEN 'bad' ELSE 'n' || i END AS name FROM range(1, 11) r(i)";
        let mut config = json!({"table": "t", "mode": mode, "key": "id"});
        let (kind, error) = refused(&database, config.clone(), sql).await;
        assert_eq!(kind, ErrorKind::Integrity, "{error}");
        assert_eq!(rows(&database).await, "7=seven", "nothing is written");
        config["max_rejects"] = json!(3);
        let counts = counts(&database, config, sql).await;
        let duplicate = u64::from(mode == "append");
        assert_eq!((counts.inserted, counts.rejected, counts.updated), (7, 2 + duplicate, 1 - duplicate));
        let rejects = database
            .bench
            .query("SELECT row_number || ' ' || coalesce(\"column\", '-') || ': ' || reason FROM rejects.write ORDER BY row_number DESC")
            .await
            .unwrap();
        let reasons: Vec<&str> = rejects.rows().iter().filter_map(|row| row[0].as_deref()).collect();
        assert!(reasons.contains(&"3 name: NOT NULL constraint failed: t.name"), "{reasons:?}");
        assert!(reasons.contains(&"5 -: CHECK constraint failed: name <> 'bad'"), "{reasons:?}");
        assert_eq!(reasons.contains(&"7 id: UNIQUE constraint failed: t.id"), mode == "append", "{reasons:?}");
    }
}

#[tokio::test]
async fn what_sqlite_would_change_is_rejected() {
    for (declared, value) in [
        ("NUMERIC", "'0012'"),
        ("REAL", "9007199254740993"),
        ("INTEGER", "1.5::DOUBLE"),
        ("DECIMAL(38,2)", "12345678901234567.25::DECIMAL(38,2)"),
        ("INTEGER", "18446744073709551615::UBIGINT"),
        ("REAL", "'nan'::DOUBLE"),
        ("DATE", "'10000-01-01'::DATE"),
        ("TEXT", "'a' || chr(0)"),
    ] {
        let database = Database::new(&format!("CREATE TABLE t (c {declared})")).await;
        let config = json!({"table": "t", "max_rejects": 1});
        let counts = counts(&database, config, &format!("SELECT {value} AS c")).await;
        assert_eq!(counts.rejected, 1, "{declared} {value}");
    }
    for (declared, value) in [("INTEGER", "'a'"), ("TEXT", "1.5::DOUBLE"), ("TEXT", "'a'::BLOB"), ("TEXT", "[1]")] {
        let database = Database::new(&format!("CREATE TABLE t (c {declared})")).await;
        let (kind, error) = refused(&database, json!({"table": "t"}), &format!("SELECT {value} AS c")).await;
        assert!(kind == ErrorKind::Validation && error.contains("cast"), "{declared} {value}: {error}");
    }
}

#[tokio::test]
async fn everything_in_the_way_is_said_at_once() {
    let database = Database::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, g TEXT AS ('x'), needed TEXT NOT NULL); CREATE VIEW v AS SELECT 1 AS id; \
         CREATE TABLE child (id INTEGER REFERENCES t ON DELETE CASCADE)",
    )
    .await;
    let config = json!({"table": "t", "mode": "upsert", "key": ["id", "g"]});
    let (_, error) = refused(&database, config, "SELECT 1 AS id, 'x' AS g, 2 AS nedeed").await;
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
    let (_, error) = refused(&database, json!({"table": "t", "mode": "overwrite"}), "SELECT 'a' AS needed").await;
    assert!(error.contains("rows of child"), "{error}");
}

#[tokio::test]
async fn a_trigger_that_drops_rows_is_noticed_and_conflict_clauses_of_the_table_do_not_hide_rows() {
    let database = Database::new(
        "CREATE TABLE t (id INTEGER UNIQUE ON CONFLICT IGNORE, name TEXT); INSERT INTO t VALUES (1, 'old'); \
         CREATE TRIGGER no_b BEFORE INSERT ON t WHEN new.name = 'b' BEGIN SELECT RAISE(IGNORE); END",
    )
    .await;
    let counts = counts(&database, json!({"table": "t", "max_rejects": 2}), TWO).await;
    assert_eq!((counts.inserted, counts.rejected), (0, 2));
    assert_eq!(rows(&database).await, "1=old");
}

#[tokio::test]
async fn tables_and_columns_are_added_in_the_same_transaction() {
    let database = Database::new("").await;
    let config = json!({"table": "t", "create_if_missing": true, "key": "id", "schema_evolution": "add_columns"});
    counts(&database, config.clone(), TWO).await;
    counts(&database, config.clone(), "SELECT 3 AS id, 'c' AS name, 2.5::DECIMAL(20,3) AS price").await;
    let schema = "SELECT group_concat(name || ' ' || type || ' ' || pk, ', ') FROM pragma_table_info('t')";
    assert_eq!(database.value(schema).await, "id INTEGER 1, name TEXT 0, price DECIMAL TEXT(20,3) 0");
    let (kind, _) = refused(&database, config, "SELECT 3 AS id, 'again' AS name, 1 AS more").await;
    assert_eq!(kind, ErrorKind::Integrity);
    assert!(!database.value(schema).await.contains("more"));
}

#[tokio::test]
async fn rows_that_refer_to_the_table_stay_valid_when_it_is_replaced() {
    let setup = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'old'), (9, 'gone'); \
                 CREATE TABLE child (id INTEGER REFERENCES t); INSERT INTO child VALUES (1)";
    let database = Database::new(setup).await;
    let config = json!({"table": "t", "mode": "overwrite"});
    counts(&database, config.clone(), TWO).await;
    assert_eq!(rows(&database).await, "1=a 2=b");
    let (kind, error) = refused(&database, config, "SELECT 5 AS id, 'five' AS name").await;
    assert!(kind == ErrorKind::Validation && error.contains("FOREIGN KEY"), "{error}");
    assert_eq!(rows(&database).await, "1=a 2=b");
}
