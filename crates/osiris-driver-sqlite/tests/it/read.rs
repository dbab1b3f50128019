//! What is read, and as what.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use sqlx::Executor as _;

use crate::database::{Database, open};

#[tokio::test]
async fn declared_types_decide_and_values_are_exact() {
    let database = Database::new(
        "CREATE TABLE t (i BIGINT, r REAL, d DECIMAL(12,2), x DECIMAL TEXT(38,3), b BOOL, day DATE, at TIMESTAMP, z TIMESTAMPTZ, \
         clock TIME, s VARCHAR(3), o BLOB); \
         INSERT INTO t VALUES (9223372036854775807, 1, 1.1, '-12345678901234567890.123', 1, '2024-02-29', '2024-02-29T23:59', \
         '2024-02-29 00:30:00.5+01:00', '23:59:59.000001', 'ů', x'00ff'), \
         (-9223372036854775808, 0.1, 2, '0', 0, '0000-01-01', '9999-12-31 23:59:59.999999', '2024-01-01 00:00:00Z', \
         '00:00', '', x''), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    .await;
    let (types, rows) = database.extracted(json!({"table": "t"})).await;
    assert_eq!(
        types.join(" "),
        "BIGINT DOUBLE DECIMAL(12,2) DECIMAL(38,3) BOOLEAN DATE TIMESTAMP INSTANT TIME VARCHAR BLOB"
    );
    assert_eq!(
        rows[0].join("|"),
        "9223372036854775807|1.0|1.10|-12345678901234567890.123|true|2024-02-29|2024-02-29 23:59:00|\
         2024-02-28 23:30:00.500+00:00|23:59:59.000001|ů|00ff"
    );
    assert_eq!(
        rows[1].join("|"),
        "-9223372036854775808|0.1|2.00|0.000|false|0000-01-01|9999-12-31 23:59:59.999999|2024-01-01 00:00:00+00:00|00:00:00||"
    );
    assert!(rows[2].iter().all(|cell| cell == "∅"));
}

#[tokio::test]
async fn a_value_that_does_not_fit_its_column_is_an_error_with_row_and_remedy() {
    for (declared, value, found, hint) in [
        ("INTEGER", "'many'", "TEXT", "CAST(\"c\" AS TEXT)"),
        ("INTEGER", "1.5", "REAL", "CAST"),
        ("TEXT", "x'00'", "BLOB", "CAST"),
        ("TEXT", "CAST(x'ff' AS TEXT)", "not UTF-8", "CAST(\"c\" AS BLOB)"),
        ("DATE", "'tomorrow'", "TEXT", "correct the values"),
        ("DATETIME", "1706745599", "INTEGER", "'unixepoch'"),
        ("DATETIME", "'2024-01-01 00:00:00Z'", "TEXT", "CAST"),
        ("TIMESTAMPTZ", "'2024-01-01 00:00:00'", "TEXT", "CAST"),
        ("BOOLEAN", "2", "INTEGER", "CAST"),
        ("DECIMAL(5,2)", "0.125", "REAL", "CAST"),
        ("DECIMAL(5,2)", "1000", "INTEGER", "CAST"),
        ("REAL", "9007199254740993", "REAL", ""),
    ] {
        let setup = format!("CREATE TABLE t (c {declared}); INSERT INTO t VALUES (NULL), ({value})");
        let database = Database::new(&setup).await;
        if hint.is_empty() {
            // SQLite made a REAL of it when it was inserted.
            assert_eq!(database.extracted(json!({"table": "t"})).await.0, ["DOUBLE"]);
            continue;
        }
        let error = database.refused(json!({"table": "t"})).await;
        assert!(error.contains("column `c`") && error.contains("row: 2"), "{declared} {value}: {error}");
        assert!(error.contains(found) && error.contains(hint), "{declared} {value}: {error}");
        assert!(!error.contains("tomorrow") && !error.contains("1706745599"), "a value is shown: {error}");
    }
}

#[tokio::test]
async fn without_a_declared_type_all_values_decide() {
    let database = Database::new(
        "CREATE TABLE t (i, r, s STRING, o BLOB, n NUMERIC, e); \
         INSERT INTO t VALUES (1, 1, 'a', x'00', 1, NULL), (2, 2.5, 'b', NULL, 9007199254740992, NULL)",
    )
    .await;
    let (types, rows) = database.extracted(json!({"table": "t"})).await;
    assert_eq!(types, ["BIGINT", "DOUBLE", "VARCHAR", "BLOB", "BIGINT", "BLOB"]);
    assert_eq!(rows[1], ["2", "2.5", "b", "∅", "9007199254740992", "∅"]);
    let query =
        "SELECT count(*) AS n, avg(r) AS mean, s || '!' AS loud, CAST(i AS TEXT) AS text, max(i) FROM t GROUP BY s";
    let (types, rows) = database.extracted(json!({"query": query})).await;
    assert_eq!(types, ["BIGINT", "DOUBLE", "VARCHAR", "VARCHAR", "BIGINT"]);
    assert_eq!(rows[0], ["1", "1.0", "a!", "1", "1"]);
    let error = database.refused(json!({"query": "SELECT 1 AS c UNION ALL SELECT 'a'"})).await;
    assert!(error.contains("several types: INTEGER, TEXT") && error.contains("CAST(\"c\" AS TEXT)"), "{error}");
    database.execute("INSERT INTO t (r) VALUES (9007199254740993)").await;
    let error = database.refused(json!({"table": "t", "columns": ["r"]})).await;
    assert!(error.contains("column `r` is DOUBLE") && error.contains("row: 3"), "{error}");
}

#[tokio::test]
async fn a_table_is_read_in_part_and_views_keep_the_types_of_their_tables() {
    let database = Database::new(
        "CREATE TABLE t (a INTEGER, \"b\"\"c\" DATE); INSERT INTO t VALUES (1, '2024-01-01'), (2, '2024-01-02'), (3, NULL); \
         CREATE VIEW v AS SELECT \"b\"\"c\" AS day FROM t WHERE a < 3",
    )
    .await;
    let config = json!({"table": "t", "columns": ["b\"c"], "where": "a > 1 -- only", "order_by": "a DESC -- last", "limit": 1, "offset": 1});
    assert_eq!(database.extracted(config).await.1, [["2024-01-02"]]);
    assert_eq!(database.extracted(json!({"table": "v"})).await.0, ["DATE"]);
    let error = database.refused(json!({"query": "SELECT 1 AS a, 2 AS A"})).await;
    assert!(error.contains("`a` and `A`"), "{error}");
}

#[tokio::test]
async fn a_utf_16_database_is_read_as_text() {
    let database =
        Database::new("PRAGMA encoding = 'UTF-16le'; CREATE TABLE \"ů\" (č TEXT); INSERT INTO \"ů\" VALUES ('日本')")
            .await;
    assert_eq!(database.extracted(json!({"table": "ů"})).await.1, [["日本"]]);
}

#[tokio::test]
async fn a_column_that_is_not_there_is_an_error_not_a_text() {
    let database =
        Database::new("CREATE TABLE t (id INTEGER, \"full name\" TEXT); INSERT INTO t VALUES (1, 'a')").await;
    let error = database.refused(json!({"table": "t", "columns": ["id", "fullname"]})).await;
    assert!(error.contains("no column `fullname`") && error.contains("id, full name"), "{error}");
    assert_eq!(database.extracted(json!({"table": "t", "columns": ["rowid", "FULL NAME"]})).await.1, [["1", "a"]]);
    for config in [
        json!({"table": "t", "where": "\"nmae\" = 'nmae'"}),
        json!({"table": "t", "order_by": "\"nmae\""}),
        json!({"query": "SELECT id, \"nmae\" AS name FROM t"}),
    ] {
        let error = database.refused(config.clone()).await;
        assert!(error.contains("no such column: nmae") && error.contains("single quotes"), "{config}: {error}");
    }
    let config = json!({"table": "t", "where": "\"full name\" = 'a'", "order_by": "\"full name\""});
    assert_eq!(database.extracted(config).await.1, [["1", "a"]]);
}

#[tokio::test]
async fn rows_of_several_statements_are_of_one_snapshot() {
    let database = Database::new(
        "PRAGMA journal_mode = WAL; CREATE TABLE clock (tick INTEGER); INSERT INTO clock VALUES (0); \
         CREATE TABLE t (i INTEGER); WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) \
         INSERT INTO t SELECT i FROM n",
    )
    .await;
    // Two statements read the rows: those below the greatest value of the cursor, and those at it.
    let query = "SELECT i, (SELECT CAST(tick AS INTEGER) FROM clock) AS tick FROM t";
    let is_read = AtomicBool::new(false);
    let read = async {
        let read = database.read(json!({"query": query, "cursor": {"column": "i"}})).await;
        is_read.store(true, Ordering::Relaxed);
        read.unwrap().table.unwrap()
    };
    let write = async {
        let mut writer = open(&database.path).await.unwrap();
        writer.execute("PRAGMA synchronous = OFF").await.unwrap();
        while !is_read.load(Ordering::Relaxed) {
            writer.execute("UPDATE clock SET tick = tick + 1").await.unwrap();
        }
    };
    let (table, ()) = tokio::join!(read, write);
    let seen = database.bench.query(&format!("SELECT DISTINCT tick FROM {}", table.sql())).await.unwrap();
    assert_eq!(seen.rows().len(), 1, "the rows are of several snapshots");
    let seen: u64 = seen.rows()[0][0].as_deref().unwrap().parse().unwrap();
    let now: u64 = database.value("SELECT tick FROM clock").await.parse().unwrap();
    assert!(now > seen + 10, "nobody wrote in between");
}

#[tokio::test]
async fn discovery_lists_columns_keys_and_rows() {
    let database = Database::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price DECIMAL(9,2), any); INSERT INTO t VALUES (7, 'a', 1, 1); \
         CREATE TABLE k (id INT PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t; CREATE VIEW broken AS SELECT * FROM absent",
    )
    .await;
    let connection = database.bench.connection("sqlite.extractor", &database.connection()).unwrap();
    let family = database.bench.driver("sqlite.extractor").unwrap().family();
    let catalog = family.discover(&connection, None).await.unwrap();
    let shown: Vec<String> = catalog
        .resources
        .iter()
        .map(|resource| {
            let fields = resource.fields.iter().map(|field| {
                let marks = [(field.primary_key, "!"), (field.nullable, "?")]
                    .map(|(is_set, mark)| if is_set { mark } else { "" });
                format!("{}{} {}", field.name, marks.concat(), field.field_type)
            });
            format!("{} {:?}: {}", resource.name, resource.estimated_row_count, fields.collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "broken None: ",
            "k Some(0): id!? integer",
            "t Some(7): any? any, id! integer, name string, price? decimal",
            "v None: any? binary, id? integer, name? string, price? decimal",
        ]
    );
}

#[tokio::test]
async fn the_total_of_a_whole_table_is_estimated_once_the_file_was_analyzed() {
    let setup = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t (b); \
        INSERT INTO t (b) SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9]')";
    let database = Database::new(setup).await;
    let total = async |config: serde_json::Value| {
        let progress = std::sync::Arc::new(osiris_core::Progress::default());
        database.bench.store().drop_table("read").await.unwrap();
        let step = database.bench.step("read", "sqlite.extractor", config).connection(database.connection());
        step.progress(&progress).run().await.unwrap();
        assert_eq!(progress.is_estimate(), progress.total_rows().is_some());
        progress.total_rows()
    };
    assert_eq!(total(json!({"table": "t"})).await, None);
    database.execute("ANALYZE").await;
    assert_eq!(total(json!({"table": "T"})).await, Some(9));
    assert_eq!(total(json!({"table": "t", "order_by": "a", "limit": 5, "offset": 6})).await, Some(3));
    assert_eq!(total(json!({"table": "t", "where": "a > 1"})).await, None);
}
