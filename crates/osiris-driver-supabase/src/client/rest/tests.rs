//! Responses of a real PostgREST behind the gateway, and the resulting errors. Where PostgREST 16.2 differs,
//! both responses are tested.

use std::path::Path;
use std::time::Duration;

use osiris_core::{ConfigSchema, Error, ErrorKind};
use osiris_http::{Page, Repeat};
use osiris_stand_ins::supabase::{Gateway, GatewayOptions, Postgrest, PostgrestOptions, Trouble, tokens};
use osiris_testkit::services::Postgres;
use serde_json::{Value, json};

use super::*;
use crate::error::sqlstate;

const TABLES: &str = "
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL DEFAULT 'x', n smallint CHECK (n > 0), p int REFERENCES parent, u text UNIQUE);
CREATE TABLE keyless (a int, b text);
CREATE TABLE many AS SELECT i AS id FROM generate_series(1, 2500) i;
CREATE TABLE closed (a int);
REVOKE ALL ON closed FROM anon, authenticated, service_role;
CREATE TABLE guarded (a int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
INSERT INTO t (id, u) VALUES (1, 'one')";

struct World {
    gateway: Gateway,
    rest: Postgrest,
    database: Postgres,
}

async fn world(rest: PostgrestOptions, gateway: GatewayOptions) -> Option<World> {
    let database = Postgres::start().await.unwrap()?;
    database.supabase_roles().await.unwrap();
    database.execute(TABLES).await.unwrap();
    let rest = Postgrest::start_with(&database, rest).await.unwrap()?;
    let gateway = Gateway::start_with(&rest, gateway).unwrap();
    Some(World { gateway, rest, database })
}

impl World {
    /// The API, asked once for each request.
    fn api(&self, key: &str) -> Rest {
        api(&self.gateway.connection_with(json!({"key": key})))
    }
}

fn api(connection: &Value) -> Rest {
    let connection = ConfigSchema::parse(connection).unwrap();
    let target = Target::new(&connection, Path::new(".")).once(Duration::from_secs(30));
    Rest::new(&target).unwrap().unwrap()
}

async fn get(rest: &Rest, path: &str, prefer: &str) -> Result<Page> {
    let request = rest.request(Method::GET, "public", path).unwrap().header("Prefer", prefer).unwrap();
    rest.http().fetch(&request.what("reading")).await
}

async fn post(rest: &Rest, path: &str, prefer: &str, body: &Value) -> Result<Page> {
    let request = rest.request(Method::POST, "public", path).unwrap().header("Prefer", prefer).unwrap();
    rest.http().fetch(&request.json(body).unwrap().what("writing").repeat(Repeat::IfNotProcessed)).await
}

fn facts(error: &Error) -> (Option<&str>, ErrorKind, bool) {
    (sqlstate(error), error.kind(), error.is_retryable())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_refuses_has_its_code_whatever_the_status() {
    for options in [GatewayOptions::new(), GatewayOptions::new().as_of_16()] {
        let Some(world) = world(PostgrestOptions::new(), options).await else { return };
        let rest = world.api(&tokens::service());
        let upsert = "resolution=merge-duplicates,return=minimal";
        for (path, prefer, body, code) in [
            ("t", upsert, json!([{"id": 5}, {"id": 5}]), "21000"),
            ("t", "", json!([{"id": 6}, {"id": 7, "name": "y"}]), "PGRST102"),
            ("t", "", json!([{"id": 1}]), "23505"),
            ("t", "", json!([{"id": 8, "p": 99}]), "23503"),
            ("t", "", json!([{"id": 8, "n": -1}]), "23514"),
            ("t", "", json!([{"id": 8, "name": null}]), "23502"),
            ("t", "", json!([{"id": "secret-cell"}]), "22P02"),
            ("t", "", json!([{"id": 8, "n": 99_999}]), "22003"),
            ("t", "", json!([{"id": 8, "name": "a\u{0}b"}]), "22P05"),
            ("t?on_conflict=name", upsert, json!([{"id": 8, "name": "z"}]), "42P10"),
            ("t", "", json!([{"id": 8, "nosuch": 1}]), "PGRST204"),
        ] {
            let error = post(&rest, path, prefer, &body).await.unwrap_err();
            assert_eq!(facts(&error), (Some(code), ErrorKind::Validation, false), "{error:?}");
            assert!(!error.report().contains("secret-cell"), "{}", error.report());
            // The transaction has ended: nothing is ambiguous.
            assert!(!error.report().contains("outcome: unknown"), "{}", error.report());
        }
        let error = get(&rest, "nowhere?limit=1", "").await.unwrap_err();
        assert!(matches!(sqlstate(&error), Some("42P01" | "PGRST205")), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Validation);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_honoured_is_told_and_what_was_not_is_missing() {
    let Some(world) = world(PostgrestOptions::new(), GatewayOptions::new()).await else { return };
    let rest = world.api(&tokens::service());
    let upsert = "resolution=merge-duplicates,return=minimal";
    let page = post(&rest, "t", upsert, &json!([{"id": 1, "name": "b"}, {"id": 2, "name": "c"}])).await.unwrap();
    assert_eq!((page.status(), page.body().len(), page.header("content-range")), (201, 0, Some("*/*")));
    assert!(page.header("preference-applied").unwrap().contains("resolution=merge-duplicates"));
    let page = post(&rest, "keyless", upsert, &json!([{"a": 1}])).await.unwrap();
    assert!(!page.header("preference-applied").unwrap_or_default().contains("resolution"), "{:?}", page.headers());
    let defaults = "missing=default,return=minimal";
    let page = post(&rest, "t?columns=id,name", defaults, &json!([{"id": 10}, {"id": 11, "name": "y"}])).await.unwrap();
    assert!(page.header("preference-applied").unwrap().contains("missing=default"));
    assert_eq!(world.database.value("SELECT name FROM t WHERE id = 10").await.unwrap().as_deref(), Some("x"));
    let error = post(&rest, "t?columns=id,name", "", &json!([{"id": 12}])).await.unwrap_err();
    assert_eq!(sqlstate(&error), Some("23502"));
    let page = post(&rest, "t", "return=minimal", &json!([])).await.unwrap();
    assert_eq!(page.status(), 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_count_shows_that_an_answer_was_cut() {
    let Some(world) = world(PostgrestOptions::new(), GatewayOptions::new()).await else { return };
    let rest = world.api(&tokens::service());
    let page = get(&rest, "many", "count=exact").await.unwrap();
    assert_eq!((page.status(), page.header("content-range")), (206, Some("0-999/2500")));
    let page = get(&rest, "many", "").await.unwrap();
    assert_eq!((page.status(), page.header("content-range")), (200, Some("0-999/*")));
    let error = get(&rest, "many?offset=9999", "count=exact").await.unwrap_err();
    assert_eq!(facts(&error), (Some("PGRST103"), ErrorKind::Validation, false));
    let page = get(&rest, "many?offset=9999", "").await.unwrap();
    assert_eq!((page.status(), page.text().unwrap()), (200, "[]"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_rights_are_told_apart() {
    for options in [GatewayOptions::new(), GatewayOptions::new().as_of_16()] {
        let Some(world) = world(PostgrestOptions::new(), options).await else { return };
        for key in [tokens::anon(), tokens::authenticated(), tokens::service()] {
            let error = get(&world.api(&key), "closed", "").await.unwrap_err();
            assert_eq!(facts(&error), (Some("42501"), ErrorKind::Permission, false), "{error:?}");
        }
        let authenticated = world.api(&tokens::authenticated());
        let error = post(&authenticated, "guarded", "return=minimal", &json!([{"a": 1}])).await.unwrap_err();
        assert_eq!(facts(&error), (Some("42501"), ErrorKind::Permission, false), "{error:?}");
        // Reading rows hidden by row level security is not an error: there are no rows.
        assert_eq!(get(&authenticated, "guarded", "").await.unwrap().text().unwrap(), "[]");
        let error = get(&world.api(&tokens::expired()), "t", "").await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Auth, false), "{error:?}");
        assert!(error.hint().unwrap().contains("expired"), "{error:?}");
        assert!(matches!(sqlstate(&error), Some("PGRST301" | "PGRST303")), "{error:?}");
        let error = get(&world.api(&tokens::bad()), "t", "").await.unwrap_err();
        assert_eq!(facts(&error), (None, ErrorKind::Auth, false), "{error:?}");
    }
    // Without a gateway, PostgREST itself checks the token.
    let Some(world) = world(PostgrestOptions::new(), GatewayOptions::new().open()).await else { return };
    let error = get(&world.api(&tokens::bad()), "t", "").await.unwrap_err();
    assert_eq!(facts(&error), (Some("PGRST301"), ErrorKind::Auth, false), "{error:?}");
    let path = format!("{}/rest/v1/t", world.gateway.url());
    let elsewhere = api(&json!({"url": world.rest.url(), "key": tokens::service()}));
    let error = get(&elsewhere, "t", "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{path}: {error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_after_the_start_is_unknown_until_it_is_told() {
    let Some(world) = world(PostgrestOptions::new(), GatewayOptions::new()).await else { return };
    let rest = world.api(&tokens::service());
    world.database.execute("ALTER TABLE t ADD COLUMN later int").await.unwrap();
    let error = post(&rest, "t", "", &json!([{"id": 20, "later": 1}])).await.unwrap_err();
    assert_eq!(sqlstate(&error), Some("PGRST204"));
    assert!(error.hint().unwrap().contains("reload schema"), "{error:?}");
    world.rest.reload().await.unwrap();
    post(&rest, "t", "", &json!([{"id": 20, "later": 1}])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_or_finds_nobody_is_a_matter_of_time() {
    let options = PostgrestOptions::new().with_setting("db-pool", "1").with_setting("db-pool-acquisition-timeout", "1");
    let Some(mut world) = world(options, GatewayOptions::new()).await else { return };
    world
        .database
        .execute("CREATE FUNCTION slow(s float) RETURNS int LANGUAGE sql AS 'SELECT 1 FROM pg_sleep(s)'; ALTER ROLE service_role SET statement_timeout = '500ms'")
        .await
        .unwrap();
    world.rest.reload().await.unwrap();
    let rest = world.api(&tokens::service());
    let error = get(&rest, "rpc/slow?s=20", "").await.unwrap_err();
    assert_eq!(facts(&error), (Some("57014"), ErrorKind::Timeout, false), "{error:?}");
    // The pool is exhausted while another statement sleeps.
    world.database.execute("ALTER ROLE service_role RESET statement_timeout").await.unwrap();
    world.rest.restart().await.unwrap();
    let sleeper = world.api(&tokens::service());
    let sleeping = tokio::spawn(async move { get(&sleeper, "rpc/slow?s=4", "").await.map(drop) });
    let started = std::time::Instant::now();
    let error = loop {
        match get(&rest, "t?limit=1", "").await {
            Ok(_) => assert!(started.elapsed() < Duration::from_secs(4), "the pool is never exhausted"),
            Err(error) => break error,
        }
    };
    assert_eq!(facts(&error), (Some("PGRST003"), ErrorKind::Timeout, true), "{error:?}");
    sleeping.await.unwrap().unwrap();
    if world.database.is_own() {
        world.database.kill().unwrap();
        let error = get(&rest, "t", "").await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_sent_plain_because_the_api_reads_nothing_else() {
    let Some(world) = world(PostgrestOptions::new(), GatewayOptions::new()).await else { return };
    let rest = world.api(&tokens::service());
    post(&rest, "keyless", "return=minimal", &json!([{"a": 1}])).await.unwrap();
    let seen = world.gateway.requests();
    let last = seen.last().unwrap();
    assert_eq!((last.header("content-encoding"), last.header("content-profile")), (None, Some("public")));
    assert_eq!(last.header("apikey").map(|key| format!("Bearer {key}")).as_deref(), last.header("authorization"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_on_the_way_is_told_by_whether_something_may_have_been_done() {
    let Some(world) = world(PostgrestOptions::new(), GatewayOptions::new()).await else { return };
    let rest = world.api(&tokens::service());
    let known = |error: &Error| !error.report().contains("outcome: unknown");
    for (trouble, done) in [
        (Trouble::DropAnswer, true),
        (Trouble::LoseAnswer, true),
        (Trouble::CutRequest, false),
        (Trouble::Status(502), false),
    ] {
        world.database.execute("TRUNCATE keyless").await.unwrap();
        world.gateway.next_for("POST", trouble.clone());
        let error = post(&rest, "keyless", "return=minimal", &json!([{"a": 1}])).await.unwrap_err();
        let rows = world.database.value("SELECT count(*) FROM keyless").await.unwrap().unwrap();
        assert_eq!(rows == "1", done, "{trouble:?}");
        assert!(!known(&error) && !error.is_retryable(), "{trouble:?}: {}", error.report());
    }
    world.gateway.next_for("POST", Trouble::RateLimited(1));
    let error = post(&rest, "keyless", "return=minimal", &json!([{"a": 1}])).await.unwrap_err();
    assert!(known(&error) && error.retry_after() == Some(Duration::from_secs(1)), "{error:?}");
    world.gateway.next(Trouble::Unavailable(1));
    let error = get(&rest, "t", "").await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Network, Some(Duration::from_secs(1))), "{error:?}");
    world.gateway.next(Trouble::Status(540));
    let error = get(&rest, "t", "").await.unwrap_err();
    assert!(error.message().contains("paused") && !error.is_retryable(), "{error:?}");
}
