//! Work on a thread of its own that ends when nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use osiris_core::{Error, Result};

/// Raised when the future that waits for the work was dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// To be called now and then by the work.
    ///
    /// # Errors
    /// When the work is to end.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_raised() { Err(Error::cancelled("cancelled before it was done")) } else { Ok(()) }
    }

    /// Whether the work is to end.
    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Raises its flag when dropped.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
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
/// Dropping the future raises the flag; the work ends at its next [`Stop::check`] and what it holds is dropped there.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&Stop) -> Result<T> + Send + 'static,
{
    let stop = StopOnDrop(Stop::default());
    let seen = stop.0.clone();
    let result = tokio::task::spawn_blocking(move || work(&seen)).await;
    result.map_err(|error| Error::unknown("reading or writing files ended in a panic").with_source(error))?
}
