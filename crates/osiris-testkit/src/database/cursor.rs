//! Incremental extraction: what a run takes, what it leaves, what the next one starts from, and where it may end.

use std::time::Duration;

use osiris_core::{RetryPolicy, StepOutput};
use serde_json::{Value, json};

use super::{DatabaseDriver, DatabaseServer, Reading, texts};
use crate::BenchStep;

/// The runs of one step, each after the one before.
pub struct Runs<D: DatabaseDriver> {
    /// The server and the bench.
    pub reading: Reading<D>,
    /// The configuration of the next run.
    pub config: Value,
    /// What the last run left.
    pub state: Option<Value>,
}

impl<D: DatabaseDriver> Runs<D> {
    /// None yet.
    pub fn new(reading: Reading<D>, config: Value) -> Self {
        Self { reading, config, state: None }
    }

    /// Those that read the table `t`, which `setup` makes, by a cursor. Nothing when servers are left out.
    pub async fn of(setup: &str, cursor: Value) -> Option<Self> {
        let reading = Reading::start(<D::Server as DatabaseServer>::Options::default()).await?;
        reading.execute(setup).await;
        Some(Self::new(reading, json!({"table": "t", "cursor": cursor})))
    }

    /// The step of the next run, over another connection.
    pub fn step_over(&self, connection: Value) -> BenchStep<'_> {
        Self::step(&self.reading, &self.config, self.state.as_ref(), connection)
    }

    fn step<'a>(reading: &'a Reading<D>, config: &Value, state: Option<&Value>, connection: Value) -> BenchStep<'a> {
        let step = reading.bench.step("since", D::EXTRACTOR, config.clone()).connection(connection);
        match state {
            Some(state) => step.state(state.clone()),
            None => step,
        }
    }

    /// What the next run fails with; the state stays as it is.
    pub async fn refused(&self) -> String {
        let connection = D::connection(&self.reading.server, json!({}));
        self.step_over(connection).retry(RetryPolicy::never()).run().await.unwrap_err().error.report()
    }

    /// The ids that the next run reads, sorted, and what it says.
    pub async fn next(&mut self) -> (Vec<String>, StepOutput) {
        Self::run(&self.reading, &self.config, &mut self.state).await
    }

    async fn run(reading: &Reading<D>, config: &Value, state: &mut Option<Value>) -> (Vec<String>, StepOutput) {
        let connection = D::connection(&reading.server, json!({}));
        let output = Self::step(reading, config, state.as_ref(), connection).run().await;
        let output = output.unwrap_or_else(|failure| panic!("{config}: {}", failure.error.report()));
        state.clone_from(&output.state);
        let rows = reading.bench.rows(output.table.as_ref().unwrap()).await.unwrap();
        let mut ids: Vec<String> = texts(&rows).into_iter().map(|row| row[0].clone()).collect();
        ids.sort_unstable();
        (ids, output)
    }

    /// The value that the last run saved.
    pub fn saved(&self) -> &str {
        self.state.as_ref().unwrap()["state"]["value"].as_str().unwrap()
    }

    /// How many rows without a value the runs have counted, each on its own.
    pub fn without_cursor(&self) -> Vec<Value> {
        let counted = self.reading.bench.metrics().matching("metric", "rows_without_cursor");
        counted.iter().map(|metric| metric["value"].clone()).collect()
    }
}

/// Every row once, also at the boundary. The column has this type, whose values the server prints with this zone;
/// `again` is another text of the value at the boundary.
pub async fn takes_every_row_once<D: DatabaseDriver>(timestamp: &str, zone: &str, again: &str) {
    let at = |micros: u8| format!("'2024-01-01 00:00:00.00000{micros}{zone}'");
    let setup = format!(
        "CREATE TABLE t (id INT PRIMARY KEY, at {timestamp}); \
         INSERT INTO t VALUES (1, {}), (2, {}), (3, '{again}'), (9, NULL)",
        at(1),
        at(2)
    );
    let cursor = json!({"column": "at", "nulls": "skip"});
    let Some(mut runs) = Runs::<D>::of(&setup, cursor).await else { return };
    let (ids, _) = runs.next().await;
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(runs.without_cursor()[0], 1);
    assert_eq!(runs.saved(), at(2).trim_matches('\''));
    // Nothing new: the two at the boundary are read, known, and left out.
    let (ids, output) = runs.next().await;
    assert!(ids.is_empty());
    assert_eq!((output.counts.read, output.counts.deduplicated), (2, 2));
    // One more at the boundary, one changed there, one later.
    let sql = format!("INSERT INTO t VALUES (4, {}), (5, {}); UPDATE t SET id = 30 WHERE id = 3", at(2), at(3));
    runs.reading.execute(&sql).await;
    let (ids, _) = runs.next().await;
    assert_eq!(ids, ["30", "4", "5"]);
    let (ids, output) = runs.next().await;
    assert!(ids.is_empty());
    assert_eq!(output.counts.deduplicated, 1);
    // Rows that are gone leave the cursor where it is.
    runs.reading.execute("DELETE FROM t").await;
    runs.config["cursor"]["allow_deletes"] = json!(true);
    let (ids, _) = runs.next().await;
    assert!(ids.is_empty());
    assert_eq!(runs.saved(), at(3).trim_matches('\''));
}

