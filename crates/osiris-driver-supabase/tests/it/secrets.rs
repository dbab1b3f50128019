//! Passwords that break things: they open the door, and nothing that is said holds one of them.

use osiris_testkit::database::secrets::{Log, Said, passwords};
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::{Value, json};

use crate::subject::Direct;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_password_signs_in_and_none_shows() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let mut said = Said::<Direct>::new(log);
    for (number, secret) in passwords().enumerate() {
        let literal = format!("'{}'", secret.replace('\'', "''"));
        server.execute(&format!("CREATE ROLE user{number} LOGIN PASSWORD {literal}")).await.unwrap();
        let line = |user: &str| {
            let password: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let address = server.address().unwrap();
            json!({"dsn": format!("postgres://{user}:{password}@{address}/postgres?sslmode=disable")})
        };
        let fields = |user: &str, more: Value| {
            let mut fields = server.supabase_connection_with(more);
            fields["pg_user"] = json!(user);
            fields["pg_password"] = json!(secret);
            fields
        };
        let user = format!("user{number}");
        for fields in [fields(&user, json!({})), line(&user)] {
            let health = said.health(&fields).await;
            // The client's preparation of passwords (RFC 4013) leaves no control characters.
            assert!(health.ok != secret.contains('\n'), "{health:?}");
        }
        // The same password for somebody who is not known, a database that is not there, a port where nobody listens.
        for broken in [
            fields("nobody", json!({})),
            line("nobody"),
            fields(&user, json!({"pg_database": "nowhere"})),
            fields(&user, json!({"pg_port": 1})),
        ] {
            said.fails(&broken).await;
        }
        // The same text as a key: discovery would try again and again, the doctor sees it once.
        let health = said.health(&json!({"url": "http://127.0.0.1:1", "key": secret})).await;
        assert!(!health.ok, "{health:?}");
        said.hides(secret);
    }
    let log = said.log();
    assert!(log.contains("channel of this step"), "the log is looked at: {log}");
}
