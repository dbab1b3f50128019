//! The pool and the sessions, against a real server.

use std::time::{Duration, Instant};

use osiris_core::{ConfigSchema, ErrorKind};
use osiris_testkit::services::{Mariadb, MysqlOptions};
use serde_json::{Value, json};

use super::*;

const CONTEXT: &str = "testing";

fn target(server: &Mariadb, fields: Value) -> Target {
    let connection = ConfigSchema::parse(&server.connection_with(fields)).unwrap();
    Target::new(&connection, Path::new("."))
}

/// How many connections the server has besides the one that asks.
async fn connections(server: &Mariadb) -> usize {
    let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'osiris' AND ID <> CONNECTION_ID()";
    server.value(sql).await.unwrap().unwrap().parse().unwrap()
}

/// Polls until the server has `expected` connections: it notices a closed one with a delay.
async fn settles_at(server: &Mariadb, expected: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while connections(server).await != expected {
        assert!(Instant::now() < deadline, "{} connections, not {expected}", connections(server).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn value(session: &mut Session, sql: &str) -> String {
    session.rows(sql, CONTEXT).await.unwrap()[0][0].clone().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_shared_limited_kept_and_closed_with_the_last_user() {
    let Some(server) = Mariadb::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let connect = connect();
    let target = target(&server, json!({"pool_size": 1, "max_overflow": 1}));
    let one = connect(target.clone()).await.unwrap();
    let two = connect(target.clone()).await.unwrap();
    settles_at(&server, 1).await;

    let first = one.acquire().await.unwrap();
    let second = two.acquire().await.unwrap();
    assert_ne!(first.id(), second.id());
    let waiting = tokio::time::timeout(Duration::from_millis(200), two.acquire()).await;
    assert!(waiting.is_err(), "a third connection although two are the limit");
    let id = first.id();
    first.release().await;
    let third = two.acquire().await.unwrap();
    assert_eq!(third.id(), id, "the idle connection is used again");
    third.release().await;
    second.release().await;
    // One is kept, the other was overflow.
    settles_at(&server, 1).await;

    one.close().await;
    assert_eq!(connections(&server).await, 1, "somebody still uses the pool");
    two.close().await;
    settles_at(&server, 0).await;
    // Dropped instead of closed, and a new pool is opened without anybody noticing.
    drop(connect(target).await.unwrap());
    settles_at(&server, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_opened_by_other_means_counts() {
    let Some(server) = Mariadb::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let client = connect()(target(&server, json!({"max_connections": 1}))).await.unwrap();
    settles_at(&server, 1).await;
    let permit = client.permit().await.unwrap();
    settles_at(&server, 0).await;
    assert!(tokio::time::timeout(Duration::from_millis(100), client.acquire()).await.is_err());
    drop(permit);
    client.acquire().await.unwrap().release().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_and_dead_connections_are_replaced() {
    let Some(server) = Mariadb::start_with(MysqlOptions::new()).await.unwrap() else { return };
    for (fields, replaced) in [
        (json!({"pool_recycle": 0}), true),
        (json!({"pool_recycle": -1}), false),
        (json!({"pool_recycle": 3600}), false),
    ] {
        let client = connect()(target(&server, fields.clone())).await.unwrap();
        let first = client.acquire().await.unwrap();
        let id = first.id();
        first.release().await;
        let second = client.acquire().await.unwrap();
        assert_eq!(second.id() != id, replaced, "{fields}");
        second.release().await;
        client.close().await;
    }
    for (ping, alive) in [(true, true), (false, false)] {
        let client = connect()(target(&server, json!({"pool_pre_ping": ping}))).await.unwrap();
        let session = client.acquire().await.unwrap();
        let id = session.id();
        session.release().await;
        server.execute(&format!("KILL {id}")).await.unwrap();
        settles_at(&server, 0).await;
        let mut session = client.acquire().await.unwrap();
        let answer = session.rows("SELECT 1", CONTEXT).await;
        assert_eq!(answer.is_ok(), alive, "ping: {ping}");
        if let Err(error) = answer {
            assert_eq!(error.kind(), ErrorKind::Network, "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_session_ends_its_statement_on_the_server() {
    let Some(server) = Mariadb::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let client = connect()(target(&server, json!({}))).await.unwrap();
    let mut session = client.acquire().await.unwrap();
    let sleeping = session.rows("SELECT SLEEP(100)", CONTEXT);
    assert!(tokio::time::timeout(Duration::from_millis(300), sleeping).await.is_err());
    let started = Instant::now();
    drop(session);
    // Nothing is waited for: the drop itself has told the server.
    settles_at(&server, 0).await;
    assert!(started.elapsed() < Duration::from_secs(20));
    // The permit is back: all connections can be had.
    let all = client.acquire_many(client.capacity()).await.unwrap();
    assert_eq!(all.len(), 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_connections_are_had_at_once_or_not_at_all() {
    let Some(server) = Mariadb::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let client = connect()(target(&server, json!({"max_connections": 3}))).await.unwrap();
    let Err(error) = client.acquire_many(4).await.map(drop) else { panic!("four of three") };
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.hint().unwrap().contains("max_connections"), "{error:?}");
    // Each holds two and gives them back: with one each they would wait for ever.
    let steps = (0..6).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            for session in client.acquire_many(2).await.unwrap() {
                session.release().await;
            }
        })
    });
    for step in steps.collect::<Vec<_>>() {
        tokio::time::timeout(Duration::from_secs(60), step).await.expect("two steps wait for each other").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_pinned_and_those_that_were_changed_not_used_again() {
    let options = MysqlOptions::new()
        .with_setting("sql_mode", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES")
        .with_setting("default_time_zone", "+05:30")
        .with_setting("init_connect", "SET autocommit=0");
    let Some(server) = Mariadb::start_with(options).await.unwrap() else { return };
    let client = connect()(target(&server, json!({}))).await.unwrap();
    let facts = client.facts().clone();
    assert!(facts.mariadb && facts.at_least((10, 4, 0), (99, 0, 0)), "{facts:?}");
    assert!(facts.sql_mode.ansi_quotes && facts.sql_mode.no_backslash_escapes && !facts.sql_mode.pipes_as_concat);
    assert_eq!((facts.time_zone.as_str(), facts.account.as_str()), ("+05:30", "osiris@%"));
    assert!(facts.local_infile && facts.max_allowed_packet >= 1 << 20 && facts.charset == "utf8mb4");
    assert!(facts.tls.is_some(), "the server has TLS and the mode is `preferred`");

    let session_of =
        "SELECT CONCAT_WS('|', @@time_zone, @@character_set_results, @@autocommit, @@net_write_timeout, @@sql_mode)";
    let mut reader = client.acquire().await.unwrap();
    assert_eq!(
        value(&mut reader, session_of).await,
        "+00:00|utf8mb4|ON|3600|ANSI_QUOTES,IGNORE_SPACE,NO_BACKSLASH_ESCAPES"
    );

    // A session that was changed is not handed on.
    reader.execute("SET @mine = 1", CONTEXT).await.unwrap();
    reader.retire();
    let id = reader.id();
    reader.release().await;
    assert_ne!(client.acquire().await.unwrap().id(), id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_and_names_survive_quoting_in_every_sql_mode() {
    for mode in ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES"] {
        let options = MysqlOptions::new().with_setting("sql_mode", mode);
        let Some(server) = Mariadb::start_with(options).await.unwrap() else { return };
        let client = connect()(target(&server, json!({}))).await.unwrap();
        let mut session = client.acquire().await.unwrap();
        for text in ["it's", "back\\slash", "\"double\"", "tick`tick", "\\'; DROP TABLE t; --", "ů", ""] {
            let sql = format!("SELECT {} AS {}", literal(text, &session.facts().sql_mode), quote(&format!("c{text}")));
            assert_eq!(value(&mut session, &sql).await, text, "{mode}: {sql}");
        }
        session.release().await;
    }
}
