//! Write sessions against real servers: which sessions they kill, when they end, and the errors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

use std::path::Path;
use std::time::{Duration, Instant};

use osiris_core::{ConfigSchema, ErrorKind};
use osiris_testkit::services::{Brand, MariadbBrand, MysqlBrand, MysqlOptions, MysqlServer};
use serde_json::{Value, json};

use super::ending::{self, Cleanup};
use super::session::{SILENCE, Session};
use super::target::TableName;
use super::{lock, outcome};
use crate::config::MysqlConnection;
use crate::wire;

/// Makes a test for each server.
macro_rules! with_both_servers {
    ($($name:ident,)+) => {
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name::<super::MariadbBrand>().await;
            })+
        }
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name::<super::MysqlBrand>().await;
            })+
        }
    };
}

with_both_servers! {
    s42_only_the_very_session_is_ended,
    s42_a_session_that_went_with_its_server_has_ended,
    s56_an_ordinary_account_sets_up_its_session,
    s62_the_server_ends_a_session_that_nobody_speaks_to,
    s62_a_session_that_has_the_lock_is_named,
    s62_a_session_whose_writer_is_gone_is_ended_by_the_next_one,
    s63_what_a_dropped_session_made_is_removed_unless_another_has_made_it,
}

fn table() -> TableName {
    TableName { schema: "test".to_owned(), table: "t".to_owned() }
}

fn connection<B: Brand>(server: &MysqlServer<B>, fields: Value) -> MysqlConnection {
    ConfigSchema::parse(&server.connection_with(fields)).unwrap()
}

async fn open_session<B: Brand>(server: &MysqlServer<B>) -> Session {
    Session::open(&connection(server, json!({})), Path::new(".")).await.unwrap()
}

