//! Overwrite in place: what stays, who is refused, who waits. Columns that are added, tables made.

use osiris_testkit::database::{config, writes};
use osiris_testkit::services::PostgresOptions;
use serde_json::json;

use crate::subject::Writing;

#[tokio::test]
async fn the_table_keeps_its_definition_and_gets_new_rows() {
    let Some(writing) = Writing::with(PostgresOptions::new()).await else { return };
    writing
        .execute(
            "CREATE ROLE reader; CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text NOT NULL DEFAULT 'd', u int UNIQUE, \
               twice int GENERATED ALWAYS AS (u * 2) STORED); \
             INSERT INTO t (v, u) VALUES ('a', 1), ('b', 2); CREATE VIEW w AS SELECT id, twice FROM t; GRANT SELECT ON t TO reader; \
             CREATE INDEX by_v ON t (v); COMMENT ON TABLE t IS 'mine'",
        )
        .await;
    let oid = writing
        .shown("SELECT 't'::regclass::oid, relacl, obj_description('t'::regclass) FROM pg_class WHERE relname = 't'")
        .await;
    let overwrite = config(json!({"mode": "replace", "columns": ["id", "u"]}));
    let output = writing.write(overwrite.clone(), "SELECT 5 AS id, 6 AS u").await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.deleted), (1, 2));
    assert_eq!(writing.shown("SELECT * FROM t").await, "5|d|6|12");
    assert_eq!(writing.shown("SELECT * FROM w").await, "5|12");
    let now = writing
        .shown("SELECT 't'::regclass::oid, relacl, obj_description('t'::regclass) FROM pg_class WHERE relname = 't'")
        .await;
    assert_eq!(oid, now);
    // The next number that the server gives is none that was written.
    writing.execute("INSERT INTO t (u) VALUES (7)").await;
    assert_eq!(writing.shown("SELECT id FROM t ORDER BY 1").await, "5\n6");
    writing.write(overwrite, "SELECT 5 AS id, 6 AS u WHERE false").await.unwrap();
    assert_eq!(writing.shown("SELECT COUNT(*) FROM t").await, "0");
}

