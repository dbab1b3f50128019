//! The session and transaction of a write: statements, COPY, and the server's errors.

use std::time::Duration;

use bytes::Bytes;
use osiris_core::Result;
use sqlx::AssertSqlSafe;

use super::failure::StatementError;
use super::stale::session_name;
use super::watch::Watch;
use crate::client::Client;
use crate::client::{Backend, Session, literal};
use crate::types::encode::{HEADER, TRAILER};

const BEGINNING: &str = "starting the transaction";
/// Bytes per network write.
const PACKET: usize = 256 << 10;

/// Settings of the transaction, independent of the role and the database: no time limit but the step's own, no messages
/// that nobody reads (they would fill the receive buffer during COPY), and a commit that is on the server's disk when
/// it is reported. Only an existing lock timeout is kept.
///
/// The server ends the session when the client is gone: within two minutes after a network failure, and after five
/// minutes of silence, while we are never silent for longer than [one](super::loader). Its application name identifies
/// the run. All settings end with the transaction; those that the server lacks or the account may not set are skipped.
fn settings(timeout: Option<u64>, name: &str) -> String {
    let statement = timeout.unwrap_or(0).saturating_mul(1000);
    format!(
        "SELECT pg_catalog.set_config(name, CASE name \
           WHEN 'statement_timeout' THEN '{statement}' WHEN 'client_min_messages' THEN 'error' \
           WHEN 'lock_timeout' THEN CASE setting WHEN '0' THEN '60s' ELSE setting END \
           WHEN 'synchronous_commit' THEN CASE setting WHEN 'off' THEN 'on' ELSE setting END \
           WHEN 'idle_in_transaction_session_timeout' THEN '300s' WHEN 'application_name' THEN {} \
           WHEN 'tcp_keepalives_idle' THEN '30' WHEN 'tcp_keepalives_interval' THEN '10' \
           WHEN 'tcp_keepalives_count' THEN '6' WHEN 'tcp_user_timeout' THEN '90s' ELSE '0' END, true) \
         FROM pg_catalog.pg_settings WHERE context = 'user' AND name IN ('statement_timeout', 'client_min_messages', \
           'lock_timeout', 'synchronous_commit', 'idle_in_transaction_session_timeout', 'transaction_timeout', \
           'application_name', 'tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count', \
           'tcp_user_timeout')",
        literal(name)
    )
}

/// An open transaction.
pub(super) struct Transaction {
    session: Session,
    pub(super) client: Client,
    /// The application name of the session while it writes.
    pub(super) name: String,
    /// The server process of the session.
    pub(super) process: Option<Backend>,
    pub(super) silence: Duration,
    /// The connect timeout.
    pub(super) connect_timeout: Duration,
    /// Whether the session is still usable.
    alive: bool,
}

impl Transaction {
    /// Begins the transaction.
    ///
    /// # Errors
    /// When the connection fails.
    pub(super) async fn open(client: &Client, timeout: Option<u64>, run: &str) -> Result<Self> {
        let connection = client.target().connection();
        let (silence, connect_timeout) = (connection.timeout, connection.connect_timeout);
        let mut session = client.acquire_for_upload().await?;
        session.begin("BEGIN ISOLATION LEVEL READ COMMITTED", BEGINNING).await?;
        let process = session.backend().cloned();
        let name = session_name(run);
        let settings = settings(timeout, &name);
        let mut tx = Self { session, client: client.clone(), name, process, silence, connect_timeout, alive: true };
        tx.rows(&settings, BEGINNING).await?;
        Ok(tx)
    }

    /// Runs statements without results; returns the number of affected rows.
    ///
    /// # Errors
    /// When the server returns an error, or the connection is lost.
    pub(super) async fn run(&mut self, sql: &str, doing: &str) -> Result<u64> {
        self.attempt(sql, doing).await.map_err(|failure| failure.into_error(doing))
    }

