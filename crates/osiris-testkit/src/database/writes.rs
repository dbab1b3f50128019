//! Writing: what all modes promise, whatever the database.

use osiris_core::ErrorKind;
use serde_json::{Value, json};

use super::conformance::ConformingDriver;
use super::{DatabaseDriver, Writing, config};

/// `{"table": "t", "mode": "upsert", "key": "id"}` and more fields.
pub fn upsert(more: Value) -> Value {
    let mut settings = config(json!({"mode": "upsert", "key": "id"}));
    for (name, value) in more.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    settings
}

/// New, changed and equal rows are counted as what they are. The table has the columns `id` (its key), `v`, and `kept`
/// with the default 9.
pub async fn rows_are_counted_by_what_became_of_them<D: DatabaseDriver>(writing: &Writing<D>, table: &str) {
    let setup = "VALUES (1, 1, 1), (2, 2, 2), (3, NULL, 3), (9, 9, 9)";
    writing.execute(&format!("DELETE FROM {table}; INSERT INTO {table} {setup}")).await;
    let data = "SELECT * FROM (VALUES (1, 1), (2, 20), (3, NULL), (4, 4), (5, NULL)) x(id, v)";
    let output = writing.write(upsert(json!({"table": table})), data).await.unwrap();
    let counts = &output.counts;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged, counts.ignored), (2, 1, 2, 0), "{table}");
    let rows = writing.shown(&format!("SELECT * FROM {table} ORDER BY id")).await;
    assert_eq!(rows, "1|1|1\n2|20|2\n3|-|3\n4|4|9\n5|-|9\n9|9|9", "{table}");
}

/// Keys that are there are ignored when that is asked for, in each of these modes.
pub async fn keys_that_are_there_are_ignored<D: DatabaseDriver>(writing: &Writing<D>, modes: &[&str]) {
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1)").await;
    let data = "SELECT * FROM (VALUES (1, 100), (2, 2)) x(id, v)";
    for mode in modes {
        writing.execute("DELETE FROM t WHERE id = 2").await;
        let output = writing.write(upsert(json!({"mode": mode, "on_conflict": "ignore"})), data).await.unwrap();
        assert_eq!((output.counts.inserted, output.counts.ignored, output.counts.updated), (1, 1, 0));
        assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "1|1\n2|2");
    }
}

/// Rows of which two have one key to the collation of `t`, which has the columns `id`, `v` and `moment`.
const REPEATED: &str =
    "SELECT * FROM (VALUES ('a', 1, 5), ('b', 2, 1), ('A', 3, 9), ('a', 4, 7), ('c', 5, 1)) x(id, v, moment)";

/// A key that comes twice is an error, whose text it returns.
pub async fn repeated_keys_are_refused<D: DatabaseDriver>(writing: &Writing<D>, more: Value) -> String {
    let failure = writing.write(upsert(more.clone()), REPEATED).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Validation);
    assert!(writing.rejects().await.contains("key occurs 3 times"), "{}", writing.rejects().await);
    assert_eq!(writing.shown("SELECT * FROM t").await, "c|0|0");
    // Only one of these changes the row that is there.
    for rows in ["('c', 0, 0), ('c', 1, 0)", "('c', 1, 0), ('c', 0, 0)"] {
        let data = format!("SELECT * FROM (VALUES {rows}) x(id, v, moment)");
        let again = writing.write(upsert(more.clone()), data.as_str()).await.unwrap_err();
        assert_eq!(again.error.message(), failure.error.message(), "{rows}");
        assert_eq!(writing.shown("SELECT * FROM t").await, "c|0|0", "{rows}");
    }
    failure.error.report()
}

/// The last row of each key stays where an order is named.
pub async fn the_last_row_of_a_key_stays<D: DatabaseDriver>(writing: &Writing<D>) {
    writing.execute("DELETE FROM t; INSERT INTO t VALUES ('c', 0, 0)").await;
    let last = json!({"dedupe": "last", "order_by": "moment"});
    let output = writing.write(upsert(last), REPEATED).await.unwrap();
    let counts = &output.counts;
    assert_eq!((counts.inserted, counts.updated, counts.ignored), (2, 1, 2));
    assert_eq!(writing.shown("SELECT id, v FROM t ORDER BY v").await, "b|2\nA|3\nc|5");
}

