//! Rows that cannot be written: each is kept with its reason, and nothing else is lost.

use osiris_core::ErrorKind;
use osiris_testkit::database::{config, writes};
use serde_json::json;

use crate::subject::Writing;

const TABLE: &str = "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); \
    CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2); \
    CREATE TABLE t (id int PRIMARY KEY, n smallint NOT NULL, s varchar(3), c char(4), e mood, d numeric(4,1), \
    at timestamp(3), f real, p int REFERENCES parent (id), ck int CHECK (ck < 100), j jsonb, dom positive, b bit(2), day date)";

const ROWS: &str = "SELECT i::INTEGER AS id, \
    CASE i WHEN 10 THEN 70000 WHEN 11 THEN NULL ELSE 1 END AS n, \
    CASE i WHEN 20 THEN 'long' WHEN 21 THEN 'a' || chr(0) WHEN 22 THEN 'abc ' ELSE 'ok' END AS s, \
    CASE i WHEN 23 THEN 'xxxxx' ELSE 'x' END AS c, \
    CASE i WHEN 30 THEN 'c' ELSE 'a' END AS e, \
    CASE i WHEN 40 THEN 1.25::DECIMAL(10,2) WHEN 41 THEN 1000::DECIMAL(10,2) ELSE 1.5::DECIMAL(10,2) END AS d, \
    CASE i WHEN 50 THEN TIMESTAMP '2024-01-01 00:00:00.0001' ELSE TIMESTAMP '2024-01-01 00:00:00.001' END AS at, \
    CASE i WHEN 60 THEN 0.1::DOUBLE ELSE 0.5::DOUBLE END AS f, \
    CASE i WHEN 70 THEN 9 ELSE 1 END AS p, \
    CASE i WHEN 80 THEN 100 ELSE 1 END AS ck, \
    CASE i WHEN 90 THEN '{\"a\": \"\\u0000\"}' WHEN 91 THEN '{' ELSE '{}' END AS j, \
    CASE i WHEN 95 THEN 0 ELSE 1 END AS dom, \
    CASE i WHEN 96 THEN '101' ELSE '10' END AS b, \
    CASE i WHEN 97 THEN DATE '5000000-01-01' WHEN 98 THEN DATE '4800-01-01 (BC)' ELSE DATE '2024-02-29' END AS day \
    FROM range(1, 2001) r(i)";

