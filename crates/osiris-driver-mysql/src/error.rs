//! Converts server and network errors. The only place that knows the codes of MySQL and MariaDB.
//!
//! Codes: <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>. A message never holds a cell value: where the server quotes
//! one, it is masked.

use std::io;

use osiris_core::{Code, Error, ErrorKind, MASK};
use osiris_sql::error::{code_of_state, hint_of_kind, is_unknown_host, kind_of_class};
use sqlx::mysql::MySqlDatabaseError;

/// The context entry with the server's error code.
const CODE: &str = "server error";

/// The server's code of an error, such as 1062; `None` when it did not say it.
pub(crate) fn server_code(error: &Error) -> Option<u16> {
    let (_, code) = error.context().iter().find(|(key, _)| *key == CODE)?;
    code.split(' ').next()?.parse().ok()
}

/// Converts an sqlx error that occurred while `doing` something (`reading table t`).
pub(crate) fn mysql_error(error: sqlx::Error, doing: &str) -> Error {
    match error {
        sqlx::Error::Database(database) => match database.try_downcast_ref::<MySqlDatabaseError>() {
            Some(found) => server_error(found.number(), found.code().unwrap_or_default(), found.message(), doing),
            None => Error::unknown(format!("{doing}: {database}")).with_hint("check the message of the server"),
        },
        sqlx::Error::Io(error) => io_error(error, doing),
        sqlx::Error::Tls(error) => osiris_sql::tls::refused(error, doing),
        sqlx::Error::Protocol(text) if text.contains("authentication plugin") || text.contains("auth plugin") => {
            Error::auth(format!("{doing}: {text}")).with_hint(
                "the account uses an authentication plugin that is not supported: use caching_sha2_password, sha256_password or \
                 mysql_native_password",
            )
        }
        sqlx::Error::Protocol(text) => Error::network(format!("{doing}: unexpected response from the server: {text}"))
            .with_hint("check that `host` and `port`, or those in `dsn`, are of a MySQL or MariaDB server"),
        sqlx::Error::Configuration(error) => {
            Error::validation(format!("{doing}: {error}")).with_hint("check the fields of the connection")
        }
        error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::TypeNotFound { .. }) => {
            Error::validation(format!("{doing}: a value could not be decoded"))
                .with_hint("cast the column in the query, such as CAST(c AS CHAR)")
                .with_source(error)
        }
        error => Error::unknown(format!("{doing}: {error}")).with_hint("run again; if it fails again, report a bug"),
    }
}

/// Converts a server error: `code` 1045, `sqlstate` 28000, its message.
pub(crate) fn server_error(code: u16, sqlstate: &str, message: &str, doing: &str) -> Error {
    let kind = kind_of(code, sqlstate);
    let message = without_values(code, message);
    Error::new(kind, format!("{doing}: {message}"))
        .with_code(code_of(code, sqlstate, &message))
        .with_hint(hint(code, kind))
        .with_context(CODE, format!("{code} ({sqlstate})"))
}

/// The kind of a server error, by its code, else by the class of its SQLSTATE.
pub(crate) fn kind_of(code: u16, sqlstate: &str) -> ErrorKind {
    match code {
        // Wrong password; no password; must be changed or expired; locked; no common plugin; only over TLS.
        1045 | 1698 | 1820 | 1862 | 3118 | 4151 | 1251 | 1524 | 3159 => ErrorKind::Auth,
        // No grant for a database, table, column, routine or statement; host not allowed or blocked; server is read-only.
        1044 | 1129 | 1130 | 1142 | 1143 | 1227 | 1290 | 1370 | 1410 | 1792 | 1836 => ErrorKind::Permission,
        // Too many connections, of all or of the user; shutting down; killed; cut; idle for too long.
        1040 | 1203 | 1226 | 1053 | 1077 | 1079 | 1080 | 1152 | 1158..=1161 | 1184 | 1927 | 3169 | 4031 => {
            ErrorKind::Network
        }
        // Lock wait; deadlock; interrupted; over the time limit of a statement, in MariaDB and in MySQL; no wait wanted.
        1205 | 1213 | 1317 | 1614 | 1969 | 3024 | 3572 => ErrorKind::Timeout,
        // Disk full, table full, files that cannot be written.
        1021 | 1114 | 1026 | 1030 => ErrorKind::Unknown,
        // A packet that is too large, an unknown database, none chosen.
        // A table without a primary key where the server wants one.
        // A check of a table; a column without a value and without a default: their state is a general one.
        1153 | 1049 | 1046 | 3750 | 3819 | 1364 => ErrorKind::Validation,
        _ => kind_of_class(sqlstate).unwrap_or(ErrorKind::Unknown),
    }
}

