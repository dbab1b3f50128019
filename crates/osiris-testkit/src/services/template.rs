//! Where servers have their files. A data directory is made once and copied for every server: making one takes seconds, a copy
//! tenths of one.

use std::fs;
use std::path::{Path, PathBuf};

use osiris_core::Result;

/// Below the build's target directory, where `cargo clean` finds it.
pub(crate) fn services_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    // target/debug/deps/it-0123456789abcdef, or target/release/osiris-bench-serve
    let deps = program.ancestors().find(|path| path.file_name().is_some_and(|name| name == "deps"));
    let built = program.parent().filter(|directory| directory.join("deps").is_dir());
    let target = deps.and_then(Path::parent).or(built).and_then(Path::parent);
    let directory = target.map_or_else(|| std::env::temp_dir().join("osiris"), Path::to_path_buf).join("services");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Copies a directory with all that is in it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
