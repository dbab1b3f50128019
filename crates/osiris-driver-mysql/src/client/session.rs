//! A connection in use. `release` returns it to the pool; if dropped, it is killed on the server.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osiris_core::Result;
use osiris_sql::read::SqlSession;
use sqlx::{AssertSqlSafe, MySqlConnection, Row as _};

use super::pool::{Permit, Shared};
use super::{Identity, ServerInfo, Target, open};
use crate::error::mysql_error;

/// Maximum time that a cancelled step waits for the cancellation to reach the server.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// An idle connection.
pub(super) struct Idle {
    pub(super) connection: MySqlConnection,
    pub(super) identity: Identity,
    pub(super) opened: Instant,
}

/// A pooled connection in use.
///
/// [`release`](Self::release) it after success, with no open transaction. A dropped session is assumed
/// to be busy: its socket is closed and it is killed on the server, so that no statement outlives its step.
pub(crate) struct Session {
    // Taken by `release`; else by `Drop`.
    idle: Option<Idle>,
    permit: Option<Permit>,
    shared: Arc<Shared>,
    facts: Arc<ServerInfo>,
    retired: bool,
}

impl Session {
    pub(super) fn new(idle: Idle, permit: Permit, shared: Arc<Shared>, facts: Arc<ServerInfo>) -> Self {
        Self { idle: Some(idle), permit: Some(permit), shared, facts, retired: false }
    }

    /// The connection id, as in SHOW PROCESSLIST.
    #[cfg(test)]
    pub(crate) fn id(&self) -> u64 {
        self.idle.as_ref().map_or(0, |idle| idle.identity.id)
    }

    /// The server's information.
    pub(crate) fn facts(&self) -> &ServerInfo {
        &self.facts
    }

    /// Runs a statement and returns the number of affected rows.
    ///
    /// # Errors
    /// When the server returns an error; its message starts with `doing`.
    pub(crate) async fn execute(&mut self, sql: &str, doing: &str) -> Result<u64> {
        execute(self, sql, doing).await
    }

    /// The rows of a small result as text, such as metadata, warnings and settings; not for table data.
    ///
    /// # Errors
    /// When the server returns an error; its message starts with `doing`.
    pub(crate) async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        rows(self, sql, doing).await
    }

    /// Marks a session with changed settings: it is closed on release instead of reused.
    pub(crate) fn retire(&mut self) {
        self.retired = true;
    }

    /// Returns the connection.
    pub(crate) async fn release(mut self) {
        let (Some(idle), permit) = (self.idle.take(), self.permit.take()) else { return };
        let kept = if self.retired { Err(idle) } else { self.shared.keep(idle) };
        if let Err(idle) = kept {
            super::pool::close(idle).await;
        }
        drop(permit);
    }
}

impl SqlSession for Session {
    async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        rows(self, sql, doing).await
    }
}

impl Deref for Session {
    type Target = MySqlConnection;

    #[expect(clippy::expect_used, reason = "only `release` and `drop` take it, and both consume the session")]
    fn deref(&self) -> &MySqlConnection {
        &self.idle.as_ref().expect("a session has a connection").connection
    }
}

impl DerefMut for Session {
    #[expect(clippy::expect_used, reason = "as for `deref`")]
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.idle.as_mut().expect("a session has a connection").connection
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(Idle { connection, identity, .. }) = self.idle.take() {
            drop(connection);
            kill(self.shared.target().clone(), identity);
        }
    }
}

/// Kills a session and waits briefly: the step counts as ended when this returns, and the
/// process may exit right after. Uses a thread with its own runtime, since the step's runtime may be the one that
/// waits here.
fn kill(target: Target, session: Identity) {
    let (done, told) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("osiris-mysql-kill".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let killed = runtime.map(|runtime| {
            let killed =
                runtime.block_on(async { tokio::time::timeout(KILL_LIMIT, open::kill(&target, &session)).await });
            runtime.shutdown_background();
            killed
        });
        // The connection may already have ended.
        if let Ok(Ok(Err(error))) = killed {
            tracing::debug!(id = session.id, error = error.message(), "failed to kill the connection");
        }
        let _ = done.send(());
    });
    if thread.is_ok() {
        let _ = told.recv_timeout(KILL_LIMIT);
    }
}

/// Runs one statement with the text protocol.
pub(super) async fn execute(connection: &mut MySqlConnection, sql: &str, doing: &str) -> Result<u64> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    Ok(done.map_err(|error| mysql_error(error, doing))?.rows_affected())
}

/// The rows of a small result with the text protocol.
pub(super) async fn rows(connection: &mut MySqlConnection, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
    let failed = |error| mysql_error(error, doing);
    let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(failed)?;
    found.iter().map(|row| (0..row.len()).map(|index| row.try_get_unchecked(index).map_err(failed)).collect()).collect()
}
