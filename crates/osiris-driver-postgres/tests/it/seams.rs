//! Where the promise broke between attempts, sessions and servers. Each test is named after its number.

use std::time::{Duration, Instant};

use osiris_core::{ErrorKind, RetryPolicy};
use osiris_testkit::database::{config, through};
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::subject::{Reading, Writing};
use crate::support::check;

#[tokio::test]
async fn s32_a_volatile_function_that_is_no_known_reader_is_refused() {
    let Some(reading) = Reading::start(PostgresOptions::new()).await else { return };
    let connection = reading.server.connection();
    reading
        .execute(
            "CREATE SCHEMA lambda; CREATE FUNCTION lambda.invoke(text) RETURNS text LANGUAGE sql AS 'SELECT $1'; \
             CREATE FUNCTION quiet(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1'; \
             CREATE FUNCTION \"Loud\"(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; \
             CREATE TABLE t (id int); INSERT INTO t VALUES (1); \
             CREATE FUNCTION secretly(t) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        )
        .await;
    for (query, name) in [
        ("SELECT lambda.invoke('x') AS a", "lambda.invoke()"),
        ("SELECT LAMBDA . INVOKE ('x') AS a", "lambda.invoke()"),
        ("SELECT \"Loud\"(id) AS a FROM t", "public.Loud()"),
        ("SELECT 1 AS a WHERE EXISTS (SELECT public.\"Loud\"(1))", "public.Loud()"),
        ("EXPLAIN ANALYZE SELECT \"Loud\"(1)", "public.Loud()"),
        ("SELECT t.secretly AS a FROM t", "public.secretly()"),
    ] {
        let failure = reading.once(connection.clone(), json!({"query": query})).await.unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Validation, "{query}: {failure:?}");
        assert!(failure.message().contains(name) && failure.message().contains("VOLATILE"), "{query}: {failure:?}");
    }
    // The server has had it since version 13.
    let uuid = if reading.server.version().await.unwrap() < 13 { "random()" } else { "gen_random_uuid()" };
    let sizes = format!("SELECT count(*) AS a, pg_relation_size('t') AS b, {uuid} IS NULL AS c FROM t AS x(id)");
    for query in [
        "SELECT quiet(id) AS a, t.id AS b, random() < 2 AS c, clock_timestamp() IS NULL AS d FROM t",
        sizes.as_str(),
        "SELECT (SELECT max(id) FROM t WHERE id IN (1, 2)) AS a, coalesce(NULL, 1) AS b",
    ] {
        assert_eq!(reading.once(connection.clone(), json!({"query": query})).await.unwrap(), 1, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s38_the_doctor_says_whether_the_server_was_verified() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let ca = server.ca();
    for (fields, verified) in [
        (json!({"tls": "required"}), "no"),
        (json!({"tls": "verify-ca", "ssl_ca": ca}), "certificate"),
        (json!({"tls": "verify-full", "ssl_ca": ca}), "certificate and name"),
    ] {
        let health = check(&server.connection_with(fields.clone())).await;
        assert!(health.ok, "{health:?}");
        assert!(
            health.details.iter().any(|(key, value)| key == "server_verified" && value == verified),
            "{fields}: {health:?}"
        );
    }
}

/// Rows that a trigger takes away again behind the statement: the server says that it inserted them.
#[tokio::test]
async fn s49_rows_that_are_not_there_after_the_merge_are_found_by_counting_them() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE FUNCTION thief() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN DELETE FROM t WHERE id = 3; RETURN NULL; END $$; \
             CREATE TRIGGER thief AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION thief()",
        )
        .await;
    let data = "SELECT i::INTEGER AS id, 1 AS v FROM range(5) r(i)";
    for conflict in ["update", "ignore"] {
        let upsert = config(json!({"mode": "upsert", "key": "id", "on_conflict": conflict}));
        let failure = writing.write(upsert, data).await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Integrity, "{conflict}: {:?}", failure.error);
        assert_eq!(writing.shown("SELECT count(*) FROM t").await, "0", "{conflict}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s50_a_connection_that_stalls_is_a_failed_one_and_a_missing_grant_is_none() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v int); DO $$ BEGIN CREATE ROLE s50_poor LOGIN PASSWORD 'pw'; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
             GRANT USAGE ON SCHEMA public TO s50_poor; GRANT SELECT ON t TO s50_poor",
        )
        .await;
    let proxy = Proxy::start(writing.server.address().unwrap()).unwrap();
    proxy.set(Fault::Stall { direction: Direction::Down, after: 0 });
    let stalled = through(&writing.server, &proxy, &json!({"connect_timeout": 1}));
    let poor = writing.server.connection_with(json!({"user": "s50_poor", "password": "pw"}));
    let input = writing.bench.table("source", "SELECT 1 AS id, 1 AS v").await.unwrap();
    for (connection, kind, events) in [(stalled, ErrorKind::Timeout, 1), (poor, ErrorKind::Permission, 0)] {
        let before = writing.bench.events().matching("event", "connection_failed").len();
        let step = writing.bench.step("write", "postgres.writer", config(json!({}))).connection(connection);
        let failure = step.input(&input).retry(RetryPolicy::never()).run().await.unwrap_err();
        assert_eq!(failure.error.kind(), kind, "{:?}", failure.error);
        let after = writing.bench.events().matching("event", "connection_failed").len();
        assert_eq!(after - before, events, "{kind}");
    }
}

