//! Checks whether a connection works, and what to do if not. Never fails; core masks secrets in the messages.

use std::path::Path;
use std::time::{Duration, Instant};

use osiris_core::Health;
use osiris_sql::tls::Reach;
use osiris_sql::within;

use crate::client::{Client, Connect, Target};
use crate::config::{Address, MysqlConnection};

/// Time reserved for reporting the result.
const RESERVE: Duration = Duration::from_millis(100);

/// Connects, authenticates and reads the server's version, within `limit`.
pub(crate) async fn check(connect: &Connect, connection: &MysqlConnection, limit: Duration) -> Health {
    let started = Instant::now();
    let wait = limit.saturating_sub(RESERVE.min(limit / 10));
    let mut connection = connection.clone();
    connection.connect_timeout = connection.connect_timeout.min(wait);
    let target = Target::new(&connection, Path::new("."));
    let address = &connection.address;
    // Both limits produce the same message.
    let doing = target.doing();
    match within(wait, &doing, connect(target)).await {
        Ok(client) => {
            let health = healthy(&client, &connection, started.elapsed());
            let _ = tokio::time::timeout(limit.saturating_sub(started.elapsed()), client.close()).await;
            health
        }
        Err(error) => Health::failed(started.elapsed(), &error).with_detail("address", address.to_string()),
    }
}

fn healthy(client: &Client, connection: &MysqlConnection, latency: Duration) -> Health {
    let facts = client.facts();
    let kind = if facts.mariadb { "MariaDB" } else { "MySQL" };
    let database = connection.database.as_deref().unwrap_or("(none)");
    let age = if facts.at_least((10, 4, 0), (5, 7, 0)) { "" } else { ", which is older than the supported versions" };
    let unverified = match &connection.address {
        Address::Tcp { host, .. } if Reach::of_host(host) != Reach::Loopback && !connection.tls.mode.verifies() => {
            "; the identity of the server is not verified: set `tls: verify-full`, and `ssl_ca` if it uses a private CA"
        }
        _ => "",
    };
    Health::ok(latency, format!("signed in to {kind} {}{age}{unverified}", facts.version))
        .with_detail("address", connection.address.to_string())
        .with_detail("account", facts.account.clone())
        .with_detail("database", database)
        .with_detail("server_version", facts.version.clone())
        .with_detail("sql_mode", facts.sql_mode.text.clone())
        .with_detail("time_zone", facts.time_zone.clone())
        .with_detail("tls", facts.tls.clone().unwrap_or_else(|| "none".to_owned()))
        .with_detail("server_verified", connection.tls.mode.verified())
}
