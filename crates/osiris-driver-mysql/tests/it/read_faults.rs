//! What goes wrong while rows are read: nothing of them stays, the error has its kind, and a later try works.

use std::time::{Duration, Instant};

use osiris_core::{Error, ErrorKind, RetryPolicy};
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::MariadbOptions;
use serde_json::{Value, json};

use crate::reading::Reading;

const ROWS: u64 = 20_000;

async fn prepared() -> Option<Reading> {
    let reading = Reading::start(MariadbOptions::new().without_tls()).await?;
    reading
        .execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200)); INSERT INTO t SELECT seq, REPEAT('x', 100) FROM seq_1_to_20000")
        .await;
    Some(reading)
}

fn once() -> RetryPolicy {
    RetryPolicy { max_attempts: 1, ..RetryPolicy::default() }
}

impl Reading {
    /// One attempt through the proxy.
    async fn once(&self, proxy: &Proxy, config: Value, fields: Value) -> Result<u64, Error> {
        let mut through = json!({"host": "127.0.0.1", "port": proxy.port()});
        through.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let connection = self.server.connection_with(through);
        // A table of an earlier try would stay as it was.
        self.bench.store().drop_table("faulty").await.unwrap();
        let step = self.bench.step("faulty", "mysql.extractor", config).connection(connection).retry(once());
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
            let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%FROM `t`%' AND INFO NOT LIKE '%PROCESSLIST%'";
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
    // Within the greeting, the sign-in, the set-up, the description, the first rows, the last.
    let offsets =
        (0..60).map(|step| step * 37).chain([3000, 5000, 10_000, 65_536, 500_000, 1_000_000, 2_000_000, 2_150_000]);
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
    let fields = json!({"read_timeout": 0.5, "connect_timeout": 5});
    let began = Instant::now();
    let error = reading.once(&proxy, json!({"table": "t"}), fields).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.report());
    assert!(began.elapsed() < Duration::from_secs(30));
    proxy.set(Fault::Pass);
    // Slow until the first row: the server has to sort far more than it can in that time.
    let slow = json!({"query": "SELECT COUNT(*) FROM t a, t b, t c WHERE a.v < b.v", "timeout": 0.3});
    let error = reading.once(&proxy, slow, json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.report());
    assert!(error.report().contains("the first row did not come"), "{}", error.report());
    reading.sessions_are_gone().await;
}

#[tokio::test]
async fn a_query_killed_by_another_and_a_server_that_dies_are_errors_that_a_later_try_mends() {
    let Some(mut reading) = prepared().await else { return };
    let proxy = Proxy::start(reading.server.address().unwrap()).unwrap();
    let statement = "SELECT a.id FROM t a JOIN t b ON a.v = b.v";
    let config = json!({"query": statement, "timeout": 60});
    for what in ["QUERY", "CONNECTION", "SERVER"] {
        let running = reading.once(&proxy, config.clone(), json!({}));
        let address = reading.server.connect().await.unwrap();
        let (ended, ()) = tokio::join!(running, kill(address, what));
        let expected =
            if what == "QUERY" { [ErrorKind::Timeout, ErrorKind::Cancelled] } else { [ErrorKind::Network; 2] };
        let error = ended.unwrap_err();
        assert!(expected.contains(&error.kind()), "KILL {what}: {error:?}");
        if what == "SERVER" {
            reading.server.restart().await.unwrap();
        }
        assert_eq!(reading.once(&proxy, json!({"table": "t"}), json!({})).await.unwrap(), ROWS, "after KILL {what}");
    }
}

/// Ends the statement of the test as soon as it sends rows.
async fn kill(mut connection: sqlx::MySqlConnection, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let found: (u64,) = loop {
        let sql = "SELECT CAST(ID AS UNSIGNED) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT a.id FROM t a%' AND COMMAND = 'Execute'";
        match sqlx::query_as(sql).fetch_optional(&mut connection).await.unwrap() {
            Some(found) => break found,
            None => assert!(Instant::now() < deadline, "the statement never ran"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    if what == "SERVER" {
        let pid: (String,) =
            sqlx::query_as("SELECT CAST(@@pid_file AS CHAR)").fetch_one(&mut connection).await.unwrap();
        let pid = std::fs::read_to_string(pid.0.trim()).unwrap();
        std::process::Command::new("kill").args(["-9", pid.trim()]).status().unwrap();
        return;
    }
    let sql = format!("KILL {what} {}", found.0);
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}
