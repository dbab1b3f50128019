//! The one session of a write, inside its one transaction: statements, rows that go up, and the server's own words when it refuses.

use std::time::Duration;

use bytes::Bytes;
use osiris_core::Result;
use sqlx::AssertSqlSafe;

use super::failure::Failure;
use super::stale::session_name;
use super::watch::Watch;
use crate::client::Client;
use crate::client::{Backend, Session, literal};
use crate::types::encode::{HEADER, TRAILER};

const BEGINNING: &str = "beginning the transaction";
/// Bytes that are handed to the network at a time.
const PACKET: usize = 256 << 10;

/// What the transaction needs, whatever the role or the database sets: no limit of time but the step's own, no messages that
/// nobody reads (they would fill the way back while rows go up), and a commit that is on the server's disk when it is
/// reported. Only the longest wait for a lock is kept where there is one.
///
/// The server ends the session by itself when nobody is there any more: within two minutes where the network is gone, and after five
/// where we are silent, which we never are for longer than [one](super::loader). Its name tells whose it is. All of it ends with the
/// transaction; what a server does not have or an account may not set is left out.
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
    /// What the session is called at the server while it writes.
    pub(super) name: String,
    /// The process of the server that works for us.
    pub(super) process: Option<Backend>,
    pub(super) silence: Duration,
    /// How long a connection may take.
    pub(super) connect_timeout: Duration,
    /// Whether the session can still be used.
    alive: bool,
}

impl Transaction {
    /// Begins.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses us.
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

    /// Runs statements without rows; how many rows they affected.
    ///
    /// # Errors
    /// What the server says, or that it is gone.
    pub(super) async fn run(&mut self, sql: &str, doing: &str) -> Result<u64> {
        self.attempt(sql, doing).await.map_err(|failure| failure.into_error(doing))
    }

    /// The same, with the server's own words when it refuses.
    pub(super) async fn attempt(&mut self, sql: &str, doing: &str) -> Result<u64, Failure> {
        let watch = self.watch(doing);
        let done = watch.over(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *self.session)).await;
        self.noted(done).map(|done| done.rows_affected())
    }

    /// The rows of a small answer, as text.
    ///
    /// # Errors
    /// What the server says, or that it is gone.
    pub(super) async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.attempt_rows(sql, doing).await.map_err(|failure| failure.into_error(doing))
    }

    /// The same, with the server's own words when it refuses.
    pub(super) async fn attempt_rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        use sqlx::Row as _;

        let watch = self.watch(doing);
        let found = watch.over(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut *self.session)).await;
        let rows = self.noted(found)?;
        let failed = |error| Failure::of(error, doing);
        let fields = |row: &sqlx::postgres::PgRow| {
            (0..row.len()).map(|index| row.try_get_unchecked(index).map_err(failed)).collect()
        };
        rows.iter().map(fields).collect()
    }

    /// Runs `COPY ... FROM STDIN (FORMAT binary)` with these rows; how many the server took.
    pub(super) async fn copy(&mut self, sql: &str, rows: Bytes, doing: &str) -> Result<u64, Failure> {
        let watch = self.watch(doing);
        let session = &mut *self.session;
        let done = async {
            let mut copy = watch.over(session.copy_in_raw(sql)).await?;
            // An error of the server is told at the end only.
            for packet in packets(&rows) {
                watch.over(copy.send(packet)).await?;
            }
            watch.over(copy.finish()).await
        };
        let done = done.await;
        self.noted(done)
    }

    /// Gives the session back, once the transaction has ended.
    pub(super) async fn release(self) {
        self.session.release().await;
    }

    /// Takes back what is not committed, if the server still listens; else the session is dropped, which ends it there.
    pub(super) async fn give_up(mut self) {
        let limit = self.connect_timeout.min(Duration::from_secs(5));
        if self.alive && matches!(tokio::time::timeout(limit, self.attempt("ROLLBACK", "giving up")).await, Ok(Ok(_))) {
            self.release().await;
        }
    }

    fn noted<T>(&mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        if matches!(done, Err(Failure::Lost(_))) {
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

/// A whole COPY in parts of a size that the network likes: none of them is a few bytes that wait for an answer to those before.
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
