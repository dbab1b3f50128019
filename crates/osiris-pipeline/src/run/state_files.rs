//! The files of a state: moved next to it before it is saved, and removed after another state has replaced it. Each is
//! named after its content, so that at no time a state has the file of another.

use std::fs::{self, File};
use std::path::Path;

use osiris_core::state::named_files;
use osiris_core::{Result, private};
use serde_json::Value;

use crate::file::file_error;

/// Moves the files that `state` names from `new` to `saved`, flushed to disk.
pub(super) fn install(state: &Value, new: &Path, saved: &Path) -> Result<()> {
    let names = named_files(state);
    if names.is_empty() {
        return Ok(());
    }
    private::create_dir_all(saved).map_err(|error| file_error(error, saved))?;
    for name in names {
        let (from, to) = (new.join(&name), saved.join(&name));
        if from.exists() {
            moved(&from, &to)?;
        }
    }
    let synced = File::open(saved).and_then(|directory| directory.sync_all());
    synced.map_err(|error| file_error(error, saved))
}

/// Renames, or copies where the run directory is on another disk.
fn moved(from: &Path, to: &Path) -> Result<()> {
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    let copied = fs::copy(from, to).and_then(|_| File::open(to)?.sync_all());
    copied.map_err(|error| file_error(error, to))
}

/// Removes the files that `state` does not name. What cannot be removed does no harm.
pub(super) fn prune(state: &Value, saved: &Path) {
    let names = named_files(state);
    for entry in fs::read_dir(saved).into_iter().flatten().flatten() {
        if !names.iter().any(|name| entry.file_name() == name.as_str()) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_dir(saved);
}

/// Removes all of them.
pub(super) fn remove(saved: &Path) -> Result<()> {
    match fs::remove_dir_all(saved) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_error(error, saved)),
        _ => Ok(()),
    }
}