#[tokio::test]
async fn each_kind_of_bad_row_is_kept_and_every_other_row_is_written() {
    let mut found = Vec::new();
    for mode in ["append", "upsert"] {
        let Some(writing) = Writing::new().await else { return };
        writing.execute(TABLE).await;
        let output = writing.write(config(json!({"mode": mode, "key": "id", "max_rejects": 30})), ROWS).await.unwrap();
        assert_eq!((output.counts.inserted, output.counts.rejected), (1982, 18), "{}", writing.rejects().await);
        assert_eq!(
            writing.shown("SELECT COUNT(*), SUM(id) FROM t").await,
            format!("1982|{}", 2_001_000 - sum_of_bad())
        );
        let row = writing.bench.query("SELECT \"row\" FROM rejects.write WHERE row_number = 10").await.unwrap();
        assert!(row.rows()[0][0].as_deref().unwrap().contains("\"n\":70000"), "{row:?}");
        found.push(writing.rejects().await);
    }
    assert_eq!(found[0], found[1].replace("osiris_stage", "t"));
    insta::assert_snapshot!(found[0], @r#"
    10|n|number out of range for the column
    11|n|NULL, but the column is NOT NULL
    20|s|longer than the column allows (3 characters)
    21|s|NUL character, which PostgreSQL cannot store: see `nul_bytes`
    22|s|longer than the column allows (3 characters)
    23|c|longer than the column allows (4 characters)
    30|e|invalid input value for enum mood: "c"
    40|d|more decimal places than the column allows
    41|d|more digits before the decimal point than the column allows
    50|at|fractional seconds exceed the precision of the column
    60|f|not exactly representable in a real column: use double precision
    70|-|insert or update on table "t" violates foreign key constraint "t_p_fkey"
    80|-|new row for relation "t" violates check constraint "t_ck_check"
    90|j|unsupported Unicode escape sequence
    91|j|invalid input syntax for type json
    95|dom|value for domain positive violates check constraint "positive_check"
    96|b|bit string length 3 does not match type bit(2)
    98|day|date out of range
    "#);
}

fn sum_of_bad() -> u64 {
    [10, 11, 20, 21, 22, 23, 30, 40, 41, 50, 60, 70, 80, 90, 91, 95, 96, 98].iter().sum()
}

#[tokio::test]
async fn without_room_for_rejects_nothing_is_written() {
    let Some(writing) = Writing::new().await else { return };
    assert!(writes::too_many_rejects_leave_nothing(&writing, "smallint", 32_767).await >= 1000);
}

#[tokio::test]
async fn duplicate_keys_in_an_append_are_rejects() {
    let Some(writing) = Writing::new().await else { return };
    insta::assert_snapshot!(writes::repeated_keys_of_an_append(&writing).await, @r#"
    3|-|duplicate key value violates unique constraint "t_pkey"
    4|-|duplicate key value violates unique constraint "t_pkey"
    "#);
}

#[tokio::test]
async fn an_object_with_a_key_twice_is_a_reject_where_the_server_would_keep_one_value() {
    let Some(writing) = Writing::new().await else { return };
    let data = "SELECT * FROM (VALUES (1, '{\"a\": 1, \"b\": {\"a\": 1}}'::JSON), (2, '[{\"a\": 1, \"a\": 2}]'::JSON)) x(id, j)";
    writing.execute("CREATE TABLE kept (id int, j json)").await;
    let output = writing.write(json!({"table": "kept"}), data).await.unwrap();
    assert_eq!(output.counts.inserted, 2);
    assert_eq!(writing.shown("SELECT j FROM kept WHERE id = 2").await, r#"[{"a": 1, "a": 2}]"#);
    let output = writing.write(config(json!({"create_if_missing": true, "max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (1, 1));
    insta::assert_snapshot!(writing.rejects().await, @"2|j|an object has a key twice, of which jsonb keeps one value: write it to a column of type json");
}

#[tokio::test]
async fn what_a_trigger_refuses_is_a_reject() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int); CREATE FUNCTION no_seven() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               IF NEW.id = 7 THEN RAISE EXCEPTION 'seven is not wanted'; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER no_seven BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no_seven()",
        )
        .await;
    writes::refusals_of_a_trigger_are_rejects(&writing).await;
}

#[tokio::test]
async fn nul_characters_are_stripped_when_asked_and_counted() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id int, s text, j jsonb, tags text[])").await;
    let data = "SELECT 1 AS id, 'a' || chr(0) || 'b' AS s, '{\"k\": \"x\\u0000y\"}' AS j, ['p' || chr(0)] AS tags \
        UNION ALL SELECT 2, 'plain', '{\"k\": \"\\\\u0000\"}', ['q']";
    let failure = writing.write(config(json!({})), data).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Integrity);
    let output = writing.write(config(json!({"nul_bytes": "strip"})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.altered), (2, 3));
    let rows = writing.shown("SELECT * FROM t ORDER BY id").await;
    assert_eq!(rows, "1|ab|{\"k\": \"xy\"}|{p}\n2|plain|{\"k\": \"\\\\u0000\"}|{q}");
    // What is changed in a row that the server refuses does not count.
    writing.execute("TRUNCATE t; ALTER TABLE t ADD CHECK (id <> 3)").await;
    let data = "SELECT i AS id, 'a' || chr(0) AS s FROM range(1, 11) r(i)";
    let output = writing.write(config(json!({"nul_bytes": "strip", "max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected, output.counts.altered), (9, 1, 9));
}

#[tokio::test]
async fn the_length_of_nested_values_is_measured_in_characters() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id int, s varchar(10))").await;
    let data = "SELECT 1 AS id, ['日本日本日本'] AS s UNION ALL SELECT 2, ['日本日本日本日']";
    let output = writing.write(config(json!({"max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (1, 1), "{}", writing.rejects().await);
    assert_eq!(writing.shown("SELECT * FROM t").await, "1|[\"日本日本日本\"]");
}

#[tokio::test]
async fn texts_are_parsed_strictly_into_typed_columns() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute("CREATE TABLE t (n int, d date, m numeric(5,2), ok boolean, moment timestamptz, u uuid, big numeric)")
        .await;
    let data = "SELECT * FROM (VALUES \
        ('0012', '2024-02-29', '1.50', 'true', '2024-01-01T12:00:00+02:00', 'C0FFEE00-0000-4000-8000-00000000BEEF', repeat('9', 50) || '.5'), \
        ('12a', NULL, NULL, NULL, NULL, NULL, NULL), (NULL, '29.2.2024', NULL, NULL, NULL, NULL, NULL), \
        (NULL, '2024-02-30', NULL, NULL, NULL, NULL, NULL), (NULL, NULL, '1.505', NULL, NULL, NULL, NULL), \
        (NULL, NULL, NULL, 'maybe', NULL, NULL, NULL), (NULL, NULL, NULL, NULL, 'now', NULL, NULL), \
        (NULL, NULL, NULL, NULL, NULL, 'abc', NULL), (NULL, NULL, NULL, NULL, NULL, NULL, '1e5')) v(n, d, m, ok, moment, u, big)";
    let output = writing.write(config(json!({"max_rejects": 8})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (1, 8));
    insta::assert_snapshot!(writing.shown("SELECT * FROM t").await, @"
    12|2024-02-29|1.50|t|2024-01-01 10:00:00+00|c0ffee00-0000-4000-8000-00000000beef|99999999999999999999999999999999999999999999999999.5
    ");
    insta::assert_snapshot!(writing.rejects().await, @"
    2|n|invalid number
    3|d|invalid date: expected YYYY-MM-DD
    4|d|invalid date: no such day in the calendar
    5|m|more decimal places than the column allows
    6|ok|invalid boolean: expected true or false
    7|moment|invalid date: expected YYYY-MM-DD
    8|u|invalid UUID
    9|big|invalid number
    ");
}
