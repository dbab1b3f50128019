//! From errors of the operating system and of DuckDB to ours: what was being done, to which file, and what to do next.

use std::io;
use std::path::Path;

use osiris_core::{Error, ErrorKind};

/// An error of the operating system about one file: `` `name` cannot be opened: Permission denied ``.
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

/// The operating system's words, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn hint_for(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Some("change the file's owner or mode, or run as a user who may"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("free some disk space; the file that was there before is untouched")
        }
        io::ErrorKind::FileTooLarge => {
            Some("the file would pass a limit of this process or file system: see `ulimit -f`")
        }
        io::ErrorKind::ReadOnlyFilesystem => Some("write to another file system"),
        _ => None,
    }
}

/// An error of our own that has to pass through `io::Read` or `io::Write`.
pub(crate) fn carry(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The error that [`carry`] packed, or one about the file.
pub(crate) fn unpack(what: &str, name: impl AsRef<Path>, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) => io_error(what, name, error),
    }
}

/// What the operating system says through DuckDB, and how its errors are called there.
const PASSED_ON: &[(&str, io::ErrorKind)] = &[
    ("No space left on device", io::ErrorKind::StorageFull),
    ("Disk quota exceeded", io::ErrorKind::QuotaExceeded),
    ("File too large", io::ErrorKind::FileTooLarge),
    ("Read-only file system", io::ErrorKind::ReadOnlyFilesystem),
    ("Permission denied", io::ErrorKind::PermissionDenied),
];

/// An error of DuckDB while it read or wrote the file `name`. What the operating system said is told as [`io_error`] tells
/// it: DuckDB's own text names temporary files.
pub(crate) fn engine_error(error: duckdb::Error, name: &str, what: &str) -> Error {
    let text = error.to_string();
    match PASSED_ON.iter().find(|(said, _)| text.contains(said)) {
        Some((said, kind)) => {
            let ours = Error::from(io::Error::from(*kind));
            let ours = Error::new(ours.kind(), format!("`{name}` {what}: {said}"));
            match hint_for(&io::Error::from(*kind)) {
                Some(hint) => ours.with_hint(hint),
                None => ours,
            }
        }
        None => osiris_core::store::store_error(error, format!("`{name}` {what}")),
    }
}

/// Whether a later attempt at reading the file in another way makes sense: DuckDB found its content wanting.
pub(crate) fn is_about_content(error: &Error) -> bool {
    error.kind() == ErrorKind::Validation
}
