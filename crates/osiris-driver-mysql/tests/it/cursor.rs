//! Incremental extraction: what a run takes, what it leaves, what the next one starts from.

use osiris_core::{ErrorKind, RetryPolicy, StepOutput};
use osiris_testkit::database::texts;
use osiris_testkit::services::MysqlOptions;
use serde_json::{Value, json};

use super::subject::Reading;

pub(crate) struct Runs {
    pub(crate) reading: Reading,
    pub(crate) config: Value,
    pub(crate) state: Option<Value>,
}

impl Runs {
    pub(crate) fn new(reading: Reading, config: Value) -> Self {
        Self { reading, config, state: None }
    }

    /// What the next run fails with; the state stays as it is.
    pub(crate) async fn refused(&self) -> String {
        let step = self.reading.bench.step("since", "mysql.extractor", self.config.clone());
        let mut step = step.connection(self.reading.server.connection()).retry(RetryPolicy::never());
        if let Some(state) = &self.state {
            step = step.state(state.clone());
        }
        step.run().await.unwrap_err().error.report()
    }

    pub(crate) async fn next(&mut self) -> (Vec<String>, StepOutput) {
        let step = self.reading.bench.step("since", "mysql.extractor", self.config.clone());
        let mut step = step.connection(self.reading.server.connection());
        if let Some(state) = &self.state {
            step = step.state(state.clone());
        }
        let output = step.run().await.unwrap();
        self.state.clone_from(&output.state);
        let rows = self.reading.bench.rows(output.table.as_ref().unwrap()).await.unwrap();
        let mut ids: Vec<String> = texts(&rows).into_iter().map(|row| row[0].clone()).collect();
        ids.sort_unstable();
        (ids, output)
    }
}

#[tokio::test]
async fn runs_take_every_row_once_also_at_the_boundary() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (id INT PRIMARY KEY, at DATETIME(6)); \
             INSERT INTO t VALUES (1, '2024-01-01 00:00:00.000001'), (2, '2024-01-01 00:00:00.000002'), \
             (3, '2024-01-01 00:00:00.000002'), (9, NULL)",
        )
        .await;
    let mut runs = Runs::new(reading, json!({"table": "t", "cursor": {"column": "at", "nulls": "skip"}}));
    let (ids, _) = runs.next().await;
    assert_eq!(ids, ["1", "2", "3"]);
    let counted = runs.reading.bench.metrics().matching("metric", "rows_without_cursor");
    assert_eq!(counted[0]["value"], 1);
    assert_eq!(runs.state.as_ref().unwrap()["state"]["value"], "2024-01-01 00:00:00.000002");
    // Nothing new: the two at the boundary are read, known, and left out.
    let (ids, output) = runs.next().await;
    assert!(ids.is_empty());
    assert_eq!((output.counts.read, output.counts.deduplicated), (2, 2));
    // One more at the boundary, one changed there, one later.
    runs.reading
        .execute(
            "INSERT INTO t VALUES (4, '2024-01-01 00:00:00.000002'), (5, '2024-01-01 00:00:00.000003'); \
             UPDATE t SET id = 30 WHERE id = 3",
        )
        .await;
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
    assert_eq!(runs.state.as_ref().unwrap()["state"]["value"], "2024-01-01 00:00:00.000003");
}

