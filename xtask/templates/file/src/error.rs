//! Errors of the external system as kinds of errors. The one place that knows its codes.

use std::io::{self, ErrorKind as Io};
use std::path::Path;

use osiris_core::{Error, Result};

/// The kinds come from the operating system's codes (errno(3)); the message says which file and what to do.
pub(crate) fn io_error(error: io::Error, path: &Path) -> Error {
    let hint = match error.kind() {
        Io::NotFound => "check the table's name and the connection's `directory`",
        Io::PermissionDenied => "grant access to the user who runs Osiris",
        Io::IsADirectory => "a table is a file: move the directory away, or name another table",
        Io::InvalidData => "save the file as UTF-8",
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => "free some space: the old table is unchanged",
        _ => "see the cause below, and check that the file can be opened",
    };
    Error::from(error).with_hint(hint).with_context("path", path.display())
}

/// Whether the directory exists. A missing one is what an unreachable server is to other drivers: an error of the kind
/// `network`, which is retried.
pub(crate) fn check_directory(path: &Path) -> Result<()> {
    const HINT: &str = "create the directory, or fix `directory` of the connection";
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Error::validation("the connection's directory is a file").with_hint(HINT)),
        Err(error) if error.kind() == Io::NotFound => Err(Error::network("the connection's directory does not exist")
            .with_connection_failed()
            .with_hint(HINT)
            .with_source(error)),
        Err(error) => Err(io_error(error, path)),
    }
    .map_err(|error| error.with_context("directory", path.display()))
}

/// An invalid line of a table, without its content.
pub(crate) fn line_error(what: &str, number: u64, path: &Path) -> Error {
    Error::validation(format!("line {number} {what}"))
        .with_hint("fix the file: the README of this driver describes the format")
        .with_context("path", path.display())
}

#[cfg(test)]
mod tests {
    use osiris_core::ErrorKind;

    use super::*;

    #[test]
    fn codes_become_kinds_and_the_path_is_named() {
        for (code, kind) in [
            (Io::NotFound, ErrorKind::Validation),
            (Io::PermissionDenied, ErrorKind::Permission),
            (Io::TimedOut, ErrorKind::Timeout),
        ] {
            let error = io_error(code.into(), Path::new("/data/t.txt"));
            assert_eq!(error.kind(), kind);
            assert!(error.report().contains("/data/t.txt"));
        }
    }
}
