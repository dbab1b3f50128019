//! What is said about connections that do not work.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use osiris_core::{Health, HealthCategory};
use serde_json::Value;

use super::{DatabaseDriver, DatabaseServer};
use crate::Bench;

/// The limit that the command line has.
pub const LIMIT: Duration = Duration::from_secs(2);

/// What the doctor says of a connection within a limit.
pub async fn check_within<D: DatabaseDriver>(connection: &Value, limit: Duration) -> Health {
    let bench = Bench::new(D::register).unwrap();
    let connection = bench.connection(D::EXTRACTOR, connection).unwrap();
    bench.driver(D::EXTRACTOR).unwrap().family().check(&connection, limit).await
}

/// What a person reads, without the numbers that change.
pub fn said(health: &Health) -> String {
    let mut message = health.message.clone();
    for address in ["address", "url"].iter().filter_map(|detail| health.details.get(*detail)) {
        let port = address.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
        if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
            message = message.replace(port, "PORT");
        }
    }
    format!("{:?} | {message}", health.category)
}

/// A line for each connection, none of which works. Each is said within the limit.
pub async fn failures<D: DatabaseDriver>(connections: &[(&str, Value)]) -> String {
    let mut seen = String::new();
    for (name, connection) in connections {
        let started = Instant::now();
        let health = check_within::<D>(connection, LIMIT).await;
        assert!(!health.ok, "{name}: {health:?}");
        assert!(started.elapsed() < LIMIT + Duration::from_millis(500), "{name} took {:?}", started.elapsed());
        seen.push_str(&format!("{name}: {}\n", said(&health)));
    }
    seen
}

/// A limit that is over at once is kept as well.
pub async fn answers_within_a_millisecond<D: DatabaseDriver>(connection: &Value) {
    let health = check_within::<D>(connection, Duration::from_millis(1)).await;
    assert!(health.latency_ms < 1000, "{health:?}");
}

/// A server without room is a matter of the network. Returns the sessions that fill it up.
pub async fn fill_up<D: DatabaseDriver>(
    server: &D::Server,
    connection: &Value,
) -> Vec<Option<<D::Server as DatabaseServer>::Session>> {
    let mut held = Vec::new();
    let health = loop {
        held.push(server.session().await.ok());
        assert!(held.len() < 20, "the server takes more than its connections");
        let health = check_within::<D>(connection, LIMIT).await;
        if !health.ok {
            break health;
        }
    };
    assert_eq!(health.category, HealthCategory::Network, "{health:?}");
    assert!(health.message.contains("too many connections"), "{health:?}");
    held
}

/// A port where connections are closed at once.
pub fn closing_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    port
}

/// A port where a web server listens.
pub fn web_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    port
}
