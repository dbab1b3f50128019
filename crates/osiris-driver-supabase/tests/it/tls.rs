//! Every mode of TLS against servers with it, without it, and with a certificate that is not right.

use std::process::Command;

use osiris_core::HealthCategory;
use osiris_testkit::services::{Authority, Postgres, PostgresOptions};
use osiris_testkit::supabase::{Gateway, Postgrest};
use serde_json::{Value, json};

use crate::support::check;

/// Connects, and says what is encrypted or what is wrong.
async fn outcome(connection: &Value) -> String {
    let health = check(connection).await;
    if health.ok {
        return health.details["tls"].clone();
    }
    assert_eq!(health.category, HealthCategory::Network, "{health:?}");
    assert!(health.message.contains(": "), "no advice: {health:?}");
    let (_, what) = health.message.split_once(": ").unwrap();
    what.split(": ").next().unwrap().to_owned()
}

const ENCRYPTED: &str = "TLSv1.3";
const UNKNOWN: &str = "the server's certificate is of an unknown authority";
const OTHER_NAME: &str = "the server's certificate was made for another name";
const NOT_OFFERED: &str = "the server does not offer TLS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mode_does_what_it_says() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    let ca = server.ca().unwrap();
    let place = osiris_testkit::Place::new().unwrap();
    let stranger = place.join("stranger.pem");
    Authority::new().unwrap().write(&stranger).unwrap();
    for (fields, expected) in [
        (json!({"tls": "disabled"}), "none"),
        (json!({}), ENCRYPTED),
        (json!({"tls": "required"}), ENCRYPTED),
        (json!({"tls": "verify-ca", "ssl_ca": ca}), ENCRYPTED),
        (json!({"tls": "verify-full", "ssl_ca": ca}), ENCRYPTED),
        (json!({"ssl_ca": ca}), ENCRYPTED),
        (json!({"ssl": {"ca": ca}, "pg_host": "localhost"}), ENCRYPTED),
        (json!({"ssl": {"verify_cert": false}}), ENCRYPTED),
        // The authority of the test is none of the system's.
        (json!({"tls": "verify-ca"}), UNKNOWN),
        (json!({"tls": "verify-full"}), UNKNOWN),
        (json!({"require_ssl": true}), UNKNOWN),
        (json!({"tls": "verify-ca", "ssl_ca": stranger}), UNKNOWN),
        (json!({"tls": "verify-full", "ssl_ca": stranger}), UNKNOWN),
    ] {
        assert_eq!(outcome(&server.connection_with(fields.clone())).await, expected, "{fields}");
    }
    for (fields, wanted) in [
        (json!({"ssl_ca": place.join("missing.pem")}), "cannot be read"),
        (json!({"ssl_ca": place.write("empty.pem", "nothing").unwrap()}), "no certificate"),
    ] {
        let health = check(&server.connection_with(fields)).await;
        assert!(!health.ok && health.message.contains(wanted), "{health:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused_where_the_name_counts() {
    let options = PostgresOptions::new().with_certificate_for(&["db.example"]);
    let Some(server) = Postgres::start_with(options).await.unwrap() else { return };
    let ca = server.ca().unwrap();
    for (fields, expected) in [
        (json!({"tls": "verify-full", "ssl_ca": ca}), OTHER_NAME),
        (json!({"tls": "verify-ca", "ssl_ca": ca}), ENCRYPTED),
        (json!({"tls": "required"}), ENCRYPTED),
    ] {
        assert_eq!(outcome(&server.connection_with(fields.clone())).await, expected, "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_refused_where_it_is_wanted() {
    let Some(server) = Postgres::start_with(PostgresOptions::new().without_tls()).await.unwrap() else { return };
    let place = osiris_testkit::Place::new().unwrap();
    let ca = place.join("ca.pem");
    Authority::new().unwrap().write(&ca).unwrap();
    for (fields, expected) in [
        (json!({}), "none"),
        (json!({"tls": "disabled"}), "none"),
        (json!({"tls": "required"}), NOT_OFFERED),
        (json!({"require_ssl": true}), NOT_OFFERED),
        (json!({"tls": "verify-ca", "ssl_ca": ca}), NOT_OFFERED),
        (json!({"tls": "verify-full", "ssl_ca": ca}), NOT_OFFERED),
    ] {
        assert_eq!(outcome(&server.connection_with(fields.clone())).await, expected, "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_shows_its_certificate_where_the_account_wants_one() {
    let authority = Authority::new().unwrap();
    let place = osiris_testkit::Place::new().unwrap();
    let (cert, key) = authority.issue(place.path(), "carded", &["carded".to_owned()]).unwrap();
    // Where the server's own user can read it.
    let shared = std::env::temp_dir().join(format!("osiris-clients-{}.pem", std::process::id()));
    authority.write(&shared).unwrap();
    let options = PostgresOptions::new()
        .with_setting("ssl_ca_file", shared.to_str().unwrap())
        .with_access("hostssl all carded all cert");
    let Some(server) = Postgres::start_with(options).await.unwrap() else { return };
    server.execute("CREATE ROLE carded LOGIN").await.unwrap();
    let as_carded = |mut fields: Value| {
        fields["pg_user"] = json!("carded");
        fields["pg_password"] = json!(null);
        server.connection_with(fields)
    };
    for fields in [
        json!({"tls": "required", "ssl_cert": cert, "ssl_key": key}),
        json!({"tls": "verify-full", "ssl_ca": server.ca(), "ssl_cert": cert, "ssl_key": key}),
    ] {
        assert_eq!(outcome(&as_carded(fields.clone())).await, ENCRYPTED, "{fields}");
    }
    let health = check(&as_carded(json!({"tls": "required"}))).await;
    assert!(!health.ok, "{health:?}");
    std::fs::remove_file(shared).unwrap();
}

/// The same certificate authority is for the REST API: what is served over TLS is believed by it alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_is_believed_by_the_same_authority() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let Some(rest) = Postgrest::start(&server).await.unwrap() else { return };
    let authority = Authority::new().unwrap();
    let place = osiris_testkit::Place::new().unwrap();
    let ca = place.join("ca.pem");
    authority.write(&ca).unwrap();
    let gateway = Gateway::start_tls(&rest, &authority).unwrap();
    let health = check(&gateway.connection_with(json!({"ssl_ca": ca}))).await;
    assert!(health.ok, "{health:?}");
    let health = check(&gateway.connection()).await;
    assert!(!health.ok && health.message.contains("authority that is not trusted"), "{health:?}");
}

/// The variable by which a process is told other system roots.
const ROOTS: &str = "SSL_CERT_FILE";

/// A private CA stands instead of the system's, not beside them: shown with a system that trusts the server's authority.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_ca_is_the_only_one_that_counts() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    let place = osiris_testkit::Place::new().unwrap();
    let stranger = place.join("stranger.pem");
    Authority::new().unwrap().write(&stranger).unwrap();
    let cases = json!([
        [server.connection_with(json!({"tls": "verify-ca"})), ENCRYPTED],
        [server.connection_with(json!({"require_ssl": true})), ENCRYPTED],
        [server.connection_with(json!({"tls": "verify-ca", "ssl_ca": stranger})), UNKNOWN],
        [server.connection_with(json!({"tls": "verify-full", "ssl_ca": stranger})), UNKNOWN],
    ]);
    let cases = place.write("cases.json", cases.to_string()).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["tls::in_a_process_with_other_system_roots", "--exact", "--ignored", "--nocapture"])
        .env(ROOTS, server.ca().unwrap())
        .env("OSIRIS_TEST_CASES", cases)
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
#[ignore = "run by `an_own_ca_is_the_only_one_that_counts`"]
async fn in_a_process_with_other_system_roots() {
    let cases = std::fs::read(std::env::var_os("OSIRIS_TEST_CASES").unwrap()).unwrap();
    let cases: Vec<(Value, String)> = serde_json::from_slice(&cases).unwrap();
    assert_eq!(cases.len(), 4);
    for (connection, expected) in cases {
        assert_eq!(outcome(&connection).await, expected, "{connection}");
    }
}
