//! Passwords that break things: they open the door, and nothing that is said holds one of them.

use osiris_testkit::database::postgres;
use osiris_testkit::database::secrets::{Log, Said};
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::{Value, json};

use crate::subject::PostgresDriver;
use crate::support::check;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_password_signs_in_and_none_shows() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let mut said = Said::<PostgresDriver>::new(log);
    let others = [json!({}), json!({"tls": "disabled"}), json!({"ssl_ca": server.ca()})];
    postgres::hides_passwords(&server, &mut said, &others, async |_, _| {}).await;
    let log = said.log();
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
