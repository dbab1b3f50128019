//! How many of DuckDB's threads are at work. Statements that compute have all of them. While rows only pass, into a table or out of one,
//! the thread that hands them over does the work alone: a second one would mostly wait for it, and DuckDB waits by asking again and
//! again, which takes the processor from the driver (`docs/decisions/0011`).
//!
//! DuckDB takes threads away by waiting until each has done what it is at. One that is at rows that are still arriving waits for their
//! source; so while any are read, threads may be added and none is taken away.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duckdb::Connection;

use super::store_error;
use crate::Result;

/// What is going on in a store.
pub(super) struct Threads {
    most: usize,
    state: Mutex<State>,
}

struct State {
    connection: Connection,
    computing: usize,
    passing: usize,
    arriving: usize,
    /// What DuckDB was last told.
    set: usize,
}

/// What a thread does in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// A statement of its own.
    Computing,
    /// Batches, one after the other.
    Passing,
    /// The same, as they come from a source.
    Arriving,
}

/// Work that is going on, until it is dropped.
pub(super) struct AtWork {
    threads: Arc<Threads>,
    work: Work,
}

impl Threads {
    /// Over a connection that is used for nothing else; `threads` may be changed there.
    pub(super) fn new(connection: Connection) -> Result<Arc<Self>> {
        let asked = connection.query_row("SELECT current_setting('threads')::UBIGINT", [], |row| row.get(0));
        let most = asked.map_err(|error| store_error(error, "the run store does not say how many threads it has"))?;
        let state = State { connection, computing: 0, passing: 0, arriving: 0, set: most };
        Ok(Arc::new(Self { most, state: Mutex::new(state) }))
    }

    /// Says that work begins.
    pub(super) fn begin(self: &Arc<Self>, work: Work) -> AtWork {
        let mut state = self.state();
        let waiting = state.arriving > 0;
        *state.count(work) += 1;
        state.adjust(self.most, waiting);
        AtWork { threads: Arc::clone(self), work }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, work: Work) -> &mut usize {
        match work {
            Work::Computing => &mut self.computing,
            Work::Passing => &mut self.passing,
            Work::Arriving => &mut self.arriving,
        }
    }

    /// `waiting`: whether a thread may be waiting for rows to arrive.
    fn adjust(&mut self, most: usize, waiting: bool) {
        let wanted = match (self.computing, self.passing + self.arriving) {
            // Whatever comes next says what it wants.
            (0, 0) => self.set,
            (0, _) => 1,
            _ => most,
        };
        if wanted == self.set || (waiting && wanted < self.set) {
            return;
        }
        match self.connection.execute_batch(&format!("SET threads = {wanted}")) {
            Ok(()) => self.set = wanted,
            // It works with any number of threads.
            Err(error) => {
                tracing::debug!(wanted, error = %store_error(error, "setting threads"), "threads stay as they are")
            }
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut state = self.threads.state();
        let count = state.count(self.work);
        *count = count.saturating_sub(1);
        let waiting = state.arriving > 0;
        state.adjust(self.threads.most, waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three threads, and a way to ask how many there are.
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
    fn statements_have_all_threads_and_passing_rows_one() {
        let (threads, now) = three();
        assert_eq!(now(), 3);
        let first = threads.begin(Work::Passing);
        let second = threads.begin(Work::Passing);
        assert_eq!(now(), 1);
        let statement = threads.begin(Work::Computing);
        assert_eq!(now(), 3);
        drop(first);
        assert_eq!(now(), 3);
        drop(statement);
        assert_eq!(now(), 1);
        drop(second);
        drop(threads.begin(Work::Computing));
        assert_eq!(now(), 3);
    }

    #[test]
    fn no_thread_is_taken_away_while_rows_arrive() {
        let (threads, now) = three();
        let arriving = threads.begin(Work::Arriving);
        assert_eq!(now(), 1);
        let statement = threads.begin(Work::Computing);
        assert_eq!(now(), 3);
        drop(statement);
        let passing = threads.begin(Work::Passing);
        let another = threads.begin(Work::Arriving);
        assert_eq!(now(), 3);
        drop((arriving, another));
        assert_eq!(now(), 1);
        drop(passing);
    }
}