/// What the session of a write has told its server to do without us, as a trigger sees it.
#[tokio::test]
async fn s62_the_server_ends_a_session_by_itself_when_nobody_is_there_any_more() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE seen (name text, setting text); \
             CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               INSERT INTO seen SELECT name, setting FROM pg_settings; RETURN NULL; END $$; \
             CREATE TRIGGER look AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION look()",
        )
        .await;
    writing.write(config(json!({})), "SELECT 1 AS id, 1 AS v").await.unwrap();
    let names = "'idle_in_transaction_session_timeout', 'tcp_keepalives_idle', 'tcp_user_timeout'";
    let seen = writing.shown(&format!("SELECT setting FROM seen WHERE name IN ({names}) ORDER BY name")).await;
    assert_eq!(seen, "300000\n30\n90000");
    let name = writing.shown("SELECT setting FROM seen WHERE name = 'application_name'").await;
    assert!(name.starts_with("osiris "), "{name}");
    // Nothing of it outlasts the transaction.
    let step =
        writing.bench.step("read", "postgres.extractor", json!({"query": "SHOW idle_in_transaction_session_timeout"}));
    step.connection(writing.connection.clone()).run().await.unwrap();
}

/// A session as a run leaves it behind that lost its network in the middle of an overwrite.
async fn left_behind(server: &Postgres) -> sqlx::PgConnection {
    let mut session = server.connect().await.unwrap();
    let sql = "SET application_name = 'osiris run-of-yesterday'; BEGIN; LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE; \
               DELETE FROM t";
    sqlx::raw_sql(sql).execute(&mut session).await.unwrap();
    session
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s62_a_session_that_an_earlier_run_left_behind_is_named_and_can_be_ended() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 9) i; \
                  DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = %L', current_database(), '1s'); END $$",
        )
        .await;
    let mut session = left_behind(&writing.server).await;
    let input = writing.bench.table("source", "SELECT 1 AS id, 1 AS v").await.unwrap();
    let write = |more: Value| {
        let settings = config(json!({"mode": "overwrite"}));
        let mut settings = settings.as_object().unwrap().clone();
        settings.extend(more.as_object().unwrap().clone());
        let step = writing.bench.step("write", "postgres.writer", Value::Object(settings));
        step.connection(writing.connection.clone()).input(&input).retry(RetryPolicy::never())
    };
    let failure = write(json!({})).run().await.unwrap_err();
    let report = failure.error.report();
    assert_eq!(failure.error.kind(), ErrorKind::Timeout, "{report}");
    assert!(report.contains("blocking session: process") && report.contains("run-of-yesterday"), "{report}");
    assert!(report.contains("end_stale_sessions") && report.contains("pg_terminate_backend("), "{report}");
    // It has to have been silent for a while to count as left behind.
    let deadline = Instant::now() + Duration::from_secs(60);
    let silent = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'osiris run-%' \
                  AND clock_timestamp() - state_change > interval '31 s'";
    while writing.shown(silent).await != "1" {
        assert!(Instant::now() < deadline, "the session does not get older");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let output = write(json!({"end_stale_sessions": true})).run().await.unwrap();
    assert_eq!((output.counts.inserted, output.counts.deleted), (1, 9));
    assert!(session.ping().await.is_err(), "the session is still there");
    assert_eq!(writing.shown("SELECT * FROM t").await, "1|1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s64_a_server_that_is_away_for_some_seconds_is_outlasted_by_default() {
    let Some(writing) = Writing::with(PostgresOptions::new()).await else { return };
    writing.execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await;
    let proxy = Proxy::start(writing.server.address().unwrap()).unwrap();
    proxy.set(Fault::Refuse);
    let connection = through(&writing.server, &proxy, &json!({"connect_timeout": 2}));
    let input = writing.bench.table("source", "SELECT 1 AS id, 1 AS v").await.unwrap();
    let step = writing.bench.step("write", "postgres.writer", config(json!({}))).connection(connection);
    let back = async {
        tokio::time::sleep(Duration::from_secs(6)).await;
        proxy.set(Fault::Pass);
    };
    let (outcome, ()) = tokio::join!(step.input(&input).retry(RetryPolicy::default()).run(), back);
    assert!(outcome.unwrap().attempts > 3);
}
