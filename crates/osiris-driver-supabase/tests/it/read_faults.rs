//! What goes wrong while rows are read: nothing of them stays, the error has its kind, and a later try works.

use std::time::{Duration, Instant};

use osiris_core::{Error, ErrorKind, RetryPolicy};
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::PostgresOptions;
use serde_json::{Value, json};

use crate::reading::Reading;

const ROWS: u64 = 20_000;

async fn prepared() -> Option<Reading> {
    let reading = Reading::start(PostgresOptions::new().without_tls()).await?;
    reading
        .execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i")
        .await;
    Some(reading)
}

fn once() -> RetryPolicy {
    RetryPolicy { max_attempts: 1, ..RetryPolicy::default() }
}

impl Reading {
    /// One attempt through the proxy.
    async fn once(&self, proxy: &Proxy, config: Value, fields: Value) -> Result<u64, Error> {
        let mut through = json!({"pg_host": "127.0.0.1", "pg_port": proxy.port()});
        through.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let connection = self.server.connection_with(through);
        // A table of an earlier try would stay as it was.
        self.bench.store().drop_table("faulty").await.unwrap();
        let step = self.bench.step("faulty", "supabase.extractor", config).connection(connection).retry(once());
        match step.run().await {
            Ok(output) => Ok(output.rows),
            Err(failure) => {
                let tables = self.bench.query("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'faulty'").await;
                assert_eq!(tables.unwrap().rows()[0][0].as_deref(), Some("0"), "something of the table stayed");
                assert!(failure.error.hint().is_some(), "{}", failure.error.report());
                Err(failure.error)
            }
        }
    }

    /// Until no session of a step is left, or the deadline.
    async fn sessions_are_gone(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state <> 'idle'";
            if self.server.value(sql).await.unwrap().as_deref() == Some("0") {
                return;
            }
            assert!(Instant::now() < deadline, "a statement outlived its step");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_connection_cut_anywhere_leaves_nothing_and_is_a_network_error() {
    let Some(reading) = prepared().await else { return };
    let proxy = Proxy::start(reading.server.address().unwrap()).unwrap();
    let config = json!({"table": "t"});
    assert_eq!(reading.once(&proxy, config.clone(), json!({})).await.unwrap(), ROWS);
    // Within the sign-in, the questions for the settings, the description, the first rows, the last.
    let offsets =
        (0..60).map(|step| step * 43).chain([3000, 5000, 10_000, 65_536, 500_000, 1_000_000, 2_000_000, 2_390_000]);
    let mut cut = 0;
    for after in offsets {
        proxy.set(Fault::Cut { direction: Direction::Down, after });
        match reading.once(&proxy, config.clone(), json!({})).await {
            Ok(rows) => assert_eq!(rows, ROWS, "cut after {after} bytes"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Network, "cut after {after} bytes: {}", error.report());
                cut += 1;
            }
        }
    }
    assert!(cut > 60, "only {cut} connections were cut");
    for after in [0, 10, 80, 200, 300, 500] {
        proxy.set(Fault::Cut { direction: Direction::Up, after });
        if let Err(error) = reading.once(&proxy, config.clone(), json!({})).await {
            assert_eq!(error.kind(), ErrorKind::Network, "cut after {after} bytes sent: {}", error.report());
        }
    }
    proxy.set(Fault::Pass);
    assert_eq!(reading.once(&proxy, config, json!({})).await.unwrap(), ROWS);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_a_timeout_within_the_limits() {
    let Some(reading) = prepared().await else { return };
    let proxy = Proxy::start(reading.server.address().unwrap()).unwrap();
    proxy.set(Fault::Stall { direction: Direction::Down, after: 300_000 });
    let began = Instant::now();
    let error = reading.once(&proxy, json!({"table": "t"}), json!({"timeout": 0.5})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.report());
    assert!(began.elapsed() < Duration::from_secs(30));
    proxy.set(Fault::Pass);
    // Slow until the first row: the server has to compare far more than it can in that time.
    let slow = json!({"query": "SELECT count(*) FROM t a, t b, t c WHERE a.v <= b.v", "timeout": 0.3});
    let error = reading.once(&proxy, slow, json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.report());
    assert!(error.report().contains("the first row did not come"), "{}", error.report());
    reading.sessions_are_gone().await;
}

#[tokio::test]
async fn a_query_ended_by_another_and_a_server_that_dies_are_errors_that_a_later_try_mends() {
    let Some(mut reading) = prepared().await else { return };
    let proxy = Proxy::start(reading.server.address().unwrap()).unwrap();
    let config = json!({"query": "SELECT a.id FROM t a JOIN t b ON a.v = b.v", "timeout": 60});
    for what in ["pg_cancel_backend", "pg_terminate_backend", "SERVER"] {
        let running = reading.once(&proxy, config.clone(), json!({}));
        let connection = reading.server.connect().await.unwrap();
        let (ended, ()) = tokio::join!(running, end(connection, what));
        let expected = if what == "pg_cancel_backend" { ErrorKind::Timeout } else { ErrorKind::Network };
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), expected, "{what}: {error:?}");
        if what == "SERVER" {
            reading.server.restart().await.unwrap();
        }
        assert_eq!(reading.once(&proxy, json!({"table": "t"}), json!({})).await.unwrap(), ROWS, "after {what}");
    }
}

/// Ends the statement of the test as soon as it runs.
async fn end(mut connection: sqlx::PgConnection, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let found: (i32,) = loop {
        let sql = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%a.id%' AND state = 'active'";
        match sqlx::query_as(sql).fetch_optional(&mut connection).await.unwrap() {
            Some(found) => break found,
            None => assert!(Instant::now() < deadline, "the statement never ran"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    if what == "SERVER" {
        let path: (String,) = sqlx::query_as("SELECT current_setting('data_directory') || '/postmaster.pid'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let file = std::fs::read_to_string(path.0).unwrap();
        std::process::Command::new("kill").args(["-9", file.lines().next().unwrap()]).status().unwrap();
        return;
    }
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SELECT {what}({})", found.0))).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_step_leaves_no_statement_at_the_server() {
    let Some(reading) = prepared().await else { return };
    let config = json!({"query": "SELECT count(*) FROM t a, t b, t c WHERE a.v <= b.v", "timeout": 600});
    let running = reading.run("cancelled", config, json!({}));
    assert!(tokio::time::timeout(Duration::from_secs(2), running).await.is_err());
    reading.sessions_are_gone().await;
}
