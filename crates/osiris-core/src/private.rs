//! Files and directories that only their owner can read: everything that a run leaves is created here.
//!
//! Directories get the mode 0700 and files 0600, whatever the umask. What somebody else made with a wider mode is
//! tightened. Where a system has no such modes, files are as private as their directory.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Makes a directory; its parent must be there.
///
/// # Errors
/// As for [`std::fs::create_dir`]: it is there already, among others.
pub fn create_dir(path: &Path) -> io::Result<()> {
    builder().create(path)
}

/// Makes a directory and those above it that are missing. One that is there stays as it is: see [`tighten`].
///
/// # Errors
/// As for [`std::fs::create_dir_all`].
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    builder().recursive(true).create(path)
}

fn builder() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is no mode to set"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Options with which a file that is made is private.
pub fn options() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is no mode to set"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a file, or empties the one that is there.
///
/// # Errors
/// As for [`File::create`].
pub fn create(path: &Path) -> io::Result<File> {
    let file = options().read(true).write(true).create(true).truncate(true).open(path)?;
    tighten(path)?;
    Ok(file)
}

/// Makes a file with this content, or replaces that of the one that is there.
///
/// # Errors
/// As for [`std::fs::write`].
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    create(path)?.write_all(content.as_ref())
}

/// Removes the rights of everybody but the owner from a file or directory. Symbolic links are left alone, and so are
/// files with further hard links: those may be the user's.
///
/// # Errors
/// It is not there, or belongs to somebody else.
pub fn tighten(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let found = path.symlink_metadata()?;
        let mode = found.permissions().mode();
        let is_ours = found.is_dir() || (found.is_file() && found.nlink() == 1);
        if is_ours && mode & 0o077 != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o700))?;
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// The same for a directory and everything below it. Files that disappear meanwhile are not an error.
///
/// # Errors
/// As for [`tighten`].
pub fn tighten_all(path: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    gone(tighten(path))?;
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        for entry in std::fs::read_dir(path)?.flatten() {
            gone(tighten_all(&entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_private_and_what_was_not_is_tightened() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/b");
        create_dir_all(&directory).unwrap();
        write(&directory.join("f"), "x").unwrap();
        assert_eq!((mode(&root.path().join("a")), mode(&directory), mode(&directory.join("f"))), (0o700, 0o700, 0o600));
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(directory.join("f"), std::fs::Permissions::from_mode(0o644)).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("theirs"), "x").unwrap();
        std::fs::set_permissions(elsewhere.path().join("theirs"), std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::hard_link(elsewhere.path().join("theirs"), directory.join("link")).unwrap();
        tighten_all(root.path()).unwrap();
        assert_eq!(mode(&elsewhere.path().join("theirs")), 0o644, "a file of the user's");
        assert_eq!((mode(&directory), mode(&directory.join("f"))), (0o700, 0o600));
    }
}
