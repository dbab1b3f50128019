//! Ending the work of a connection whose caller has gone: a cancelled step, a timeout, Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use duckdb::InterruptHandle;

/// How often an interrupt is repeated.
const EVERY: Duration = Duration::from_millis(20);

/// Interrupts a connection's work when the future that waits for it is dropped, until the work has ended.
///
/// Once is not enough: DuckDB forgets an interrupt that comes between two statements.
pub(super) struct InterruptOnDrop {
    handle: Arc<InterruptHandle>,
    ended: Arc<AtomicBool>,
}

/// Says that the work has ended, when dropped: on the thread that does it.
pub(super) struct Working(Arc<AtomicBool>);

impl InterruptOnDrop {
    /// The guard for the caller, and the token for the thread that works.
    pub(super) fn new(handle: Arc<InterruptHandle>) -> (Self, Working) {
        let ended = Arc::new(AtomicBool::new(false));
        (Self { handle, ended: Arc::clone(&ended) }, Working(ended))
    }
}

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        if self.ended.load(SeqCst) {
            return;
        }
        self.handle.interrupt();
        let (handle, ended) = (Arc::clone(&self.handle), Arc::clone(&self.ended));
        let repeat = move || {
            while !ended.load(SeqCst) {
                handle.interrupt();
                std::thread::sleep(EVERY);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("interrupt".to_owned()).spawn(repeat) {
            tracing::warn!(%error, "an interrupt is not repeated");
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
