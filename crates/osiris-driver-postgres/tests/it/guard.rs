//! The guard before a real server: whatever it accepts changes nothing, and it knows every function of the server's own that does
//! more than compute.

use osiris_sql::guard::{PostgresModes, ReadingStatement, SqlDialect};
use osiris_testkit::database::guard::Statements;
use osiris_testkit::services::{Postgres, PostgresOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// How a statement of this server begins, besides those of any SQL.
const HEADS: &[&str] = &["WITH x AS (", "SHOW TimeZone", "EXPLAIN ANALYZE", "EXPLAIN (ANALYZE)"];

/// What it goes on with.
const PIECES: &[&str] = &[
    "DELETE FROM t RETURNING a) SELECT * FROM x",
    "UPDATE t SET a = a + 1 RETURNING a) SELECT * FROM x",
    "MERGE INTO t USING (SELECT 1) q ON true WHEN MATCHED THEN DELETE",
    "SET a = 1",
    "INTO u",
    "INTO TEMP u",
    "FOR NO KEY UPDATE",
    "nextval('s')",
    "setval('s', 1000)",
    "lo_from_bytea(0, 'x')",
    "set_config('work_mem', '1MB', false)",
    "query_to_xml('DELETE FROM t', true, true, '')",
    "pg_advisory_lock(1)",
    "pg_notify('a', 'b')",
    "pg_typeof(1)",
    "E'a\\''",
    "$$",
    "$a$",
    "$$x$$",
    "\"a\"",
    "\r",
    "AS u",
    "X'1F'",
    "B'1'",
    "\n'\\'",
    "U&'x'",
    "U&\"a\"",
    "::text",
    "RETURNING a",
];

fn accepts(sql: &str, modes: PostgresModes) -> bool {
    ReadingStatement::parse(sql, SqlDialect::Postgres(modes)).is_ok()
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// Everything that a statement could change.
async fn fingerprint(server: &Postgres) -> Vec<Vec<Option<String>>> {
    let sql = "SELECT string_agg(a::text, ',' ORDER BY a) FROM t UNION ALL SELECT last_value::text FROM s \
               UNION ALL SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relkind IN ('r', 'v', 'S') AND oid >= 16384 \
               UNION ALL SELECT count(*)::text FROM pg_largeobject_metadata \
               UNION ALL SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'";
    server.rows(sql).await.unwrap()
}

#[tokio::test]
async fn no_accepted_statement_changes_anything_even_without_the_lock_of_the_server() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    server
        .execute(
            "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2), (3); CREATE SEQUENCE s; \
             CREATE PROCEDURE p() LANGUAGE sql AS 'DELETE FROM t'",
        )
        .await
        .unwrap();
    let before = fingerprint(&server).await;
    let mut connections = [server.connect().await.unwrap(), server.connect().await.unwrap()];
    run(&mut connections[1], "SET standard_conforming_strings = off; SET escape_string_warning = off".to_owned())
        .await
        .unwrap();
    let mut statements = Statements::new(HEADS, PIECES);
    while let Some(sql) = statements.next_statement() {
        let mode = usize::from(statements.tried.is_multiple_of(2));
        if !accepts(&sql, PostgresModes::ALL[mode]) {
            continue;
        }
        statements.accepted += 1;
        // Not in a transaction that could only read, and with several statements allowed: the guard stands alone here.
        match run(&mut connections[mode], sql.clone()).await {
            Ok(()) => statements.understood += 1,
            Err(sqlx::Error::Database(_)) => {}
            Err(error) => panic!("{sql:?}: {error}"),
        }
        if statements.is_checkpoint() {
            assert_eq!(fingerprint(&server).await, before, "one of the last 50 statements, ending in {sql:?}");
        }
    }
    assert_eq!(fingerprint(&server).await, before);
    statements.conclude();
    for connection in connections {
        connection.close().await.unwrap();
    }
}

/// Functions of the server that are volatile and accepted: each was looked at, and only looks itself. Those that begin with
/// `pg_get_` and `pg_stat_get_` are not named here.
const LOOKERS: &[&str] = &[
    "amvalidate",
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "currtid",
    "currtid2",
    "current_query",
    "currval",
    "gen_random_uuid",
    "lastval",
    "pg_blocking_pids",
    "pg_collation_actual_version",
    "pg_control_checkpoint",
    "pg_control_init",
    "pg_control_recovery",
    "pg_control_system",
    "pg_current_logfile",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_database_collation_actual_version",
    "pg_database_size",
    "pg_indexes_size",
    "pg_is_in_backup",
    "pg_is_in_recovery",
    "pg_jit_available",
    "pg_last_committed_xact",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_relation_size",
    "pg_sequence_last_value",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "plpgsql_validator",
    "random",
    "random_normal",
    "setseed",
    "timeofday",
    "timezone",
    "txid_status",
    "uuidv4",
    "uuidv7",
];

#[tokio::test]
async fn every_volatile_function_of_the_server_is_refused_or_was_looked_at() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let sql = "SELECT DISTINCT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
               WHERE n.nspname = 'pg_catalog' AND p.provolatile = 'v' AND p.prokind = 'f' \
               AND p.prorettype NOT IN ('trigger'::regtype, 'internal'::regtype, 'event_trigger'::regtype) \
               AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[]) ORDER BY 1";
    let names: Vec<String> = server.rows(sql).await.unwrap().into_iter().flatten().flatten().collect();
    assert!(names.len() > 100, "{names:?}");
    let is_known =
        |name: &str| LOOKERS.contains(&name) || name.starts_with("pg_stat_get_") || name.starts_with("pg_get_");
    let unknown: Vec<&String> = names
        .iter()
        .filter(|name| accepts(&format!("SELECT {name}()"), PostgresModes::default()) && !is_known(name))
        .collect();
    assert!(unknown.is_empty(), "accepted, and not looked at: {unknown:?}");
}
