//! One connection in use. It goes back by `release`; dropped, what it does is ended at the server.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use osiris_core::Result;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::Shared;
use super::backend::Backend;
use super::cancel;
use crate::error::postgres_error;

/// A connection that nobody uses.
pub(super) struct Idle {
    pub(super) connection: PgConnection,
    /// The server's process, where there is no pooler.
    pub(super) process: Option<Backend>,
    /// Whether its bytes pass by us.
    pub(super) bridged: bool,
}

/// A connection in somebody's hands.
///
/// [`release`](Self::release) it when its work has ended well and no transaction is open. A session that is dropped is taken
/// to be at work: its socket is closed and the server is told to cancel, so that no statement outlives its step.
pub struct Session {
    // Taken by `release`; else by `Drop`.
    idle: Option<Idle>,
    /// What to cancel behind a pooler: known inside a transaction only.
    transaction: Option<Backend>,
    shared: Arc<Shared>,
}

impl Session {
    pub(super) fn new(idle: Idle, shared: Arc<Shared>) -> Self {
        Self { idle: Some(idle), transaction: None, shared }
    }

    /// Whether a transaction pooler is in between.
    pub fn pooler(&self) -> bool {
        self.shared.info.pooler
    }

    /// Begins a transaction by `sql`: `BEGIN READ ONLY`, and behind it whatever has to come before the first query, such as
    /// `; SET TRANSACTION SNAPSHOT '...'`.
    ///
    /// # Errors
    /// What the server says; `doing` begins the message.
    pub async fn begin(&mut self, sql: &str, doing: &str) -> Result<()> {
        self.execute(sql, doing).await?;
        if self.pooler() {
            let answer = self.rows(&Backend::question(), doing).await?;
            self.transaction = Some(Backend::of_transaction(&answer, doing)?);
        }
        Ok(())
    }

    /// The process of the server that works for us: inside of a transaction behind a pooler, at any time without one.
    pub(crate) fn backend(&self) -> Option<&Backend> {
        match self.pooler() {
            true => self.transaction.as_ref(),
            false => self.idle.as_ref()?.process.as_ref(),
        }
    }

    /// Runs statements, separated by semicolons, and returns how many rows they affected, as the server says.
    ///
    /// # Errors
    /// What the server says; `doing` begins the message.
    pub async fn execute(&mut self, sql: &str, doing: &str) -> Result<u64> {
        execute(self, sql, doing).await
    }

    /// The rows of a small answer, as text: metadata, settings. Never a table's.
    ///
    /// # Errors
    /// What the server says; `doing` begins the message.
    pub async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        rows(self, sql, doing).await
    }

    /// The first field of the first row, as text; nothing where it is NULL or there is no row.
    ///
    /// # Errors
    /// What the server says; `doing` begins the message.
    pub async fn scalar(&mut self, sql: &str, doing: &str) -> Result<Option<String>> {
        Ok(self.rows(sql, doing).await?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    /// Gives the connection back.
    pub async fn release(mut self) {
        if let Some(idle) = self.idle.take() {
            self.shared.keep(idle);
        }
    }
}

impl Deref for Session {
    type Target = PgConnection;

    #[expect(clippy::expect_used, reason = "only `release` and `drop` take it, and both consume the session")]
    fn deref(&self) -> &PgConnection {
        &self.idle.as_ref().expect("a session has a connection").connection
    }
}

impl DerefMut for Session {
    #[expect(clippy::expect_used, reason = "as for `deref`")]
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.idle.as_mut().expect("a session has a connection").connection
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(Idle { connection, process, .. }) = self.idle.take() else { return };
        drop(connection);
        let at_work = if self.pooler() { self.transaction.take() } else { process };
        if let Some(process) = at_work {
            cancel::cancel(self.shared.target.clone(), process);
        }
    }
}

/// Runs statements by the simple protocol.
pub(super) async fn execute(connection: &mut PgConnection, sql: &str, doing: &str) -> Result<u64> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    Ok(done.map_err(|error| postgres_error(error, doing))?.rows_affected())
}

/// The rows of a small answer, by the simple protocol, which sends everything as text.
pub(super) async fn rows(connection: &mut PgConnection, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
    let failed = |error| postgres_error(error, doing);
    let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(failed)?;
    found.iter().map(|row| (0..row.len()).map(|index| row.try_get_unchecked(index).map_err(failed)).collect()).collect()
}
