//! Work on threads that outlive the futures which wait for them: they have to clean up, and the run waits for that.
//!
//! A thread may never end: DuckDB 2.0 sometimes deadlocks when it aborts a COPY to Parquet, with its writers waiting
//! for a lock that is held by the thread which waits for them. Files that such a thread was writing are removed by the
//! run.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// How long a run waits for this work when it ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// Marks such work as running until it is dropped: see [`Store::at_work`](super::Store::at_work).
#[must_use = "the work counts as ended when this is dropped"]
pub struct AtWork(Arc<State>);

#[derive(Default)]
struct State {
    count: watch::Sender<usize>,
    unfinished: Mutex<BTreeSet<PathBuf>>,
}

impl State {
    fn unfinished(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AtWork {
    /// Registers a file or a directory at `path` that the work is writing, until the result is dropped: if the work has
    /// not ended when the run stops waiting for it, the run removes `path`.
    pub fn unfinished(&self, path: &Path) -> Unfinished {
        self.0.unfinished().insert(path.to_path_buf());
        Unfinished { state: Arc::clone(&self.0), path: path.to_path_buf() }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.count.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// An incomplete file or directory, until this is dropped: see [`AtWork::unfinished`].
#[must_use = "it counts as finished when this is dropped"]
pub struct Unfinished {
    state: Arc<State>,
    path: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.state.unfinished().remove(&self.path);
    }
}

/// The number of running threads.
#[derive(Default)]
pub(super) struct Workers(Arc<State>);

impl Workers {
    pub(super) fn begin(&self) -> AtWork {
        self.0.count.send_modify(|count| *count += 1);
        AtWork(Arc::clone(&self.0))
    }

    /// Waits until all have ended, at most for the limit.
    pub(super) async fn end(&self) {
        self.end_within(PATIENCE).await;
    }

    async fn end_within(&self, limit: Duration) {
        let mut workers = self.0.count.subscribe();
        let none = workers.wait_for(|count| *count == 0);
        if tokio::time::timeout(limit, none).await.is_ok() {
            return;
        }
        for path in std::mem::take(&mut *self.0.unfinished()) {
            if let Err(error) = remove(&path) {
                tracing::warn!(path = %path.display(), %error, "an incomplete file could not be removed");
            }
        }
        tracing::warn!(seconds = limit.as_secs(), "a thread did not end; what it was building has been removed");
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s63_what_a_thread_that_never_ends_was_building_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        std::fs::create_dir(path("directory")).unwrap();
        for name in ["file", "finished", "directory/part"] {
            std::fs::write(path(name), "rows").unwrap();
        }
        let workers = Workers::default();
        let stuck = workers.begin();
        let _building = ["file", "directory", "already gone"].map(|name| stuck.unfinished(&path(name)));
        drop(stuck.unfinished(&path("finished")));
        workers.end_within(Duration::from_millis(1)).await;
        let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["finished"]);
    }

    #[tokio::test]
    async fn work_that_ends_is_waited_for_and_clears_away_by_itself() {
        let workers = Workers::default();
        let (work, place) = (workers.begin(), tempfile::tempdir().unwrap());
        let building = work.unfinished(place.path());
        let thread = std::thread::spawn(move || drop((building, work)));
        workers.end_within(Duration::from_secs(60)).await;
        thread.join().unwrap();
        assert!(place.path().exists());
    }
}
