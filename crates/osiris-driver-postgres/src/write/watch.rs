//! Waits for a response while the server is working.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use osiris_core::Error;
use osiris_sql::write::Silence;

use super::failure::StatementError;
use crate::client::Backend;
use crate::client::Client;

/// Waits without a time limit while the server is working on the statement.
pub(super) struct Watch {
    pub(super) client: Client,
    /// The server process of the session.
    pub(super) process: Option<Backend>,
    /// How long to wait before checking the server.
    pub(super) silence: Duration,
    pub(super) doing: String,
}

impl Watch {
    /// The response, or an error if the server stopped working.
    pub(super) async fn over<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StatementError> {
        let silence = Silence { limit: self.silence, field: "timeout", doing: &self.doing };
        // On the heap: it is rarely needed, and every statement's future would have room for it.
        let answer = silence.while_at_work(pin!(answer), || Box::pin(self.is_at_work())).await;
        let answer = answer.map_err(|error| StatementError::Lost(error.with_connection_failed()))?;
        answer.map_err(|error| StatementError::of(error, &self.doing))
    }

    /// Checks over another connection whether the statement is still running and is not waiting for the client.
    async fn is_at_work(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let ask = async {
            let mut other = self.client.acquire().await?;
            let sql = format!(
                "SELECT count(*) FROM pg_catalog.pg_stat_activity \
                 WHERE {} AND state = 'active' AND wait_event IS DISTINCT FROM 'ClientRead'",
                process.condition()
            );
            let count = other.scalar(&sql, "checking whether the statement is still running").await?;
            other.release().await;
            Ok::<_, Error>(count.is_some_and(|count| count != "0"))
        };
        matches!(tokio::time::timeout(self.silence, ask).await, Ok(Ok(true)))
    }
}
