//! What is said about connections that do not work, and about those that do.

use osiris_core::HealthCategory;
use osiris_testkit::database::doctor;
use osiris_testkit::fault;
use osiris_testkit::proxy::{Fault, Proxy};
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::{Value, json};

use crate::subject::PostgresDriver;
use crate::support::check;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_works_is_described() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let health = check(&server.connection()).await;
    assert!(health.ok && health.category == HealthCategory::Ok, "{health:?}");
    assert!(health.message.starts_with("signed in to PostgreSQL 1"), "{health:?}");
    for detail in
        ["account", "address", "database", "encoding", "pooler", "row_level_security", "server_version", "tls"]
    {
        assert!(health.details.contains_key(detail), "{detail}: {health:?}");
    }
    assert_eq!(health.details["pooler"], "none");
    let by_line = check(&json!({"dsn": server.dsn()})).await;
    assert!(by_line.ok, "{by_line:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_account_is_said_with_what_to_do() {
    let options = PostgresOptions::new().without_tls().with_access("host all away all reject");
    let Some(server) = Postgres::start_with(options).await.unwrap() else { return };
    server
        .execute(
            "CREATE TABLE open (a int); CREATE TABLE closed (a int); CREATE TABLE hidden (a int); \
             ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; CREATE TABLE shown (a int); \
             ALTER TABLE shown ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON shown USING (true); \
             CREATE ROLE plain LOGIN PASSWORD 'pw1'; GRANT SELECT ON open, hidden, shown TO plain; \
             CREATE ROLE away LOGIN PASSWORD 'pw1'; CREATE ROLE asleep NOLOGIN PASSWORD 'pw1'; \
             CREATE ROLE late LOGIN PASSWORD 'pw1' VALID UNTIL '2001-01-01'",
        )
        .await
        .unwrap();
    server.execute("CREATE DATABASE other").await.unwrap();
    server.execute("REVOKE CONNECT ON DATABASE other FROM PUBLIC").await.unwrap();
    let as_user = |user: &str| server.connection_with(json!({"user": user, "password": "pw1"}));
    let of = |mut connection: Value, field: &str, value: &str| {
        connection[field] = json!(value);
        connection
    };
    let plain = check(&as_user("plain")).await;
    assert!(plain.ok, "{plain:?}");
    let remarks = plain.message.split_once("; ").unwrap().1;
    insta::assert_snapshot!(remarks, @"row level security hides all rows of `public.hidden`: add a policy for `plain`, or use a role that bypasses it; no privilege to read `public.closed`: GRANT SELECT ON it TO plain");
    let cases = [
        ("wrong password", of(as_user("plain"), "password", "pw2")),
        ("no password", server.connection_with(json!({"user": "plain", "password": null}))),
        ("unknown user", as_user("nobody")),
        ("unknown database", of(server.connection(), "database", "nowhere")),
        ("no grant", of(as_user("plain"), "database", "other")),
        ("may not sign in", as_user("asleep")),
        ("expired", as_user("late")),
        ("not let in", as_user("away")),
        ("wants TLS", of(as_user("plain"), "tls", "required")),
    ];
    let seen = doctor::failures::<PostgresDriver>(&cases).await;
    insta::assert_snapshot!(seen, @r#"
    wrong password: Auth | connecting to 127.0.0.1:PORT as `plain`: password authentication failed for user "plain": check `user` and `password`, or those in `dsn`
    no password: Auth | connecting to 127.0.0.1:PORT as `plain`: password authentication failed for user "plain": check `user` and `password`, or those in `dsn`
    unknown user: Auth | connecting to 127.0.0.1:PORT as `nobody`: password authentication failed for user "nobody": check `user` and `password`, or those in `dsn`
    unknown database: Unknown | connecting to 127.0.0.1:PORT as `postgres`: database "nowhere" does not exist: check `database`, or the one in `dsn`
    no grant: Permission | connecting to 127.0.0.1:PORT as `plain`: permission denied for database "other": grant the privilege: GRANT CONNECT ON DATABASE ... TO the role
    may not sign in: Permission | connecting to 127.0.0.1:PORT as `asleep`: role "asleep" is not permitted to log in: use a role that can log in, or run ALTER ROLE ... LOGIN
    expired: Auth | connecting to 127.0.0.1:PORT as `late`: password authentication failed for user "late": check `user` and `password`, or those in `dsn`
    not let in: Permission | connecting to 127.0.0.1:PORT as `away`: pg_hba.conf rejects connection for host "127.0.0.1", user "away", database "postgres", no encryption: check the server's pg_hba.conf: it may require encryption (`tls: required`), or reject this role, host or database
    wants TLS: Network | connecting to 127.0.0.1:PORT as `plain`: the server does not offer TLS: switch TLS on in the server, or set `tls: preferred` if the network is trusted
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_room_is_a_matter_of_the_network_and_passes() {
    let options =
        PostgresOptions::new().with_setting("max_connections", "4").with_setting("superuser_reserved_connections", "0");
    let Some(server) = Postgres::start_with(options).await.unwrap() else { return };
    doctor::fill_up::<PostgresDriver>(&server, &server.connection()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_way_is_said_within_the_limit() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let silent = Proxy::start(server.address().unwrap()).unwrap();
    silent.set(Fault::BLACK_HOLE);
    let with = |fields: Value| server.connection_with(fields);
    let cases = [
        ("host not found", with(json!({"host": "no-such-host.invalid"}))),
        ("refused", with(json!({"port": fault::refused_port().unwrap()}))),
        ("black hole", with(json!({"port": silent.port()}))),
        ("speaks something else", with(json!({"port": doctor::web_port()}))),
    ];
    let seen = doctor::failures::<PostgresDriver>(&cases).await;
    insta::assert_snapshot!(seen, @"
    host not found: Network | connecting to no-such-host.invalid:PORT as `postgres`: unknown host: check `host`, or the one in `dsn`
    refused: Network | connecting to 127.0.0.1:PORT as `postgres`: connection refused: check that the server is running, and `host` and `port` or those in `dsn`
    black hole: Timeout | connecting to 127.0.0.1:PORT as `postgres`: no response within 1900 ms: check the address and firewalls, or raise the limit
    speaks something else: Network | connecting to 127.0.0.1:PORT as `postgres`: the server did not answer as a PostgreSQL server does: check `host` and `port`, or those in `dsn`
    ");
    // The system closes with or without a reset.
    let health = check(&server.connection_with(json!({"port": doctor::closing_port()}))).await;
    assert_eq!(health.category, HealthCategory::Network, "{health:?}");
    doctor::answers_within_a_millisecond::<PostgresDriver>(&server.connection()).await;
}
