//! Checks whether a connection works, and what to do if not. Never fails; core masks secrets in the messages.

mod report;

use std::path::Path;
use std::time::Duration;

use osiris_core::{Health, Result};
use osiris_sql::CheckLimit;

pub use report::{Report, report};

use crate::client::{Connect, ConnectionTarget};
use crate::config::PostgresConnection;

/// Connects, authenticates and checks the privileges of the role, within `limit`.
pub(crate) async fn check(connect: &Connect, connection: &PostgresConnection, limit: Duration) -> Health {
    let check = CheckLimit::start(limit);
    let target = ConnectionTarget::new(connection, Path::new(".")).within(check.connecting());
    let health = match check.ask(connection.connect_timeout, ask(connect, target)).await {
        Ok(report) => report.health(check.elapsed()),
        Err(error) => Health::failed(check.elapsed(), &error),
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
