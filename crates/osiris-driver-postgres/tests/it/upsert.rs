//! Upsert: new keys, old keys, equal rows, keys that come twice, other unique indexes.

use osiris_testkit::database::config;
use osiris_testkit::database::writes::{self, upsert};
use serde_json::json;

use crate::subject::Writing;

#[tokio::test]
async fn rows_are_inserted_updated_or_found_equal_and_counted_so() {
    let Some(writing) = Writing::new().await else { return };
    let tables = "CREATE TABLE t (id int PRIMARY KEY, v int, kept int DEFAULT 9); \
        CREATE TABLE parts (id int PRIMARY KEY, v int, kept int DEFAULT 9) PARTITION BY RANGE (id); \
        CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (4); \
        CREATE TABLE high PARTITION OF parts FOR VALUES FROM (4) TO (100)";
    writing.execute(tables).await;
    for table in ["t", "parts"] {
        writes::rows_are_counted_by_what_became_of_them(&writing, table).await;
    }
}

#[tokio::test]
async fn equal_means_equal_to_the_last_digit_whatever_the_type() {
    let Some(writing) = Writing::new().await else { return };
    // None of these types says by `=` whether two values are the same, or says it of values that differ.
    writing
        .execute("CREATE TABLE t (id int PRIMARY KEY, n numeric, j json, p point, f float8, i interval, s text COLLATE \"C\")")
        .await;
    let data = |n: &str, f: &str, i: &str| {
        format!(
            "SELECT 1 AS id, '{n}' AS n, '{{\"a\": 1}}' AS j, '(1,2)' AS p, {f}::DOUBLE AS f, INTERVAL '{i}' AS i, 'x' AS s"
        )
    };
    for (n, f, i, changed) in [
        ("1.0", "0.0", "1 day", true),
        ("1.0", "0.0", "1 day", false),
        ("1.00", "0.0", "1 day", true),
        ("1.00", "-0.0", "1 day", true),
        ("1.00", "-0.0", "24 hours", true),
        ("1.00", "-0.0", "24 hours", false),
    ] {
        let counts = writing.write(upsert(json!({})), data(n, f, i).as_str()).await.unwrap().counts;
        let expected = if changed { counts.inserted + counts.updated } else { counts.unchanged };
        assert_eq!(expected, 1, "{n} {f} {i}: {counts:?}");
    }
    assert_eq!(writing.shown("SELECT n, j, p, f, i, s FROM t").await, "1.00|{\"a\": 1}|(1,2)|-0|24:00:00|x");
}

#[tokio::test]
async fn keys_that_are_there_are_ignored_when_asked_for() {
    let Some(writing) = Writing::new().await else { return };
    writes::keys_that_are_there_are_ignored(&writing, &["upsert", "append"]).await;
    // With nothing but the key there is nothing to update.
    let output = writing.write(upsert(json!({"columns": ["id"]})), "SELECT 1 AS id UNION ALL SELECT 5").await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.unchanged), (1, 1));
}

