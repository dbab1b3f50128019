//! How long a reader waits for the server.

use std::future::Future;
use std::time::Duration;

use futures::{FutureExt as _, Stream, StreamExt as _};
use osiris_core::{Error, Result};

use crate::within::ended;

/// What helps against a slow statement.
const SLOW: &str = "raise `timeout` of the step, or reduce the work of the query";

/// Time limits of a reader.
#[derive(Debug, Clone, Copy)]
pub struct WaitLimits {
    /// For the first row.
    pub first_row: Duration,
    /// For each later wait.
    pub idle: Duration,
    /// The field of the connection that sets `idle`, for messages.
    pub idle_field: &'static str,
}

impl WaitLimits {
    /// The answer of a statement that reads the source and whose rows are not those of the step: bounds, a description.
    ///
    /// # Errors
    /// Those of `answer`; when it takes longer than a first row may.
    pub async fn first<T>(&self, doing: &str, answer: impl Future<Output = Result<T>>) -> Result<T> {
        ended(self.first_row, doing, answer, || SLOW.to_owned()).await
    }

    /// The next part of an answer.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn next<S>(&self, answer: &mut S, is_first: bool) -> Result<Option<S::Item>>
    where
        S: Stream + Unpin,
    {
        // Most rows are already buffered: a timer is only needed when waiting.
        if let Some(next) = answer.next().now_or_never() {
            return Ok(next);
        }
        let limit = if is_first { self.first_row } else { self.idle };
        tokio::time::timeout(limit, answer.next()).await.map_err(|_| self.silence(is_first))
    }

    /// The error of an answer that did not come in time.
    pub fn silence(&self, is_first: bool) -> Error {
        let (limit, what, hint) = if is_first {
            (self.first_row, "no first row", SLOW.to_owned())
        } else {
            let hint = format!(
                "raise `{}` of the connection, and check whether the server or the network is overloaded",
                self.idle_field
            );
            (self.idle, "no data received", hint)
        };
        Error::timeout(format!("{what} within {} ms", limit.as_millis())).with_hint(hint)
    }
}
