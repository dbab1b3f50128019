//! A time limit for an answer of a server.

use std::future::Future;
use std::time::{Duration, Instant};

use osiris_core::{Error, Result};

/// The field of a connection that limits connecting, for [`within`].
pub const CONNECT_TIMEOUT: &str = "`connect_timeout` of the connection";

/// What to do about a server that does not answer.
const ADDRESS: &str = "check the address and firewalls";
/// Time that a check reserves for its report.
const RESERVE: Duration = Duration::from_millis(100);

/// Runs `answer` with a time limit that the user sets by `field`. For an answer that takes no work: connecting, signing in, a
/// look at the catalog. Where a statement of the user's may be slow, see
/// [`WaitLimits::first`](crate::read::WaitLimits::first).
///
/// # Errors
/// Those of `answer`, or the timeout, which begins with `doing`.
pub async fn within<T>(
    limit: Duration,
    field: &str,
    doing: &str,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    ended(limit, doing, answer, || format!("{ADDRESS}{}", raise(field))).await
}

/// The same with another hint.
pub(crate) async fn ended<T>(
    limit: Duration,
    doing: &str,
    answer: impl Future<Output = Result<T>>,
    hint: impl FnOnce() -> String,
) -> Result<T> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            Err(Error::timeout(format!("{doing}: no response within {} ms", limit.as_millis())).with_hint(hint()))
        }
    }
}

/// The limit of a check of a connection, which is kept whatever the limits of the connection are.
#[derive(Debug, Clone, Copy)]
pub struct CheckLimit {
    started: Instant,
    limit: Duration,
}

impl CheckLimit {
    /// A check that begins now.
    pub fn start(limit: Duration) -> Self {
        Self { started: Instant::now(), limit }
    }

    /// How long the check has taken.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What is left of the limit.
    pub fn rest(&self) -> Duration {
        self.limit.saturating_sub(self.elapsed())
    }

    /// The most time for connecting: the rest is for the report.
    pub fn connecting(&self) -> Duration {
        self.limit.saturating_sub(RESERVE.min(self.limit / 10))
    }

    /// Asks a server over a connection that has [`connecting`](Self::connecting) for connecting, instead of its own
    /// `connect_timeout`.
    ///
    /// # Errors
    /// Those of `answer`, or the timeout. No hint says to raise a limit that is not the one that was reached.
    pub async fn ask<T>(&self, connect_timeout: Duration, answer: impl Future<Output = Result<T>>) -> Result<T> {
        // Slightly more than for connecting, whose message is more specific.
        let wait = self.connecting() + self.limit.saturating_sub(self.connecting()) / 2;
        match tokio::time::timeout(wait, answer).await {
            Ok(Err(error)) if connect_timeout > self.connecting() => Err(without_advice(error)),
            Ok(answer) => answer,
            Err(_) => Err(Error::timeout(format!("no response within {} ms", wait.as_millis())).with_hint(ADDRESS)),
        }
    }
}

/// The error without the advice to raise the time for connecting.
fn without_advice(error: Error) -> Error {
    match error.hint().map(|hint| hint.replace(&raise(CONNECT_TIMEOUT), "")) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn raise(field: &str) -> String {
    format!(", or raise {field}")
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use osiris_core::ErrorKind;

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn an_answer_that_does_not_come_names_the_field_that_sets_its_limit() {
        let error = within::<()>(SHORT, CONNECT_TIMEOUT, "signing in", pending()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Timeout, "signing in: no response within 5 ms"));
        let hint = "check the address and firewalls, or raise `connect_timeout` of the connection";
        assert_eq!(error.hint(), Some(hint));
        // A check has cut the limit, unless it was shorter anyway.
        let check = CheckLimit::start(SHORT * 2);
        let asked = || within::<()>(SHORT, CONNECT_TIMEOUT, "signing in", pending());
        let error = check.ask(Duration::from_secs(10), asked()).await.unwrap_err();
        assert_eq!(error.hint(), Some("check the address and firewalls"));
        assert_eq!(check.ask(SHORT, asked()).await.unwrap_err().hint(), Some(hint));
    }

    #[tokio::test]
    async fn a_check_ends_within_its_limit() {
        let check = CheckLimit::start(Duration::from_millis(40));
        assert_eq!(check.connecting(), Duration::from_millis(36));
        let error = check.ask::<()>(SHORT, pending()).await.unwrap_err();
        assert_eq!(
            (error.message(), error.hint()),
            ("no response within 38 ms", Some("check the address and firewalls"))
        );
        assert!(check.elapsed() >= Duration::from_millis(38));
    }
}
