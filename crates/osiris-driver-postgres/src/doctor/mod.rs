//! Checks whether a connection works, and what to do if not. Never fails; core masks secrets in the messages.

mod report;

use std::path::Path;
use std::time::{Duration, Instant};

use osiris_core::{Error, Health, Result};

pub use report::{Report, report};

use crate::client::{Connect, ConnectionTarget};
use crate::config::PostgresConnection;

/// Time reserved for the report.
const RESERVE: Duration = Duration::from_millis(100);

/// Connects, authenticates and checks the privileges of the role, within `limit`.
pub(crate) async fn check(connect: &Connect, connection: &PostgresConnection, limit: Duration) -> Health {
    let started = Instant::now();
    let wait = limit.saturating_sub(RESERVE.min(limit / 10));
    let target = ConnectionTarget::new(connection, Path::new(".")).within(wait);
    // Slightly more than the connect timeout, whose message is more specific.
    let wait = wait + limit.saturating_sub(wait) / 2;
    let asked = tokio::time::timeout(wait, ask(connect, target)).await.unwrap_or_else(|_| {
        Err(Error::timeout(format!("no response within {} ms", wait.as_millis()))
            .with_hint("check the address and firewalls"))
    });
    let health = match asked {
        Ok(report) => report.health(started.elapsed()),
        Err(error) => Health::failed(started.elapsed(), &error),
    };
    health.with_detail("address", connection.address.to_string())
}

async fn ask(connect: &Connect, target: ConnectionTarget) -> Result<Report> {
    let client = connect(target).await?;
    let report = report(&client, &[]).await;
    client.close().await;
    report
}

impl Report {
    fn health(self, latency: Duration) -> Health {
        let message = std::iter::once(self.message).chain(self.remarks).collect::<Vec<_>>().join("; ");
        self.details
            .into_iter()
            .fold(Health::ok(latency, message), |health, (key, value)| health.with_detail(key, value))
    }
}
