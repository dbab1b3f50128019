//! Checks whether a connection works, and what to do if not. Never fails; core masks secrets in the messages.

use std::path::Path;
use std::time::Duration;

use osiris_core::Health;
use osiris_sql::CheckLimit;
use osiris_sql::tls::Reach;

use crate::client::{Client, Connect, Target};
use crate::config::{Address, MysqlConnection};

/// Connects, authenticates and reads the server's version, within `limit`.
pub(crate) async fn check(connect: &Connect, connection: &MysqlConnection, limit: Duration) -> Health {
    let check = CheckLimit::start(limit);
    let mut shortened = connection.clone();
    shortened.connect_timeout = connection.connect_timeout.min(check.connecting());
    let target = Target::new(&shortened, Path::new("."));
    match check.ask(connection.connect_timeout, connect(target)).await {
        Ok(client) => {
            let health = healthy(&client, connection, check.elapsed());
            let _ = tokio::time::timeout(check.rest(), client.close()).await;
            health
        }
        Err(error) => Health::failed(check.elapsed(), &error).with_detail("address", connection.address.to_string()),
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
