//! The guard before a real server: whatever it accepts changes nothing.

use std::path::{Path, PathBuf};

use osiris_sql::guard::{MySqlModes, ReadingStatement, SqlDialect};
use osiris_testkit::database::guard::Statements;
use osiris_testkit::services::MysqlOptions;
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection};

use super::Server;

/// How a statement of this server begins, besides those of any SQL.
const HEADS: &[&str] = &["SHOW TABLES", "EXPLAIN", "DESCRIBE t", "/*!"];

/// What it goes on with.
const PIECES: &[&str] = &[
    "REPLACE INTO t VALUES (9)",
    "SET @a = 1",
    "INTO @a",
    // Relative to the directory of the server's data, in that of the database.
    "INTO OUTFILE 'osiris-guard'",
    "LOCK IN SHARE MODE",
    "NEXTVAL(s)",
    "NEXT VALUE FOR s",
    "SETVAL(s, 1000)",
    "f()",
    "SLEEP(0)",
    "GET_LOCK('a', 0)",
    "LOAD_FILE('/etc/hostname')",
    "BENCHMARK(1, 1)",
    "\"b\"",
    "`a`",
    "`",
    "@a := 1",
    "-- ",
    "#",
    "/*!",
    "/*!50000",
    "/*M!",
    "/*+",
    "PROCEDURE ANALYSE()",
];

async fn run(connection: &mut MySqlConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// Everything that a statement could change.
async fn fingerprint(server: &Server) -> Vec<Vec<Option<String>>> {
    let sequence = if Server::IS_MARIADB { "UNION ALL SELECT CONCAT(next_not_cached_value) FROM s" } else { "" };
    let sql = format!(
        "SELECT GROUP_CONCAT(a ORDER BY a) FROM t {sequence} UNION ALL SELECT GROUP_CONCAT(TABLE_NAME ORDER BY TABLE_NAME) \
         FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
    );
    server.rows(&sql).await.unwrap()
}

/// Where `INTO OUTFILE` would leave its file.
async fn outfile(server: &Server) -> PathBuf {
    let rows = server.rows("SELECT @@datadir, DATABASE()").await.unwrap();
    let [directory, database] = [0, 1].map(|index| rows[0][index].clone().unwrap());
    Path::new(&directory).join(database).join("osiris-guard")
}

#[tokio::test]
async fn no_accepted_statement_changes_anything_even_without_the_lock_of_the_server() {
    let Some(mut server) = Server::start_with(MysqlOptions::new()).await.unwrap() else { return };
    server
        .execute("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2), (3); CREATE PROCEDURE p() DELETE FROM t")
        .await
        .unwrap();
    if Server::IS_MARIADB {
        server.execute("CREATE SEQUENCE s").await.unwrap();
    }
    let before = fingerprint(&server).await;
    let mut connection = server.connect().await.unwrap();
    let mut crashes = 0_u64;
    let mut statements = Statements::new(HEADS, PIECES);
    while let Some(sql) = statements.next_statement() {
        if ReadingStatement::parse(&sql, SqlDialect::MySql(MySqlModes::default())).is_err() {
            continue;
        }
        statements.accepted += 1;
        // Not in a transaction that could only read, and with several statements allowed: the guard stands alone here.
        match run(&mut connection, sql.clone()).await {
            Ok(()) => statements.understood += 1,
            Err(sqlx::Error::Database(_)) => {}
            // Soup brings the server itself down now and then. That is its own fault, as long as nothing of the data changes.
            Err(_) => {
                server.restart().await.unwrap();
                assert_eq!(fingerprint(&server).await, before, "{sql:?}");
                connection = server.connect().await.unwrap();
                crashes += 1;
                assert!(crashes < 1 + statements.tried / 1000, "the server went away {crashes} times, last at {sql:?}");
            }
        }
        if statements.is_checkpoint() {
            assert_eq!(fingerprint(&server).await, before, "one of the last 50 statements, ending in {sql:?}");
        }
    }
    assert_eq!(fingerprint(&server).await, before);
    assert!(!outfile(&server).await.exists());
    statements.conclude();
    connection.close().await.unwrap();
}
