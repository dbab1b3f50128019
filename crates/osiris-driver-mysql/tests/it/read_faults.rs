//! What goes wrong while rows are read: as for any database, and statements that somebody ends.

use std::time::{Duration, Instant};

use osiris_core::ErrorKind;
use osiris_testkit::database::read_faults::{self, ROWS, connection, prepared};
use serde_json::json;

use super::subject::Mysql;

#[tokio::test]
async fn a_connection_cut_anywhere_leaves_nothing_and_is_a_network_error() {
    read_faults::a_connection_cut_anywhere_leaves_nothing_and_is_a_network_error::<Mysql>().await;
}

#[tokio::test]
async fn a_server_that_falls_silent_is_a_timeout_within_the_limits() {
    read_faults::a_server_that_falls_silent_is_a_timeout_within_the_limits::<Mysql>().await;
}

#[tokio::test]
async fn a_query_killed_by_another_and_a_server_that_dies_are_errors_that_a_later_try_mends() {
    let Some((mut reading, proxy)) = prepared::<Mysql>().await else { return };
    let connection = connection(&reading, &proxy, &json!({}));
    let statement = "SELECT a.id FROM t a JOIN t b ON a.v = b.v";
    let config = json!({"query": statement, "timeout": 60});
    for what in ["QUERY", "CONNECTION", "SERVER"] {
        let running = reading.once(connection.clone(), config.clone());
        let other = reading.server.connect().await.unwrap();
        let (ended, ()) = tokio::join!(running, kill(other, what));
        let expected =
            if what == "QUERY" { [ErrorKind::Timeout, ErrorKind::Cancelled] } else { [ErrorKind::Network; 2] };
        let error = ended.unwrap_err();
        assert!(expected.contains(&error.kind()), "KILL {what}: {error:?}");
        if what == "SERVER" {
            reading.server.restart().await.unwrap();
        }
        assert_eq!(reading.once(connection.clone(), json!({"table": "t"})).await.unwrap(), ROWS, "after KILL {what}");
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
            sqlx::query_as("SELECT CAST(CONCAT(IF(@@pid_file LIKE '/%', '', @@datadir), @@pid_file) AS CHAR)")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        let pid = std::fs::read_to_string(pid.0.trim()).unwrap();
        std::process::Command::new("kill").args(["-9", pid.trim()]).status().unwrap();
        return;
    }
    let sql = format!("KILL {what} {}", found.0);
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}
