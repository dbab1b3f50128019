//! Where a run by a cursor may end: nothing that a later run would not read is passed over in silence.

use serde_json::json;

use crate::cursor::Runs;

#[tokio::test]
async fn s17_a_cursor_of_another_table_file_or_condition_is_refused() {
    let setup = "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2); \
                 CREATE TABLE u AS SELECT * FROM t";
    let mut runs = Runs::new(setup, json!({"column": "id"})).await;
    assert_eq!(runs.next().await.unwrap(), ["1", "2"]);
    let good = runs.config.clone();
    for (field, value, shown) in [
        ("table", json!("u"), "table: `t` -> `u`"),
        ("where", json!("v > 0"), "where: (none) -> `v > 0`"),
        ("columns", json!(["id"]), "columns: (none) -> `[\"id\"]`"),
        ("cursor", json!({"column": "v"}), "cursor.column: `id` -> `v`"),
    ] {
        runs.config = good.clone();
        runs.config[field] = value;
        let error = runs.next().await.unwrap_err();
        assert!(error.contains("another source") && error.contains(shown), "{error}");
        assert!(error.contains("osiris state reset PIPELINE since"), "{error}");
    }
    let bench = &runs.database.bench;
    let other = bench.place().join("other.db");
    std::fs::copy(&runs.database.path, &other).unwrap();
    let step = bench.step("since", "sqlite.extractor", good.clone()).connection(json!({"path": other}));
    let error = step.state(runs.state.clone().unwrap()).run().await.unwrap_err().error.report();
    assert!(error.contains("connection.path"), "{error}");
    // How it is read does not matter.
    runs.config = good;
    runs.config["batch_size"] = json!(1);
    runs.config["cursor"]["lag"] = json!(0);
    assert!(runs.next().await.unwrap().is_empty());
}

#[tokio::test]
async fn s18_a_value_in_the_future_is_refused_unless_it_is_allowed() {
    for (declared, past, future) in [
        ("DATE", "date('now', '-1 days')", "'9999-12-31'"),
        ("DATE", "date('now', '-1 days')", "date('now', '3 days')"),
        ("DATETIME", "datetime('now', '2 minutes')", "datetime('now', '1 days')"),
        ("DATETIME", "datetime('now', '2 minutes')", "'9999-12-31 23:59:59'"),
    ] {
        let setup = format!("CREATE TABLE t (id INT, c {declared}); INSERT INTO t SELECT 1, {past}");
        let mut runs = Runs::new(&setup, json!({"column": "c"})).await;
        assert_eq!(runs.next().await.unwrap(), ["1"], "{declared} {past}");
        runs.database.execute(&format!("INSERT INTO t SELECT 2, {future}")).await;
        let error = runs.next().await.unwrap_err();
        assert!(error.contains("is in the future") && error.contains("allow_future: true"), "{declared}: {error}");
        runs.config["cursor"]["allow_future"] = json!(true);
        assert_eq!(runs.next().await.unwrap(), ["2"], "{declared} {future}");
    }
}

#[tokio::test]
async fn s19_a_greatest_value_that_fell_is_refused_by_the_sources_own_order_unless_deletes_are_allowed() {
    let setup = "CREATE TABLE t (id INT, c TEXT COLLATE NOCASE); INSERT INTO t VALUES (1, 'a'), (2, 'M')";
    let mut runs = Runs::new(setup, json!({"column": "c"})).await;
    assert_eq!(runs.next().await.unwrap(), ["1", "2"]);
    // Equal to the saved value, whatever the case.
    runs.database.execute("UPDATE t SET c = 'm' WHERE id = 2").await;
    assert_eq!(runs.next().await.unwrap(), ["2"]);
    // Above it in bytes, below it for the source.
    runs.database.execute("DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (3, 'b')").await;
    let error = runs.next().await.unwrap_err();
    assert!(error.contains("at or after the saved one") && error.contains("allow_deletes: true"), "{error}");
    assert!(error.contains("osiris state reset PIPELINE since"), "{error}");
    runs.database.execute("DELETE FROM t").await;
    assert!(runs.next().await.unwrap_err().contains("has no value left"));
    runs.config["cursor"]["allow_deletes"] = json!(true);
    let saved = runs.state.clone().unwrap();
    assert!(runs.next().await.unwrap().is_empty());
    runs.database.execute("INSERT INTO t VALUES (4, 'c')").await;
    assert!(runs.next().await.unwrap().is_empty());
    assert_eq!(runs.state.as_ref().unwrap()["state"]["value"], saved["state"]["value"], "the saved value stays");
    runs.database.execute("INSERT INTO t VALUES (5, 'N')").await;
    assert_eq!(runs.next().await.unwrap(), ["5"]);
}

#[tokio::test]
async fn s21_rows_without_a_value_are_an_error_counted_or_read_once() {
    let setup = "CREATE TABLE t (id INT, c INT); INSERT INTO t VALUES (1, 1), (2, NULL), (3, NULL)";
    let mut runs = Runs::new(setup, json!({"column": "c"})).await;
    let error = runs.next().await.unwrap_err();
    assert!(error.contains("2 rows have NULL in the cursor column `c`") && error.contains("nulls: skip"), "{error}");
    runs.config["cursor"]["nulls"] = json!("skip");
    let (ids, counts) = runs.counted().await.unwrap();
    assert_eq!((ids, counts.skipped), (vec!["1".to_owned()], 2));
    let counted = runs.database.bench.metrics().matching("metric", "rows_without_cursor");
    assert_eq!((counted.len(), &counted[0]["value"]), (1, &json!(2)));
    runs.config["cursor"]["nulls"] = json!("include");
    assert_eq!(runs.next().await.unwrap(), ["2", "3"]);
    runs.database.execute("INSERT INTO t VALUES (4, NULL), (5, 5)").await;
    let (ids, counts) = runs.counted().await.unwrap();
    assert_eq!((ids, counts.skipped), (vec!["4".to_owned(), "5".to_owned()], 0));
    assert!(runs.next().await.unwrap().is_empty());
}

#[tokio::test]
async fn s22_many_rows_at_the_boundary_are_taken_once_each() {
    let setup = "CREATE TABLE t (id INTEGER PRIMARY KEY, c DATE); WITH RECURSIVE n(i) AS \
                 (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200005) INSERT INTO t SELECT i, '2024-01-01' FROM n";
    let mut runs = Runs::new(setup, json!({"column": "c"})).await;
    assert_eq!(runs.next().await.unwrap().len(), 200_005);
    assert!(runs.state.as_ref().unwrap().to_string().len() < 2000, "they are in a file");
    runs.database.execute("INSERT INTO t VALUES (2000000, '2024-01-01')").await;
    let (ids, counts) = runs.counted().await.unwrap();
    assert_eq!((ids, counts.deduplicated), (vec!["2000000".to_owned()], 200_005));
}
