//! Waiting for an answer: as long as the server is at work, and no longer.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;

use mysql_async::prelude::Queryable;
use osiris_core::Error;

use super::answer::Failure;
use super::ending;
use crate::client::Identity;
use crate::config::MysqlConnection;
use crate::wire::{self, wire_error};

/// Waits for an answer without a limit of time as long as the server is at work, and no longer.
pub(super) struct Watch {
    pub(super) identity: Identity,
    pub(super) connection: MysqlConnection,
    pub(super) base_dir: PathBuf,
    pub(super) doing: String,
}

impl Watch {
    /// The answer, or the failure of whoever should have given it.
    pub(super) async fn over<T>(&self, answer: impl Future<Output = mysql_async::Result<T>>) -> Result<T, Failure> {
        let mut answer = pin!(answer);
        loop {
            match tokio::time::timeout(self.connection.read_timeout, &mut answer).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(mysql_async::Error::Server(server))) => {
                    return Err(Failure::Server { code: server.code, state: server.state, message: server.message });
                }
                Ok(Err(error)) => return Err(Failure::Lost(wire_error(error, &self.doing))),
                Err(_) if self.is_at_work().await => {}
                Err(_) => {
                    let error = Error::timeout(format!("the server has been silent while {}", self.doing)).with_hint(
                        "look at the server and at what lies between; raise `read_timeout` if it is only slow",
                    );
                    return Err(Failure::Lost(error));
                }
            }
        }
    }

    /// Asked over another connection: whether the statement is still running there.
    async fn is_at_work(&self) -> bool {
        let ask = async {
            let mut conn = wire::open(&self.connection, &self.base_dir).await.ok()?;
            let here = ending::identity(&mut conn).await.ok()?;
            let command: Option<String> = conn.query_first(self.identity.find()).await.ok()?;
            let _ = conn.disconnect().await;
            command.filter(|_| self.identity.is_of_same_server(&here))
        };
        let limit = self.connection.connect_timeout + self.connection.read_timeout;
        matches!(tokio::time::timeout(limit, ask).await, Ok(Some(command)) if command != "Sleep")
    }
}
