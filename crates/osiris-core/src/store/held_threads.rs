//! The threads that hold a connection of a store. One that still runs while the process ends works on without DuckDB's statics, and the
//! process dies of it, whatever its exit code was to be.

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a thread is looked at that is about to end.
const TICK: Duration = Duration::from_millis(1);

/// Threads that nobody else joins.
#[derive(Default)]
pub(super) struct HeldThreads(Mutex<Vec<JoinHandle<()>>>);

impl HeldThreads {
    /// Keeps a thread until it can be joined.
    pub(super) fn add(&self, thread: JoinHandle<()>) {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }

    /// Those that have not been joined.
    pub(super) fn take(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Joins those threads that end within the limit, which is for all of them together.
pub(super) fn join_within(threads: impl IntoIterator<Item = JoinHandle<()>>, limit: Duration) {
    let begun = Instant::now();
    for thread in threads {
        while !thread.is_finished() && begun.elapsed() < limit {
            std::thread::sleep(TICK);
        }
        if thread.is_finished() {
            // What went wrong in it was sent to whoever waits for its result.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_end_are_joined_and_one_that_does_not_holds_nobody_up() {
        let threads = HeldThreads::default();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let ended = std::sync::Arc::new(());
        let kept = std::sync::Arc::clone(&ended);
        threads.add(std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            drop(kept);
        }));
        join_within(threads.take(), Duration::from_secs(60));
        assert_eq!(std::sync::Arc::strong_count(&ended), 1);
        threads.add(std::thread::spawn(move || {
            let _ = receiver.recv();
        }));
        join_within(threads.take(), Duration::from_millis(5));
        drop(sender);
    }
}
