//! The guard before a real server: whatever it accepts changes nothing.
//!
//! `OSIRIS_FUZZ_SECONDS=600` makes the test try new statements for that long instead of a few hundred.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osiris_sql::guard::{MySqlModes, ReadingStatement, SqlDialect};
use osiris_testkit::services::MysqlOptions;
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection};

use super::Server;

/// Pieces that often make a statement the server understands.
const HEADS: [&str; 16] = [
    "SELECT",
    "SELECT *",
    "SELECT a FROM t",
    "SELECT * FROM t",
    "WITH x AS (SELECT 1)",
    "TABLE t",
    "VALUES (1)",
    "SHOW TABLES",
    "EXPLAIN",
    "DESCRIBE t",
    "(SELECT 1)",
    "DELETE FROM t",
    "UPDATE t SET a = a + 1",
    "INSERT INTO t VALUES (9)",
    "/*!",
    "-- x\n",
];
const PIECES: [&str; 64] = [
    "DELETE FROM t",
    "UPDATE t SET a = a + 1",
    "INSERT INTO t VALUES (9)",
    "REPLACE INTO t VALUES (9)",
    "TRUNCATE t",
    "DROP TABLE t",
    "CREATE TABLE u (a INT)",
    "CALL p()",
    "SET @a = 1",
    "INTO @a",
    // Relative to the directory of the server's data, in that of the database.
    "INTO OUTFILE 'osiris-guard'",
    "FOR UPDATE",
    "FOR SHARE",
    "LOCK IN SHARE MODE",
    "NEXTVAL(s)",
    "NEXT VALUE FOR s",
    "SETVAL(s, 1000)",
    "f()",
    "SLEEP(0)",
    "GET_LOCK('a', 0)",
    "LOAD_FILE('/etc/hostname')",
    "BENCHMARK(1, 1)",
    "SELECT 1",
    "UNION",
    "ALL",
    "FROM t",
    "WHERE a = 1",
    "a",
    "t.a",
    "1",
    "1.",
    ".5",
    "'x'",
    "'a\\'",
    "\"b\"",
    "`a`",
    "''",
    "'",
    "\"",
    "`",
    "\\",
    "(",
    ")",
    ",",
    ";",
    ".",
    "*",
    "@a := 1",
    "--",
    "-- ",
    "#",
    "\n",
    "/*",
    "*/",
    "/*!",
    "/*!50000",
    "/*M!",
    "/*+",
    "AS",
    "ANALYZE",
    "ORDER BY 1",
    "LIMIT 1",
    "ů",
    "PROCEDURE ANALYSE()",
];

fn soup() -> impl Strategy<Value = String> {
    let piece = (proptest::sample::select(&PIECES[..]), proptest::bool::weighted(0.8));
    (proptest::sample::select(&HEADS[..]), proptest::collection::vec(piece, 0..7)).prop_map(|(head, pieces)| {
        let rest: String =
            pieces.into_iter().map(|(piece, space)| format!("{}{piece}", if space { " " } else { "" })).collect();
        format!("{head}{rest}")
    })
}

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

#[expect(clippy::disallowed_methods, reason = "a test may be asked to run for longer")]
fn patience() -> Option<Duration> {
    std::env::var("OSIRIS_FUZZ_SECONDS").ok()?.parse().ok().map(Duration::from_secs)
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
    let mut runner = match patience() {
        Some(_) => TestRunner::default(),
        None => TestRunner::deterministic(),
    };
    let mut connection = server.connect().await.unwrap();
    let (mut tried, mut accepted, mut understood, mut crashes) = (0_u64, 0_u64, 0_u64, 0_u64);
    let end = patience().map(|patience| Instant::now() + patience);
    while end.map_or(tried < 20_000, |end| Instant::now() < end) {
        let sql = soup().new_tree(&mut runner).unwrap().current();
        tried += 1;
        let judged = ReadingStatement::parse(&sql, SqlDialect::MySql(MySqlModes::default()))
            .map(|statement| statement.text().len());
        if judged.is_err() {
            continue;
        }
        accepted += 1;
        // Not in a transaction that could only read, and with several statements allowed: the guard stands alone here.
        match run(&mut connection, sql.clone()).await {
            Ok(()) => understood += 1,
            Err(sqlx::Error::Database(_)) => {}
            // Soup brings the server itself down now and then. That is its own fault, as long as nothing of the data changes.
            Err(_) => {
                server.restart().await.unwrap();
                assert_eq!(fingerprint(&server).await, before, "{sql:?}");
                connection = server.connect().await.unwrap();
                crashes += 1;
                assert!(crashes < 1 + tried / 1000, "the server went away {crashes} times, last at {sql:?}");
            }
        }
        if accepted % 50 == 0 {
            assert_eq!(fingerprint(&server).await, before, "one of the last 50 statements, ending in {sql:?}");
        }
    }
    assert_eq!(fingerprint(&server).await, before);
    assert!(!outfile(&server).await.exists());
    assert!(understood > 100, "of {tried} statements {accepted} were accepted and only {understood} understood");
    connection.close().await.unwrap();
}