/// A row that meets another by a unique index that is not the key is a reject, and never replaces it.
pub async fn another_unique_index_is_no_key<D: DatabaseDriver>(writing: &Writing<D>) {
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY, email VARCHAR(20) UNIQUE, v INT)").await;
    writing.execute("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)").await;
    let data = "SELECT * FROM (VALUES (1, 'a', 10), (2, 'b', 2), (3, 'b', 30), (4, 'd', 40)) x(id, email, v)";
    let failure = writing.write(upsert(json!({})), data).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Integrity);
    assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "1|a|1\n2|b|2");
    let output = writing.write(upsert(json!({"max_rejects": 1})), data).await.unwrap();
    let counts = &output.counts;
    assert_eq!((counts.inserted, counts.updated, counts.unchanged, counts.rejected), (1, 1, 1, 1));
    assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "1|a|10\n2|b|2\n4|d|40");
    assert!(writing.rejects().await.starts_with("3|"), "{}", writing.rejects().await);
}

/// A row that another unique index refuses is reported by that index, whose name is `key`, and its columns, without its
/// value.
pub async fn a_refused_key_is_named_without_its_value<D: DatabaseDriver>(writing: &Writing<D>, key: &str) {
    const VALUE: &str = "a@example.com";
    let setup = "CREATE TABLE t (id INT PRIMARY KEY, region INT, email VARCHAR(20), v INT CHECK (v < 50)); \
        INSERT INTO t VALUES (1, 7, 'a@example.com', 1)";
    writing.execute(&format!("{setup}; CREATE UNIQUE INDEX {key} ON t (region, email)")).await;
    let named = [("unique key", format!("{key} (region, email)"))];
    let failure = writing.write(upsert(json!({})), "SELECT 2 AS id, 7 AS region, 'a@example.com' AS email").await;
    let error = failure.unwrap_err().error;
    assert_eq!(error.context(), named);
    let report = error.report();
    assert!(!report.contains("mode: upsert") && !report.contains(VALUE), "{report}");
    let rejects = writing.rejects().await;
    assert!(rejects.contains(key) && !rejects.contains(VALUE), "{rejects}");
    // A second one: the key is named where the limit allows for the first only.
    let more = "SELECT * FROM (VALUES (2, 7, 'a@example.com'), (3, 7, 'a@example.com')) x(id, region, email)";
    let failure = writing.write(upsert(json!({"max_rejects": 1})), more).await.unwrap_err();
    assert_eq!(failure.error.context(), named);
    // So many that the step ends before all rows were merged.
    let many = "SELECT i::INTEGER AS id, 7 AS region, 'a@example.com' AS email FROM range(2, 1100) r(i)";
    let failure = writing.write(upsert(json!({})), many).await.unwrap_err();
    assert_eq!(failure.error.context(), named);
    // What refuses a row is something else.
    let failure =
        writing.write(upsert(json!({})), "SELECT 2 AS id, 7 AS region, 'b' AS email, 99 AS v").await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Integrity);
    assert!(failure.error.context().is_empty(), "{}", failure.error.report());
    assert_eq!(writing.shown("SELECT * FROM t").await, "1|7|a@example.com|1");
}

/// Rows of other tables are never removed by a cascade, whichever of these settings would delete the old rows.
pub async fn cascades_are_refused<D: DatabaseDriver>(writing: &Writing<D>, settings: &[Value]) {
    let setup = "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); \
        CREATE TABLE child (t INT, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE); INSERT INTO child VALUES (1)";
    writing.execute(setup).await;
    for settings in settings {
        let report = writing.refused(config(settings.clone()), "SELECT 1 AS id").await;
        assert!(report.contains("child") && report.contains("foreign key"), "{report}");
    }
    assert_eq!(writing.shown("SELECT * FROM child").await, "1");
}

