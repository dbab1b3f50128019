//! Errors of DuckDB: of user SQL, with the position in the query, and of database files.

use osiris_core::store::{EngineError, statement_error, store_error, with_cast_hint};
use osiris_core::{Code, Error, ErrorKind};

/// What DuckDB says of a file, or of a statement over it, while `doing` something (`reading rows`).
pub(crate) fn file_error(error: duckdb::Error, doing: &str) -> Error {
    let EngineError { class, detail, .. } = EngineError::read(&error);
    let says = |words: &str| detail.contains(words);
    let (kind, code, what, hint) = if says("Could not set lock on file") {
        // `Conflicting lock is held in /usr/bin/duckdb (PID 7).`
        let holder = detail.split_once("held in ").and_then(|(_, rest)| rest.split_once("). "));
        let holder = holder.map(|(holder, _)| format!(": {holder})")).unwrap_or_default();
        let what = format!("another program has the file open{holder}");
        (ErrorKind::Timeout, None, what, LOCKED)
    } else if says("not a valid DuckDB database file") {
        (ErrorKind::Validation, Some(Code::InvalidFile), "the file is not a DuckDB database".to_owned(), "check `path`")
    } else if says("external extensions is disabled") || says(".duckdb_extension") {
        let what = "the file is a database of another kind, such as SQLite".to_owned();
        (ErrorKind::Validation, Some(Code::InvalidFile), what, "check `path`; `sqlite` is a family of its own")
    } else if says("version number") {
        let what = first_line(&detail);
        (ErrorKind::Validation, Some(Code::InvalidFile), what, NEWER)
    } else if says("ncrypted") && says("key") {
        let what = "the file is encrypted".to_owned();
        (ErrorKind::Validation, Some(Code::InvalidFile), what, "copy it into a database without encryption")
    } else if class.contains("Corruption") || says("Corrupt database file") {
        let what = first_line(&detail);
        (ErrorKind::Validation, Some(Code::InvalidFile), what, "the file is damaged: restore it from a backup")
    } else if class == "IO" && (says("ermission denied") || says("Read-only file system")) {
        let hint = "check the permissions of the file and of its directory, where DuckDB keeps its log";
        (ErrorKind::Permission, None, first_line(&detail), hint)
    } else if class == "IO" && says("No space left") {
        (ErrorKind::Unknown, Some(Code::DiskFull), first_line(&detail), "make room on the disk and run again")
    } else {
        let failed = store_error(error, doing.to_owned());
        let is_advised = failed.hint().is_some();
        return match class.as_str() {
            _ if is_advised => failed,
            "Conversion" => {
                failed.with_hint("use TRY_CAST in `query` where a value may not fit, or leave those rows out")
            }
            _ => failed.with_hint("check the query, or the table that it reads"),
        };
    };
    Error::new(kind, format!("{doing}: {what}")).with_code(code).with_hint(hint).with_source(error)
}

const LOCKED: &str = "close it there and run again, or raise `busy_timeout` of the connection: DuckDB lets one program write to a \
                      file, or several read it";
const NEWER: &str = "it was written by another version of DuckDB: export it there with `EXPORT DATABASE`, or with the storage version \
                     of an older one, `ATTACH 'new.duckdb' (STORAGE_VERSION 'v1.2.0')` and `COPY FROM DATABASE`";

/// Whether another program has the file open.
pub(crate) fn is_locked(error: &Error) -> bool {
    error.kind() == ErrorKind::Timeout
}

/// Whether a COMMIT that failed with this error has certainly changed nothing: all but a disk that failed, or DuckDB itself, whose
/// state nobody knows.
pub(crate) fn is_rolled_back(error: &duckdb::Error) -> bool {
    let class = EngineError::read(error).class;
    matches!(
        class.as_str(),
        "TransactionContext" | "Constraint" | "INTERRUPT" | "Out of Memory" | "Dependency" | "Catalog"
    )
}

fn first_line(detail: &str) -> String {
    detail.lines().next().unwrap_or(detail).to_owned()
}

/// Converts an error in `sql`, with its position as line and column. `before` is the number of bytes before `sql` in
/// the statement that DuckDB saw.
pub(crate) fn sql_error(error: duckdb::Error, sql: &str, before: usize) -> Error {
    let offset = EngineError::read(&error).offset.and_then(|offset| offset.checked_sub(before));
    let message = match offset.and_then(|offset| position(sql, offset)) {
        Some((line, column)) => format!("the query failed at line {line}, column {column}"),
        None => "the query failed".to_owned(),
    };
    with_cast_hint(statement_error(error, message, sql), sql)
}

/// The same for a statement built from the step's `query`, where `place` maps positions: the error says the place
/// in the whole query. Its context has these words as `place`, and the `offset` in bytes: a caller that finds the line in
/// the pipeline file says that instead.
pub(crate) fn query_error(error: duckdb::Error, query: &str, place: impl Fn(usize) -> Option<usize>) -> Error {
    let offset = EngineError::read(&error).offset.and_then(place);
    let error = match offset.and_then(|offset| Some((offset, position(query, offset)?))) {
        Some((offset, (line, column))) => {
            let place = format!("at line {line}, column {column}");
            statement_error(error, format!("the query failed {place}"), query)
                .with_context("place", place)
                .with_context("offset", offset)
        }
        None => statement_error(error, "the query failed", query),
    };
    with_cast_hint(error, query)
}

/// Line and column, from 1, of a byte offset.
fn position(sql: &str, offset: usize) -> Option<(usize, usize)> {
    let before = sql.get(..offset)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Some((line, column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_files_say_what_to_do() {
        for (text, kind, says) in [
            (
                "IO Error: Could not set lock on file \"/a.duckdb\": Conflicting lock is held in /usr/bin/duckdb (PID 7). See also https://x",
                ErrorKind::Timeout,
                "another program has the file open: /usr/bin/duckdb (PID 7)",
            ),
            (
                "IO Error: Trying to read a database file with version number 99, but we can only read versions between 64 and 70.\nThe file",
                ErrorKind::Validation,
                "version number 99",
            ),
            ("IO Error: Cannot open file \"/a\": Permission denied", ErrorKind::Permission, "Permission denied"),
            ("IO Error: Could not write: No space left on device", ErrorKind::Unknown, "No space left"),
            (
                "Permission Error: Loading external extensions is disabled through configuration",
                ErrorKind::Validation,
                "of another kind",
            ),
            ("Data Corruption Error: Corrupt database file: computed checksum 1", ErrorKind::Validation, "Corrupt"),
        ] {
            let error = duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(text.to_owned()));
            let error = file_error(error, "opening `a`");
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.message().contains(says) && error.hint().is_some(), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_commit_that_failed_on_the_disk_has_an_unknown_outcome() {
        for (text, is_known) in [
            ("TransactionContext Error: Failed to commit: conflict", true),
            ("IO Error: Could not write file", false),
            ("FATAL Error: database has been invalidated", false),
        ] {
            let error = duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(text.to_owned()));
            assert_eq!(is_rolled_back(&error), is_known, "{text}");
        }
    }
}