/// Polls until the session exists, or has ended.
async fn until<B: Brand>(server: &MysqlServer<B>, id: u64, expected: bool) {
    let sql = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {id}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while (server.value(&sql).await.unwrap().as_deref() != Some("0")) != expected {
        assert!(Instant::now() < deadline, "the session {id} is there: {}", !expected);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn s42_only_the_very_session_is_ended<B: Brand>() {
    let Some(server) = MysqlServer::<B>::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let Some(stranger) = MysqlServer::<B>::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let ours = open_session(&server).await;
    let mut other = wire::open(&connection(&server, json!({})), Path::new(".")).await.unwrap();
    // The same id on another server, as behind a load balancer.
    let mut elsewhere = wire::open(&connection(&stranger, json!({})), Path::new(".")).await.unwrap();
    assert!(!ending::kill(&mut elsewhere, ours.identity()).await.unwrap());
    assert!(ending::kill(&mut other, ours.identity()).await.unwrap());
    until(&server, ours.identity().id, false).await;
    assert!(!ending::kill(&mut other, ours.identity()).await.unwrap(), "it has gone");
    // A session with our id on another server must not be killed: ours cannot be awaited there.
    let mut there = open_session(&stranger).await;
    let error = outcome::wait_for_its_end(&mut there, ours.identity()).await.unwrap_err();
    assert!(error.message().contains("another server"), "{error:?}");
}

async fn s42_a_session_that_went_with_its_server_has_ended<B: Brand>() {
    let Some(mut server) = MysqlServer::<B>::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let ours = open_session(&server).await;
    let before = ours.identity().clone();
    // Two starts differ by their seconds.
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.kill().unwrap();
    server.restart().await.unwrap();
    let mut again = open_session(&server).await;
    assert!(!before.is_of_same_server(again.identity()));
    outcome::wait_for_its_end(&mut again, &before).await.unwrap();
}

async fn s56_an_ordinary_account_sets_up_its_session<B: Brand>() {
    let Some(server) = MysqlServer::<B>::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let mut session = open_session(&server).await;
    let sql = "SELECT @@SESSION.lock_wait_timeout <= 60, @@SESSION.net_write_timeout >= 60, @@SESSION.wait_timeout, \
               @@SESSION.sql_mode LIKE '%STRICT_ALL_TABLES%'";
    let silence = SILENCE.to_string();
    let row = session.rows(sql).await.unwrap().remove(0);
    let row: Vec<&str> = row.iter().map(|field| field.as_deref().unwrap()).collect();
    assert_eq!(row, ["1", "1", silence.as_str(), "1"]);
    assert!(session.identity().id > 0 && session.facts().mariadb == B::IS_MARIADB);
}

async fn s62_the_server_ends_a_session_that_nobody_speaks_to<B: Brand>() {
    let Some(server) = MysqlServer::<B>::start_with(MysqlOptions::new()).await.unwrap() else { return };
    server.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    let mut session = open_session(&server).await;
    lock::take(&mut session, &table()).await.unwrap();
    session.run("START TRANSACTION", "testing").await.unwrap();
    session.run("UPDATE t SET id = 2", "testing").await.unwrap();
    // As the session's own limit, which is longer than a test may take.
    session.run("SET SESSION wait_timeout = 1", "testing").await.unwrap();
    until(&server, session.identity().id, false).await;
    server.execute("SET SESSION innodb_lock_wait_timeout = 1; UPDATE t SET id = 3 WHERE id = 1").await.unwrap();
    let mut second = open_session(&server).await;
    lock::take_within(&mut second, &table(), 1, Duration::from_secs(60)).await.unwrap();
}

async fn s62_a_session_that_has_the_lock_is_named<B: Brand>() {
    let Some(server) = MysqlServer::<B>::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let mut first = open_session(&server).await;
    lock::take(&mut first, &table()).await.unwrap();
    let mut second = open_session(&server).await;
    let error = lock::take_within(&mut second, &table(), 1, Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let id = first.identity().id;
    assert!(error.message().contains(&format!("session {id} from ")), "{error:?}");
    assert!(error.hint().unwrap().contains(&format!("KILL {id}")), "{error:?}");
    // Another table has another lock, and the same session may take its own again.
    let other = TableName { schema: "test".to_owned(), table: "u".to_owned() };
    lock::take_within(&mut second, &other, 1, Duration::from_secs(60)).await.unwrap();
    lock::take_within(&mut first, &table(), 1, Duration::from_secs(60)).await.unwrap();
}

async fn s62_a_session_whose_writer_is_gone_is_ended_by_the_next_one<B: Brand>() {
    let Some(server) = MysqlServer::<B>::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let mut first = open_session(&server).await;
    lock::take(&mut first, &table()).await.unwrap();
    let id = first.identity().id;
    let asleep = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {id} AND TIME >= 1");
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.value(&asleep).await.unwrap().as_deref() == Some("0") {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut second = open_session(&server).await;
    lock::take_within(&mut second, &table(), 10, Duration::ZERO).await.unwrap();
    until(&server, id, false).await;
}

async fn s63_what_a_dropped_session_made_is_removed_unless_another_has_made_it<B: Brand>() {
    let Some(server) = MysqlServer::<B>::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let cleanup = || Some(Cleanup { lock: "'osiris:test'".to_owned(), sql: "DROP TABLE IF EXISTS t".to_owned() });
    server.execute("CREATE TABLE t (id INT)").await.unwrap();
    let mut first = open_session(&server).await;
    first.rows("SELECT GET_LOCK('osiris:test', 0)").await.unwrap();
    first.set_cleanup(cleanup());
    drop(first);
    assert_eq!(server.value("SHOW TABLES").await.unwrap(), None);
    server.execute("CREATE TABLE t (id INT)").await.unwrap();
    let mut second = open_session(&server).await;
    second.rows("SELECT GET_LOCK('osiris:test', 0)").await.unwrap();
    let mut third = open_session(&server).await;
    third.set_cleanup(cleanup());
    drop(third);
    assert_eq!(server.value("SHOW TABLES").await.unwrap().as_deref(), Some("t"), "the table of another was removed");
}
