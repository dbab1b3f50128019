//! A connection in use. `release` returns it; if dropped, its statement is cancelled on the server.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use osiris_core::Result;
use osiris_sql::read::SqlSession;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::Shared;
use super::backend::Backend;
use super::cancel;
use super::info::ServerInfo;
use crate::error::postgres_error;

/// An idle connection.
pub(super) struct Idle {
    pub(super) connection: PgConnection,
    /// The server process, without a pooler.
    pub(super) process: Option<Backend>,
    /// Whether it goes through our proxy.
    pub(super) proxied: bool,
}

/// A connection in use.
///
/// [`release`](Self::release) it after success, with no open transaction. A dropped session is assumed
/// to be busy: its socket is closed and its statement is cancelled on the server, so that none outlives its step.
pub struct Session {
    // Taken by `release`; else by `Drop`.
    idle: Option<Idle>,
    /// What to cancel behind a pooler; only known inside a transaction.
    transaction: Option<Backend>,
    shared: Arc<Shared>,
}

impl Session {
    pub(super) fn new(idle: Idle, shared: Arc<Shared>) -> Self {
        Self { idle: Some(idle), transaction: None, shared }
    }

    /// Whether the connection goes through a transaction pooler.
    pub fn pooler(&self) -> bool {
        self.shared.info.pooler
    }

    /// The server's version and settings.
    pub(crate) fn server(&self) -> &ServerInfo {
        &self.shared.info
    }

    /// Begins a transaction with `sql`: `BEGIN READ ONLY`, followed by whatever must precede the first query, such as
    /// `; SET TRANSACTION SNAPSHOT '...'`.
    ///
    /// # Errors
    /// When the server returns an error; its message starts with `doing`.
    pub async fn begin(&mut self, sql: &str, doing: &str) -> Result<()> {
        self.execute(sql, doing).await?;
        if self.pooler() {
            let answer = self.rows(&Backend::question(), doing).await?;
            self.transaction = Some(Backend::of_transaction(&answer, doing)?);
        }
        Ok(())
    }

    /// The server process of this session; behind a pooler only inside a transaction.
    pub(crate) fn backend(&self) -> Option<&Backend> {
        match self.pooler() {
            true => self.transaction.as_ref(),
            false => self.idle.as_ref()?.process.as_ref(),
        }
    }

    /// Runs statements separated by semicolons and returns the number of affected rows.
    ///
    /// # Errors
    /// When the server returns an error; its message starts with `doing`.
    pub async fn execute(&mut self, sql: &str, doing: &str) -> Result<u64> {
        execute(self, sql, doing).await
    }

    /// The rows of a small result as text, such as metadata and settings; not for table data.
    ///
    /// # Errors
    /// When the server returns an error; its message starts with `doing`.
    pub async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        rows(self, sql, doing).await
    }

    /// The first field of the first row as text; `None` if it is NULL or there is no row.
    ///
    /// # Errors
    /// When the server returns an error; its message starts with `doing`.
    pub async fn scalar(&mut self, sql: &str, doing: &str) -> Result<Option<String>> {
        Ok(self.rows(sql, doing).await?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    /// Returns the connection.
    pub async fn release(mut self) {
        if let Some(idle) = self.idle.take() {
            self.shared.keep(idle);
        }
    }
}

impl SqlSession for Session {
    async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        rows(self, sql, doing).await
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

/// Runs statements with the simple protocol.
pub(super) async fn execute(connection: &mut PgConnection, sql: &str, doing: &str) -> Result<u64> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    Ok(done.map_err(|error| postgres_error(error, doing))?.rows_affected())
}

/// The rows of a small result with the simple protocol, which sends everything as text.
pub(super) async fn rows(connection: &mut PgConnection, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
    let failed = |error| postgres_error(error, doing);
    let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(failed)?;
    found.iter().map(|row| (0..row.len()).map(|index| row.try_get_unchecked(index).map_err(failed)).collect()).collect()
}
