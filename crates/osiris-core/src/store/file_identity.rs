//! Files that a table of the store reads where they lie, and whether they are still what they were.
//!
//! A table over a file is a view: every step that reads it reads the file again. Whoever reads it must have read the
//! same file as the step that counted its rows, so core compares the file after each reader, before its step commits.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{Code, Error, ErrorKind, Result};

/// A local file as it was at some time: its length, when it was last changed and, where the system has one, its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    path: PathBuf,
    bytes: u64,
    /// Since 1970.
    modified: Option<Duration>,
    /// A file that replaces another has a number of its own.
    inode: u64,
    /// When its content or its times were last changed, in seconds and nanoseconds: nobody can set it back.
    changed: (i64, i64),
}

impl FileIdentity {
    /// The file at `path` as it is now.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = path.metadata()?;
        #[cfg(unix)]
        let (inode, changed) = {
            use std::os::unix::fs::MetadataExt;
            (metadata.ino(), (metadata.ctime(), metadata.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (inode, changed) = (0, (0, 0));
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Self { path: path.to_path_buf(), bytes: metadata.len(), modified, inode, changed })
    }

    /// Compares every one of `files` with what it is now.
    ///
    /// # Errors
    /// The first that is not the same, or not there.
    pub(crate) fn ensure_unchanged(files: &[Self]) -> Result<()> {
        let changed = files.iter().find(|file| Self::of(&file.path).ok().as_ref() != Some(*file));
        let Some(file) = changed else { return Ok(()) };
        Err(Error::validation(format!("`{}` was changed while the run was reading it", file.path.display()))
            .with_code(Code::SourceChanged)
            .with_hint("run again once nothing writes to it, or set `materialize: table` where the file is read, which copies it first"))
    }

    /// The `result` of work that has read `files`, unless one of them is another by now: what was read is then of no use,
    /// and the change is the cause of whatever went wrong. An ambiguous error stays: what was written is there.
    pub(crate) fn unless_changed<T>(files: &[Self], result: Result<T>) -> Result<T> {
        match (Self::ensure_unchanged(files), result) {
            (Ok(()), result) => result,
            (Err(_), Err(error)) if error.kind() == ErrorKind::Ambiguous => Err(error),
            (Err(changed), Ok(_)) => Err(changed),
            (Err(changed), Err(error)) => Err(changed.with_source(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_time_that_was_set_back_hides_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        std::fs::write(&path, "old").unwrap();
        let files = [FileIdentity::of(&path).unwrap()];
        let time = path.metadata().unwrap().modified().unwrap();
        // Until the clock of the file system has moved on.
        while FileIdentity::of(&path).unwrap().changed == files[0].changed {
            std::fs::write(&path, "new").unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        assert!(FileIdentity::ensure_unchanged(&files).is_err());
    }

    #[test]
    fn a_file_that_was_written_replaced_or_removed_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let other = directory.path().join("b");
        let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
        write(&path, "old");
        let files = [FileIdentity::of(&path).unwrap()];
        FileIdentity::ensure_unchanged(&files).unwrap();
        // Of the same length and time.
        write(&other, "new");
        let time = path.metadata().unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(FileIdentity::ensure_unchanged(&files).is_err());
        let files = [FileIdentity::of(&path).unwrap()];
        write(&path, "longer");
        assert!(FileIdentity::ensure_unchanged(&files).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(FileIdentity::ensure_unchanged(&files).is_err());
    }
}