/// Columns of these types, each with three values in their order, are read by their exact values: as a table with
/// these fields, and as a query.
pub async fn keeps_its_precision<D: DatabaseDriver>(kinds: &[(&str, &str, &str, &str)], table: Value, cursor: &Value) {
    let Some(reading) = Reading::<D>::start(<D::Server as DatabaseServer>::Options::default()).await else { return };
    let mut runs = Runs::new(reading, json!({}));
    for (kind, first, second, third) in kinds {
        for source in [&table, &json!({"query": "SELECT * FROM t"})] {
            let sql = format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (id INT, c {kind}); \
                 INSERT INTO t VALUES (1, '{first}'), (2, '{second}')"
            );
            runs.reading.execute(&sql).await;
            runs.state = None;
            runs.config = source.clone();
            runs.config["cursor"] = cursor.clone();
            assert_eq!(runs.next().await.0, ["1", "2"], "{kind}");
            runs.reading.execute(&format!("INSERT INTO t VALUES (3, '{second}'), (4, '{third}')")).await;
            assert_eq!(runs.next().await.0, ["3", "4"], "{kind}");
            assert!(runs.next().await.0.is_empty(), "{kind}");
        }
    }
}

/// `initial`, `lag` and `include_boundary` do what they say. `setup` makes the table `t` with the columns `id` and `at`,
/// and the rows 1 to 3 with a minute between them, from 2024 on. The runs go on.
pub async fn begins_where_it_is_told<D: DatabaseDriver>(setup: &str) -> Option<Runs<D>> {
    let mut runs = Runs::<D>::of(setup, json!({"column": "at", "initial": "2024-01-01 00:01:00"})).await?;
    assert_eq!(runs.next().await.0, ["2", "3"]);
    runs.config["cursor"] = json!({"column": "at", "lag": 60});
    assert_eq!(runs.next().await.0, ["2"]);
    runs.config["cursor"] = json!({"column": "at", "include_boundary": false});
    runs.reading.execute("INSERT INTO t (id, at) VALUES (4, '2024-01-01 00:02:00'), (5, '2024-01-01 00:03:00')").await;
    assert_eq!(runs.next().await.0, ["5"]);
    Some(runs)
}

/// A writer appends all the while; what it adds belongs to one run or another, and to only one.
pub async fn bound_is_taken_before_the_first_row<D: DatabaseDriver>() {
    let numbers = D::Server::numbers(50_000);
    let setup = format!("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t SELECT i, i FROM {numbers}");
    let Some(runs) = Runs::<D>::of(&setup, json!({"column": "id"})).await else { return };
    let Runs { reading, config, mut state } = runs;
    let mut session = reading.server.session().await.unwrap();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::spawn(async move {
        let mut next = 50_001;
        while stopped.try_recv().is_err() {
            D::Server::run(&mut session, &format!("INSERT INTO t VALUES ({next}, {next})")).await.unwrap();
            next += 1;
        }
        next - 1
    });
    let mut all: Vec<u64> = Vec::new();
    for _ in 0..3 {
        let (ids, output) = Runs::run(&reading, &config, &mut state).await;
        let last: u64 = output.state.unwrap()["state"]["value"].as_str().unwrap().parse().unwrap();
        all.extend(ids.iter().map(|id| id.parse::<u64>().unwrap()));
        assert_eq!(all.iter().max(), Some(&last));
    }
    stop.send(()).unwrap();
    let last = writer.await.unwrap();
    all.extend(Runs::run(&reading, &config, &mut state).await.0.iter().map(|id| id.parse::<u64>().unwrap()));
    all.sort_unstable();
    assert_eq!(all, (1..=last).collect::<Vec<u64>>());
}