/// The kind of mistake, where it is known better than by the kind of the error.
fn code_of(code: u16, sqlstate: &str, message: &str) -> Option<Code> {
    match code {
        1064 => Some(Code::SqlSyntax),
        // Ambiguous names, GROUP BY, routines that do not exist or have other arguments.
        1052 | 1055 | 1305 | 1582 => Some(Code::SqlFailed),
        1366 | 1411 => Some(Code::ValueDoesNotFit),
        3819 | 1364 => Some(Code::ConstraintViolated),
        1021 | 1114 => Some(Code::DiskFull),
        // A file or a storage engine, for any reason.
        1026 | 1030 if is_disk_full(message) => Some(Code::DiskFull),
        _ => code_of_state(sqlstate),
    }
}

/// Whether a message quotes the error 28 of the system, ENOSPC: "Got error 28 from storage engine", "(errno: 28 - No space left on
/// device)".
fn is_disk_full(message: &str) -> bool {
    let is_whole = |after: &str| !after.starts_with(|c: char| c.is_ascii_digit());
    let quotes = |number: &str| message.split(number).skip(1).any(is_whole);
    quotes("error 28") || quotes("errno: 28")
}

fn hint(code: u16, kind: ErrorKind) -> &'static str {
    match code {
        1045 | 1698 => {
            "check `user` and `password`, or those in `dsn`, and the host of the account; an account created with REQUIRE SSL needs `tls: required`"
        }
        1820 | 1862 => {
            "the password has expired: change it with ALTER USER ... IDENTIFIED BY and set the new one in `password` or `dsn`"
        }
        3118 | 4151 => "unlock the account: ALTER USER ... ACCOUNT UNLOCK",
        3159 => "the server requires encrypted connections: set `tls: required`",
        1251 | 1524 => {
            "change the authentication plugin of the account: ALTER USER ... IDENTIFIED WITH caching_sha2_password"
        }
        1044 | 1142 | 1143 | 1370 | 1410 => {
            "grant the privilege: GRANT ... ON database.table TO the user; one granted through a role needs SET DEFAULT ROLE"
        }
        1227 => "grant the privilege that the message names, or remove what needs it",
        1129 | 1130 => "the server rejects this host: create an account for it, or run FLUSH HOSTS if it is blocked",
        1290 | 1836 => "the server is read-only or restricted: use the primary server, or ask its administrator",
        1792 => "the connection is read-only: an extractor cannot change data",
        1040 => "too many connections: raise max_connections of the server, lower `max_connections` here, or try later",
        1203 | 1226 => "too many connections of the account: raise its limit, or lower `max_connections` here",
        1049 => "check `database`, or the one in `dsn`; SHOW DATABASES lists those visible to the user",
        1046 => "set `database` in the connection, or write schema.table",
        1205 | 1213 => "another transaction locked the rows: run again, or at a quieter time",
        1317 => "the statement was killed (KILL QUERY): run again, or find out who killed it",
        1927 | 3169 => "the connection was killed (KILL): run again, or find out who killed it",
        1969 | 3024 => {
            "the statement exceeded its time limit on the server: raise `statement_timeout` of the step where it is set, or \
             the server's own limit, or reduce the work of the statement"
        }
        1153 => "the row or statement exceeds max_allowed_packet of the server: raise it",
        1021 | 1114 | 1026 | 1030 => {
            "the disk or tablespace of the server is full or damaged: free some space, then run again"
        }
        1055 => {
            "add every column outside an aggregate to GROUP BY, or wrap it in ANY_VALUE(), as the server's sql_mode requires"
        }
        3750 => "set `key`, which becomes the primary key: the server requires one",
        1146 => "check the table's name and `database`; names are case-sensitive on most servers",
        1054 => "check the column's name: DESCRIBE the table lists them",
        1064 => "check the statement's syntax for this server's version and sql_mode",
        1062 => {
            "two rows have the same value in that unique key: remove one of them, or merge rows by the columns of that key"
        }
        1217 | 1451 => "rows of other tables reference a row that would be deleted: use `mode: upsert`, which keeps it",
        1216 | 1452 => "the rows violate a foreign key: write the parent table first",
        _ if kind == ErrorKind::Auth => "check `user` and `password`, or those in `dsn`",
        _ => hint_of_kind(kind).unwrap_or("look up the code in the server's error reference, and check its log"),
    }
}