#[tokio::test]
async fn every_kind_of_cursor_keeps_its_precision() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    let mut runs = Runs { reading, config: json!({}), state: None };
    for (kind, first, second, third) in [
        ("BIGINT UNSIGNED", "18446744073709551613", "18446744073709551614", "18446744073709551615"),
        (
            "DECIMAL(38,10)",
            "0.0000000001",
            "1234567890123456789012345678.0000000001",
            "1234567890123456789012345678.0000000002",
        ),
        ("DATE", "2024-02-28", "2024-02-29", "2024-03-01"),
        ("TIMESTAMP(6) NULL", "2024-01-01 00:00:00.999998", "2024-01-01 00:00:00.999999", "2024-01-01 00:00:01"),
        ("VARCHAR(30) COLLATE utf8mb4_czech_ci", "cibule", "čep", "chata it''s"),
        ("YEAR", "1999", "2000", "2155"),
    ] {
        for query in [None, Some("SELECT * FROM t")] {
            let sql = format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (id INT, c {kind}); \
                 INSERT INTO t VALUES (1, '{first}'), (2, '{second}')"
            );
            runs.reading.execute(&sql).await;
            runs.state = None;
            runs.config = match query {
                None => json!({"table": "t", "cursor": {"column": "c", "allow_future": true}}),
                Some(query) => json!({"query": query, "cursor": {"column": "c", "allow_future": true}}),
            };
            assert_eq!(runs.next().await.0, ["1", "2"], "{kind}");
            runs.reading.execute(&format!("INSERT INTO t VALUES (3, '{second}'), (4, '{third}')")).await;
            assert_eq!(runs.next().await.0, ["3", "4"], "{kind}");
            assert!(runs.next().await.0.is_empty(), "{kind}");
        }
    }
}

#[tokio::test]
async fn initial_lag_and_boundary_do_what_they_say() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (id INT, at DATETIME); INSERT INTO t VALUES (1, '2024-01-01 00:00:00'), \
             (2, '2024-01-01 00:01:00'), (3, '2024-01-01 00:02:00')",
        )
        .await;
    let with = |fields: Value| {
        let mut cursor = json!({"column": "at"});
        cursor.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"table": "t", "cursor": cursor})
    };
    let mut runs = Runs { reading, config: with(json!({"initial": "2024-01-01 00:01:00"})), state: None };
    assert_eq!(runs.next().await.0, ["2", "3"]);
    runs.config = with(json!({"lag": 60}));
    assert_eq!(runs.next().await.0, ["2"]);
    runs.config = with(json!({"include_boundary": false}));
    runs.reading.execute("INSERT INTO t VALUES (4, '2024-01-01 00:02:00'), (5, '2024-01-01 00:03:00')").await;
    assert_eq!(runs.next().await.0, ["5"]);
    runs.config = with(json!({"column": "id"}));
    let step = runs.reading.bench.step("other", "mysql.extractor", runs.config.clone());
    let step = step.connection(runs.reading.server.connection()).state(runs.state.clone().unwrap());
    let failure = step.run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Validation);
    assert!(failure.error.report().contains("cursor.column: `at` -> `id`"), "{}", failure.error.report());
    runs.config = with(json!({"initial": "1 OR 1"}));
    let failure = runs.reading.failure(runs.config.clone()).await;
    assert!(failure.error.report().contains("not a value of its column"), "{}", failure.error.report());
}

#[tokio::test]
async fn the_upper_bound_is_frozen_before_the_first_row() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading
        .execute("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t SELECT seq, seq FROM JSON_TABLE(CONCAT('[', REPEAT('0,', 49999), '0]'), '$[*]' COLUMNS (seq FOR ORDINALITY)) numbers")
        .await;
    let mut runs = Runs { reading, config: json!({"table": "t", "cursor": {"column": "id"}}), state: None };
    // A writer appends all the while; what it adds belongs to one run or another, and to only one.
    let mut connection = runs.reading.server.connect().await.unwrap();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::spawn(async move {
        let mut next = 50_001;
        while stopped.try_recv().is_err() {
            let sql = format!("INSERT INTO t VALUES ({next}, {next})");
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            next += 1;
        }
        next - 1
    });
    let mut all = Vec::new();
    for _ in 0..3 {
        let (ids, output) = runs.next().await;
        let last: u64 = output.state.unwrap()["state"]["value"].as_str().unwrap().parse().unwrap();
        all.extend(ids.iter().map(|id| id.parse::<u64>().unwrap()));
        assert_eq!(all.iter().max(), Some(&last));
    }
    stop.send(()).unwrap();
    let last = writer.await.unwrap();
    all.extend(runs.next().await.0.iter().map(|id| id.parse::<u64>().unwrap()));
    all.sort_unstable();
    assert_eq!(all, (1..=last).collect::<Vec<u64>>());
}
