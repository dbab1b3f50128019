//! What goes wrong while rows are read: nothing of them stays, the error has its kind, and a later try works.

use std::time::{Duration, Instant};

use osiris_core::ErrorKind;
use serde_json::{Value, json};

use super::{DatabaseDriver, DatabaseServer, Reading, settled, through};
use crate::proxy::{Direction, Fault, Proxy};

/// The rows of the table `t` that [`prepared`] makes.
pub const ROWS: u64 = 20_000;

/// A server with a table `t (id, v)`. Nothing when servers are left out.
pub async fn prepared<D: DatabaseDriver>() -> Option<(Reading<D>, Proxy)> {
    let reading = Reading::<D>::start(D::Server::without_tls()).await?;
    let numbers = D::Server::numbers(ROWS);
    reading
        .execute(&format!(
            "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200)); INSERT INTO t SELECT i, REPEAT('x', 100) FROM {numbers}"
        ))
        .await;
    let proxy = Proxy::start(reading.server.address().unwrap()).unwrap();
    Some((reading, proxy))
}

/// A connection to the server through the proxy.
pub fn connection<D: DatabaseDriver>(reading: &Reading<D>, proxy: &Proxy, fields: &Value) -> Value {
    through(&reading.server, proxy, fields)
}

/// Cuts within the greeting, the sign-in, the set-up, the description, the first rows, the last.
pub async fn a_connection_cut_anywhere_leaves_nothing_and_is_a_network_error<D: DatabaseDriver>() {
    let Some((reading, proxy)) = prepared::<D>().await else { return };
    let through = connection(&reading, &proxy, &json!({}));
    let config = json!({"table": "t"});
    assert_eq!(reading.once(through.clone(), config.clone()).await.unwrap(), ROWS);
    let all = proxy.passed(Direction::Down);
    let late = [3000, 5000, 10_000, 65_536, 500_000, 1_000_000, all / 100 * 95, all / 100 * 99];
    let mut cut = 0;
    for after in (0..60).map(|step| step * 41).chain(late) {
        proxy.set(Fault::Cut { direction: Direction::Down, after });
        match reading.once(through.clone(), config.clone()).await {
            Ok(rows) => assert_eq!(rows, ROWS, "cut after {after} bytes"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Network, "cut after {after} bytes: {}", error.report());
                cut += 1;
            }
        }
    }
    assert!(cut > 60, "only {cut} connections were cut");
    for after in [0, 10, 80, 200, 300, 500] {
        proxy.set(Fault::Cut { direction: Direction::Up, after });
        if let Err(error) = reading.once(through.clone(), config.clone()).await {
            assert_eq!(error.kind(), ErrorKind::Network, "cut after {after} bytes sent: {}", error.report());
        }
    }
    proxy.set(Fault::Pass);
    assert_eq!(reading.once(through, config).await.unwrap(), ROWS);
}

/// Silence in mid-answer, and before the first row.
pub async fn a_server_that_falls_silent_is_a_timeout_within_the_limits<D: DatabaseDriver>() {
    let Some((reading, proxy)) = prepared::<D>().await else { return };
    proxy.set(Fault::Stall { direction: Direction::Down, after: 300_000 });
    let impatient = connection(&reading, &proxy, &D::Server::impatient());
    let began = Instant::now();
    let error = reading.once(impatient, json!({"table": "t"})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.report());
    assert!(began.elapsed() < Duration::from_secs(30));
    proxy.set(Fault::Pass);
    // The server has to compare far more than it can in that time.
    let slow = json!({"query": "SELECT COUNT(*) FROM t a, t b, t c WHERE a.v <= b.v", "timeout": 0.3});
    let error = reading.once(connection(&reading, &proxy, &json!({})), slow).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.report());
    assert!(error.report().contains("no first row"), "{}", error.report());
    settled(&reading.server).await;
}
