//! Runs blocking work in a separate thread, and stops it when its future is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use osiris_core::{Error, Result};

/// Set when the future that waits for the work is dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Must be called regularly by the work.
    ///
    /// # Errors
    /// When the work should stop.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_raised() { Err(Error::cancelled("cancelled")) } else { Ok(()) }
    }

    /// Whether the work should stop.
    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Sets the flag when dropped.
struct SetOnDrop(StopFlag);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Relaxed);
    }
}

/// Runs `work` on a blocking thread.
///
/// # Errors
/// What `work` returns.
///
/// # Cancel safety
/// Dropping the future sets the flag; the work stops at its next [`StopFlag::check`] and drops its resources there.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&StopFlag) -> Result<T> + Send + 'static,
{
    let stop = SetOnDrop(StopFlag::default());
    let seen = stop.0.clone();
    let result = tokio::task::spawn_blocking(move || work(&seen)).await;
    result.map_err(|error| Error::unknown("reading or writing files ended in a panic").with_source(error))?
}
