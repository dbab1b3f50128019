//! The starter project: a small pipeline over small data that runs at once. It writes new files and touches no old one.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use osiris_core::{Error, Result};

/// The files of the starter project, with what is in them.
const FILES: &[(&str, &str)] = &[
    ("pipeline.yaml", include_str!("../starter/pipeline.yaml")),
    ("osiris_connections.yaml", include_str!("../starter/osiris_connections.yaml")),
    ("data/orders.csv", include_str!("../starter/data/orders.csv")),
    ("data/customers.csv", include_str!("../starter/data/customers.csv")),
    (".gitignore", include_str!("../starter/gitignore")),
];

/// Writes the starter project into a directory, which is made if need be. Returns the files, relative to it.
///
/// # Errors
/// When one of the files is there already (all that are, are named, and nothing is written), or cannot be written.
pub fn init(directory: &Path) -> Result<Vec<PathBuf>> {
    let taken: Vec<&str> =
        FILES.iter().map(|(name, _)| *name).filter(|name| directory.join(name).symlink_metadata().is_ok()).collect();
    if !taken.is_empty() {
        let message = format!("`{}` already contains {}", directory.display(), taken.join(", "));
        return Err(Error::validation(message).with_hint("name a new directory: `osiris init DIR`"));
    }
    for (name, text) in FILES {
        let path = directory.join(name);
        write_new(&path, text).map_err(|error| cannot_write(&path, error))?;
    }
    Ok(FILES.iter().map(|(name, _)| PathBuf::from(name)).collect())
}

/// Writes one new file of a project, and the directory that it is in.
///
/// # Errors
/// When it is there already, or cannot be written.
pub fn init_file(path: &Path, text: &str) -> Result<()> {
    write_new(path, text).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::validation(format!("`{}` already exists", path.display()))
            .with_hint("name another file: `--output FILE`"),
        _ => cannot_write(path, error),
    })
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::validation(format!("cannot write `{}`: {error}", path.display()))
        .with_source(error)
        .with_hint("choose a directory that you may write to: `osiris init DIR`")
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_named_and_nothing_is_written() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("pipeline.yaml"), "mine").unwrap();
        fs::write(directory.path().join(".gitignore"), "mine").unwrap();
        let error = init(directory.path()).unwrap_err();
        assert!(error.message().contains("pipeline.yaml, .gitignore"), "{error:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        assert_eq!(fs::read_to_string(directory.path().join("pipeline.yaml")).unwrap(), "mine");
    }

    #[test]
    fn a_new_directory_gets_all_files() {
        let directory = tempfile::tempdir().unwrap();
        let project = directory.path().join("a/b");
        for file in init(&project).unwrap() {
            assert!(project.join(&file).is_file(), "{}", file.display());
        }
    }
}
