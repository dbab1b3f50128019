//! One writer per file: a lock file next to the target, held from before its old content is read until the new one is
//! renamed.
//!
//! It is an operating system lock on a file `.<name>.osiris-lock`, which is removed afterwards. If a file system has no
//! locks, an append still detects another writer at the end: see [`commit`](crate::commit).

use std::path::{Path, PathBuf};
use std::time::Duration;

use osiris_core::lock::{Asked, FileLock, Holder, LockFile};
use osiris_core::{Code, Error, Result};

use crate::error::io_error;

const SUFFIX: &str = ".osiris-lock";

/// How long a writer waits for another one before it fails with a retryable error.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The lock of a file or directory. `None` if the file system has no locks.
pub(crate) struct TargetLock {
    _lock: Option<FileLock>,
}

impl TargetLock {
    /// Takes the lock of a resolved target, whose directory exists.
    ///
    /// # Errors
    /// When another writer holds it for too long, which is retryable; or the lock file cannot be created.
    pub(crate) async fn take(target: &Path, name: &str) -> Result<Self> {
        Self::within(target, name, MAX_WAIT).await
    }

    /// The lock of a writer that was killed: there is its lock file, and nobody holds it. Dropping it removes the file.
    pub(crate) async fn of_killed(target: &Path, name: &str) -> Option<Self> {
        if !lock_file(target).exists() {
            return None;
        }
        Self::within(target, name, Duration::ZERO).await.ok()
    }

    async fn within(target: &Path, name: &str, limit: Duration) -> Result<Self> {
        let path = lock_file(target);
        let asked = FileLock::wait(&path, LockFile::Transient, &Holder::this_process(), Some(limit)).await;
        match asked.map_err(|error| io_error("cannot be written", name, error))? {
            Asked::Ours(lock) => Ok(Self { _lock: Some(lock) }),
            Asked::Unsupported => Ok(Self { _lock: None }),
            Asked::Held(holder) => {
                let who = holder.map_or_else(|| "unknown process".to_owned(), |holder| holder.to_string());
                Err(Error::timeout(format!("`{name}` is being written by another process: {who}"))
                    .with_code(Code::AlreadyRunning)
                    .with_hint("wait for it to end; nothing was written"))
            }
        }
    }
}

fn lock_file(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}{SUFFIX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s11_a_second_writer_waits_and_then_may_try_again() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.csv");
        let first = TargetLock::take(&target, "a.csv").await.unwrap();
        let refused = TargetLock::within(&target, "a.csv", Duration::ZERO).await.err().unwrap();
        assert!(refused.is_retryable());
        assert!(refused.message().contains(&format!("process {}", std::process::id())), "{refused}");
        let (second, ()) = tokio::join!(TargetLock::take(&target, "a.csv"), async { drop(first) });
        drop(second.unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no lock file is left");
    }

    #[tokio::test]
    async fn the_lock_of_a_killed_writer_can_be_had_and_one_that_is_held_cannot() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.csv");
        assert!(TargetLock::of_killed(&target, "a.csv").await.is_none());
        let held = TargetLock::take(&target, "a.csv").await.unwrap();
        assert!(TargetLock::of_killed(&target, "a.csv").await.is_none());
        drop(held);
        std::fs::write(lock_file(&target), "{}").unwrap();
        drop(TargetLock::of_killed(&target, "a.csv").await.unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "no lock file is left");
    }
}
