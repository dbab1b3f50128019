//! Locks between processes. They are file locks of the operating system, so that the lock of a dead process is free;
//! the file has a line with the holder.
//!
//! A lock is advisory: it only affects processes that ask for it. The file of a transient lock is removed when the lock
//! is released; that of a lasting one stays, since it is in a directory of Osiris.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// The interval at which a held lock is polled.
const POLL: Duration = Duration::from_millis(100);

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The machine, where its name is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Who started it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it does, such as the id of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl Holder {
    /// This process, from now on.
    pub fn this_process() -> Self {
        Self { pid: std::process::id(), host: host_name(), user: None, run: None, since: Utc::now() }
    }
}

impl fmt::Display for Holder {
    /// `process 4711 of jan on host db1, run 20260101-..., since 2026-01-01T10:00:00Z (3 minutes)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if let Some(user) = &self.user {
            write!(f, " of {user}")?;
        }
        if let Some(host) = &self.host {
            write!(f, " on host {host}")?;
        }
        if let Some(run) = &self.run {
            write!(f, ", run {run}")?;
        }
        let age = Utc::now().signed_duration_since(self.since).to_std().unwrap_or_default();
        write!(f, ", since {} ({})", self.since.to_rfc3339_opts(SecondsFormat::Secs, true), age_in_words(age))
    }
}

fn age_in_words(age: Duration) -> String {
    let of = |count: u64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match age.as_secs() {
        seconds @ 0..120 => of(seconds, "second"),
        seconds @ 120..7200 => of(seconds / 60, "minute"),
        seconds @ 7200..172_800 => of(seconds / 3600, "hour"),
        seconds => of(seconds / 86_400, "day"),
    }
}

/// The name of this machine, where the system says it in a file.
fn host_name() -> Option<String> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = files.iter().find_map(|file| std::fs::read_to_string(file).ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Whether the file of a lock stays when the lock is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockFile {
    /// It stays, and only its owner can read it.
    Lasting,
    /// It is removed.
    Transient,
}

/// The result of asking for a lock.
#[derive(Debug)]
pub enum Asked {
    /// This process holds it until this is dropped.
    Ours(FileLock),
    /// Another process holds it; with the holder, if known.
    Held(Option<Holder>),
    /// This file system does not support locks.
    Unsupported,
}

/// A lock that this process holds.
#[derive(Debug)]
pub struct FileLock {
    path: PathBuf,
    kind: LockFile,
    file: File,
}

impl FileLock {
    /// Asks for the lock at `path`, whose directory is there.
    ///
    /// # Errors
    /// The file can be neither made nor opened.
    pub fn ask(path: &Path, kind: LockFile, holder: &Holder) -> io::Result<Asked> {
        loop {
            let file = open(path, kind)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Asked::Held(holder_in(&file))),
                Err(TryLockError::Error(error)) if has_no_locks(&error) => return Ok(Asked::Unsupported),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Its last holder may have removed the file between our opening it and our locking it.
            if is_at(&file, path)? {
                let lock = Self { path: path.to_path_buf(), kind, file };
                lock.name(holder);
                return Ok(Asked::Ours(lock));
            }
        }
    }

    /// Asks until the lock is free, at most for `limit`; without a limit forever.
    ///
    /// # Errors
    /// As for [`ask`](Self::ask).
    ///
    /// # Cancel safety
    /// A future that is dropped holds nothing.
    pub async fn wait(path: &Path, kind: LockFile, holder: &Holder, limit: Option<Duration>) -> io::Result<Asked> {
        let begun = tokio::time::Instant::now();
        loop {
            match Self::ask(path, kind, holder)? {
                Asked::Held(other) if limit.is_some_and(|limit| begun.elapsed() >= limit) => {
                    return Ok(Asked::Held(other));
                }
                Asked::Held(_) => {
                    let left = limit.map_or(POLL, |limit| limit.saturating_sub(begun.elapsed()));
                    tokio::time::sleep(POLL.min(left)).await;
                }
                asked => return Ok(asked),
            }
        }
    }

    /// Writes the holder to the file. A failure is not an error: the lock is held anyway.
    pub fn name(&self, holder: &Holder) {
        let text = serde_json::to_string(holder).unwrap_or_default();
        let mut file = &self.file;
        let written =
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).and_then(|_| writeln!(file, "{text}"));
        if let Err(error) = written {
            tracing::debug!(path = %self.path.display(), %error, "the holder of the lock could not be written");
        }
    }
}