#[tokio::test]
async fn rows_that_others_refer_to_are_replaced_by_key() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, email text UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'); \
             CREATE TABLE child (t int REFERENCES t (id)); INSERT INTO child VALUES (1)",
        )
        .await;
    let data = "SELECT * FROM (VALUES (1, 'a'), (3, 'z'), (4, 'b')) v(id, email)";
    let output = writing.write(config(json!({"mode": "overwrite"})), data).await.unwrap();
    let counts = &output.counts;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged, counts.deleted), (1, 1, 1, 1));
    assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "1|a\n3|z\n4|b");
    // A row that is referred to cannot go.
    let failure =
        writing.write(config(json!({"mode": "overwrite"})), "SELECT 4 AS id, 'b' AS email").await.unwrap_err();
    assert!(failure.error.message().contains("child"), "{:?}", failure.error);
    assert_eq!(writing.shown("SELECT count(*) FROM t").await, "3");
    // A row that is refused is not in the new set.
    let data = "SELECT * FROM (VALUES (1, 'a'), (3, 'a')) v(id, email)";
    let output = writing.write(config(json!({"mode": "overwrite", "max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.rejected, output.counts.deleted), (1, 2));
    assert_eq!(writing.shown("SELECT * FROM t").await, "1|a");
}

#[tokio::test]
async fn rows_of_other_tables_are_never_removed_by_a_cascade() {
    let Some(writing) = Writing::new().await else { return };
    writes::cascades_are_refused(&writing, &[json!({"mode": "overwrite"})]).await;
}

#[tokio::test]
async fn rows_may_refer_to_rows_that_come_later() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, parent int REFERENCES t (id)); \
             CREATE TABLE u (id int PRIMARY KEY, other int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
        )
        .await;
    let data =
        "SELECT i::INTEGER AS id, (CASE i WHEN 999 THEN NULL ELSE i + 1 END)::INTEGER AS parent FROM range(1000) r(i)";
    for mode in ["append", "overwrite"] {
        let output = writing.write(config(json!({"mode": mode, "batch_size": 10})), data).await.unwrap();
        assert_eq!(output.counts.inserted, 1000);
    }
    // A row that is refused takes only those with it that refer to it.
    writing.execute("DELETE FROM t; ALTER TABLE t ADD CHECK (id <> 20)").await;
    let data = "SELECT i::INTEGER AS id, (CASE i WHEN 39 THEN NULL WHEN 19 THEN 21 ELSE i + 1 END)::INTEGER AS parent FROM range(40) r(i)";
    let output = writing.write(config(json!({"max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (39, 1), "{}", writing.rejects().await);
    // A constraint that waits for the end still names its row.
    let data = "SELECT i::INTEGER AS id, (i % 9)::INTEGER AS other FROM range(10) r(i)";
    let output = writing.write(json!({"table": "u", "max_rejects": 1}), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (9, 1));
}

#[tokio::test]
async fn columns_are_added_when_allowed_and_refused_otherwise() {
    let Some(writing) = Writing::new().await else { return };
    let plan = writes::columns_are_added_when_allowed(&writing, "t").await;
    assert_eq!(plan, "ALTER TABLE \"public\".\"t\" ADD COLUMN \"price\" numeric(6,2);\n");
    // With its rows a column comes or goes.
    let more = json!({"schema_evolution": "add_columns"});
    writing.write(config(more), "SELECT 3 AS id, 1 AS late").await.unwrap_err();
    assert_eq!(writing.shown("SELECT count(*) FROM information_schema.columns WHERE column_name = 'late'").await, "0");
}

#[tokio::test]
async fn two_writes_into_one_table_come_one_after_the_other_and_readers_never_wait() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 100)").await;
    let seen = async {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..20 {
            seen.insert(writing.shown("SELECT count(*) FROM t").await);
        }
        seen
    };
    let fields = json!({"mode": "overwrite", "batch_size": 1000});
    let seen = writes::writes_come_one_after_the_other(&writing, fields, seen).await;
    assert!(seen.iter().all(|count| ["100", "20000", "30000"].contains(&count.trim())), "{seen:?}");
}

#[tokio::test]
async fn a_created_table_has_the_types_of_the_input() {
    let Some(writing) = Writing::new().await else { return };
    let data = "SELECT 1::UBIGINT AS id, 'k' AS code, 1.5::DECIMAL(10,3) AS d, 'x'::BLOB AS b, {'a': 1} AS s, \
        TIMESTAMP '2024-01-02 03:04:05' AS at, '12:00'::TIME AS tod, 1::HUGEINT AS h, [1, 2] AS l, uuid() AS u, \
        '{}'::JSON AS j, '0101'::BIT AS bits, INTERVAL 3 DAY AS i, 2::UTINYINT AS tiny";
    let settings = config(json!({"create_if_missing": true, "key": ["id", "code"]}));
    let dry = writing.bench.table("source", data).await.unwrap();
    let step = writing.bench.step("write", "postgres.writer", settings.clone()).connection(writing.connection.clone());
    step.input(&dry).dry_run().run().await.unwrap();
    assert_eq!(writing.shown("SELECT to_regclass('t')").await, "-");
    writing.write_table(settings, &dry).await.unwrap();
    let columns = "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute \
        WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum";
    insta::assert_snapshot!(writing.shown(columns).await, @"
    id|numeric(20,0)|t
    code|text|t
    d|numeric(10,3)|f
    b|bytea|f
    s|jsonb|f
    at|timestamp without time zone|f
    tod|time without time zone|f
    h|numeric(38,0)|f
    l|integer[]|f
    u|uuid|f
    j|jsonb|f
    bits|bit varying|f
    i|interval|f
    tiny|smallint|f
    ");
    insta::assert_snapshot!(writing.shown("SELECT * FROM (SELECT id, code, d, b, s, at, tod, h, l, j, bits, i, tiny FROM t) x").await, @r#"
    1|k|1.500|\x78|{"a": 1}|2024-01-02 03:04:05|12:00:00|1|{1,2}|{}|0101|3 days|2
    "#);
}
