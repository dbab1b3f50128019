//! Stale sessions of an earlier run on the server, in the middle of a write to the same table: after a network failure
//! or a power loss they keep their locks until the server notices.

use osiris_core::{Error, Result};

use super::target::{TableName, cell};
use super::transaction::Transaction;
use crate::client::literal;

const CONTEXT: &str = "checking for sessions of earlier runs";
/// Idle time in seconds after which a session is stale: a live run sends something
/// more often (see the loader).
const SILENCE: u32 = 30;

/// The application name of the write sessions of a run.
pub(super) fn session_name(run: &str) -> String {
    // The server truncates longer names, and allows printable ASCII only.
    let run: String = run.chars().filter(char::is_ascii_graphic).take(50).collect();
    format!("osiris {run}")
}

/// A session that holds locks.
#[derive(Debug, Clone)]
pub(super) struct Stale {
    process: String,
    run: String,
    seconds: String,
    /// The condition for exactly this session.
    condition: String,
    is_waiting: bool,
}

impl std::fmt::Display for Stale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} of run `{}`, idle for {} s", self.process, self.run, self.seconds)
    }
}

/// The sessions of other runs that hold write locks on `table`.
fn question(tx: &Transaction, table: &TableName) -> String {
    let own = tx.process.as_ref().map_or(0, crate::client::Backend::id);
    format!(
        "SELECT DISTINCT a.pid, substr(a.application_name, 8), \
           greatest(0, extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change))::bigint, \
           pg_catalog.to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), \
           a.wait_event IS NOT DISTINCT FROM 'ClientRead' \
         FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'relation' AND l.granted AND a.datname = pg_catalog.current_database() \
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
         AND l.relation = pg_catalog.to_regclass({}) AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') \
         AND a.application_name LIKE 'osiris %' AND a.application_name <> {} AND a.pid <> {own}",
        literal(&table.sql()),
        literal(&tx.name),
    )
}

fn stale(row: &[Option<String>]) -> Stale {
    let seconds = cell(row, 2).to_owned();
    let is_silent = seconds.parse::<u64>().is_ok_and(|seconds| seconds >= u64::from(SILENCE));
    Stale {
        process: cell(row, 0).to_owned(),
        run: cell(row, 1).to_owned(),
        condition: format!(
            "pid = {} AND pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') = {}",
            cell(row, 0),
            literal(cell(row, 3))
        ),
        seconds,
        is_waiting: cell(row, 4) == "t" && is_silent,
    }
}

/// Logs which sessions of earlier runs hold locks, and ends stale ones if configured.
///
/// # Errors
/// When the query fails.
pub(super) async fn clear(tx: &mut Transaction, table: &TableName, end: bool) -> Result<()> {
    // Uses the write's own session: with a full pooler, a second session for each write would deadlock.
    let rows = tx.rows(&question(tx, table), CONTEXT).await?;
    for session in rows.iter().map(|row| stale(row)) {
        if end && session.is_waiting {
            tracing::warn!(%table, %session, "ending a session left by an earlier run");
            let sql = format!(
                "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE {}",
                session.condition
            );
            tx.rows(&sql, CONTEXT).await?;
        } else {
            tracing::warn!(%table, %session, "a session of another run is writing to the table: waiting for it");
        }
    }
    Ok(())
}

/// A lock error, with the sessions of other runs that hold the lock.
pub(super) async fn explained(error: Error, tx: &Transaction, table: &TableName) -> Error {
    if !matches!(crate::error::sqlstate(&error), Some("55P03" | "57014")) {
        return error;
    }
    let asked = async {
        let mut other = tx.client.acquire().await?;
        let rows = other.rows(&question(tx, table), CONTEXT).await?;
        other.release().await;
        Ok::<_, Error>(rows)
    };
    let Ok(rows) = asked.await else { return error };
    let sessions: Vec<Stale> = rows.iter().map(|row| stale(row)).collect();
    let Some(first) = sessions.first() else { return error };
    let hint = format!(
        "if that run is over, its session is stale: set `end_stale_sessions: true`, or end it by hand: \
         SELECT pg_terminate_backend({})",
        first.process
    );
    sessions.iter().fold(error, |error, session| error.with_context("blocking session", session)).with_hint(hint)
}
