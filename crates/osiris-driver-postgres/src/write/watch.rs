//! Waiting for an answer: as long as the server is at work, and no longer.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use osiris_core::Error;

use super::failure::Failure;
use crate::client::Backend;
use crate::client::Client;
use crate::error::within;

/// Waits without a limit of time for a server that is at work, and not for one that is not.
pub(super) struct Watch {
    pub(super) client: Client,
    /// The process of the server that works for us.
    pub(super) process: Option<Backend>,
    /// How long a silence may last before somebody looks.
    pub(super) silence: Duration,
    pub(super) doing: String,
}

impl Watch {
    /// The answer, or the failure of whoever should have given it.
    pub(super) async fn over<T>(&self, answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Failure> {
        let mut answer = pin!(answer);
        loop {
            match tokio::time::timeout(self.silence, &mut answer).await {
                Ok(done) => return done.map_err(|error| Failure::of(error, &self.doing)),
                Err(_) if self.is_at_work().await => {}
                Err(_) => {
                    let error = Error::timeout(format!("the server has been silent while {}", self.doing))
                        .with_hint(
                            "look at the server and at what lies between; raise `timeout` of the connection if it is only slow",
                        )
                        .with_connection_failed();
                    return Err(Failure::Lost(error));
                }
            }
        }
    }

    /// Asked over another connection: whether the statement is still running there, and does not wait for us.
    async fn is_at_work(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let ask = async {
            let mut other = self.client.acquire().await?;
            let sql = format!(
                "SELECT count(*) FROM pg_catalog.pg_stat_activity \
                 WHERE {} AND state = 'active' AND wait_event IS DISTINCT FROM 'ClientRead'",
                process.condition()
            );
            let count = other.scalar(&sql, "asking whether the server is at work").await?;
            other.release().await;
            Ok(count.is_some_and(|count| count != "0"))
        };
        within(self.silence, "asking whether the server is at work", ask).await.unwrap_or(false)
    }
}
