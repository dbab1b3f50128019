//! What a connection may also be written as: a URL, `ssl` as a switch, the limits by other names.

use std::time::{Duration, Instant};

use osiris_core::ErrorKind;
use osiris_testkit::database::tls::{ENCRYPTED, outcome};
use osiris_testkit::database::write_faults::{connection, data, old, settings};
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::MysqlOptions;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Server;
use super::subject::{Mysql, Reading, Writing};

/// The URL of a server, and no field that it replaces.
fn url(server: &Server, parameters: &str) -> Value {
    let fields = server.connection();
    let part = |name: &str| utf8_percent_encode(fields[name].as_str().unwrap(), NON_ALPHANUMERIC).to_string();
    let (user, password, database) = (part("user"), part("password"), part("database"));
    let host = fields["host"].as_str().unwrap();
    let dsn = format!("mysql://{user}:{password}@{host}:{}/{database}{parameters}", fields["port"]);
    json!({"dsn": dsn, "host": null, "port": null, "user": null, "password": null, "database": null})
}

#[tokio::test]
async fn a_url_connects_as_its_fields_do() {
    let Some(reading) = Reading::start(MysqlOptions::new()).await else { return };
    reading.execute("CREATE TABLE t (a INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await;
    let connection = url(&reading.server, "?ssl-mode=REQUIRED&charset=utf8mb4");
    assert_eq!(reading.run("by_url", json!({"table": "t"}), connection).await.unwrap().rows, 2);
    // A cursor that the fields have left goes on with the URL: it is the same source.
    let cursor = json!({"table": "t", "cursor": {"column": "a", "lag": 0}});
    let first = reading.run("first", cursor.clone(), json!({})).await.unwrap();
    let step = reading.bench.step("first", "mysql.extractor", cursor);
    let connection = reading.server.connection_with(url(&reading.server, ""));
    reading.bench.store().drop_table("first").await.unwrap();
    step.connection(connection).state(first.state.unwrap()).run().await.unwrap();
    let refused = reading.run("refused", json!({"table": "t"}), url(&reading.server, "?ssl-mode=DISABLED2")).await;
    assert!(refused.unwrap_err().error.report().contains("`dsn`: `ssl-mode` must be one of"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ssl_is_also_a_switch() {
    let Some(server) = Server::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let ca = server.ca().unwrap();
    for (fields, expected) in [
        (json!({"ssl": false}), "none"),
        (json!({"ssl": true, "ssl_ca": ca}), ENCRYPTED),
        (json!({"ssl": true}), "the server's certificate is signed by an authority that is not trusted"),
    ] {
        assert_eq!(outcome::<Mysql>(&server.connection_with(fields.clone())).await, expected, "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_waits_for_a_silent_server_as_long_as_write_timeout_says_whatever_a_read_may_take() {
    let Some(writing) = Writing::with(MysqlOptions::new()).await else { return };
    writing.execute(&old::<Server>()).await;
    let proxy = Proxy::start(writing.server.address().unwrap()).unwrap();
    let mut connection = connection(&writing.server, &proxy);
    for (field, seconds) in [("read_timeout", 600), ("write_timeout", 1), ("timeout", 2)] {
        connection[field] = json!(seconds);
    }
    let input = writing.bench.table("source", data("append").as_str()).await.unwrap();
    let step = writing.bench.step("write", "mysql.writer", settings("append")).connection(connection).input(&input);
    // The session is set up by then, and nothing is committed.
    proxy.set(Fault::Stall { direction: Direction::Up, after: 8_000 });
    let started = Instant::now();
    let failure = step.retry(osiris_core::RetryPolicy::never()).run().await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    // Either side may notice first: the server waits for more rows for as long.
    assert!(matches!(failure.error.kind(), ErrorKind::Network | ErrorKind::Timeout), "{}", failure.error.report());
}
