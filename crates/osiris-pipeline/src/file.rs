//! Files below the run directory: private, written whole or not at all, and errors that say where they are.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use osiris_core::{Error, ErrorKind, Result, private};

/// What the name of a file in the making ends in.
const UNFINISHED: &str = ".osiris-tmp";

/// Writes the file atomically: it has the new content or the old one, even with concurrent writers.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    // A bare name has the parent "", which cannot be opened.
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or_else(|| Path::new("."));
    private::create_dir_all(directory)?;
    // A name of its own, and the mode 0600.
    let mut temporary = tempfile::Builder::new().prefix(".").suffix(UNFINISHED).tempfile_in(directory)?;
    temporary.write_all(content)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    sync_directory(directory)
}

/// Writes a file of the user's choice that only its owner can read, whole or not at all. One that is there is replaced; a pipe
/// or a device is written to.
///
/// # Errors
/// It cannot be written, or is a directory.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    // A link to one would be replaced.
    if path.is_dir() {
        return Err(Error::validation(format!("cannot write `{}`: it is a directory", path.display()))
            .with_hint("choose a file in it: `--output FILE`"));
    }
    let is_special = path.metadata().is_ok_and(|found| !found.is_file());
    let written = if is_special {
        File::options().write(true).open(path).and_then(|mut file| file.write_all(content))
    } else {
        write_atomically(path, content)
    };
    written.map_err(|error| cannot_write(error, path).with_hint("choose another file: `--output FILE`"))
}

/// Replaces a file of the user's atomically; it keeps its mode, and a new one gets the usual.
///
/// # Errors
/// It cannot be written.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let replaced = match path.metadata() {
        Ok(found) => write_atomically(path, content).and_then(|()| fs::set_permissions(path, found.permissions())),
        Err(_) => File::create_new(path).and_then(|mut file| file.write_all(content)),
    };
    replaced.map_err(|error| cannot_write(error, path))
}

fn cannot_write(error: io::Error, path: &Path) -> Error {
    Error::new(kind_of(&error), format!("cannot write `{}`", path.display())).with_source(error)
}

/// Brings the entries of a directory to the disk.
fn sync_directory(directory: &Path) -> io::Result<()> {
    // Only a Unix system can open one.
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Removes what killed processes left of files in the making. Only who holds the lock of the directory may do so.
pub(crate) fn remove_unfinished(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(UNFINISHED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What went wrong with a file of the run directory.
pub(crate) fn file_error(error: io::Error, path: &Path) -> Error {
    Error::new(kind_of(&error), format!("cannot use `{}`", path.display()))
        .with_source(error)
        .with_hint("choose another directory with `--run-dir`")
}

fn kind_of(error: &io::Error) -> ErrorKind {
    Error::from(io::Error::from(error.kind())).kind()
}
