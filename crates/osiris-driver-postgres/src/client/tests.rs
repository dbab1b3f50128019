//! The sessions, against a real server.

use std::path::Path;
use std::time::{Duration, Instant};

use osiris_core::{ConfigSchema, ErrorKind};
use osiris_testkit::services::{PgBouncer, Postgres, PostgresOptions};
use serde_json::{Value, json};

use super::*;

const CONTEXT: &str = "testing";

async fn opened(connection: &Value) -> Client {
    let connection = ConfigSchema::parse(connection).unwrap();
    Client::open(&ConnectionTarget::new(&connection, Path::new("."))).await.unwrap()
}

/// The number of sessions of the driver on the server.
async fn sessions(server: &Postgres) -> usize {
    let sql =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'osiris%' AND datname = current_database()";
    server.value(sql).await.unwrap().unwrap().parse().unwrap()
}

/// Polls until the server has `expected` sessions: it notices a closed one with a delay.
async fn settles_at(server: &Postgres, expected: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while sessions(server).await != expected {
        assert!(Instant::now() < deadline, "{} sessions, not {expected}", sessions(server).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn process(session: &mut Session) -> String {
    session.scalar("SELECT pg_backend_pid()", CONTEXT).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_session_is_used_again_and_closed_with_the_last_user() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let client = opened(&server.connection()).await;
    let mut first = client.acquire().await.unwrap();
    let id = process(&mut first).await;
    first.release().await;
    let mut many = Vec::new();
    for _ in 0..3 {
        many.push(client.acquire().await.unwrap());
    }
    assert_eq!(process(&mut many[0]).await, id);
    settles_at(&server, 3).await;
    for session in many {
        session.release().await;
    }
    client.close().await;
    settles_at(&server, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_session_ends_its_statement_on_the_server() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    for fields in [json!({"tls": "disabled"}), json!({"tls": "required"})] {
        let client = opened(&server.connection_with(fields)).await;
        let mut session = client.acquire().await.unwrap();
        session.begin("BEGIN", CONTEXT).await.unwrap();
        let sleeping = session.rows("SELECT pg_sleep(100)", CONTEXT);
        assert!(tokio::time::timeout(Duration::from_millis(300), sleeping).await.is_err());
        let started = Instant::now();
        drop(session);
        settles_at(&server, 0).await;
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_a_dropped_transaction_is_cancelled_and_nobody_elses() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let Some(pooler) = PgBouncer::start(&server).await.unwrap() else { return };
    let client = opened(&pooler.connection()).await;
    assert!(client.pooler());
    let mut session = client.acquire().await.unwrap();
    session.begin("BEGIN", CONTEXT).await.unwrap();
    let sleeping = session.rows("SELECT pg_sleep(100)", CONTEXT);
    assert!(tokio::time::timeout(Duration::from_millis(300), sleeping).await.is_err());
    drop(session);
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'";
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.value(asleep).await.unwrap().as_deref() != Some("0") {
        assert!(Instant::now() < deadline, "the statement goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A transaction that is over is not cancelled, whatever the process does now.
    let mut session = client.acquire().await.unwrap();
    session.begin("BEGIN", CONTEXT).await.unwrap();
    session.execute("COMMIT", CONTEXT).await.unwrap();
    let mut other = client.acquire().await.unwrap();
    other.begin("BEGIN", CONTEXT).await.unwrap();
    drop(session);
    assert_eq!(other.scalar("SELECT 1", CONTEXT).await.unwrap().as_deref(), Some("1"));
    other.execute("ROLLBACK", CONTEXT).await.unwrap();
    other.release().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_known_by_what_it_is_and_whether_a_pooler_is_in_between() {
    let options = PostgresOptions::new()
        .with_setting("log_timezone", "Asia/Kathmandu")
        .with_setting("timezone", "Asia/Kathmandu");
    let Some(server) = Postgres::start_with(options).await.unwrap() else { return };
    for (fields, tls) in [(json!({"tls": "disabled"}), false), (json!({}), true), (json!({"tls": "required"}), true)] {
        let client = opened(&server.connection_with(fields)).await;
        let info = client.info().clone();
        assert!(info.number >= 120_000 && !info.version.is_empty(), "{info:?}");
        assert_eq!((info.account.as_str(), info.database.as_str()), ("postgres", "postgres"));
        assert_eq!(info.tls.is_some(), tls, "{info:?}");
        assert!(info.superuser && info.bypass_rls && info.standard_conforming_strings && !info.in_recovery);
        assert_eq!((info.time_zone.as_str(), info.encoding.as_str()), ("Asia/Kathmandu", "UTF8"));
        assert!(!client.pooler());
        // What a session starts with is pinned.
        let mut session = client.acquire().await.unwrap();
        let of = "SELECT concat_ws('|', current_setting('timezone'), current_setting('datestyle'), current_setting('client_encoding'))";
        assert_eq!(session.scalar(of, CONTEXT).await.unwrap().as_deref(), Some("UTC|ISO, MDY|UTF8"));
        session.release().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_and_names_survive_quoting_whatever_the_server_takes_a_backslash_for() {
    for setting in ["on", "off"] {
        let options = PostgresOptions::new().with_setting("standard_conforming_strings", setting);
        let Some(server) = Postgres::start_with(options).await.unwrap() else { return };
        let client = opened(&server.connection()).await;
        assert_eq!(client.info().standard_conforming_strings, setting == "on");
        let mut session = client.acquire().await.unwrap();
        for text in ["it's", "back\\slash", "\"double\"", "\\'; DROP TABLE t; --", "ů", "$$", ""] {
            let sql = format!("SELECT {} AS {}", literal(text), quote(&format!("c{text}")));
            assert_eq!(session.scalar(&sql, CONTEXT).await.unwrap().as_deref(), Some(text), "{setting}: {sql}");
        }
        session.release().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_has_its_code_and_leaves_the_session_usable() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let client = opened(&server.connection()).await;
    let mut session = client.acquire().await.unwrap();
    for (sql, code, kind) in [
        ("SELECT * FROM nowhere", "42P01", ErrorKind::Validation),
        ("SELECT 'abc'::int", "22P02", ErrorKind::Validation),
        ("SET LOCAL statement_timeout = 1; SELECT pg_sleep(10)", "57014", ErrorKind::Timeout),
        ("BEGIN READ ONLY; CREATE TABLE t (a int)", "25006", ErrorKind::Permission),
    ] {
        let error = session.execute(sql, CONTEXT).await.unwrap_err();
        assert_eq!((crate::error::sqlstate(&error), error.kind()), (Some(code), kind), "{error:?}");
        assert!(!error.report().contains("abc"), "{error:?}");
        session.execute("ROLLBACK", CONTEXT).await.unwrap();
    }
    session.release().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s42_a_process_of_the_same_number_that_is_not_ours_is_left_alone() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let connection = ConfigSchema::parse(&server.connection()).unwrap();
    let target = ConnectionTarget::new(&connection, Path::new("."));
    let client = Client::open(&target).await.unwrap();
    let mut session = client.acquire().await.unwrap();
    let ours = session.backend().unwrap().clone();
    let end = |process: Backend| {
        let target = target.clone();
        async move { tokio::task::spawn_blocking(move || cancel::cancel(target, process)).await.unwrap() }
    };
    let is_at_work = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND state = 'active'", ours.id());
    let ending = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        while server.value(&is_at_work).await.unwrap().unwrap() == "0" {
            assert!(Instant::now() < deadline, "the statement never ran");
        }
        end(ours.of_somebody_else()).await;
        assert_eq!(server.value(&is_at_work).await.unwrap().unwrap(), "1", "somebody else's statement was ended");
        end(ours).await;
    };
    let (slept, ()) = tokio::join!(session.execute("SELECT pg_sleep(60)", CONTEXT), ending);
    assert_eq!(slept.unwrap_err().kind(), ErrorKind::Timeout);
}
