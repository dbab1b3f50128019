//! Waits for a response while the server is working.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;

use mysql_async::prelude::Queryable;
use osiris_sql::write::Silence;

use super::answer::StatementError;
use super::ending;
use crate::client::Identity;
use crate::config::MysqlConnection;
use crate::wire::{self, wire_error};

/// Waits without a time limit while the server is working on the statement.
pub(super) struct Watch {
    pub(super) identity: Identity,
    pub(super) connection: MysqlConnection,
    pub(super) base_dir: PathBuf,
    pub(super) doing: String,
}

impl Watch {
    /// The response, or an error if the server stopped working.
    pub(super) async fn over<T>(
        &self,
        answer: impl Future<Output = mysql_async::Result<T>>,
    ) -> Result<T, StatementError> {
        let (limit, field) = self.connection.write_limit();
        let silence = Silence { limit, field, doing: &self.doing };
        // On the heap: it is rarely needed, and every statement's future would have room for it.
        let answer = silence.while_at_work(pin!(answer), || Box::pin(self.is_at_work())).await;
        match answer.map_err(StatementError::Lost)? {
            Ok(value) => Ok(value),
            Err(mysql_async::Error::Server(server)) => {
                Err(StatementError::Server { code: server.code, state: server.state, message: server.message })
            }
            Err(error) => Err(StatementError::Lost(wire_error(error, &self.doing))),
        }
    }

    /// Checks over another connection whether the statement is still running.
    async fn is_at_work(&self) -> bool {
        let ask = async {
            let mut conn = wire::open(&self.connection, &self.base_dir).await.ok()?;
            let here = ending::identity(&mut conn).await.ok()?;
            let command: Option<String> = conn.query_first(self.identity.find()).await.ok()?;
            let _ = conn.disconnect().await;
            command.filter(|_| self.identity.is_of_same_server(&here))
        };
        let limit = self.connection.connect_timeout + self.connection.write_limit().0;
        matches!(tokio::time::timeout(limit, ask).await, Ok(Some(command)) if command != "Sleep")
    }
}
