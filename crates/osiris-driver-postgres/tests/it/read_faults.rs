//! What goes wrong while rows are read: as for any database, and statements that somebody ends.

use std::time::{Duration, Instant};

use osiris_core::ErrorKind;
use osiris_testkit::database::read_faults::{self, ROWS, connection, prepared};
use osiris_testkit::database::settled;
use serde_json::json;

use crate::subject::PostgresDriver;

#[tokio::test]
async fn a_connection_cut_anywhere_leaves_nothing_and_is_a_network_error() {
    read_faults::a_connection_cut_anywhere_leaves_nothing_and_is_a_network_error::<PostgresDriver>().await;
}

#[tokio::test]
async fn a_server_that_falls_silent_is_a_timeout_within_the_limits() {
    read_faults::a_server_that_falls_silent_is_a_timeout_within_the_limits::<PostgresDriver>().await;
}

#[tokio::test]
async fn a_query_ended_by_another_and_a_server_that_dies_are_errors_that_a_later_try_mends() {
    let Some((mut reading, proxy)) = prepared::<PostgresDriver>().await else { return };
    let connection = connection(&reading, &proxy, &json!({}));
    let config = json!({"query": "SELECT a.id FROM t a JOIN t b ON a.v = b.v", "timeout": 60});
    for what in ["pg_cancel_backend", "pg_terminate_backend", "SERVER"] {
        let running = reading.once(connection.clone(), config.clone());
        let other = reading.server.connect().await.unwrap();
        let (ended, ()) = tokio::join!(running, end(other, what));
        let expected = if what == "pg_cancel_backend" { ErrorKind::Timeout } else { ErrorKind::Network };
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), expected, "{what}: {error:?}");
        if what == "SERVER" {
            reading.server.restart().await.unwrap();
        }
        assert_eq!(reading.once(connection.clone(), json!({"table": "t"})).await.unwrap(), ROWS, "after {what}");
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
    let Some((reading, _)) = prepared::<PostgresDriver>().await else { return };
    let config = json!({"query": "SELECT count(*) FROM t a, t b, t c WHERE a.v <= b.v", "timeout": 600});
    let running = reading.run("cancelled", config, json!({}));
    assert!(tokio::time::timeout(Duration::from_secs(2), running).await.is_err());
    settled(&reading.server).await;
}
