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
    assert!(error.contains("1 value of the key occurs") && error.contains("dedupe: last"), "{error}");
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
    for (encoding, rejected) in [("UTF-8", 0), ("UTF-16le", 2)] {
        let database = Database::new(&format!("PRAGMA encoding = '{encoding}'; CREATE TABLE t (c TEXT)")).await;
        let sql = "SELECT unnest([chr(65534), 'a' || chr(65535), chr(65533), 'ů']) AS c";
        let counts = counts(&database, json!({"table": "t", "max_rejects": 2}), sql).await;
        assert_eq!((counts.inserted, counts.rejected), (4 - rejected, rejected), "{encoding}");
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

#[tokio::test]
async fn null_never_becomes_an_id() {
    let setup = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, code TEXT UNIQUE)";
    let rows_of = "SELECT * FROM (VALUES (1, 'a', 'x'), (NULL, 'b', 'y')) AS v(id, name, code)";
    for (mode, key) in [("append", Value::Null), ("overwrite", Value::Null), ("upsert", json!("code"))] {
        let database = Database::new(setup).await;
        let config = json!({"table": "t", "mode": mode, "key": key, "max_rejects": 1});
        let counts = counts(&database, config, rows_of).await;
        assert_eq!((counts.inserted, counts.rejected), (1, 1), "{mode}");
        assert_eq!(rows(&database).await, "1=a", "{mode}");
        let reject = database.bench.query("SELECT \"column\" || ': ' || reason FROM rejects.write").await.unwrap();
        let reason = reject.rows()[0][0].as_deref().unwrap_or_default();
        assert!(reason.contains("id: NULL") && reason.contains("INTEGER PRIMARY KEY"), "{mode}: {reason}");
    }
    // Left out it is given, and a primary key of another kind keeps its NULL.
    let database = Database::new("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)").await;
    assert_eq!(counts(&database, json!({"table": "t"}), "SELECT 'a' AS name").await.inserted, 1);
    let database = Database::new("CREATE TABLE t (id INT PRIMARY KEY, name TEXT)").await;
    assert_eq!(counts(&database, json!({"table": "t"}), "SELECT NULL::INTEGER AS id").await.inserted, 1);
    assert_eq!(database.value("SELECT count(*) FROM t WHERE id IS NULL").await, "1");
}

#[tokio::test]
async fn old_rows_that_a_trigger_keeps_are_an_error() {
    let database = Database::new(
        "CREATE TABLE t (id INTEGER, name TEXT); INSERT INTO t VALUES (7, 'kept'), (8, 'gone'); \
         CREATE TRIGGER keep BEFORE DELETE ON t WHEN old.id = 7 BEGIN SELECT RAISE(IGNORE); END",
    )
    .await;
    let (kind, error) = refused(&database, json!({"table": "t", "mode": "overwrite"}), TWO).await;
    assert!(kind == ErrorKind::Validation && error.contains("1 rows") && error.contains("trigger"), "{error}");
    assert_eq!(rows(&database).await, "7=kept 8=gone");
}

#[tokio::test]
async fn altered_values_count_in_rows_that_were_written_only() {
    let three = "SELECT i AS id, '-0.0'::DOUBLE AS x, i // 2 AS k FROM range(6) r(i)";
    let setup =
        "CREATE TABLE t (id INTEGER, x REAL, k INTEGER PRIMARY KEY CHECK (k <> 2)); INSERT INTO t VALUES (0, 1, 0)";
    for (conflict, altered) in [("update", 2), ("ignore", 1)] {
        let database = Database::new(setup).await;
        let config = json!({
            "table": "t", "mode": "upsert", "key": "k", "on_conflict": conflict, "dedupe": "last", "order_by": "id",
            "max_rejects": 1
        });
        let counts = counts(&database, config, three).await;
        assert_eq!((counts.rejected, counts.altered), (1, altered), "{conflict}");
    }
}

