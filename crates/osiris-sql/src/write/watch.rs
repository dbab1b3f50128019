//! Waits for a response while the server is working.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use osiris_core::Error;

/// How long to wait before the server is asked whether it is at work, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Silence<'a> {
    /// How long.
    pub limit: Duration,
    /// The field of the connection that sets it, for messages.
    pub field: &'static str,
    /// What is waited for.
    pub doing: &'a str,
}

impl Silence<'_> {
    /// The response, however long it takes as long as `is_at_work` says so after each silence. It is pinned by the
    /// caller: passed by value it would be part of every future around this one.
    ///
    /// # Errors
    /// When the server stopped working.
    pub async fn while_at_work<T, W>(
        &self,
        mut response: Pin<&mut impl Future<Output = T>>,
        is_at_work: impl Fn() -> W,
    ) -> Result<T, Error>
    where
        W: Future<Output = bool>,
    {
        loop {
            match tokio::time::timeout(self.limit, response.as_mut()).await {
                Ok(response) => return Ok(response),
                Err(_) if is_at_work().await => {}
                Err(_) => return Err(self.error()),
            }
        }
    }

    fn error(&self) -> Error {
        let hint =
            format!("check the server and the network; raise `{}` of the connection if the server is slow", self.field);
        Error::timeout(format!("no response from the server while {}", self.doing)).with_hint(hint)
    }
}
