//! Whether a store can be used: it lists one object.

use std::time::{Duration, Instant};

use osiris_core::{Error, Health, Result, RetryPolicy};

use super::address::ObjectPath;
use super::find::first;
use super::store::Bucket;
use crate::client::Location;

/// Lists the first object below the prefix of a connection.
pub(crate) async fn check(location: &Location, at: &ObjectPath, limit: Duration) -> Health {
    let started = Instant::now();
    match tokio::time::timeout(limit, ask(location, at)).await {
        Ok(Ok(is_empty)) => Health::ok(started.elapsed(), "the store can be listed")
            .with_detail(at.bucket_kind(), at.bucket.as_str())
            .with_detail("empty", is_empty.to_string()),
        Ok(Err(error)) => Health::failed(started.elapsed(), &error),
        Err(_) => {
            let error = Error::timeout(format!("`{at}` cannot be listed: no response within {} ms", limit.as_millis()))
                .with_hint("check `endpoint`, the network and the firewall");
            Health::failed(started.elapsed(), &error)
        }
    }
}

async fn ask(location: &Location, at: &ObjectPath) -> Result<bool> {
    if at.scheme.is_web() {
        return Err(Error::validation("a web server has no listing: nothing was checked")
            .with_hint("run a step that reads a file of it"));
    }
    let bucket = Bucket::open(location, at, &RetryPolicy::never())?;
    Ok(first(&bucket, at).await?.is_none())
}
