//! Identifies a server process uniquely: process ids are reused after a restart and by other servers behind the same
//! address, and such a process must not be ended.

use osiris_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::quote::literal;

/// A timestamp as text, independent of the session's settings.
const MOMENT: &str = "'YYYY-MM-DD HH24:MI:SS.US'";

/// A server process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backend {
    id: i32,
    /// When it started to serve this client.
    start: String,
    /// When its transaction began: a pooler may give the process to another client afterwards.
    transaction: Option<String>,
}

impl Backend {
    /// Selects the process of the session in three fields; the third is the start of the transaction, if there is one.
    pub(super) fn question() -> String {
        format!(
            "SELECT pid, pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', {MOMENT}), \
             pg_catalog.to_char(xact_start AT TIME ZONE 'UTC', {MOMENT}) \
             FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()"
        )
    }

    /// The process of a session outside a transaction.
    pub(super) fn of_session(answer: &[Vec<Option<String>>]) -> Option<Self> {
        let row = answer.first()?;
        let field = |index: usize| row.get(index).cloned().flatten();
        Some(Self { id: field(0)?.parse().ok()?, start: field(1)?, transaction: None })
    }

    /// The process of an open transaction, with its start.
    ///
    /// # Errors
    /// When the server does not return it.
    pub(super) fn of_transaction(answer: &[Vec<Option<String>>], doing: &str) -> Result<Self> {
        let began = answer.first().and_then(|row| row.get(2).cloned().flatten());
        match (Self::of_session(answer), began) {
            (Some(backend), Some(began)) => Ok(Self { transaction: Some(began), ..backend }),
            _ => Err(Error::unknown(format!("{doing}: the server did not return the process id of the session"))),
        }
    }

    /// A process with the same id that serves another client, as on another server or after a restart.
    #[cfg(test)]
    pub(super) fn of_somebody_else(&self) -> Self {
        Self { start: self.start.replace('2', "1"), ..self.clone() }
    }

    /// The process id.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// The condition on `pg_stat_activity` for this process and no later one with the same id.
    pub(crate) fn condition(&self) -> String {
        let mut condition = format!(
            "pid = {} AND pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', {MOMENT}) = {}",
            self.id,
            literal(&self.start)
        );
        if let Some(began) = &self.transaction {
            let same = format!(" AND pg_catalog.to_char(xact_start AT TIME ZONE 'UTC', {MOMENT}) = {}", literal(began));
            condition.push_str(&same);
        }
        condition
    }
}