#[tokio::test]
async fn rows_that_an_expression_of_the_table_cannot_take_are_rejected() {
    let setup = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, kind AS (json_extract(name, '$.kind')) STORED)";
    let sql = "SELECT * FROM (VALUES (1, '{}'), (2, 'no json'), (3, '[]')) AS v(id, name)";
    for mode in ["append", "upsert"] {
        let database = Database::new(setup).await;
        let config = json!({"table": "t", "mode": mode, "key": "id", "max_rejects": 1});
        let counts = counts(&database, config, sql).await;
        assert_eq!((counts.inserted, counts.rejected), (2, 1), "{mode}");
        assert_eq!(rows(&database).await, "1={} 3=[]", "{mode}");
    }
    // What no row can be at fault for fails the step.
    let setup = "CREATE TABLE t (id INTEGER, name TEXT); \
                 CREATE TRIGGER log AFTER INSERT ON t BEGIN INSERT INTO absent VALUES (1); END";
    let database = Database::new(setup).await;
    let (kind, error) = refused(&database, json!({"table": "t", "max_rejects": 9}), TWO).await;
    assert!(kind == ErrorKind::Validation && error.contains("no such table: main.absent"), "{error}");
}

#[tokio::test]
async fn a_trigger_that_rolls_everything_back_is_named() {
    let database = Database::new(
        "CREATE TABLE t (id INTEGER, name TEXT); INSERT INTO t VALUES (7, 'old'); \
         CREATE TRIGGER all_or_nothing BEFORE INSERT ON t WHEN new.name = 'b' \
         BEGIN SELECT RAISE(ROLLBACK, 'b is forbidden'); END",
    )
    .await;
    for mode in ["append", "overwrite"] {
        let (kind, error) = refused(&database, json!({"table": "t", "mode": mode, "max_rejects": 9}), TWO).await;
        assert!(kind == ErrorKind::Validation && error.contains("b is forbidden"), "{mode}: {error}");
        assert_eq!(rows(&database).await, "7=old", "{mode}");
    }
}

#[tokio::test]
async fn no_name_of_a_column_is_taken() {
    let sql = "SELECT 1 AS osiris_row, 2 AS osiris_altered, 'a' AS c1";
    for setup in ["", "CREATE TABLE t (osiris_row INTEGER PRIMARY KEY, osiris_altered INTEGER, c1 TEXT)"] {
        let database = Database::new(setup).await;
        let config = json!({"table": "t", "mode": "upsert", "key": "osiris_row", "create_if_missing": true});
        assert_eq!(counts(&database, config, sql).await.inserted, 1);
        assert_eq!(database.value("SELECT osiris_row || osiris_altered || c1 FROM t").await, "12a");
    }
}

#[tokio::test]
async fn a_row_without_its_parent_is_rejected_or_fails_the_commit_of_a_table_that_others_refer_to() {
    let setup = "CREATE TABLE parent (id INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1); \
                 CREATE TABLE t (id INTEGER PRIMARY KEY REFERENCES parent, name TEXT); INSERT INTO t VALUES (1, 'old')";
    let database = Database::new(setup).await;
    let config = json!({"table": "t", "mode": "overwrite", "max_rejects": 1});
    let written = counts(&database, config.clone(), TWO).await;
    assert_eq!((written.inserted, written.deleted, written.rejected), (1, 1, 1));
    database.execute("CREATE TABLE child (id INTEGER REFERENCES t)").await;
    let (kind, error) = refused(&database, config, TWO).await;
    assert!(kind == ErrorKind::Validation && error.contains("1 rows of `t` without a row of `parent`"), "{error}");
    assert_eq!(rows(&database).await, "1=a");
}

#[tokio::test]
async fn a_row_that_another_unique_index_refuses_is_reported_by_the_columns_of_that_index_and_without_its_value() {
    let setup = "CREATE TABLE t (id INTEGER PRIMARY KEY, email TEXT UNIQUE); INSERT INTO t VALUES (1, 'a@example.com')";
    let database = Database::new(setup).await;
    let config = json!({"table": "t", "mode": "upsert", "key": "id"});
    let (kind, report) = refused(&database, config, "SELECT 2 AS id, 'a@example.com' AS email").await;
    assert_eq!(kind, ErrorKind::Integrity);
    assert!(report.contains("unique key: t.email") && !report.contains("mode: upsert"), "{report}");
    assert!(!report.contains("a@example.com"), "{report}");
    let repeated = "SELECT * FROM (VALUES (5, 'x'), (5, 'y')) AS v(id, email)";
    let config = json!({"table": "t", "mode": "upsert", "key": "id"});
    let (kind, report) = refused(&database, config, repeated).await;
    assert_eq!(kind, ErrorKind::Validation);
    assert!(report.contains("1 value of the key occurs more than once") && report.contains("key: id"), "{report}");
}