    /// The same, with the server's error.
    pub(super) async fn attempt(&mut self, sql: &str, doing: &str) -> Result<u64, StatementError> {
        let watch = self.watch(doing);
        let done = watch.over(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *self.session)).await;
        self.noted(done).map(|done| done.rows_affected())
    }

    /// The rows of a small result, as text.
    ///
    /// # Errors
    /// When the server returns an error, or the connection is lost.
    pub(super) async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.attempt_rows(sql, doing).await.map_err(|failure| failure.into_error(doing))
    }

    /// The same, with the server's error.
    pub(super) async fn attempt_rows(
        &mut self,
        sql: &str,
        doing: &str,
    ) -> Result<Vec<Vec<Option<String>>>, StatementError> {
        use sqlx::Row as _;

        let watch = self.watch(doing);
        let found = watch.over(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut *self.session)).await;
        let rows = self.noted(found)?;
        let failed = |error| StatementError::of(error, doing);
        let fields = |row: &sqlx::postgres::PgRow| {
            (0..row.len()).map(|index| row.try_get_unchecked(index).map_err(failed)).collect()
        };
        rows.iter().map(fields).collect()
    }

    /// Runs `COPY ... FROM STDIN (FORMAT binary)` with these rows; returns how many the server accepted.
    pub(super) async fn copy(&mut self, sql: &str, rows: Bytes, doing: &str) -> Result<u64, StatementError> {
        let watch = self.watch(doing);
        let session = &mut *self.session;
        let done = async {
            let mut copy = watch.over(session.copy_in_raw(sql)).await?;
            // A server error is reported only at the end.
            for packet in packets(&rows) {
                watch.over(copy.send(packet)).await?;
            }
            watch.over(copy.finish()).await
        };
        let done = done.await;
        self.noted(done)
    }

    /// Returns the session after the transaction has ended.
    pub(super) async fn release(self) {
        self.session.release().await;
    }

    /// Rolls back if the connection is usable; else drops the session, which ends it on the server.
    pub(super) async fn give_up(mut self) {
        let limit = self.connect_timeout.min(Duration::from_secs(5));
        if self.alive
            && matches!(tokio::time::timeout(limit, self.attempt("ROLLBACK", "rolling back")).await, Ok(Ok(_)))
        {
            self.release().await;
        }
    }

    fn noted<T>(&mut self, done: Result<T, StatementError>) -> Result<T, StatementError> {
        if matches!(done, Err(StatementError::Lost(_))) {
            self.alive = false;
        }
        done
    }

    fn watch(&self, doing: &str) -> Watch {
        Watch {
            client: self.client.clone(),
            process: self.process.clone(),
            silence: self.silence,
            doing: doing.to_owned(),
        }
    }
}

/// Splits a COPY into parts of a good size for the network: no small part waits for an acknowledgement.
fn packets(rows: &Bytes) -> impl Iterator<Item = Bytes> {
    let mut packets: Vec<Bytes> =
        (0..rows.len()).step_by(PACKET).map(|at| rows.slice(at..rows.len().min(at + PACKET))).collect();
    let wrapped = |head: &[u8], body: Option<Bytes>, tail: &[u8]| {
        Bytes::from([head, body.as_deref().unwrap_or_default(), tail].concat())
    };
    let last = packets.pop();
    if packets.is_empty() {
        packets.push(wrapped(HEADER, last, TRAILER));
    } else {
        packets[0] = wrapped(HEADER, packets.first().cloned(), &[]);
        packets.push(wrapped(&[], last, TRAILER));
    }
    packets.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_copy_are_all_of_it() {
        for size in [0, 1, PACKET, PACKET + 1, 3 * PACKET - 1, 3 * PACKET] {
            let rows = Bytes::from(vec![7_u8; size]);
            let whole: Vec<u8> = packets(&rows).flatten().collect();
            assert_eq!(whole, [HEADER, &rows, TRAILER].concat(), "{size}");
            assert!(packets(&rows).count() <= size.div_ceil(PACKET).max(1));
        }
    }
}
