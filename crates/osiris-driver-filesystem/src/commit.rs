//! Atomic files: written under a temporary name in the same directory, synced, renamed.
//!
//! A temporary name is `.<name>.<16 hex digits>.osiris-tmp`. It is created under the lock of the target, and its owner
//! also holds a lock on it, so that a later run can distinguish the leftovers of a killed run, which it removes, from
//! the files of one that is still active.
//!
//! An append includes the existing file: if that is another file at the commit, nothing is committed.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use osiris_core::{Code, Error, Result};

use crate::error::io_error;
use crate::lock::TargetLock;
use crate::resolve::resolved;

const SUFFIX: &str = ".osiris-tmp";

/// A file being written.
pub(crate) struct AtomicFile {
    target: PathBuf,
    temp: PathBuf,
    file: File,
    committed: bool,
    /// The state of the target before it was read.
    old: Option<FileVersion>,
    /// Whether the new file includes the content of the old one.
    keeps_old: bool,
    /// Released last.
    _lock: Option<TargetLock>,
}

impl AtomicFile {
    /// Starts to write `target`, whose directory exists, under its lock.
    ///
    /// # Errors
    /// When the target is not a regular file, or its directory is not writable.
    pub(crate) fn create(target: &Path, name: &str, lock: Option<TargetLock>) -> Result<Self> {
        // A symbolic link is kept: its target is replaced.
        let target = resolved(target);
        check_file(&target, name)?;
        let old = FileVersion::at(&target).map_err(|error| io_error("cannot be read", name, error))?;
        remove_leftovers(&target);
        let temp = temporary(&target);
        let created = OpenOptions::new().read(true).write(true).create_new(true).open(&temp);
        let file = created.map_err(|error| io_error("cannot be written", name, error))?;
        let atomic = Self { target, temp, file, committed: false, old, keeps_old: false, _lock: lock };
        // A file system without locks still works: leftovers then stay until they are removed manually.
        let _ = atomic.file.try_lock();
        if let Ok(old) = atomic.target.metadata() {
            let _ = atomic.file.set_permissions(old.permissions());
        }
        Ok(atomic)
    }

    /// The temporary path.
    pub(crate) fn temp(&self) -> &Path {
        &self.temp
    }

    /// The target path.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The size of the existing file; `None` if there is none.
    pub(crate) fn old_length(&self) -> u64 {
        self.old.as_ref().map_or(0, |old| old.length)
    }

    /// Marks that the new file includes the old one, which must be unchanged at the commit.
    pub(crate) fn keep_old(&mut self) {
        self.keeps_old = true;
    }

    /// Copies the content of the existing file to the new one. Returns its length.
    ///
    /// # Errors
    /// When it cannot be copied, or has changed.
    pub(crate) fn copy_old(&mut self, name: &str) -> Result<u64> {
        self.keep_old();
        let copied = std::fs::copy(&self.target, &self.temp);
        let copied = copied.map_err(|error| io_error("could not be copied", name, error))?;
        if copied != self.old_length() {
            return Err(changed(name));
        }
        Ok(copied)
    }

    /// A handle for writing.
    ///
    /// # Errors
    /// When the process has no file handles left.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Syncs it to disk. Returns its size in bytes.
    ///
    /// # Errors
    /// When the disk is full or failing.
    pub(crate) fn sync(&self, name: &str) -> Result<u64> {
        let failed = |error| io_error("could not be written", name, error);
        self.file.sync_all().map_err(failed)?;
        Ok(self.file.metadata().map_err(failed)?.len())
    }

    /// Renames it to its target, after syncing.
    ///
    /// # Errors
    /// When renaming or syncing fails; or when it includes the old file, which has changed.
    pub(crate) fn commit(mut self, name: &str) -> Result<(), NotPublished> {
        check_file(&self.target, name).map_err(NotPublished::before)?;
        if self.keeps_old && FileVersion::at(&self.target).map_err(NotPublished::new(name, true))? != self.old {
            return Err(NotPublished::before(changed(name)));
        }
        std::fs::rename(&self.temp, &self.target).map_err(NotPublished::new(name, true))?;
        self.committed = true;
        sync_parent(&self.target).map_err(NotPublished::new(name, false))
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            let _ = std::fs::remove_file(&self.temp);
        }
    }
}

/// Why a commit failed.
#[derive(Debug)]
pub(crate) struct NotPublished {
    pub(crate) error: Error,
    /// Whether the old content is certainly untouched.
    pub(crate) untouched: bool,
}

impl NotPublished {
    fn new(name: &str, untouched: bool) -> impl Fn(io::Error) -> Self {
        move |error| Self { error: io_error("could not be written", name, error), untouched }
    }

