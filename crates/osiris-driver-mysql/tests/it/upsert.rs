//! Upsert: new keys, old keys, equal rows, keys that come twice, other unique indexes.

use osiris_testkit::database::config;
use osiris_testkit::database::writes::{self, upsert};
use serde_json::json;

use super::subject::Writing;

#[tokio::test]
async fn rows_are_inserted_updated_or_found_equal_and_counted_so() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT, kept INT DEFAULT 9)").await;
    writes::rows_are_counted_by_what_became_of_them(&writing, "t").await;
    writing.execute("SET GLOBAL local_infile = 0").await;
    writes::rows_are_counted_by_what_became_of_them(&writing, "t").await;
}

#[tokio::test]
async fn keys_that_are_there_are_ignored_when_asked_for() {
    let Some(writing) = Writing::new().await else { return };
    writes::keys_that_are_there_are_ignored(&writing, &["upsert"]).await;
}

#[tokio::test]
async fn a_key_that_comes_twice_is_an_error_unless_an_order_is_named() {
    let Some(writing) = Writing::new().await else { return };
    // To its collation `A` and `a` are one key.
    writing
        .execute("CREATE TABLE t (id VARCHAR(10) PRIMARY KEY, v INT, moment INT); INSERT INTO t VALUES ('c', 0, 0)")
        .await;
    insta::assert_snapshot!(writes::repeated_keys_are_refused(&writing, json!({})).await, @"
    step `write`: 1 value of the key occurs more than once in the input
      key: id
    hint: keep one row per key in an earlier step, or set `dedupe: last` with `order_by`; texts are compared by the collation of their column in the table; the rows are in the step's rejects
    ");
    writes::the_last_row_of_a_key_stays(&writing).await;
    writing.execute("SET GLOBAL local_infile = 0").await;
    writes::the_last_row_of_a_key_stays(&writing).await;
}

/// Whoever compares them, the store or the server.
#[tokio::test]
async fn a_key_that_comes_twice_is_found_whatever_its_type() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id BIGINT, day DATE, moment DATETIME(3), price DECIMAL(9,2), v INT, PRIMARY KEY (id, day, moment, price))",
        )
        .await;
    let row = |id: &str, price: &str, v: u32| {
        format!("({id}, DATE '2024-02-29', TIMESTAMP '2024-02-29 12:00:00.5', {price}, {v})")
    };
    let data = |second: &str, price: &str| {
        let rows = [row("1", "1.10", 1), row("2", "1.10", 2), row(second, price, 3)];
        format!("SELECT * FROM (VALUES {}) x(id, day, moment, price, v)", rows.join(", "))
    };
    let settings = upsert(json!({"key": ["id", "day", "moment", "price"]}));
    let output = writing.write(settings.clone(), data("1", "1.11").as_str()).await.unwrap();
    assert_eq!(output.counts.inserted, 3);
    let failure = writing.write(settings.clone(), data("1", "1.10").as_str()).await.unwrap_err();
    assert!(failure.error.message().starts_with("1 value of the key occurs more than once"), "{:?}", failure.error);
    assert!(writing.rejects().await.contains("key occurs 2 times, first in row 1"), "{}", writing.rejects().await);
    // Texts that differ are one number.
    let texts = "SELECT id, DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29' AS moment, 1 AS price, 4 AS v FROM (VALUES ('7'), ('07')) x(id)";
    let failure = writing.write(settings, texts).await.unwrap_err();
    assert!(failure.error.message().starts_with("1 value of the key occurs more than once"), "{:?}", failure.error);
}

#[tokio::test]
async fn another_unique_index_never_lets_a_row_replace_a_stranger() {
    let Some(writing) = Writing::new().await else { return };
    writes::another_unique_index_is_no_key(&writing).await;
}

#[tokio::test]
async fn a_refused_key_is_named_without_its_value() {
    let Some(writing) = Writing::new().await else { return };
    writes::a_refused_key_is_named_without_its_value(&writing, "same_person").await;
}

#[tokio::test]
async fn a_row_that_the_table_refuses_at_the_end_is_a_reject() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT CHECK (v < 50)); INSERT INTO t VALUES (1, 1)").await;
    let data = "SELECT i::INTEGER AS id, CASE i WHEN 33 THEN 99 ELSE 2 END AS v FROM range(1, 101) r(i)";
    let output = writing.write(upsert(json!({"max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.updated, output.counts.rejected), (98, 1, 1));
    let row = writing.bench.query("SELECT row_number, \"row\" FROM rejects.write").await.unwrap();
    assert_eq!(row.rows()[0][1].as_deref(), Some(r#"{"id":"33","v":"99"}"#));
}

#[tokio::test]
async fn a_key_of_two_columns_and_a_table_that_is_created() {
    let Some(writing) = Writing::new().await else { return };
    let settings = config(json!({"mode": "upsert", "key": ["a", "b"], "create_table": true}));
    let data = "SELECT * FROM (VALUES ('x', 1, 'one'), ('X', 1, 'two')) v(a, b, c)";
    let output = writing.write(settings.clone(), data).await.unwrap();
    assert_eq!(output.counts.inserted, 2);
    let output = writing.write(settings, "SELECT 'x' AS a, 1 AS b, 'three' AS c").await.unwrap();
    assert_eq!(output.counts.updated, 1);
    assert_eq!(writing.shown("SELECT * FROM t ORDER BY a").await, "X|1|two\nx|1|three");
}

#[tokio::test]
async fn a_null_in_the_key_is_refused() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id INT UNIQUE, v INT)").await;
    let report = writing.refused(upsert(json!({})), "SELECT NULL::INTEGER AS id, 1 AS v").await;
    assert!(report.contains("is NOT NULL"), "{report}");
    let data = "SELECT * FROM (VALUES (NULL, 1), (2, 2)) x(id, v)";
    let output = writing.write(upsert(json!({"max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (1, 1));
}

#[tokio::test]
async fn an_upsert_of_nothing_changes_nothing() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let output = writing.write(upsert(json!({})), "SELECT 1 AS id WHERE false").await.unwrap();
    assert_eq!(output.rows, 0);
    let output = writing.write(upsert(json!({})), "SELECT unnest([1, 2])::INTEGER AS id").await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.unchanged), (1, 1));
}
