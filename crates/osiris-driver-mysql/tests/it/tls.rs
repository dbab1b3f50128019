//! Every mode of TLS, as for any database, and certificates of clients.

use std::path::Path;

use osiris_core::HealthCategory;
use osiris_testkit::database::check;
use osiris_testkit::database::tls::{self, ENCRYPTED, outcome};
use osiris_testkit::services::{Authority, MysqlOptions};
use serde_json::{Value, json};

use super::Server;
use super::subject::{Mysql, Reading};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mode_does_what_it_says() {
    tls::every_mode_does_what_it_says::<Mysql>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused_where_the_name_counts() {
    tls::a_certificate_for_another_name_is_refused_where_the_name_counts::<Mysql>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_own_certificate_is_trusted_where_it_is_given() {
    tls::a_servers_own_certificate_is_trusted_where_it_is_given::<Mysql>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_own_certificate_needs_no_authority() {
    tls::a_servers_own_certificate_needs_no_authority::<Mysql>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_without_names_is_refused_as_that() {
    tls::a_certificate_without_names_is_refused_as_that::<Mysql>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_read_from_a_server_whose_own_certificate_is_given() {
    let options = || MysqlOptions::new();
    let own = |server: &Server| server.ca().unwrap().with_file_name("server.pem");
    for options in [options().self_signed(&["127.0.0.1"]), options().with_certificate_for(&["127.0.0.1"])] {
        let Some(reading) = Reading::start(options).await else { return };
        read_in_each_mode(&reading, &own(&reading.server)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_read_from_a_server_whose_certificate_has_its_name_in_the_subject_alone() {
    let authority = Authority::new().unwrap();
    let place = osiris_testkit::Place::new().unwrap();
    let ca = place.join("ca.pem");
    authority.write(&ca).unwrap();
    let (cert, key) = authority.issue(place.path(), "127.0.0.1", &[]).unwrap();
    let Some(reading) = Reading::start(certified(&ca, &cert, &key)).await else { return };
    read_in_each_mode(&reading, &ca).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_not_read_from_a_server_whose_certificate_another_server_has_signed() {
    let hosts = ["127.0.0.1".to_owned()];
    let (another, authority) = (Authority::of_server(&hosts).unwrap(), Authority::new().unwrap());
    let place = osiris_testkit::Place::new().unwrap();
    let (own, both) = (place.join("own.pem"), place.join("both.pem"));
    authority.write(&both).unwrap();
    another.write(&own).unwrap();
    std::fs::write(&both, [std::fs::read(&both).unwrap(), std::fs::read(&own).unwrap()].concat()).unwrap();
    let (cert, key) = another.issue(place.path(), "server", &hosts).unwrap();
    let Some(reading) = Reading::start(certified(&own, &cert, &key)).await else { return };
    reading.execute("CREATE TABLE t (i INT)").await;
    for ca in [&own, &both] {
        for mode in ["verify-ca", "verify-full"] {
            let fields = json!({"tls": mode, "ssl_ca": ca});
            let error = reading.run("refused", json!({"table": "t"}), fields).await.unwrap_err().error.report();
            assert!(error.contains("signed by one that is not that of an authority"), "{mode}: {error}");
        }
    }
}

async fn read_in_each_mode(reading: &Reading, ca: &Path) {
    reading.execute("CREATE TABLE t (i INT); INSERT INTO t VALUES (1), (2)").await;
    for mode in ["verify-ca", "verify-full"] {
        let output = reading.run(mode, json!({"table": "t"}), json!({"tls": mode, "ssl_ca": ca})).await.unwrap();
        assert_eq!(output.rows, 2, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_refused_where_it_is_wanted() {
    tls::a_server_without_tls_is_refused_where_it_is_wanted::<Mysql>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_ca_is_the_only_one_that_counts() {
    let module = module_path!().split_once("::").map_or_else(String::new, |(_, module)| format!("{module}::"));
    let second = format!("{module}in_a_process_with_other_system_roots");
    tls::an_own_ca_is_the_only_one_that_counts::<Mysql>(&second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by `an_own_ca_is_the_only_one_that_counts`"]
async fn in_a_process_with_other_system_roots() {
    tls::in_a_process_with_other_system_roots::<Mysql>().await;
}

/// With this certificate of the server.
fn certified(ca: &Path, cert: &Path, key: &Path) -> MysqlOptions {
    [("ssl_ca", ca), ("ssl_cert", cert), ("ssl_key", key)]
        .into_iter()
        .fold(MysqlOptions::new(), |options, (name, path)| options.with_setting(name, path.to_str().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_shows_its_certificate_where_the_account_wants_one() {
    let authority = Authority::new().unwrap();
    let place = osiris_testkit::Place::new().unwrap();
    let ca = place.join("clients.pem");
    authority.write(&ca).unwrap();
    let (cert, key) = authority.issue(place.path(), "client", &["client".to_owned()]).unwrap();
    let (server_cert, server_key) = authority.issue(place.path(), "server", &["127.0.0.1".to_owned()]).unwrap();
    let options = certified(&ca, &server_cert, &server_key);
    let Some(server) = Server::start_with(options).await.unwrap() else { return };
    server
        .execute("CREATE USER carded@'%' IDENTIFIED BY 'pw1' REQUIRE X509; GRANT SELECT ON test.* TO carded@'%'")
        .await
        .unwrap();
    let as_carded = |mut fields: Value| {
        fields["user"] = json!("carded");
        fields["password"] = json!("pw1");
        server.connection_with(fields)
    };
    for fields in [
        json!({"tls": "required", "ssl_cert": cert, "ssl_key": key}),
        json!({"tls": "verify-full", "ssl_ca": ca, "ssl_cert": cert, "ssl_key": key}),
    ] {
        assert_eq!(outcome::<Mysql>(&as_carded(fields.clone())).await, ENCRYPTED, "{fields}");
    }
    let health = check::<Mysql>(&as_carded(json!({"tls": "required"}))).await;
    assert_eq!(health.category, HealthCategory::Auth, "{health:?}");
}
