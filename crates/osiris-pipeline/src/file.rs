//! Files below the run directory: written whole or not at all, and errors that say where they are.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use osiris_core::Error;

/// The file has the new content or the old one, whatever happens.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(directory)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(directory)?.sync_all()
}

/// What went wrong with a file of the run directory.
pub(crate) fn file_error(error: io::Error, path: &Path) -> Error {
    Error::from(error).with_context("path", path.display()).with_hint("choose another directory with `--run-dir`")
}
