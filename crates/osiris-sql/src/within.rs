//! A time limit for an answer of a server.

use std::future::Future;
use std::time::Duration;

use osiris_core::{Error, Result};

/// Runs `answer` with a time limit. For an answer that takes no work: connecting, signing in, a look at the catalog.
/// Where a statement of the user's may be slow, see [`WaitLimits::first`](crate::read::WaitLimits::first).
///
/// # Errors
/// Those of `answer`, or the timeout, which begins with `doing`.
pub async fn within<T>(limit: Duration, doing: &str, answer: impl Future<Output = Result<T>>) -> Result<T> {
    ended(limit, doing, answer, "check the address and firewalls, or raise the limit").await
}

/// The same with another hint.
pub(crate) async fn ended<T>(
    limit: Duration,
    doing: &str,
    answer: impl Future<Output = Result<T>>,
    hint: &'static str,
) -> Result<T> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::timeout(format!("{doing}: no response within {} ms", limit.as_millis())).with_hint(hint)),
    }
}