/// A cursor of another table, condition or column is refused, and the message says what differs. The runs go on.
pub async fn refuses_another_source<D: DatabaseDriver>() -> Option<Runs<D>> {
    let setup = "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2); \
                 CREATE TABLE u AS SELECT * FROM t";
    let mut runs = Runs::<D>::of(setup, json!({"column": "id"})).await?;
    assert_eq!(runs.next().await.0, ["1", "2"]);
    let good = runs.config.clone();
    for (field, value, shown) in [
        ("table", json!("u"), "table: `t` -> `u`"),
        ("where", json!("v > 0"), "where: (none) -> `v > 0`"),
        ("columns", json!(["id"]), "columns: (none) -> `[\"id\"]`"),
        ("cursor", json!({"column": "v"}), "cursor.column: `id` -> `v`"),
    ] {
        runs.config = good.clone();
        runs.config[field] = value;
        let error = runs.refused().await;
        assert!(error.contains("another source") && error.contains(shown), "{error}");
        assert!(error.contains("osiris state reset PIPELINE since"), "{error}");
    }
    runs.config = good;
    Some(runs)
}

/// Values that no run may end at: of each type a good value, a bad one, and what the message says of it. Those in the
/// future can be allowed.
pub async fn refuses_values_that_hide_rows<D: DatabaseDriver>(kinds: &[(&str, &str, &str, &str)]) {
    let setup = "CREATE TABLE t (id INT, c DATE)";
    let Some(mut runs) = Runs::<D>::of(setup, json!({"column": "c"})).await else { return };
    for (kind, past, bad, why) in kinds {
        runs.state = None;
        runs.config["cursor"] = json!({"column": "c"});
        let sql = format!("DROP TABLE t; CREATE TABLE t (id INT, c {kind}); INSERT INTO t SELECT 1, {past}");
        runs.reading.execute(&sql).await;
        assert_eq!(runs.next().await.0, ["1"], "{kind} {past}");
        runs.reading.execute(&format!("INSERT INTO t SELECT 2, {bad}")).await;
        let error = runs.refused().await;
        assert!(error.contains(why), "{kind} {bad}: {error}");
        runs.config["cursor"]["allow_future"] = json!(true);
        if *why == "is in the future" {
            assert!(error.contains("allow_future: true"), "{error}");
            assert_eq!(runs.next().await.0, ["2"], "{kind} {bad}");
        } else {
            assert!(runs.refused().await.contains(why), "{kind} {bad}");
        }
    }
}

/// A row of an open transaction is waited for, and the run is refused where it does not end in time. `setup` makes the
/// table `t` whose `id` the server counts.
pub async fn waits_for_rows_that_are_committed_late<D: DatabaseDriver>(setup: &str) {
    let Some(mut runs) = Runs::<D>::of(setup, json!({"column": "id"})).await else { return };
    runs.reading.server.show_transactions().await.unwrap();
    let mut late = runs.reading.server.session().await.unwrap();
    D::Server::run(&mut late, "BEGIN").await.unwrap();
    D::Server::run(&mut late, "INSERT INTO t (v) VALUES (1)").await.unwrap();
    assert!(runs.next().await.0.is_empty(), "there is nothing yet that could be a bound");
    runs.reading.execute("INSERT INTO t (v) VALUES (2)").await;
    // It stays open: the run is refused in time, and its state is none.
    runs.config["timeout"] = json!(1);
    let error = runs.refused().await;
    assert!(error.contains("1 transactions") && error.contains("set `lag`"), "{error}");
    // It ends while the run waits.
    runs.config["timeout"] = json!(30);
    let commit = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        D::Server::run(&mut late, "COMMIT").await.unwrap();
    });
    assert_eq!(runs.next().await.0, ["1", "2"]);
    commit.await.unwrap();
    assert!(runs.next().await.0.is_empty());
}

/// Rows without a value are an error, counted, or read once.
pub async fn rows_without_a_value_follow_the_policy<D: DatabaseDriver>() {
    let setup = "CREATE TABLE t (id INT, c INT); INSERT INTO t VALUES (1, 1), (2, NULL), (3, NULL)";
    let Some(mut runs) = Runs::<D>::of(setup, json!({"column": "c"})).await else { return };
    let error = runs.refused().await;
    let what = "2 rows have NULL in the cursor column `c`";
    assert!(error.contains(what) && error.contains("nulls: skip"), "{error}");
    runs.config["cursor"]["nulls"] = json!("skip");
    let (ids, output) = runs.next().await;
    assert_eq!((ids, output.counts.skipped), (vec!["1".to_owned()], 2));
    assert_eq!(runs.without_cursor()[0], 2);
    runs.config["cursor"]["nulls"] = json!("include");
    assert_eq!(runs.next().await.0, ["2", "3"]);
    runs.reading.execute("INSERT INTO t VALUES (4, NULL), (5, 5)").await;
    let (ids, output) = runs.next().await;
    assert_eq!((ids, output.counts.skipped), (vec!["4".to_owned(), "5".to_owned()], 0));
    assert!(runs.next().await.0.is_empty());
}