/// Columns are added when that is allowed, in each mode, and refused otherwise. `true_text` is how the server prints
/// what is true. Returns the statement that was planned first.
pub async fn columns_are_added_when_allowed<D: DatabaseDriver>(writing: &Writing<D>, true_text: &str) -> String {
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let data = "SELECT 2 AS id, 1.50::DECIMAL(6,2) AS price";
    let report = writing.refused(config(json!({})), data).await;
    assert!(report.contains("no column `price`"), "{report}");
    let add = json!({"schema_evolution": "add_columns"});
    writing.write(config(add), data).await.unwrap();
    assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "1|-\n2|1.50");
    let plan = planned(writing, "write");
    let more = json!({"schema_evolution": "add_columns", "mode": "upsert", "key": "id"});
    let output = writing.write(config(more), "SELECT 2 AS id, 'n' AS note").await.unwrap();
    assert_eq!(output.counts.updated, 1);
    let more = json!({"schema_evolution": "add_columns", "mode": "overwrite"});
    writing.write(config(more), "SELECT 3 AS id, true AS flag").await.unwrap();
    assert_eq!(writing.shown("SELECT * FROM t").await, format!("3|-|-|{true_text}"));
    plan
}

/// The statements that a step planned.
fn planned<D: DatabaseDriver>(writing: &Writing<D>, step: &str) -> String {
    let path = writing.bench.scratch().join(format!("artifacts/{step}/ddl_plan.sql"));
    std::fs::read_to_string(path).unwrap()
}

/// Two writes of 20,000 and 30,000 rows that replace the rows of `t` come one after the other, while `beside` goes on.
pub async fn writes_come_one_after_the_other<D: DatabaseDriver, T>(
    writing: &Writing<D>,
    fields: Value,
    beside: impl Future<Output = T>,
) -> T {
    let one = writing.bench.table("one", "SELECT i::INTEGER AS id FROM range(20000) r(i)").await.unwrap();
    let two = writing.bench.table("two", "SELECT i::INTEGER AS id FROM range(30000) r(i)").await.unwrap();
    let step = |id: &str, input| {
        let step = writing.bench.step(id, D::WRITER, config(fields.clone()));
        step.connection(writing.connection.clone()).input(input)
    };
    let (first, second, beside) = tokio::join!(step("a", &one).run(), step("b", &two).run(), beside);
    first.unwrap();
    second.unwrap();
    let rows = writing.shown("SELECT COUNT(*), COUNT(DISTINCT id) FROM t").await;
    assert!(rows == "20000|20000" || rows == "30000|30000", "{rows}");
    beside
}

/// An append adds, and an empty input is no error.
pub async fn appends_and_takes_nothing_too<D: DatabaseDriver>(writing: &Writing<D>) {
    let setup = "CREATE TABLE t (a INT DEFAULT 5 NOT NULL, b VARCHAR(10)); INSERT INTO t VALUES (1, 'x')";
    writing.execute(setup).await;
    let output = writing.write(config(json!({"mode": "insert"})), "SELECT 2 AS a, 'y' AS b").await.unwrap();
    assert_eq!((output.rows, output.counts.inserted), (1, 1));
    let output = writing.write(config(json!({})), "SELECT 3 AS a, 'z' AS b WHERE false").await.unwrap();
    assert_eq!(output.rows, 0);
    assert_eq!(writing.shown("SELECT * FROM t ORDER BY a").await, "1|x\n2|y");
}

/// Everything that stands in the way of rows with these columns: as they are, by a key that is none, with a NULL, into a
/// view, into a table that is not there. `t` has `id` and `must`, which are NOT NULL, and `v`; `w` is a view of it.
pub async fn everything_in_the_way<D: DatabaseDriver>(writing: &Writing<D>, data: &str) -> Vec<String> {
    let nulls = "SELECT 1 AS id, NULL::INTEGER AS must UNION ALL SELECT 2, 2";
    let refusals = vec![
        writing.refused(config(json!({})), data).await,
        writing.refused(upsert(json!({"key": ["must", "v"]})), "SELECT 1 AS id, 2 AS must").await,
        writing.refused(config(json!({})), nulls).await,
        writing.refused(json!({"table": "w"}), "SELECT 1 AS id").await,
        writing.refused(json!({"table": "typo"}), "SELECT 1 AS a").await,
    ];
    assert_eq!(writing.shown("SELECT COUNT(*) FROM t").await, "0");
    refusals
}

