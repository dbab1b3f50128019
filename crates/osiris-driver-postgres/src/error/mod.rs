//! What the server and the network say, as kinds of errors. A message never holds a cell value: where the server quotes one, it is
//! masked, and its DETAIL, which repeats whole rows, is never shown.

mod network;
mod server;

use std::future::Future;
use std::time::Duration;

use osiris_core::{Error, Result};

pub use network::io_error;
pub use server::{hint, kind_of, postgres_error, server_error, without_values};

/// The fact of an error that carries the server's own code.
pub const CODE: &str = "server error";

/// The server's own code in an error: an SQLSTATE such as `23505`.
pub fn sqlstate(error: &Error) -> Option<&str> {
    error.context().iter().find(|(key, _)| *key == CODE).map(|(_, code)| code.as_str())
}

/// `future`, or a timeout error after `limit`.
///
/// # Errors
/// Those of `future`, or the timeout, which begins with `doing`.
pub async fn within<T>(limit: Duration, doing: &str, future: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, future).await {
        Ok(result) => result,
        Err(_) => Err(Error::timeout(format!("{doing}: no answer within {} ms", limit.as_millis()))
            .with_hint("check the address and the firewalls between, or raise the limit")),
    }
}
