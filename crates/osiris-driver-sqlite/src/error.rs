//! SQLite's result codes as kinds of errors: the one place that knows them.
//!
//! Codes: <https://www.sqlite.org/rescode.html>. SQLite's messages name tables and columns, never a value.

use osiris_core::{Code, Error, ErrorKind};
use sqlx::sqlite::SqliteError;

/// What sqlx reports while `doing` something (`reading rows`), as an error of ours.
pub(crate) fn sqlite_error(error: sqlx::Error, doing: &str) -> Error {
    match result_code(&error) {
        Some(code) => {
            let message = error.as_database_error().map_or("", |error| error.message()).to_owned();
            let (kind, hint) = kind_and_hint(code);
            Error::new(kind, format!("{doing}: {message}"))
                .with_code(code_of(code, &message))
                .with_hint(hint)
                .with_context("SQLite result code", code)
                .with_source(error)
        }
        None => Error::unknown(format!("{doing}: the connection to the file failed"))
            .with_hint("run again; if it stays, report it")
            .with_source(error),
    }
}

/// The extended result code of an error of SQLite's.
pub(crate) fn result_code(error: &sqlx::Error) -> Option<i32> {
    let error = error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    sqlx::error::DatabaseError::code(error)?.parse().ok()
}

/// Whether an INSERT that SQLite has prepared failed because of its rows: a constraint, a type that does not fit, a value
/// that is too long, or one that an expression of the table cannot take.
pub(crate) fn is_about_rows(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| matches!(code & 0xff, 1 | 18..=20))
}

/// Whether a failed COMMIT has certainly changed nothing: all but a disk that failed, whose state nobody knows.
pub(crate) fn is_rolled_back(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| code & 0xff != 10)
}

fn kind_and_hint(code: i32) -> (ErrorKind, &'static str) {
    match code & 0xff {
        5 | 6 => (
            ErrorKind::Timeout,
            "another program holds a lock on the file: run again when it is done, or raise `busy_timeout` of the connection",
        ),
        3 | 8 | 23 => (
            ErrorKind::Permission,
            "check the permissions of the file and of its directory, where SQLite keeps its journal",
        ),
        14 => {
            (ErrorKind::Permission, "check that the file and its directory can be opened, and written to by a writer")
        }
        11 => {
            (ErrorKind::Validation, "the file is damaged: restore it from a backup; `PRAGMA integrity_check` says more")
        }
        26 => (ErrorKind::Validation, "check `path`: the file is not a SQLite database, or it is encrypted"),
        9 => (ErrorKind::Cancelled, "run again"),
        10 | 13 => (ErrorKind::Unknown, "the disk is full or broken: make room and run again"),
        17 => (ErrorKind::Validation, "another program changed the schema: run again"),
        1 => (ErrorKind::Validation, "check the names and the syntax; `osiris components discover` lists the tables"),
        18..=20 | 25 => (ErrorKind::Validation, "fix the data or the table, then run again"),
        _ => (ErrorKind::Unknown, "look up the code at https://www.sqlite.org/rescode.html"),
    }
}

/// The kind of mistake, where it is known better than by the kind of the error. SQLite has one code for all that is wrong with SQL.
fn code_of(code: i32, message: &str) -> Option<Code> {
    let says = |words: &str| message.contains(words);
    Some(match code & 0xff {
        1 if says("no such table") => Code::TableNotFound,
        1 if says("no such column") || says("has no column named") => Code::ColumnNotFound,
        1 if says("syntax error") || says("incomplete input") || says("unrecognized token") => Code::SqlSyntax,
        1 => Code::SqlFailed,
        7 => Code::OutOfMemory,
        11 | 26 => Code::InvalidFile,
        13 => Code::DiskFull,
        17 => Code::SourceChanged,
        19 => Code::ConstraintViolated,
        18 | 20 => Code::ValueDoesNotFit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_about_sql_have_their_codes() {
        for (code, message, expected) in [
            (1, "no such table: t", Code::TableNotFound),
            (1, "no such column: a", Code::ColumnNotFound),
            (1, "near \"SELEC\": syntax error", Code::SqlSyntax),
            (1, "no such function: f", Code::SqlFailed),
            (1555, "UNIQUE constraint failed: t.id", Code::ConstraintViolated),
            (26, "file is not a database", Code::InvalidFile),
        ] {
            assert_eq!(code_of(code, message), Some(expected), "{message}");
        }
        assert_eq!(code_of(5, "database is locked"), None);
    }

    #[test]
    fn a_busy_file_is_tried_again_and_a_damaged_one_is_not() {
        // SQLITE_BUSY_SNAPSHOT, SQLITE_CORRUPT_INDEX, SQLITE_READONLY_DIRECTORY.
        assert_eq!(kind_and_hint(517).0, ErrorKind::Timeout);
        assert_eq!(kind_and_hint(779).0, ErrorKind::Validation);
        assert_eq!(kind_and_hint(1544).0, ErrorKind::Permission);
    }
}