/// A thousand small columns, into a table `w` that is created, with these fields besides.
pub async fn a_thousand_columns_are_written<D: ConformingDriver>(writing: &Writing<D>, fields: Value) {
    let tiny: Vec<String> = (0..1000).map(|n| format!("(i + {n})::SMALLINT AS c{n}")).collect();
    let tiny = format!("SELECT {} FROM range(100) t(i)", tiny.join(", "));
    writing.execute("DROP TABLE IF EXISTS w").await;
    let mut settings = config(fields);
    settings["table"] = json!("w");
    settings[D::CREATE] = json!(true);
    let output = writing.write(settings, tiny.as_str()).await.unwrap();
    assert_eq!(output.rows, 100);
    assert_eq!(writing.shown("SELECT SUM(c0), SUM(c999) FROM w").await, "4950|104850");
}

/// One column, into a table `n` that is created, with these fields besides.
pub async fn one_column_is_written<D: ConformingDriver>(writing: &Writing<D>, fields: Value) {
    writing.execute("DROP TABLE IF EXISTS n").await;
    let mut settings = config(fields);
    settings["table"] = json!("n");
    settings[D::CREATE] = json!(true);
    writing.write(settings, "SELECT i::INTEGER AS i FROM range(1000) t(i)").await.unwrap();
    assert_eq!(writing.shown("SELECT COUNT(*), SUM(i) FROM n").await, "1000|499500");
}

/// A dry run changes nothing; the statement that it plans for a missing table `t`.
pub async fn dry_run_plans<D: ConformingDriver>(writing: &Writing<D>) -> String {
    let input = writing.bench.table("source", "SELECT 1::BIGINT AS id, 'x' AS name").await.unwrap();
    let settings = upsert(json!({D::CREATE: true}));
    let step = writing.bench.step("plan", D::WRITER, settings).connection(writing.connection.clone());
    step.input(&input).dry_run().run().await.unwrap();
    assert!(writing.server_has_no_table().await);
    planned(writing, "plan")
}

/// Without room for rejects nothing is written. The column of `t` takes numbers up to `greatest`. Returns how many of
/// very many rejects were counted.
pub async fn too_many_rejects_leave_nothing<D: DatabaseDriver>(
    writing: &Writing<D>,
    small: &str,
    greatest: u64,
) -> u64 {
    writing.execute(&format!("CREATE TABLE t (n {small}); INSERT INTO t VALUES (5)")).await;
    for mode in ["append", "overwrite"] {
        let data = format!("SELECT i::INTEGER AS n FROM range({}, {}) r(i)", greatest - 100, greatest + 73);
        let failure = writing.write(config(json!({"mode": mode, "max_rejects": 71})), data.as_str()).await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Integrity);
        assert_eq!(failure.counts.rejected, 72);
        assert_eq!(writing.shown("SELECT * FROM t").await, "5");
    }
    let data = format!("SELECT i::INTEGER AS n FROM range({}, {}) r(i)", greatest + 1, greatest + 100_000);
    let failure = writing.write(config(json!({})), data.as_str()).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts), (ErrorKind::Integrity, 1));
    assert_eq!(writing.shown("SELECT * FROM t").await, "5");
    failure.counts.rejected
}

/// Keys that are there, or come twice, are rejects of an append, whose reasons it returns.
pub async fn repeated_keys_of_an_append<D: DatabaseDriver>(writing: &Writing<D>) -> String {
    writing.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (3)").await;
    let data = "SELECT unnest([1, 2, 3, 2, 4])::INTEGER AS id";
    let output = writing.write(config(json!({"max_rejects": 2})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (3, 2));
    assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "1\n2\n3\n4");
    writing.rejects().await
}

/// What a trigger of `t` refuses, the row 7, is a reject with its words.
pub async fn refusals_of_a_trigger_are_rejects<D: DatabaseDriver>(writing: &Writing<D>) {
    let data = "SELECT i::INTEGER AS id FROM range(20) r(i)";
    let output = writing.write(config(json!({"max_rejects": 1})), data).await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.rejected), (19, 1));
    assert!(writing.rejects().await.contains("seven is not wanted"));
}
