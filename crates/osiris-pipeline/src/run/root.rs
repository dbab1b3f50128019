//! The directory of all runs and state, called `.osiris`: for its owner's eyes only, since its files hold whole tables.

use std::path::Path;

use osiris_core::{Result, private};

use crate::file::file_error;
use crate::settings::RUN_DIRECTORY;

/// The directories in it that are ours, whatever it is called.
const OWN_DIRECTORIES: &[&str] = &["runs", "state", "cache"];

/// Makes the directory where it is missing, and takes from others what an earlier version gave them. A directory of
/// another name that was there already may hold more than ours: its own mode is the user's business.
///
/// # Errors
/// It cannot be made.
pub(super) fn prepare(root: &Path) -> Result<()> {
    private::create_dir_all(root).map_err(|error| file_error(error, root))?;
    if root.file_name().is_some_and(|name| name == RUN_DIRECTORY) {
        tighten(root, private::tighten);
    }
    for name in OWN_DIRECTORIES {
        let directory = root.join(name);
        if is_open_to_others(&directory) {
            tighten(&directory, private::tighten_all);
        }
    }
    Ok(())
}

/// A directory of somebody else cannot be tightened, and perhaps need not be.
fn tighten(path: &Path, how: impl FnOnce(&Path) -> std::io::Result<()>) {
    if let Err(error) = how(path) {
        tracing::warn!(path = %path.display(), %error, "the directory stays readable by others");
    }
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.symlink_metadata().is_ok_and(|found| found.is_dir() && found.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}