/// The message without quoted data: a duplicate key, a value that does not fit.
pub(crate) fn without_values(code: u16, message: &str) -> String {
    // Duplicate entry; incorrect, truncated or invalid value; bad JSON, geometry, date; wrong value for a function.
    const QUOTE_VALUES: [u16; 17] =
        [1062, 1169, 1292, 1366, 1367, 1411, 1416, 1441, 1525, 1526, 1565, 1586, 1859, 3140, 3141, 3156, 4078];
    // `Incorrect argument type to variable 'x'` and `Incorrect table name 'x'` quote names.
    let is_value = message.starts_with("Incorrect ") && message.contains(" value");
    let data = QUOTE_VALUES.contains(&code) || is_value || message.starts_with("Duplicate entry");
    let (Some(start), true) = (message.find('\''), data) else { return message.to_owned() };
    // A value may contain quotes: it ends before the name of its key or column.
    let named = [" for key", " for column", " for function"].iter().filter_map(|mark| message.rfind(mark)).max();
    let end = match named {
        Some(end) if end > start => end,
        _ => message.rfind('\'').map_or(message.len(), |last| last + 1),
    };
    format!("{}'{MASK}'{}", &message[..start], &message[end..])
}

/// Converts I/O errors of the network or of the socket; TLS errors are among them.
pub(crate) fn io_error(error: io::Error, doing: &str) -> Error {
    let lookup = is_unknown_host(&error);
    let (kind, what, advice) = match error.kind() {
        _ if lookup => (
            ErrorKind::Network,
            "unknown host",
            "check `host`, or the one in `dsn`, and the name resolution of this machine",
        ),
        io::ErrorKind::NotFound => (
            ErrorKind::Network,
            "no such socket",
            "check `socket`, or the one in `dsn`: it is a file that the server creates",
        ),
        io::ErrorKind::PermissionDenied => (
            ErrorKind::Permission,
            "permission denied on the socket",
            "give the user who runs Osiris access to `socket`, or to the one in `dsn`",
        ),
        _ => return osiris_sql::error::io_error(error, doing, "`host` and `port` or those in `dsn`"),
    };
    let failed = Error::new(kind, format!("{doing}: {what}")).with_hint(advice).with_connection_failed();
    let failed = if lookup { failed.with_unknown_host(&error) } else { failed };
    failed.with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_kinds() {
        for (code, state, kind) in [
            (1045, "28000", ErrorKind::Auth),
            (1862, "HY000", ErrorKind::Auth),
            (1044, "42000", ErrorKind::Permission),
            (1142, "42000", ErrorKind::Permission),
            (1040, "08004", ErrorKind::Network),
            (1927, "70100", ErrorKind::Network),
            (1213, "40001", ErrorKind::Timeout),
            (1205, "HY000", ErrorKind::Timeout),
            (1969, "70100", ErrorKind::Timeout),
            (1317, "70100", ErrorKind::Timeout),
            (1049, "42000", ErrorKind::Validation),
            (1062, "23000", ErrorKind::Validation),
            (9999, "42S99", ErrorKind::Validation),
            (9999, "HY000", ErrorKind::Unknown),
        ] {
            assert_eq!(kind_of(code, state), kind, "{code}");
            assert!(!hint(code, kind).is_empty());
        }
    }

    #[test]
    fn codes_of_the_server_become_codes() {
        for (code, state, expected) in [
            (1045, "28000", Code::AuthenticationFailed),
            (1064, "42000", Code::SqlSyntax),
            (1146, "42S02", Code::TableNotFound),
            (1054, "42S22", Code::ColumnNotFound),
            (1062, "23000", Code::ConstraintViolated),
            (1406, "22001", Code::ValueDoesNotFit),
            (1021, "HY000", Code::DiskFull),
            (1142, "42000", Code::PermissionDenied),
        ] {
            assert_eq!(server_error(code, state, "x", "reading").code(), expected, "{code}");
        }
    }

    #[test]
    fn a_message_may_say_which_mistake_it_is() {
        for (code, message, expected) in [
            (1026, "Error writing file './d/t.MYD' (errno: 28 - No space left on device)", Code::DiskFull),
            (1026, "Error writing file '/tmp/MLd' (errno: 28 \"No space left on device\")", Code::DiskFull),
            (1026, "Error writing file './d/t.MYD' (errno: 5 - Input/output error)", Code::Unexpected),
            (1030, "Got error 28 from storage engine", Code::DiskFull),
            (1030, "Got error 28 - 'No space left on device' from storage engine", Code::DiskFull),
            (1030, "Got error 280 from storage engine", Code::Unexpected),
            (1030, "Got error 168 - 'Unknown (generic) error from engine' from storage engine", Code::Unexpected),
            (3819, "Check constraint 'positive' is violated.", Code::ConstraintViolated),
            (1364, "Field 'name' doesn't have a default value", Code::ConstraintViolated),
        ] {
            let error = server_error(code, "HY000", message, "writing");
            assert_eq!(error.code(), expected, "{message}");
            assert_eq!(error.kind() == ErrorKind::Validation, expected == Code::ConstraintViolated, "{message}");
        }
        assert_eq!(server_error(1365, "22012", "Division by 0", "reading").code(), Code::SqlFailed);
    }

    #[test]
    fn values_that_the_server_quotes_do_not_show() {
        for (code, message, expected) in [
            (1062, "Duplicate entry 'it's me' for key 'PRIMARY'", "Duplicate entry '***' for key 'PRIMARY'"),
            (
                1366,
                "Incorrect integer value: 'abc' for column `d`.`t`.`a` at row 1",
                "Incorrect integer value: '***' for column `d`.`t`.`a` at row 1",
            ),
            (1292, "Truncated incorrect DOUBLE value: 'a'b'", "Truncated incorrect DOUBLE value: '***'"),
            (1146, "Table 'd.t' doesn't exist", "Table 'd.t' doesn't exist"),
            (
                1232,
                "Incorrect argument type to variable 'net_write_timeout'",
                "Incorrect argument type to variable 'net_write_timeout'",
            ),
            (1103, "Incorrect table name 'a '", "Incorrect table name 'a '"),
            (4079, "Incorrect inet6 value: 'x' for column `t`", "Incorrect inet6 value: '***' for column `t`"),
        ] {
            assert_eq!(without_values(code, message), expected);
        }
    }

    #[test]
    fn what_the_network_says_has_a_kind_and_advice() {
        for (kind, expected) in [
            (io::ErrorKind::NotFound, ErrorKind::Network),
            (io::ErrorKind::PermissionDenied, ErrorKind::Permission),
            (io::ErrorKind::TimedOut, ErrorKind::Timeout),
            (io::ErrorKind::ConnectionRefused, ErrorKind::Network),
            (io::ErrorKind::Other, ErrorKind::Network),
        ] {
            let error = io_error(kind.into(), "connecting");
            assert_eq!(error.kind(), expected);
            assert!(error.hint().unwrap().contains("in `dsn`"), "the address is in one of them: {error:?}");
        }
        assert!(!osiris_sql::tls::refused("server does not support TLS".into(), "connecting").is_retryable());
    }
}
