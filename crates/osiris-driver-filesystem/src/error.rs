//! Converts errors of the operating system and DuckDB: adds the file, the operation and a hint.

use std::io;
use std::path::Path;

use osiris_core::{Error, ErrorKind};

/// An operating system error about a file: `` `name` cannot be opened: Permission denied ``.
pub(crate) fn io_error(what: &str, name: impl AsRef<Path>, error: io::Error) -> Error {
    let hint = hint_for(&error);
    let reason = reason(&error);
    let kind = Error::from(io::Error::from(error.kind())).kind();
    let ours = Error::new(kind, format!("`{}` {what}: {reason}", name.as_ref().display())).with_source(error);
    match hint {
        Some(hint) => ours.with_hint(hint),
        None => ours,
    }
}

/// The operating system's message, without its code.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn hint_for(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Some("change the file's owner or mode, or run as a user with access"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("free some disk space; the existing file was not changed")
        }
        io::ErrorKind::FileTooLarge => {
            Some("the file would exceed a limit of this process or file system: check `ulimit -f`")
        }
        io::ErrorKind::BrokenPipe => Some("the program that reads it has ended, as `head` does once it has its lines"),
        io::ErrorKind::ReadOnlyFilesystem => Some("write to another file system"),
        _ => None,
    }
}

/// Whether the operating system has failed to read a file, not the content of the file: a damaged one may name positions that are
/// none.
pub(crate) fn is_of_system(error: &io::Error) -> bool {
    error.raw_os_error().is_some() && error.kind() != io::ErrorKind::InvalidInput
}

/// Wraps our error to pass it through `io::Read` or `io::Write`.
pub(crate) fn carry(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The error that [`carry`] wrapped, or one about the file.
pub(crate) fn unpack(what: &str, name: impl AsRef<Path>, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) => io_error(what, name, error),
    }
}

/// Operating system errors in messages of DuckDB.
const PASSED_ON: &[(&str, io::ErrorKind)] = &[
    ("No space left on device", io::ErrorKind::StorageFull),
    ("Disk quota exceeded", io::ErrorKind::QuotaExceeded),
    ("File too large", io::ErrorKind::FileTooLarge),
    ("Read-only file system", io::ErrorKind::ReadOnlyFilesystem),
    ("Permission denied", io::ErrorKind::PermissionDenied),
];

/// Converts an error of DuckDB while it read or wrote the file `name`. An operating system error is reported as by
/// [`io_error`]: DuckDB's message names temporary files.
pub(crate) fn engine_error(error: duckdb::Error, name: &str, what: &str) -> Error {
    let text = error.to_string();
    match PASSED_ON.iter().find(|(said, _)| text.contains(said)) {
        Some((said, kind)) => {
            let ours = Error::from(io::Error::from(*kind));
            let ours = Error::new(ours.kind(), format!("`{name}` {what}: {said}")).with_code(ours.code());
            match hint_for(&io::Error::from(*kind)) {
                Some(hint) => ours.with_hint(hint),
                None => ours,
            }
        }
        None => osiris_core::store::store_error(error, format!("`{name}` {what}")),
    }
}

/// Whether DuckDB rejected the content of the file, so that reading it in another way may succeed.
pub(crate) fn is_about_content(error: &Error) -> bool {
    error.kind() == ErrorKind::Validation
}