#[tokio::test]
async fn a_key_that_comes_twice_is_an_error_unless_an_order_is_named() {
    let Some(writing) = Writing::new().await else { return };
    // To this collation `A` and `a` are one key.
    writing
        .execute(
            "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             CREATE TABLE t (id text COLLATE folded PRIMARY KEY, v int, moment int); INSERT INTO t VALUES ('c', 0, 0)",
        )
        .await;
    for more in [json!({}), json!({"on_conflict": "ignore"})] {
        let report = writes::repeated_keys_are_refused(&writing, more).await;
        insta::allow_duplicates! { insta::assert_snapshot!(report, @"
        step `write`: 1 value of the key occurs more than once in the input
          key: id
        hint: keep one row per key in an earlier step, or set `dedupe: last` with `order_by`; texts are compared by the collation of their column in the table; the rows are in the step's rejects
        "); }
    }
    writes::the_last_row_of_a_key_stays(&writing).await;
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

/// A row that collides at first and is written in the end has nothing to do with the row that is rejected.
#[tokio::test]
async fn a_key_is_named_only_where_it_refuses_a_row_in_the_end() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, email text UNIQUE, parent int REFERENCES t (id), v int CHECK (v < 50)); \
             INSERT INTO t VALUES (1, 'a')",
        )
        .await;
    // The first row takes what the second one gives up.
    let data = "SELECT * FROM (VALUES (2, 'a', 1), (1, 'b', 1), (3, 'c', 99)) x(id, email, v)";
    let failure = writing.write(upsert(json!({})), data).await.unwrap_err();
    assert!(failure.error.context().is_empty(), "{}", failure.error.report());
    let output = writing.write(upsert(json!({"max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.updated, output.counts.rejected), (1, 1, 1));
    // A partition has a key of its own.
    writing
        .execute(
            "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, email text) PARTITION BY RANGE (id); \
             CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (100); \
             CREATE UNIQUE INDEX low_email ON low (lower(email)); INSERT INTO t VALUES (1, 'a')",
        )
        .await;
    let failure = writing.write(upsert(json!({})), "SELECT 2 AS id, 'A' AS email").await.unwrap_err();
    assert_eq!(failure.error.context(), [("unique key", "low_email (lower(email))".to_owned())]);
}

#[tokio::test]
async fn a_row_that_the_table_refuses_at_the_end_is_a_reject() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute("CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v < 50), ip inet); INSERT INTO t VALUES (1, 1)")
        .await;
    let data = "SELECT i::INTEGER AS id, CASE i WHEN 33 THEN 99 ELSE 2 END AS v, \
        CASE i WHEN 44 THEN 'nowhere' ELSE '10.0.0.1' END AS ip FROM range(1, 101) r(i)";
    let output = writing.write(upsert(json!({"max_rejects": 2})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.updated, output.counts.rejected), (97, 1, 2));
    let row = writing.bench.query("SELECT row_number, \"row\" FROM rejects.write ORDER BY 1").await.unwrap();
    assert_eq!(row.rows()[0][1].as_deref(), Some(r#"{"v": 99, "id": 33, "ip": "10.0.0.1"}"#));
    insta::assert_snapshot!(writing.rejects().await, @r#"
    33|-|new row for relation "t" violates check constraint "t_v_check"
    44|-|invalid input syntax for type inet: "nowhere"
    "#);
}

#[tokio::test]
async fn rows_that_a_trigger_leaves_out_are_rejects_and_never_counted_as_written() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1); \
             CREATE FUNCTION no_seven() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               IF NEW.id = 7 THEN RETURN NULL; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER filter BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no_seven()",
        )
        .await;
    let data = "SELECT i::INTEGER AS id, 2 AS v FROM range(20) r(i)";
    let output = writing.write(upsert(json!({"max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.updated, output.counts.rejected), (18, 1, 1));
    assert!(
        writing.rejects().await.starts_with("8|-|row suppressed by a trigger that returned NULL"),
        "{}",
        writing.rejects().await
    );
    writing.execute("DELETE FROM t").await;
    let output = writing.write(config(json!({"max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (19, 1));
}

#[tokio::test]
async fn a_key_of_two_columns_and_a_table_that_is_created() {
    let Some(writing) = Writing::new().await else { return };
    let settings = upsert(json!({"key": ["a", "B"], "create_if_missing": true}));
    let first = "SELECT * FROM (VALUES (1, 'x', 1.5), (1, 'y', 2.5)) v(a, \"B\", n)";
    assert_eq!(writing.write(settings.clone(), first).await.unwrap().counts.inserted, 2);
    let second = "SELECT * FROM (VALUES (1, 'y', 3.5), (2, 'y', 4.5)) v(a, \"B\", n)";
    let output = writing.write(settings, second).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.updated), (1, 1));
    assert_eq!(writing.shown("SELECT * FROM t ORDER BY a, \"B\"").await, "1|x|1.5\n1|y|3.5\n2|y|4.5");
}
