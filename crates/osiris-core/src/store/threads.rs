//! How many threads DuckDB uses. Statements that compute have all of them. While rows are only transferred, into a
//! table or out of one, the calling thread does the work alone: a second one would mostly wait for it, and DuckDB waits
//! by polling, which takes processor time from the driver (`docs/decisions/0011`).
//!
//! DuckDB removes a thread by waiting until it has finished its task. A thread that reads a stream waits for the source
//! of the rows; so while a stream is read, threads may be added but not removed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duckdb::Connection;

use super::store_error;
use crate::Result;

/// The workloads of a store, and the number of threads they need.
pub(super) struct Threads {
    most: usize,
    state: Mutex<State>,
}

struct State {
    connection: Connection,
    computing: usize,
    transfers: usize,
    streams: usize,
    /// The number of threads that was last set.
    set: usize,
}

/// The kind of work that a thread does in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    /// A statement.
    Compute,
    /// Batches into a table or out of one, one after the other.
    Transfer,
    /// The same, while the batches still come from a source.
    Stream,
}

/// Counts as a running workload until it is dropped.
pub(super) struct ActiveWorkload {
    threads: Arc<Threads>,
    work: Workload,
}

impl Threads {
    /// Over a connection that is used for nothing else; `threads` may be changed there.
    pub(super) fn new(connection: Connection) -> Result<Arc<Self>> {
        let asked = connection.query_row("SELECT current_setting('threads')::UBIGINT", [], |row| row.get(0));
        let most = asked.map_err(|error| store_error(error, "cannot read the number of threads of the run store"))?;
        let state = State { connection, computing: 0, transfers: 0, streams: 0, set: most };
        Ok(Arc::new(Self { most, state: Mutex::new(state) }))
    }

    /// Starts a workload.
    pub(super) fn begin(self: &Arc<Self>, work: Workload) -> ActiveWorkload {
        let mut state = self.state();
        let waiting = state.streams > 0;
        *state.count(work) += 1;
        state.adjust(self.most, waiting);
        ActiveWorkload { threads: Arc::clone(self), work }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, work: Workload) -> &mut usize {
        match work {
            Workload::Compute => &mut self.computing,
            Workload::Transfer => &mut self.transfers,
            Workload::Stream => &mut self.streams,
        }
    }

    /// `waiting`: whether a thread may be waiting for rows to arrive.
    fn adjust(&mut self, most: usize, waiting: bool) {
        let wanted = match (self.computing, self.transfers + self.streams) {
            // The next workload sets the number.
            (0, 0) => self.set,
            (0, _) => 1,
            _ => most,
        };
        if wanted == self.set || (waiting && wanted < self.set) {
            return;
        }
        match self.connection.execute_batch(&format!("SET threads = {wanted}")) {
            Ok(()) => self.set = wanted,
            // The statement works with any number of threads.
            Err(error) => {
                tracing::debug!(wanted, error = %store_error(error, "setting threads"), "cannot change the number of threads")
            }
        }
    }
}

impl Drop for ActiveWorkload {
    fn drop(&mut self) {
        let mut state = self.threads.state();
        let count = state.count(self.work);
        *count = count.saturating_sub(1);
        let waiting = state.streams > 0;
        state.adjust(self.threads.most, waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three threads, and a function that returns the current number.
    fn three() -> (Arc<Threads>, impl Fn() -> usize) {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("SET threads = 3; SET allowed_configs = ['threads']; SET lock_configuration = true")
            .unwrap();
        let threads = Threads::new(connection.try_clone().unwrap()).unwrap();
        let now = move || {
            let asked = connection.query_row("SELECT current_setting('threads')::UBIGINT", [], |row| row.get(0));
            asked.unwrap()
        };
        (threads, now)
    }

    #[test]
    fn statements_have_all_threads_and_transfers_one() {
        let (threads, now) = three();
        assert_eq!(now(), 3);
        let first = threads.begin(Workload::Transfer);
        let second = threads.begin(Workload::Transfer);
        assert_eq!(now(), 1);
        let statement = threads.begin(Workload::Compute);
        assert_eq!(now(), 3);
        drop(first);
        assert_eq!(now(), 3);
        drop(statement);
        assert_eq!(now(), 1);
        drop(second);
        drop(threads.begin(Workload::Compute));
        assert_eq!(now(), 3);
    }

    #[test]
    fn no_thread_is_taken_away_while_rows_arrive() {
        let (threads, now) = three();
        let stream = threads.begin(Workload::Stream);
        assert_eq!(now(), 1);
        let statement = threads.begin(Workload::Compute);
        assert_eq!(now(), 3);
        drop(statement);
        let transfer = threads.begin(Workload::Transfer);
        let another = threads.begin(Workload::Stream);
        assert_eq!(now(), 3);
        drop((stream, another));
        assert_eq!(now(), 1);
        drop(transfer);
    }
}
