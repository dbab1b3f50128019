//! Files below the run directory: private, written whole or not at all, and errors that say where they are.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use osiris_core::{Error, private};

/// What the name of a file in the making ends in.
const UNFINISHED: &str = ".osiris-tmp";

/// Writes the file atomically: it has the new content or the old one, even with concurrent writers.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    private::create_dir_all(directory)?;
    // A name of its own, and the mode 0600.
    let mut temporary = tempfile::Builder::new().prefix(".").suffix(UNFINISHED).tempfile_in(directory)?;
    temporary.write_all(content)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    sync_directory(directory)
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
    let kind = Error::from(io::Error::from(error.kind())).kind();
    Error::new(kind, format!("cannot use `{}`", path.display()))
        .with_source(error)
        .with_hint("choose another directory with `--run-dir`")
}
