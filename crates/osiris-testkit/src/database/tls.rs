//! Every mode of TLS against servers with it, without it, and with a certificate that is not right.

use std::process::Command;

use osiris_core::HealthCategory;
use serde_json::{Value, json};

use super::{DatabaseDriver, DatabaseServer, check};
use crate::Place;
use crate::certificates::Authority;

/// What the doctor shows of an encrypted connection.
pub const ENCRYPTED: &str = "TLSv1.3";
const UNKNOWN: &str = "the server's certificate is signed by an authority that is not trusted";
const OTHER_NAME: &str = "the server's certificate is for another host";
const AUTHORITY: &str = "the server's certificate is that of an authority";
const NOT_OFFERED: &str = "the server does not offer TLS";

/// The variable by which a process is told other system roots.
const ROOTS: &str = "SSL_CERT_FILE";
/// The variable that names the cases for the second process.
const CASES: &str = "OSIRIS_TEST_CASES";

/// Connects, and says what is encrypted or what is wrong.
pub async fn outcome<D: DatabaseDriver>(connection: &Value) -> String {
    let health = check::<D>(connection).await;
    if health.ok {
        return health.details["tls"].clone();
    }
    assert_eq!(health.category, HealthCategory::Network, "{health:?}");
    let said = health.message.split(": ").collect::<Vec<_>>();
    assert!(said.len() > 1, "no advice: {health:?}");
    said[1].to_owned()
}

/// Each mode, with the right authority, a wrong one and none.
pub async fn every_mode_does_what_it_says<D: DatabaseDriver>() {
    let Some(server) = D::Server::start_with(Default::default()).await.unwrap() else { return };
    let port = server.address().unwrap().port();
    let ca = server.ca().unwrap();
    let place = Place::new().unwrap();
    let stranger = place.join("stranger.pem");
    Authority::new().unwrap().write(&stranger).unwrap();
    let mut by_name = D::Server::at("localhost", port);
    by_name["ssl"] = json!({"ca": ca});
    for (fields, expected) in [
        (json!({"tls": "disabled"}), "none"),
        (json!({}), ENCRYPTED),
        (json!({"tls": "required"}), ENCRYPTED),
        (json!({"tls": "verify-ca", "ssl_ca": ca}), ENCRYPTED),
        (json!({"tls": "verify-full", "ssl_ca": ca}), ENCRYPTED),
        (json!({"ssl_ca": ca}), ENCRYPTED),
        (by_name, ENCRYPTED),
        (json!({"ssl": {"verify_cert": false}}), ENCRYPTED),
        // The authority of the test is none of the system's.
        (json!({"tls": "verify-ca"}), UNKNOWN),
        (json!({"tls": "verify-full"}), UNKNOWN),
        (json!({"require_ssl": true}), UNKNOWN),
        (json!({"tls": "verify-ca", "ssl_ca": stranger}), UNKNOWN),
        (json!({"tls": "verify-full", "ssl_ca": stranger}), UNKNOWN),
    ] {
        assert_eq!(outcome::<D>(&server.connection_with(fields.clone())).await, expected, "{fields}");
    }
    for (fields, wanted) in [
        (json!({"ssl_ca": place.join("missing.pem")}), "cannot be read"),
        (json!({"ssl_ca": place.write("empty.pem", "nothing").unwrap()}), "no certificate"),
    ] {
        let health = check::<D>(&server.connection_with(fields)).await;
        assert!(!health.ok && health.message.contains(wanted), "{health:?}");
    }
}

/// A certificate for another name.
pub async fn a_certificate_for_another_name_is_refused_where_the_name_counts<D: DatabaseDriver>() {
    let options = D::Server::certified_for(&["db.example"]);
    let Some(server) = D::Server::start_with(options).await.unwrap() else { return };
    let ca = server.ca().unwrap();
    for (fields, expected) in [
        (json!({"tls": "verify-full", "ssl_ca": ca}), OTHER_NAME),
        (json!({"tls": "verify-ca", "ssl_ca": ca}), ENCRYPTED),
        (json!({"tls": "required"}), ENCRYPTED),
    ] {
        assert_eq!(outcome::<D>(&server.connection_with(fields.clone())).await, expected, "{fields}");
    }
}