    /// A failure before anything was changed.
    fn before(error: Error) -> Self {
        Self { error, untouched: true }
    }
}

/// A directory being written, to replace another atomically.
pub(crate) struct AtomicDirectory {
    target: PathBuf,
    temp: PathBuf,
    /// The files taken over from the existing directory, by relative path.
    kept: Option<Vec<(PathBuf, FileVersion)>>,
    /// Holds the lock that distinguishes it from a leftover.
    _handle: Option<File>,
    /// Released last.
    _lock: Option<TargetLock>,
}

impl AtomicDirectory {
    /// Starts to write `target`, whose parent exists, under its lock. An existing directory must only have files that
    /// match `owned` by their relative path.
    ///
    /// # Errors
    /// When the target is a file, or a directory with foreign files.
    pub(crate) fn create(
        target: &Path,
        name: &str,
        owned: &dyn Fn(&Path) -> bool,
        lock: Option<TargetLock>,
    ) -> Result<Self> {
        let target = resolved(target);
        check_directory(&target, name, owned)?;
        remove_leftovers(&target);
        let temp = temporary(&target);
        std::fs::create_dir(&temp).map_err(|error| io_error("cannot be written", name, error))?;
        let handle = File::open(&temp).ok().filter(|handle| handle.try_lock().is_ok());
        Ok(Self { target, temp, kept: None, _handle: handle, _lock: lock })
    }

    /// The temporary path.
    pub(crate) fn temp(&self) -> &Path {
        &self.temp
    }

    /// The target path.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Links or copies the existing files, for appending; returns their relative paths.
    ///
    /// # Errors
    /// When they can be neither linked nor copied.
    pub(crate) fn keep_existing(&mut self, name: &str) -> Result<Vec<PathBuf>> {
        let failed = |error| io_error("could not be replaced", name, error);
        let found = listing(&self.target).map_err(failed)?;
        let mut kept = Vec::new();
        for (below, _) in &found {
            let (file, copy) = (self.target.join(below), self.temp.join(below));
            if let Some(parent) = copy.parent() {
                std::fs::create_dir_all(parent).map_err(failed)?;
            }
            std::fs::hard_link(&file, &copy).or_else(|_| std::fs::copy(&file, &copy).map(drop)).map_err(failed)?;
            kept.push(below.clone());
        }
        self.kept = Some(found);
        Ok(kept)
    }

    /// Syncs all its files to disk.
    ///
    /// # Errors
    /// When the disk is full or failing.
    pub(crate) fn sync(&self, name: &str) -> Result<()> {
        let failed = |error| io_error("could not be written", name, error);
        for file in files_below(&self.temp).map_err(failed)? {
            File::open(&file).and_then(|file| file.sync_all()).map_err(failed)?;
            sync_parent(&file).map_err(failed)?;
        }
        Ok(())
    }

    /// Replaces the existing directory, after syncing.
    ///
    /// # Errors
    /// When renaming or syncing fails; or when it includes the old directory, which has changed.
    pub(crate) fn commit(self, name: &str) -> Result<(), NotPublished> {
        if let Some(kept) = &self.kept
            && listing(&self.target).map_err(NotPublished::new(name, true))? != *kept
        {
            return Err(NotPublished::before(changed(name)));
        }
        if self.target.exists() {
            // Of two renames the second may have failed.
            exchange(&self.temp, &self.target).map_err(NotPublished::new(name, cfg!(target_os = "linux")))?;
        } else {
            std::fs::rename(&self.temp, &self.target).map_err(NotPublished::new(name, true))?;
        }
        sync_parent(&self.target).map_err(NotPublished::new(name, false))
    }
}

impl Drop for AtomicDirectory {
    /// Removes the temporary directory: the unfinished one, or the replaced one.
    fn drop(&mut self) {
        if self.temp.exists() {
            let _ = std::fs::remove_dir_all(&self.temp);
        }
    }
}

/// Identifies a version of a file: changes when the file is replaced or written to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileVersion {
    #[cfg(unix)]
    inode: (u64, u64),
    length: u64,
    modified: Option<std::time::SystemTime>,
}

