//! Converts server and network errors. A message never has a cell value: one quoted by the server is
//! masked, and its DETAIL, which repeats whole rows, is dropped.

mod network;
mod server;

use std::future::Future;
use std::time::Duration;

use osiris_core::{Error, Result};

pub use network::io_error;
pub use server::{hint, kind_of, postgres_error, server_error, without_values};

/// The context entry with the server's error code.
pub const CODE: &str = "server error";

/// The server's code of an error: an SQLSTATE such as `23505`.
pub fn sqlstate(error: &Error) -> Option<&str> {
    error.context().iter().find(|(key, _)| *key == CODE).map(|(_, code)| code.as_str())
}

/// Runs `future` with a time limit.
///
/// # Errors
/// Those of `future`, or the timeout, which begins with `doing`.
pub async fn within<T>(limit: Duration, doing: &str, future: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, future).await {
        Ok(result) => result,
        Err(_) => Err(Error::timeout(format!("{doing}: no response within {} ms", limit.as_millis()))
            .with_hint("check the address and firewalls, or raise the limit")),
    }
}