/// A certificate that signed itself as an authority, as the manuals of servers make it, is trusted where it is given.
pub async fn a_servers_own_certificate_is_trusted_where_it_is_given<D: DatabaseDriver>() {
    let place = Place::new().unwrap();
    let stranger = place.join("stranger.pem");
    Authority::new().unwrap().write(&stranger).unwrap();
    for (name, by_name) in [("127.0.0.1", ENCRYPTED), ("db.example", OTHER_NAME)] {
        let Some(server) = D::Server::start_with(D::Server::self_signed(&[name])).await.unwrap() else { return };
        let ca = server.ca().unwrap();
        for (fields, expected) in [
            (json!({"tls": "verify-full", "ssl_ca": ca}), by_name),
            (json!({"tls": "verify-ca", "ssl_ca": ca}), ENCRYPTED),
            (json!({"tls": "verify-ca", "ssl_ca": stranger}), AUTHORITY),
            (json!({"tls": "verify-full", "ssl_ca": stranger}), AUTHORITY),
        ] {
            assert_eq!(outcome::<D>(&server.connection_with(fields.clone())).await, expected, "{name} {fields}");
        }
    }
}

/// A certificate that is not that of an authority is trusted where it is given itself, without the one that signed it.
pub async fn a_servers_own_certificate_needs_no_authority<D: DatabaseDriver>() {
    for (name, by_name) in [("127.0.0.1", ENCRYPTED), ("db.example", OTHER_NAME)] {
        let Some(server) = D::Server::start_with(D::Server::certified_for(&[name])).await.unwrap() else { return };
        let own = server.ca().unwrap().with_file_name("server.pem");
        for (fields, expected) in [
            (json!({"tls": "verify-full", "ssl_ca": own}), by_name),
            (json!({"tls": "verify-ca", "ssl_ca": own}), ENCRYPTED),
        ] {
            assert_eq!(outcome::<D>(&server.connection_with(fields.clone())).await, expected, "{name} {fields}");
        }
    }
}

/// A certificate without alternative names is that of no host, where its common name is not that of the server.
pub async fn a_certificate_without_names_is_refused_as_that<D: DatabaseDriver>() {
    let Some(server) = D::Server::start_with(D::Server::self_signed(&[])).await.unwrap() else { return };
    let ca = server.ca().unwrap();
    let health = check::<D>(&server.connection_with(json!({"tls": "verify-full", "ssl_ca": ca}))).await;
    let said = format!("{health:?}");
    assert!(said.contains("certificate names no host") && said.contains("-addext subjectAltName"), "{said}");
    assert!(said.contains("tls: verify-ca"), "{said}");
    assert_eq!(outcome::<D>(&server.connection_with(json!({"tls": "verify-ca", "ssl_ca": ca}))).await, ENCRYPTED);
}

/// A server that has no TLS.
pub async fn a_server_without_tls_is_refused_where_it_is_wanted<D: DatabaseDriver>() {
    let Some(server) = D::Server::start_with(D::Server::without_tls()).await.unwrap() else { return };
    let place = Place::new().unwrap();
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
        assert_eq!(outcome::<D>(&server.connection_with(fields.clone())).await, expected, "{fields}");
    }
}

/// A private CA stands instead of the system's, not beside them: shown with a system that trusts the server's authority. `second` is
/// the ignored test that calls [`in_a_process_with_other_system_roots`].
pub async fn an_own_ca_is_the_only_one_that_counts<D: DatabaseDriver>(second: &str) {
    let Some(server) = D::Server::start_with(Default::default()).await.unwrap() else { return };
    let place = Place::new().unwrap();
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
        .args([second, "--exact", "--ignored", "--nocapture"])
        .env(ROOTS, server.ca().unwrap())
        .env(CASES, cases)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

/// What the second process of the test above does.
pub async fn in_a_process_with_other_system_roots<D: DatabaseDriver>() {
    let cases = std::fs::read(std::env::var_os(CASES).unwrap()).unwrap();
    let cases: Vec<(Value, String)> = serde_json::from_slice(&cases).unwrap();
    assert_eq!(cases.len(), 4);
    for (connection, expected) in cases {
        assert_eq!(outcome::<D>(&connection).await, expected, "{connection}");
    }
}
