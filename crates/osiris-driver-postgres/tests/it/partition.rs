//! Reading by ranges: every row once, of one snapshot, over as many connections as there are to be had.

use osiris_core::ErrorKind;
use osiris_testkit::database::{ranges, texts};
use osiris_testkit::services::{PgBouncer, PostgresOptions};
use serde_json::json;

use crate::subject::Reading;

#[tokio::test]
async fn ranges_of_every_kind_hold_every_row_once() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (id bigint, d date, m timestamp, s timestamptz, x int, \"Q t\" smallint); \
             INSERT INTO t SELECT i::bigint * 1000003, '2000-01-01'::date + i, '2000-01-01'::timestamp + i * interval '7 minutes', \
             '2000-01-01'::timestamptz + i * interval '1 hour', i, i % 7 FROM generate_series(1, 5000) i; \
             INSERT INTO t VALUES (NULL, NULL, NULL, NULL, -1), \
             (9223372036854775807, 'infinity', '-infinity', '0044-03-15 BC', -2)",
        )
        .await;
    ranges::ranges_hold_every_row_once(&reading, &["id", "d", "m", "s", "x", "Q t"]).await;
    let many = json!({"table": "t", "columns": ["x"], "where": "x > 0", "partition_by": "id", "partitions": 200});
    let output = reading.run("many", many, json!({})).await.unwrap();
    assert_eq!(output.rows, 5000);
    ranges::refuses_a_column_without_ranges(&reading).await;
    let dry = reading.bench.step("dry", "postgres.extractor", json!({"query": "SELECT 'x' AS v", "partition_by": "v"}));
    assert!(dry.connection(reading.server.connection()).dry_run().run().await.is_err());
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' OR query LIKE 'COPY%'";
    assert_eq!(reading.server.value(open).await.unwrap().as_deref(), Some("0"));
}

#[tokio::test]
async fn all_ranges_are_read_at_one_moment_while_amounts_move_between_them() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    ranges::ranges_are_of_one_snapshot(&reading).await;
}

#[tokio::test]
async fn a_server_short_of_connections_is_read_over_those_it_has() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000); \
             CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 2; GRANT SELECT ON t TO few",
        )
        .await;
    let account = json!({"user": "few", "password": "few"});
    let config = json!({"table": "t", "partition_by": "id", "partitions": 8});
    let output = reading.run("few", config, account).await.unwrap();
    assert_eq!(output.rows, 1000);
}

#[tokio::test]
async fn an_error_in_one_range_stops_the_others_and_leaves_nothing() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute("CREATE TABLE t (id int, n numeric(10,2)); INSERT INTO t SELECT i, CASE i WHEN 77777 THEN 'NaN'::numeric ELSE i END FROM generate_series(1, 100000) i")
        .await;
    let failure = reading.failure(json!({"table": "t", "partition_by": "id"})).await;
    assert_eq!(failure.error.kind(), ErrorKind::Validation);
    assert!(failure.error.report().contains("column `n` has NaN"), "{}", failure.error.report());
    let tables = reading.bench.query("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'fails'").await.unwrap();
    assert_eq!(texts(&tables), [["0"]]);
    let config = json!({
        "table": "t", "partition_by": "a", "cursor": {"column": "b"}, "limit": 3, "columns": ["a", "a"], "order_by": "x"
    });
    let problems: Vec<String> = reading
        .bench
        .config_problems("postgres.extractor", &config)
        .unwrap()
        .into_iter()
        .map(|problem| problem.pointer)
        .collect();
    assert_eq!(problems, ["/partition_by", "/order_by", "/limit", "/columns/1"]);
}

#[tokio::test]
async fn a_pooler_with_two_sessions_is_enough_for_ranges_types_and_cursors() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    reading
        .execute(
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
             CREATE TABLE t (id int, m mood, n numeric(9,3), a int[], f double precision); \
             INSERT INTO t SELECT i, 'ok', i / 8.0, ARRAY[i], i / 3.0::float8 FROM generate_series(1, 5000) i",
        )
        .await;
    let Some(pooler) = PgBouncer::start(&reading.server).await.unwrap() else { return };
    let run = async |name: &str, config: serde_json::Value| {
        let step = reading.bench.step(name, "postgres.extractor", config.clone()).connection(pooler.connection());
        step.run().await.unwrap_or_else(|failure| panic!("{config}: {}", failure.error.report()))
    };
    for config in [
        json!({"table": "t"}),
        json!({"table": "t", "partition_by": "id", "partitions": 2}),
        json!({"table": "t", "partition_by": "id", "partitions": 8}),
        json!({"query": "SELECT * FROM t", "cursor": {"column": "id"}}),
    ] {
        let output = run("pooled", config).await;
        assert_eq!((output.rows, output.counts.read), (5000, 5000));
        let sql = "SELECT sum(id), count(DISTINCT id), sum(n), min(f), max(a), max(m) FROM steps.pooled WHERE f > 1666";
        let pooled = texts(&reading.bench.query(sql).await.unwrap());
        assert_eq!(pooled, [["9999", "2", "1249.875", "1666.3333333333333", "[5000]", "ok"]]);
    }
}
