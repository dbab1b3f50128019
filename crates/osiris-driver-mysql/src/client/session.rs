//! One connection in use. It goes back to the pool by `release`; dropped, it is ended at the server.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osiris_core::Result;
use sqlx::{AssertSqlSafe, MySqlConnection, Row as _};

use super::pool::{Permit, Shared};
use super::{Identity, ServerFacts, Target, open};
use crate::error::mysql_error;

/// How long a cancelled step waits at most for the server to be told.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// A connection that nobody uses.
pub(super) struct Idle {
    pub(super) connection: MySqlConnection,
    pub(super) identity: Identity,
    pub(super) opened: Instant,
}

/// A connection of the pool in somebody's hands.
///
/// [`release`](Self::release) it when its work has ended well and no transaction is open. A session that is dropped is taken
/// to be at work: its socket is closed and the server is told to end it, so that no statement outlives its step.
pub(crate) struct Session {
    // Taken by `release`; else by `Drop`.
    idle: Option<Idle>,
    permit: Option<Permit>,
    shared: Arc<Shared>,
    facts: Arc<ServerFacts>,
    retired: bool,
}

impl Session {
    pub(super) fn new(idle: Idle, permit: Permit, shared: Arc<Shared>, facts: Arc<ServerFacts>) -> Self {
        Self { idle: Some(idle), permit: Some(permit), shared, facts, retired: false }
    }

    /// Its id at the server, as in SHOW PROCESSLIST.
    #[cfg(test)]
    pub(crate) fn id(&self) -> u64 {
        self.idle.as_ref().map_or(0, |idle| idle.identity.id)
    }

    /// The server's facts.
    pub(crate) fn facts(&self) -> &ServerFacts {
        &self.facts
    }

    /// Runs a statement and returns how many rows it affected, as the server says.
    ///
    /// # Errors
    /// What the server says; `doing` begins the message.
    pub(crate) async fn execute(&mut self, sql: &str, doing: &str) -> Result<u64> {
        execute(self, sql, doing).await
    }

    /// The rows of a small answer, as text: metadata, warnings, settings. Never a table's.
    ///
    /// # Errors
    /// What the server says; `doing` begins the message.
    pub(crate) async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        rows(self, sql, doing).await
    }

    /// Marks a session whose settings were changed: it is closed at its release and nobody gets it again.
    pub(crate) fn retire(&mut self) {
        self.retired = true;
    }

    /// Gives the connection back.
    pub(crate) async fn release(mut self) {
        let (Some(idle), permit) = (self.idle.take(), self.permit.take()) else { return };
        let kept = if self.retired { Err(idle) } else { self.shared.keep(idle) };
        if let Err(idle) = kept {
            super::pool::close(idle).await;
        }
        drop(permit);
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

/// Tells the server to end a session, and waits for it a little: the step counts as ended when this returns, and the
/// process may end right after it. A thread with a runtime of its own does it, since the step's runtime may be the one that
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
        // A connection that ended by itself is no longer there to be killed.
        if let Ok(Ok(Err(error))) = killed {
            tracing::debug!(id = session.id, error = error.message(), "the connection was not killed");
        }
        let _ = done.send(());
    });
    if thread.is_ok() {
        let _ = told.recv_timeout(KILL_LIMIT);
    }
}

/// Runs one statement by the text protocol.
pub(super) async fn execute(connection: &mut MySqlConnection, sql: &str, doing: &str) -> Result<u64> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    Ok(done.map_err(|error| mysql_error(error, doing))?.rows_affected())
}

/// The rows of a small answer, by the text protocol.
pub(super) async fn rows(connection: &mut MySqlConnection, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
    let failed = |error| mysql_error(error, doing);
    let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(failed)?;
    found.iter().map(|row| (0..row.len()).map(|index| row.try_get_unchecked(index).map_err(failed)).collect()).collect()
}
