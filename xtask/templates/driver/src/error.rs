//! What the other side says, as a kind of error. The one place that knows its codes.

use std::path::Path;

use osiris_core::Error;

/// The kinds come from the operating system's codes (errno(3)); the message says which file and what to do.
pub(crate) fn io_error(error: std::io::Error, path: &Path) -> Error {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => "check the table's name and the connection's `directory`",
        std::io::ErrorKind::PermissionDenied => "give the user who runs Osiris access to it",
        _ => "see the cause",
    };
    Error::from(error).with_hint(hint).with_context("path", path.display())
}

#[cfg(test)]
mod tests {
    use std::io;

    use osiris_core::ErrorKind;

    use super::*;

    #[test]
    fn codes_become_kinds_and_the_path_is_named() {
        for (code, kind) in [
            (io::ErrorKind::NotFound, ErrorKind::Validation),
            (io::ErrorKind::PermissionDenied, ErrorKind::Permission),
            (io::ErrorKind::TimedOut, ErrorKind::Timeout),
        ] {
            let error = io_error(code.into(), Path::new("/data/t.txt"));
            assert_eq!(error.kind(), kind);
            assert!(error.report().contains("/data/t.txt"));
        }
    }
}