impl FileVersion {
    /// The file at a path, if it exists.
    fn at(path: &Path) -> io::Result<Option<Self>> {
        match path.metadata() {
            Ok(found) => Ok(Some(Self {
                #[cfg(unix)]
                inode: {
                    use std::os::unix::fs::MetadataExt;
                    (found.dev(), found.ino())
                },
                length: found.len(),
                modified: found.modified().ok(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A process that ignores the lock has written meanwhile.
fn changed(name: &str) -> Error {
    Error::unknown(format!("`{name}` was changed by another process while rows were appended to it"))
        .with_hint("none of these rows was written; end the other process, or write to another path")
        .with_retryable(true)
}

/// The files below a directory; empty if it does not exist.
fn listing(directory: &Path) -> io::Result<Vec<(PathBuf, FileVersion)>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for file in files_below(directory)? {
        if let Some(seen) = FileVersion::at(&file)? {
            found.push((file.strip_prefix(directory).unwrap_or(&file).to_path_buf(), seen));
        }
    }
    Ok(found)
}

/// Checks that a file can be written to `target`: it does not exist, or is a regular file.
///
/// # Errors
/// When it is a directory, or another kind that must not be replaced: a pipe, a device, a socket.
pub(crate) fn check_file(target: &Path, name: &str) -> Result<()> {
    let Ok(found) = target.metadata() else { return Ok(()) };
    if found.is_dir() {
        return Err(Error::validation(format!("`{name}` is a directory"))
            .with_hint("set `path` to a file in it, or set `max_rows_per_file` to write several files"));
    }
    if !found.is_file() {
        return Err(Error::validation(format!("`{name}` is {}: it would be replaced by a file", kind_of(&found)))
            .with_hint(format!("write to standard output with `path: -` and redirect it: `osiris run ... > {name}`")));
    }
    Ok(())
}

#[cfg(unix)]
fn kind_of(found: &std::fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = found.file_type();
    match () {
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_block_device() || kind.is_char_device() => "a device",
        () => "not a regular file",
    }
}

#[cfg(not(unix))]
fn kind_of(_: &std::fs::Metadata) -> &'static str {
    "no regular file"
}

/// Checks that a directory can be written to `target`: an existing one only has files that match `owned`.
///
/// # Errors
/// When it is a file, or has foreign files.
pub(crate) fn check_directory(target: &Path, name: &str, owned: &dyn Fn(&Path) -> bool) -> Result<()> {
    if target.exists() && !target.is_dir() {
        return Err(Error::validation(format!("`{name}` is a file"))
            .with_hint("several files need a directory: remove the file, or set another path"));
    }
    if !target.is_dir() {
        return Ok(());
    }
    for file in files_below(target).map_err(|error| io_error("cannot be read", name, error))? {
        let below = file.strip_prefix(target).unwrap_or(&file);
        if !owned(below) {
            return Err(Error::validation(format!(
                "the directory `{name}` has `{}`, which this step did not write",
                below.display()
            ))
            .with_hint("use a separate directory for the step: it is replaced as a whole"));
        }
    }
    Ok(())
}

/// Swaps two directories atomically if the system supports it; else one after the other.
#[cfg(target_os = "linux")]
fn exchange(new: &Path, old: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => swap(new, old),
        other => other.map_err(io::Error::from),
    }
}

#[cfg(not(target_os = "linux"))]
fn exchange(new: &Path, old: &Path) -> io::Result<()> {
    swap(new, old)
}

fn swap(new: &Path, old: &Path) -> io::Result<()> {
    let aside = temporary(old);
    std::fs::rename(old, &aside)?;
    if let Err(error) = std::fs::rename(new, old) {
        std::fs::rename(&aside, old)?;
        return Err(error);
    }
    std::fs::rename(&aside, new)
}

fn temporary(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{:016x}{SUFFIX}", fastrand::u64(..)))
}

/// Removes leftovers of killed runs for `target`: temporary files and directories without a lock.
pub(crate) fn remove_leftovers(target: &Path) {
    let Some(parent) = target.parent() else { return };
    let prefix = format!(".{}.", target.file_name().unwrap_or_default().to_string_lossy());
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let random = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(SUFFIX));
        if !random.is_some_and(|random| random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            continue;
        }
        let path = entry.path();
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            tracing::info!(path = %path.display(), "removing files left by a killed run");
            let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        }
    }
}

fn files_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(directory).sort_by_file_name() {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// Syncs the directory entry of a file.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Finds or creates the parent directory of `target`.
///
/// # Errors
/// When it does not exist and must not be created.
pub(crate) fn prepare_parent(target: &Path, name: &str, create_dirs: bool) -> Result<()> {
    let Some(parent) = target.parent() else { return Ok(()) };
    if parent.is_dir() {
        return Ok(());
    }
    if !create_dirs {
        return Err(Error::validation(format!("the directory of `{name}` does not exist"))
            .with_code(Code::FileNotFound)
            .with_hint("create it, or set `create_dirs: true`"));
    }
    std::fs::create_dir_all(parent)
        .map_err(|error| io_error("cannot be written: its directory cannot be created", name, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_at_commit_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.csv");
        std::fs::write(&target, "old").unwrap();
        let file = AtomicFile::create(&target, "a.csv", None).unwrap();
        file.handle().unwrap().write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        assert_eq!(file.sync("a.csv").unwrap(), 3);
        file.commit("a.csv").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["a.csv"]);
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.csv");
        drop(AtomicFile::create(&target, "a.csv", None).unwrap());
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn s16_leftovers_of_a_killed_run_go_and_those_of_a_running_one_stay() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.csv");
        let dead = directory.path().join(".a.csv.0123456789abcdef.osiris-tmp");
        std::fs::write(&dead, "half").unwrap();
        std::fs::write(directory.path().join(".a.csv.mine.osiris-tmp"), "other").unwrap();
        let running = AtomicFile::create(&target, "a.csv", None).unwrap();
        let next = AtomicFile::create(&target, "a.csv", None).unwrap();
        assert!(!dead.exists());
        assert!(running.temp().exists());
        drop((running, next));
        assert_eq!(names(directory.path()), [".a.csv.mine.osiris-tmp"]);
    }

    #[test]
    fn s11_an_append_to_a_file_that_has_changed_commits_nothing() {
        type Change = fn(&Path);
        let changes: [Change; 3] = [
            |path| {
                let mut file = OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(b"theirs").unwrap();
            },
            |path| {
                let other = path.with_extension("other");
                std::fs::write(&other, "old").unwrap();
                std::fs::rename(other, path).unwrap();
            },
            |path| std::fs::remove_file(path).unwrap(),
        ];
        for change in changes {
            let directory = tempfile::tempdir().unwrap();
            let target = directory.path().join("a.csv");
            std::fs::write(&target, "old").unwrap();
            let mut file = AtomicFile::create(&target, "a.csv", None).unwrap();
            assert_eq!(file.copy_old("a.csv").unwrap(), 3);
            change(&target);
            let theirs = std::fs::read(&target).ok();
            let error = file.commit("a.csv").unwrap_err().error;
            assert!(error.is_retryable() && error.message().contains("changed by another process"), "{error}");
            assert_eq!(std::fs::read(&target).ok(), theirs);
        }
        // A file that did not exist, and does now.
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.csv");
        let mut file = AtomicFile::create(&target, "a.csv", None).unwrap();
        file.keep_old();
        std::fs::write(&target, "theirs").unwrap();
        assert!(file.commit("a.csv").unwrap_err().error.is_retryable());
    }

    #[test]
    fn s11_an_append_to_a_directory_that_has_changed_commits_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("out");
        std::fs::create_dir(&target).unwrap();
        std::fs::write(target.join("part-00001.csv"), "old").unwrap();
        let mut directory = AtomicDirectory::create(&target, "out", &|_| true, None).unwrap();
        directory.keep_existing("out").unwrap();
        std::fs::write(target.join("part-00002.csv"), "theirs").unwrap();
        assert!(directory.commit("out").unwrap_err().error.is_retryable());
        assert_eq!(names(&target), ["part-00001.csv", "part-00002.csv"]);
        assert_eq!(names(parent.path()), ["out"]);
    }

    #[cfg(unix)]
    #[test]
    fn s14_only_a_regular_file_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for (path, what) in [(pipe.as_path(), "a named pipe"), (Path::new("/dev/null"), "a device")] {
            let error = AtomicFile::create(path, "x", None).err().unwrap();
            assert!(error.message().contains(what), "{error}");
            assert!(error.hint().unwrap().contains("`path: -`"));
        }
        std::fs::write(directory.path().join("real"), "old").unwrap();
        std::os::unix::fs::symlink("real", directory.path().join("link")).unwrap();
        let file = AtomicFile::create(&directory.path().join("link"), "link", None).unwrap();
        file.handle().unwrap().write_all(b"new").unwrap();
        file.commit("link").unwrap();
        assert_eq!(std::fs::read(directory.path().join("real")).unwrap(), b"new");
        assert!(directory.path().join("link").is_symlink());
    }

    #[test]
    fn a_directory_takes_the_place_of_another_at_once() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("out");
        std::fs::create_dir(&target).unwrap();
        std::fs::write(target.join("part-00002.csv"), "old").unwrap();
        let directory = AtomicDirectory::create(&target, "out", &|_| true, None).unwrap();
        std::fs::write(directory.temp().join("part-00001.csv"), "new").unwrap();
        directory.sync("out").unwrap();
        directory.commit("out").unwrap();
        assert_eq!(names(&target), ["part-00001.csv"]);
        assert_eq!(names(parent.path()), ["out"]);
    }

    #[test]
    fn a_directory_with_files_of_somebody_else_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::write(parent.path().join("thesis.doc"), "x").unwrap();
        let owned = |path: &Path| path.extension().is_some_and(|ending| ending == "csv");
        let error = AtomicDirectory::create(parent.path(), "out", &owned, None).err().unwrap();
        assert_eq!(error.message(), "the directory `out` has `thesis.doc`, which this step did not write");
    }
}
