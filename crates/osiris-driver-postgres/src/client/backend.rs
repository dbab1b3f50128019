//! A process of the server, told apart from every other: ids come again, after a restart and on another server behind the same address,
//! and whoever has one then is not ours to end.

use osiris_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::quote::literal;

/// A moment as one text, whatever the session's settings.
const MOMENT: &str = "'YYYY-MM-DD HH24:MI:SS.US'";

/// A process of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backend {
    id: i32,
    /// When it began to serve us.
    start: String,
    /// When its transaction began, for a process that a pooler may since have given to somebody else.
    transaction: Option<String>,
}

impl Backend {
    /// What a session says of its process, in three fields: the third is the begin of the transaction, if there is one.
    pub(super) fn question() -> String {
        format!(
            "SELECT pid, pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', {MOMENT}), \
             pg_catalog.to_char(xact_start AT TIME ZONE 'UTC', {MOMENT}) \
             FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()"
        )
    }

    /// The process of a session that is asked outside of a transaction.
    pub(super) fn of_session(answer: &[Vec<Option<String>>]) -> Option<Self> {
        let row = answer.first()?;
        let field = |index: usize| row.get(index).cloned().flatten();
        Some(Self { id: field(0)?.parse().ok()?, start: field(1)?, transaction: None })
    }

    /// The process of an open transaction, with when that began.
    ///
    /// # Errors
    /// When the server does not tell.
    pub(super) fn of_transaction(answer: &[Vec<Option<String>>], doing: &str) -> Result<Self> {
        let began = answer.first().and_then(|row| row.get(2).cloned().flatten());
        match (Self::of_session(answer), began) {
            (Some(backend), Some(began)) => Ok(Self { transaction: Some(began), ..backend }),
            _ => Err(Error::unknown(format!("{doing}: the server does not tell the session's process"))),
        }
    }

    /// A process of the same number that serves somebody else, as on another server or after a restart.
    #[cfg(test)]
    pub(super) fn of_somebody_else(&self) -> Self {
        Self { start: self.start.replace('2', "1"), ..self.clone() }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// Whether the server, in `pg_stat_activity`, means this process and no later one of the same number.
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
