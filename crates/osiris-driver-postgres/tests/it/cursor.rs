//! Incremental extraction: what a run takes, what it leaves, what the next one starts from.

use osiris_core::{ErrorKind, RetryPolicy, StepOutput};
use osiris_testkit::database::texts;
use osiris_testkit::services::PostgresOptions;
use serde_json::{Value, json};

use crate::subject::Reading;

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
        let step = self.reading.bench.step("since", "postgres.extractor", self.config.clone());
        let mut step = step.connection(self.reading.server.connection()).retry(RetryPolicy::never());
        if let Some(state) = &self.state {
            step = step.state(state.clone());
        }
        step.run().await.unwrap_err().error.report()
    }

    pub(crate) async fn next(&mut self) -> (Vec<String>, StepOutput) {
        let step = self.reading.bench.step("since", "postgres.extractor", self.config.clone());
        let mut step = step.connection(self.reading.server.connection());
        if let Some(state) = &self.state {
            step = step.state(state.clone());
        }
        let output = step.run().await;
        let output = output.unwrap_or_else(|failure| panic!("{}: {}", self.config, failure.error.report()));
        self.state.clone_from(&output.state);
        let rows = self.reading.bench.rows(output.table.as_ref().unwrap()).await.unwrap();
        let mut ids: Vec<String> = texts(&rows).into_iter().map(|row| row[0].clone()).collect();
        ids.sort_unstable();
        (ids, output)
    }
}

#[tokio::test]
async fn runs_take_every_row_once_also_at_the_boundary() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, at timestamptz); \
             INSERT INTO t VALUES (1, '2024-01-01 00:00:00.000001Z'), (2, '2024-01-01 00:00:00.000002Z'), \
             (3, '2024-01-01 05:30:00.000002+05:30'), (9, NULL)",
        )
        .await;
    let mut runs = Runs::new(reading, json!({"table": "t", "cursor": {"column": "at", "nulls": "skip"}}));
    let (ids, _) = runs.next().await;
    assert_eq!(ids, ["1", "2", "3"]);
    let counted = runs.reading.bench.metrics().matching("metric", "rows_without_cursor");
    assert_eq!(counted[0]["value"], 1);
    assert_eq!(runs.state.as_ref().unwrap()["state"]["value"], "2024-01-01 00:00:00.000002+00");
    // Nothing new: the two at the boundary are read, known, and left out.
    let (ids, output) = runs.next().await;
    assert!(ids.is_empty());
    assert_eq!((output.counts.read, output.counts.deduplicated), (2, 2));
    // One more at the boundary, one changed there, one later.
    runs.reading
        .execute(
            "INSERT INTO t VALUES (4, '2024-01-01 00:00:00.000002Z'), (5, '2024-01-01 00:00:00.000003Z'); \
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
    assert_eq!(runs.state.as_ref().unwrap()["state"]["value"], "2024-01-01 00:00:00.000003+00");
}

#[tokio::test]
async fn every_kind_of_cursor_keeps_its_precision() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    let mut runs = Runs { reading, config: json!({}), state: None };
    for (kind, first, second, third) in [
        ("bigint", "9223372036854775805", "9223372036854775806", "9223372036854775807"),
        (
            "numeric",
            "0.00000000000000000001",
            "12345678901234567890123456789012345678901234567890.0000000001",
            "12345678901234567890123456789012345678901234567890.0000000002",
        ),
        ("date", "2024-02-28", "2024-02-29", "2024-03-01"),
        ("timestamp", "-infinity", "2024-01-01 00:00:00.999999", "2024-01-01 00:00:01"),
        ("timestamptz", "0044-03-15 12:00:00+00 BC", "2024-01-01 00:00:00.999999+00", "2024-01-01 00:00:01+00"),
        ("varchar(30) COLLATE \"C\"", "a", "b\\'' it''s", "čep"),
        ("char(5)", "a", "b", "c"),
        ("oid", "1", "4294967294", "4294967295"),
    ] {
        for query in [None, Some("SELECT * FROM t")] {
            let sql = format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (id int, c {kind}); \
                 INSERT INTO t VALUES (1, '{first}'), (2, '{second}')"
            );
            runs.reading.execute(&sql).await;
            runs.state = None;
            // The cursor need not be among the columns that are read.
            runs.config = match query {
                None => json!({"table": "t", "columns": ["id"], "cursor": {"column": "c"}}),
                Some(query) => json!({"query": query, "cursor": {"column": "c"}}),
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
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (id int, at timestamp, d date, x double precision); INSERT INTO t VALUES \
             (1, '2024-01-01 00:00:00', '2024-01-01', 1), (2, '2024-01-01 00:01:00', '2024-01-02', 2), \
             (3, '2024-01-01 00:02:00', '2024-01-03', 3)",
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
    for (column, lag) in [("d", 86_400.0), ("id", 1.5)] {
        runs.state = None;
        runs.config = json!({"table": "t", "where": "id <= 3", "cursor": {"column": column}});
        assert_eq!(runs.next().await.0.len(), 3, "{column}");
        runs.config = json!({"table": "t", "where": "id <= 3", "cursor": {"column": column, "lag": lag}});
        assert_eq!(runs.next().await.0, ["2"], "{column}");
    }
    for (fields, wanted) in [
        (json!({"initial": "1 OR 1"}), "invalid input syntax for type timestamp"),
        (json!({"column": "x"}), "`x` cannot be a cursor"),
        (json!({"column": "nope"}), "\"nope\" does not exist"),
    ] {
        let failure = runs.reading.failure(with(fields)).await;
        assert_eq!(failure.error.kind(), ErrorKind::Validation);
        assert!(failure.error.report().contains(wanted), "{}", failure.error.report());
    }
    // A state that went around the comparison of sources is still of one column.
    let step = runs.reading.bench.step("other", "postgres.extractor", with(json!({"column": "id"})));
    let state = json!({"column": "at", "value": "2024-01-01 00:00:00", "taken": []});
    let step = step.connection(runs.reading.server.connection()).own_state(state).unwrap();
    let failure = step.run().await.unwrap_err();
    assert!(failure.error.report().contains("the saved state belongs to the cursor column `at`"));
}

#[tokio::test]
async fn the_upper_bound_is_frozen_before_the_first_row() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 50000) i",
        )
        .await;
    let mut runs = Runs { reading, config: json!({"table": "t", "cursor": {"column": "id"}}), state: None };
    // A writer appends all the while; what it adds belongs to one run or another, and to only one.
    let mut connection = runs.reading.server.connect().await.unwrap();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::spawn(async move {
        let mut next = 50_001;
        while stopped.try_recv().is_err() {
            let sql = format!("INSERT INTO t VALUES ({next}, {next})");
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
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
