//! What is said about connections that do not work, and about those that do.

use std::time::Duration;

use osiris_core::HealthCategory;
use osiris_stand_ins::supabase::{GatewayOptions, PostgrestOptions, Trouble, tokens};
use osiris_testkit::database::doctor::{self, said};
use osiris_testkit::database::postgres;
use osiris_testkit::fault;
use osiris_testkit::services::Postgres;
use serde_json::{Value, json};

use crate::subject::Direct;
use crate::support::{check, check_within, project, project_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_works_is_described() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let health = postgres::is_described::<Direct>(&server, &["channel"]).await;
    assert_eq!(health.details["channel"], "postgres");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_account_is_said_with_what_to_do() {
    let Some(seen) = postgres::says_what_is_wrong_with_an_account::<Direct>().await else { return };
    insta::assert_snapshot!(seen, @r#"
    wrong password: Auth | connecting to 127.0.0.1:PORT as `plain`: password authentication failed for user "plain": check `pg_user` and `pg_password`, or those in `dsn`; a pooler expects the user `postgres.<project reference>`
    no password: Auth | connecting to 127.0.0.1:PORT as `plain`: password authentication failed for user "plain": check `pg_user` and `pg_password`, or those in `dsn`; a pooler expects the user `postgres.<project reference>`
    unknown user: Auth | connecting to 127.0.0.1:PORT as `nobody`: password authentication failed for user "nobody": check `pg_user` and `pg_password`, or those in `dsn`; a pooler expects the user `postgres.<project reference>`
    unknown database: Unknown | connecting to 127.0.0.1:PORT as `postgres`: database "nowhere" does not exist: check `pg_database`, or the one in `dsn`; Supabase's is `postgres`
    expired: Auth | connecting to 127.0.0.1:PORT as `late`: password authentication failed for user "late": check `pg_user` and `pg_password`, or those in `dsn`; a pooler expects the user `postgres.<project reference>`
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_room_is_a_matter_of_the_network_and_passes() {
    postgres::says_that_there_is_no_room::<Direct>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_way_is_said_within_the_limit() {
    let Some(seen) = postgres::says_what_is_wrong_with_the_way::<Direct>().await else { return };
    let nobody = format!("http://127.0.0.1:{}", fault::refused_port().unwrap());
    let rest = [
        ("rest refused", json!({"key": "k", "url": nobody})),
        ("rest not found", json!({"key": "k", "url": "http://no-such-project.invalid"})),
    ];
    let seen = seen + &doctor::failures::<Direct>(&rest).await;
    insta::assert_snapshot!(seen, @"
    host not found: Network | connecting to no-such-host.invalid:PORT as `postgres`: unknown host: check `pg_host`, or the one in `dsn`
    refused: Network | connecting to 127.0.0.1:PORT as `postgres`: connection refused: check that the server is running, and `pg_host` and `pg_port` or those in `dsn`
    speaks something else: Network | connecting to 127.0.0.1:PORT as `postgres`: the server did not answer as a PostgreSQL server does: check `pg_host` and `pg_port`, or those in `dsn`
    rest refused: Network | calling the REST API: failed to connect to the server: check host and port, and that the server is running
    rest not found: Network | calling the REST API: unknown host: check the host in the address and the name resolution of this machine
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_works_is_described_with_what_its_key_is_for() {
    let Some(project) = project("CREATE TABLE t (a int)").await else { return };
    let health = check(&project.gateway.connection()).await;
    assert!(health.ok, "{health:?}");
    assert_eq!((health.details["channel"].as_str(), health.details["role"].as_str()), ("rest", "service_role"));
    assert_eq!(health.details["tables"], "1");
    let said = format!("the REST API responds (PostgREST {})", project.rest.version().unwrap());
    assert!(health.message.starts_with(&said), "{health:?}");
    let anon = check(&project.gateway.connection_with(json!({"key": tokens::anon()}))).await;
    assert!(anon.ok && anon.message.contains("use the service role key"), "{anon:?}");
    // Both ways: the verdict is that of the one that is used, the other is a detail.
    let mut both = project.gateway.connection_with(project.database.supabase_connection());
    let health = check(&both).await;
    assert!(health.ok && health.details["rest"].contains("PostgREST"), "{health:?}");
    both["key"] = json!(tokens::bad());
    let health = check(&both).await;
    assert!(health.ok && health.details["other_channel"].contains("`key`"), "{health:?}");
    both["channel"] = json!("rest");
    let health = check(&both).await;
    assert!(!health.ok && health.details["postgres"].contains("PostgreSQL"), "{health:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_key_or_the_project_is_said_with_what_to_do() {
    let Some(project) = project("").await else { return };
    let of = |fields: Value| project.gateway.connection_with(fields);
    let mut seen = String::new();
    for (name, connection, trouble) in [
        ("no tables", of(json!({})), None),
        ("wrong key", of(json!({"key": tokens::bad()})), None),
        ("not a key", of(json!({"key": "something"})), None),
        ("not the API's address", of(json!({"url": format!("{}/nothing", project.gateway.url())})), None),
        ("paused", of(json!({})), Some(Trouble::Status(540))),
        ("unavailable", of(json!({})), Some(Trouble::Unavailable(1))),
        ("too many requests", of(json!({})), Some(Trouble::RateLimited(1))),
        ("internal", of(json!({})), Some(Trouble::Status(500))),
        ("cut", of(json!({})), Some(Trouble::CutRequest)),
    ] {
        trouble.into_iter().for_each(|trouble| project.gateway.next(trouble));
        // A pace that was told to wait waits: a key of its own has a pace of its own.
        seen.push_str(&format!("{name}: {}\n", said(&check_within(&connection, Duration::from_secs(10)).await)));
    }
    let seen = seen.replace(&project.rest.version().unwrap(), "VERSION");
    insta::assert_snapshot!(seen, @"
    no tables: Ok | the REST API responds (PostgREST VERSION); it shows no table of `public`: create one, expose the schema, or grant privileges to the role of the key
    wrong key: Auth | calling the REST API: unknown API key: check `key` and `url`: a key is valid for one project only
    not a key: Auth | calling the REST API: unknown API key: check `key` and `url`: a key is valid for one project only
    not the API's address: Unknown | calling the REST API: there is no REST API at this address: check `url`: expected the project's URL, such as https://abcdefgh.supabase.co
    paused: Network | calling the REST API: the project is paused: resume it in the dashboard
    unavailable: Network | calling the REST API: the server answered 503 Service Unavailable: the project may be starting, paused or overloaded: check its status, or try later
    too many requests: Network | calling the REST API: the server answered 429 Too Many Requests: rate limit exceeded: lower the number of parallel steps, or try later
    internal: Network | calling the REST API: the server answered 500 Internal Server Error: the project may be starting, paused or overloaded: check its status, or try later
    cut: Network | calling the REST API: the connection was lost: check the server's log; if it expects TLS, use `https://`
    ");
    let expired = check(&of(json!({"key": tokens::expired()}))).await;
    assert_eq!(expired.category, HealthCategory::Auth, "{expired:?}");
    assert!(expired.message.contains("the key expired on "), "{expired:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_wrong_is_told() {
    let options = GatewayOptions::new().with_clock_ahead(7200);
    let Some(project) = project_with("CREATE TABLE t (a int)", PostgrestOptions::new(), options).await else { return };
    let health = check(&project.gateway.connection()).await;
    assert!(health.ok && health.message.contains("s ahead of this machine's"), "{health:?}");
    let health = check(&project.gateway.connection_with(json!({"key": tokens::expired()}))).await;
    assert!(!health.ok && health.message.contains("s ahead of this machine's"), "{health:?}");
}
