//! Whether a connection works, by the smallest request.

use std::time::{Duration, Instant};

use osiris_core::{Health, Result};

use crate::client::{Client, Connect};
use crate::config::ConnectionConfig;

/// Lists the resources within `limit`.
pub(crate) async fn check(connect: &Connect, connection: &ConnectionConfig, limit: Duration) -> Health {
    let started = Instant::now();
    match count(connect, connection, limit).await {
        Ok(resources) => {
            Health::ok(started.elapsed(), "the API answers").with_detail("resources", resources.to_string())
        }
        Err(error) => Health::failed(started.elapsed(), &error),
    }
}

async fn count(connect: &Connect, connection: &ConnectionConfig, limit: Duration) -> Result<usize> {
    // A little less than the limit, which leaves time to report the result.
    Ok(Client::open_once(connect, connection, limit.mul_f64(0.9))?.resources().await?.len())
}
