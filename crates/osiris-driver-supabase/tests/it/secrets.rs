//! Passwords that break things: they open the door, and nothing that is said holds one of them.

use std::io::Write;
use std::sync::{Arc, Mutex};

use osiris_testkit::Bench;
use osiris_testkit::corpus::SECRETS;
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::{Value, json};

use crate::support::check;

/// Every character that some way of writing a connection has stumbled over.
const CHARACTERS: &str = "@ : / + = % ' \" space ů";

/// Everything that the process logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_password_signs_in_and_none_shows() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let bench = Bench::new(osiris_driver_supabase::register).unwrap();
    let mut said = String::new();
    for (number, secret) in SECRETS.into_iter().chain([CHARACTERS]).enumerate() {
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
            let health = check(&fields).await;
            // The client's preparation of passwords (RFC 4013) leaves no control characters.
            assert!(health.ok != secret.contains('\n'), "{health:?}");
            said.push_str(&serde_json::to_string(&health).unwrap());
        }
        // The same password for somebody who is not known, a database that is not there, a port where nobody listens; the same
        // text as a key.
        for broken in [
            fields("nobody", json!({})),
            line("nobody"),
            fields(&user, json!({"pg_database": "nowhere"})),
            fields(&user, json!({"pg_port": 1})),
            json!({"url": "http://127.0.0.1:1", "key": secret}),
        ] {
            let health = check(&broken).await;
            assert!(!health.ok, "{health:?}");
            said.push_str(&serde_json::to_string(&health).unwrap());
            if broken["url"].is_string() {
                // Tried again and again; the doctor has seen it once.
                continue;
            }
            let connection = bench.connection("supabase.extractor", &broken).unwrap();
            let error =
                bench.driver("supabase.extractor").unwrap().family().discover(&connection, None).await.unwrap_err();
            said.push_str(&format!("{error:?} {} {connection:?}", error.report()));
        }
        let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
        for text in [&said, &log] {
            let at = text.find(secret).map(|at| text[at.saturating_sub(200)..].chars().take(300).collect::<String>());
            assert_eq!(at, None, "the password is in what was said or logged");
            assert!(!text.contains(&format!("{secret:?}")));
        }
    }
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("channel of this step"), "the log is looked at: {log}");
}
