//! Work on threads that outlive the futures which wait for them: it has something to clear away, and the run gives it the time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// How long a run waits for such work when it ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// Says that such work is going on, until it is dropped: see [`Store::at_work`](super::Store::at_work).
#[must_use = "the work counts as ended when this is dropped"]
pub struct AtWork(Arc<watch::Sender<usize>>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The number of those that are going on.
#[derive(Default)]
pub(super) struct Workers(Arc<watch::Sender<usize>>);

impl Workers {
    pub(super) fn begin(&self) -> AtWork {
        self.0.send_modify(|count| *count += 1);
        AtWork(Arc::clone(&self.0))
    }

    /// Waits until none is left, for a while.
    pub(super) async fn end(&self) {
        let mut workers = self.0.subscribe();
        let none = workers.wait_for(|count| *count == 0);
        if tokio::time::timeout(PATIENCE, none).await.is_err() {
            tracing::warn!(seconds = PATIENCE.as_secs(), "a thread does not end; its temporary files may be left");
        }
    }
}
