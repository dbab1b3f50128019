//! Whether a connection works, by the smallest query.

use std::time::Instant;

use osiris_core::{Health, Result};

use crate::client::{Client, Connect};
use crate::config::ConnectionConfig;

/// Sends the smallest query to the project.
pub(crate) async fn check(connect: &Connect, connection: &ConnectionConfig) -> Health {
    let started = Instant::now();
    match ask(connect, connection).await {
        Ok(()) => Health::ok(started.elapsed(), "the project can be queried")
            .with_detail("project_id", connection.project_id.as_str())
            .with_detail("region", connection.region.name()),
        Err(error) => Health::failed(started.elapsed(), &error),
    }
}

async fn ask(connect: &Connect, connection: &ConnectionConfig) -> Result<()> {
    let client = Client::open_once(connect, connection)?;
    client.query("SELECT 1 AS one LIMIT 1", "checking the connection").await?.number(0)?;
    Ok(())
}
