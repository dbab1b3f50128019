//! Every mode of TLS, as for any database, and certificates of clients.

use osiris_testkit::database::tls::{self, ENCRYPTED, outcome};
use osiris_testkit::services::{Authority, Postgres, PostgresOptions};
use serde_json::{Value, json};

use crate::subject::PostgresDriver;
use crate::support::check;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mode_does_what_it_says() {
    tls::every_mode_does_what_it_says::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused_where_the_name_counts() {
    tls::a_certificate_for_another_name_is_refused_where_the_name_counts::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_own_certificate_is_trusted_where_it_is_given() {
    tls::a_servers_own_certificate_is_trusted_where_it_is_given::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_own_certificate_needs_no_authority() {
    tls::a_servers_own_certificate_needs_no_authority::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_without_names_is_refused_as_that() {
    tls::a_certificate_without_names_is_refused_as_that::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_refused_where_it_is_wanted() {
    tls::a_server_without_tls_is_refused_where_it_is_wanted::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_ca_is_the_only_one_that_counts() {
    tls::an_own_ca_is_the_only_one_that_counts::<PostgresDriver>("tls::in_a_process_with_other_system_roots").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by `an_own_ca_is_the_only_one_that_counts`"]
async fn in_a_process_with_other_system_roots() {
    tls::in_a_process_with_other_system_roots::<PostgresDriver>().await;
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
        fields["user"] = json!("carded");
        fields["password"] = json!(null);
        server.connection_with(fields)
    };
    for fields in [
        json!({"tls": "required", "ssl_cert": cert, "ssl_key": key}),
        json!({"tls": "verify-full", "ssl_ca": server.ca(), "ssl_cert": cert, "ssl_key": key}),
    ] {
        assert_eq!(outcome::<PostgresDriver>(&as_carded(fields.clone())).await, ENCRYPTED, "{fields}");
    }
    let health = check(&as_carded(json!({"tls": "required"}))).await;
    assert!(!health.ok, "{health:?}");
    std::fs::remove_file(shared).unwrap();
}
