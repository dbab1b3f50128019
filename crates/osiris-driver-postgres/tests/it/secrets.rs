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
    let bench = Bench::new(osiris_driver_postgres::register).unwrap();
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
            let mut fields = server.connection_with(more);
            fields["user"] = json!(user);
            fields["password"] = json!(secret);
            fields
        };
        let user = format!("user{number}");
        for fields in [
            fields(&user, json!({})),
            fields(&user, json!({"tls": "disabled"})),
            fields(&user, json!({"ssl_ca": server.ca()})),
            line(&user),
        ] {
            let health = check(&fields).await;
            // The client's preparation of passwords (RFC 4013) leaves no control characters.
            assert!(health.ok != secret.contains('\n'), "{health:?}");
            said.push_str(&serde_json::to_string(&health).unwrap());
        }
        // The same password for somebody who is not known, a database that is not there, a port where nobody listens.
        for broken in [
            fields("nobody", json!({})),
            line("nobody"),
            fields(&user, json!({"database": "nowhere"})),
            fields(&user, json!({"port": 1})),
        ] {
            let health = check(&broken).await;
            assert!(!health.ok, "{health:?}");
            said.push_str(&serde_json::to_string(&health).unwrap());
            let connection = bench.connection("postgres.extractor", &broken).unwrap();
            let error =
                bench.driver("postgres.extractor").unwrap().family().discover(&connection, None).await.unwrap_err();
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
    assert!(log.contains("signed in"), "the log is looked at: {log}");
}

/// What the environment says to other clients of PostgreSQL is not for this one.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("PGHOST", "no-such-host.invalid"),
    ("PGPORT", "1"),
    ("PGUSER", "nobody"),
    ("PGPASSWORD", "hunter2"),
    ("PGDATABASE", "nowhere"),
    ("PGSSLMODE", "verify-full"),
    ("PGSSLROOTCERT", "/nowhere/ca.pem"),
    ("PGOPTIONS", "-c search_path=nowhere -c statement_timeout=1"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_is_never_asked() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    server.execute("CREATE TABLE t (a int)").await.unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["secrets::in_a_process_with_another_environment", "--exact", "--ignored", "--nocapture"])
        .envs(ENVIRONMENT)
        .env("OSIRIS_TEST_CONNECTION", server.connection().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The second process of the test above.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by `the_environment_is_never_asked`"]
async fn in_a_process_with_another_environment() {
    let connection = std::env::var_os("OSIRIS_TEST_CONNECTION").unwrap();
    let mut connection: Value = serde_json::from_str(connection.to_str().unwrap()).unwrap();
    for mode in ["disabled", "required"] {
        connection["tls"] = json!(mode);
        let health = check(&connection).await;
        assert!(health.ok, "{mode}: {health:?}");
        assert_eq!((health.details["account"].as_str(), health.details["database"].as_str()), ("postgres", "postgres"));
        // A statement of longer than a millisecond, names found by the server's own search path.
        let catalog = crate::support::discover(&connection).await.unwrap();
        assert_eq!(catalog.resources.len(), 1, "{mode}");
    }
}