impl Drop for FileLock {
    /// A transient file is removed while it is still locked: a waiting process notices that it is gone and creates
    /// another.
    fn drop(&mut self) {
        match self.kind {
            LockFile::Transient => drop(std::fs::remove_file(&self.path)),
            LockFile::Lasting => drop(self.file.set_len(0)),
        }
    }
}

fn open(path: &Path, kind: LockFile) -> io::Result<File> {
    let mut options = match kind {
        LockFile::Lasting => crate::private::options(),
        LockFile::Transient => OpenOptions::new(),
    };
    match options.read(true).write(true).create(true).truncate(false).open(path) {
        // The file of another user can still be locked.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.exists() => File::open(path),
        opened => opened,
    }
}

fn holder_in(mut file: &File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn has_no_locks(error: &io::Error) -> bool {
    // ENOLCK of file systems over a network that have no lock service.
    error.kind() == io::ErrorKind::Unsupported || (cfg!(target_os = "linux") && error.raw_os_error() == Some(37))
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let ours = file.metadata()?;
    match path.symlink_metadata() {
        Ok(found) => Ok((found.dev(), found.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file that is open cannot be removed here.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(path: &Path, kind: LockFile) -> Option<FileLock> {
        match FileLock::ask(path, kind, &Holder::this_process()).unwrap() {
            Asked::Ours(lock) => Some(lock),
            _ => None,
        }
    }

    #[test]
    fn the_second_one_learns_who_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let holder = Holder { user: Some("jan".to_owned()), run: Some("r1".to_owned()), ..Holder::this_process() };
        let Asked::Ours(lock) = FileLock::ask(&path, LockFile::Lasting, &holder).unwrap() else { panic!("it is free") };
        let Asked::Held(Some(found)) = FileLock::ask(&path, LockFile::Lasting, &Holder::this_process()).unwrap() else {
            panic!("it is held");
        };
        assert_eq!(found, holder);
        let text = found.to_string();
        assert!(text.starts_with(&format!("process {} of jan", std::process::id())), "{text}");
        assert!(text.contains(", run r1, since ") && text.ends_with(')'), "{text}");
        drop(lock);
        assert!(ours(&path, LockFile::Lasting).is_some());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "nobody holds it");
    }

    #[test]
    fn a_transient_lock_leaves_no_file_and_never_two_holders() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut taken = 0;
                    while taken < 200 {
                        let Some(lock) = ours(&path, LockFile::Transient) else { continue };
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        taken += 1;
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn waiting_ends_with_the_limit_or_with_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = ours(&path, LockFile::Lasting).unwrap();
        let holder = Holder::this_process();
        let asked = FileLock::wait(&path, LockFile::Lasting, &holder, Some(Duration::from_millis(5))).await.unwrap();
        assert!(matches!(asked, Asked::Held(Some(_))), "{asked:?}");
        let (asked, ()) = tokio::join!(FileLock::wait(&path, LockFile::Lasting, &holder, None), async { drop(lock) });
        assert!(matches!(asked.unwrap(), Asked::Ours(_)));
    }

    #[test]
    fn ages_are_words() {
        let words = [1, 90, 180, 7_300, 200_000].map(|seconds| age_in_words(Duration::from_secs(seconds)));
        assert_eq!(words, ["1 second", "90 seconds", "3 minutes", "2 hours", "2 days"]);
    }
}
