//! Hosts with addresses of one family or of both.

use osiris_core::HealthCategory;
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::json;

use crate::support::check;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_reached_by_whichever_address_answers() {
    // `localhost` has both addresses wherever both families exist; the server listens at one.
    for options in [PostgresOptions::new(), PostgresOptions::new().listening_on_ipv6_only()] {
        let Some(server) = Postgres::start_with(options).await.unwrap() else { return };
        let both = std::net::ToSocketAddrs::to_socket_addrs("localhost:1").unwrap().count() > 1;
        let ipv6 = server.address().unwrap().is_ipv6();
        for fields in [json!({"tls": "disabled"}), json!({"tls": "verify-full", "ssl_ca": server.ca()})] {
            let health = check(&server.connection_with(fields.clone())).await;
            assert!(health.ok, "{health:?}");
            let mut named = server.connection_with(fields);
            named["host"] = json!("localhost");
            let health = check(&named).await;
            assert!(health.ok || (ipv6 && !both), "{health:?}");
        }
        let line = check(&json!({"dsn": server.dsn()})).await;
        assert!(line.ok, "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_the_other_family_alone_is_refused_and_said_so() {
    let options = PostgresOptions::new().listening_on_ipv6_only();
    let Some(server) = Postgres::start_with(options).await.unwrap() else { return };
    let health = check(&server.connection_with(json!({"host": "127.0.0.1"}))).await;
    assert_eq!(health.category, HealthCategory::Network, "{health:?}");
    assert!(health.message.contains("refused"), "{health:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_has_ipv6_alone_is_told_on_a_network_without() {
    // Reserved for documentation (RFC 3849). Connecting a datagram socket sends nothing: it asks whether there is a way.
    let address = "2001:db8::1";
    let way = std::net::UdpSocket::bind("[::]:0").and_then(|socket| socket.connect((address, 5432)));
    let health = check(&json!({"host": address, "password": "pw1"})).await;
    assert!(!health.ok, "{health:?}");
    if way.is_err() {
        assert_eq!(health.category, HealthCategory::Network, "{health:?}");
        assert!(health.message.contains("IPv6 addresses only") && health.message.contains("pooler"), "{health:?}");
    }
}
