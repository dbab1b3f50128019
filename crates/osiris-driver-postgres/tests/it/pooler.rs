//! A real pooler in each of its modes.

use osiris_core::{Error, ErrorKind};
use osiris_testkit::database::{config, settled};
use osiris_testkit::services::{PgBouncer, PoolMode, Postgres};
use serde_json::{Value, json};

use crate::subject::Writing;
use crate::support::{check, discover};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_is_recognised_at_any_port_and_can_be_worked_with() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let Some(pooler) = PgBouncer::start(&server).await.unwrap() else { return };
    server.execute("CREATE TABLE t (a int PRIMARY KEY)").await.unwrap();
    let health = check(&pooler.connection()).await;
    assert!(health.ok, "{health:?}");
    assert_eq!(health.details["pooler"], "transaction");
    assert!(health.message.contains("connected through a pooler"), "{health:?}");
    assert_eq!(check(&server.connection()).await.details["pooler"], "none");
    let through = discover(&pooler.connection()).await.unwrap();
    assert_eq!(through.fingerprint, discover(&server.connection()).await.unwrap().fingerprint);
    // Sessions are given to many clients, one after the other; none of them leaves anything behind.
    let checks = (0..8).map(|_| {
        let connection = pooler.connection();
        tokio::spawn(async move { check(&connection).await })
    });
    for health in checks.collect::<Vec<_>>() {
        let health = health.await.unwrap();
        assert!(health.ok, "{health:?}");
    }
}

/// Reads and writes through the pooler, with more sessions than it has; what was written.
async fn copied(writing: &Writing, pooler: &PgBouncer) -> Result<String, Error> {
    let failed = |failure: osiris_core::StepFailure| failure.error;
    let read = |config: Value| writing.bench.step("read", "postgres.extractor", config).connection(pooler.connection());
    for partitions in [2, 8] {
        let ranges = json!({"table": "source", "partition_by": "id", "partitions": partitions});
        assert_eq!(read(ranges).run().await.map_err(failed)?.rows, 5000);
    }
    let table = read(json!({"table": "source"})).run().await.map_err(failed)?.table.unwrap();
    for mode in ["append", "upsert", "overwrite"] {
        let step = writing.bench.step("write", "postgres.writer", config(json!({"mode": mode, "key": "id"})));
        let written = step.connection(pooler.connection()).input(&table).run().await.map_err(failed)?;
        assert_eq!(written.rows, 5000, "{mode}");
    }
    settled(&writing.server).await;
    Ok(writing.shown("SELECT count(*), sum(v), count(DISTINCT m) FROM t").await)
}

const TABLES: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (id int PRIMARY KEY, v numeric(9,3), m mood); \
    CREATE TABLE source (LIKE t); INSERT INTO source SELECT i, i / 8.0, 'ok' FROM generate_series(1, 5000) i";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_session_mode_reads_and_writes_with_fewer_sessions_than_are_asked_for() {
    let Some(writing) = Writing::new().await else { return };
    let Some(pooler) = PgBouncer::start_in(PoolMode::Session, &writing.server).await.unwrap() else { return };
    writing.execute(TABLES).await;
    let health = check(&pooler.connection()).await;
    assert!(health.ok && health.message.contains("connected through a pooler"), "{health:?}");
    let written = copied(&writing, &pooler).await.unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(written, "5000|1562812.500|1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_statement_mode_is_refused_with_what_to_do() {
    let Some(writing) = Writing::new().await else { return };
    let Some(pooler) = PgBouncer::start_in(PoolMode::Statement, &writing.server).await.unwrap() else { return };
    writing.execute(TABLES).await;
    let health = check(&pooler.connection()).await;
    assert!(!health.ok && health.message.contains("`pool_mode`"), "{health:?}");
    let error = copied(&writing, &pooler).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Validation, false), "{}", error.report());
    assert!(error.to_string().ends_with("transaction blocks not allowed in statement pooling mode"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("`pool_mode`")), "{}", error.report());
    let table = writing.bench.table("input", "SELECT 1 AS id, 2 AS v, 'ok' AS m").await.unwrap();
    let step = writing.bench.step("write", "postgres.writer", config(json!({})));
    let failure = step.connection(pooler.connection()).input(&table).run().await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Validation, "{}", failure.error.report());
    assert_eq!(writing.shown("SELECT count(*) FROM t").await, "0");
}
