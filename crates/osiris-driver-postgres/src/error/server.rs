//! The codes of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>) and those of poolers.

use osiris_core::{Error, ErrorKind, MASK};
use osiris_sql::error::{code_of_state, hint_of_kind, kind_of_class};
use sqlx::postgres::PgDatabaseError;

use super::{CODE, io_error};

/// Converts an sqlx error that occurred while `doing` something (`reading table t`).
pub fn postgres_error(error: sqlx::Error, doing: &str) -> Error {
    match error {
        sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(found) => server_error(found.code(), found.message(), doing),
            None => Error::unknown(format!("{doing}: {database}")).with_hint("check the message of the server"),
        },
        sqlx::Error::Io(error) => io_error(error, doing),
        sqlx::Error::Tls(error) => osiris_sql::tls::refused(error, doing),
        sqlx::Error::Protocol(text) if text.contains("authentication method") => {
            Error::auth(format!("{doing}: the server requires an authentication method that is not supported"))
                .with_hint("use a role with a password (scram-sha-256) as `user`")
        }
        sqlx::Error::Protocol(text) => Error::network(format!("{doing}: unexpected response from the server"))
            .with_hint("check that the address is of a PostgreSQL server")
            .with_source(text),
        // Its text may contain a character of the password.
        sqlx::Error::Configuration(_) => {
            Error::validation(format!("{doing}: unsupported characters in the user name or password"))
                .with_hint("control characters, such as a line break or a tab, are not supported: change it")
        }
        error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::TypeNotFound { .. }) => {
            Error::validation(format!("{doing}: a value could not be decoded"))
                .with_hint("cast the column in the query, such as `c::text`")
                .with_source(error)
        }
        error => Error::unknown(format!("{doing}: the client failed"))
            .with_hint("run again; if it fails again, report a bug")
            .with_source(error),
    }
}

/// Converts a server error: its SQLSTATE and message.
pub fn server_error(state: &str, message: &str, doing: &str) -> Error {
    let kind = kind_of(state, message);
    let error = Error::new(kind, format!("{doing}: {}", without_values(state, message)))
        .with_code(code_of_state(state))
        .with_hint(hint(state, message, kind))
        .with_context(CODE, state);
    let ends = state.starts_with("08") || state.starts_with("57P");
    let error = if ends { error.with_connection_failed() } else { error };
    // An unknown project is not a temporary failure.
    if is_unknown_tenant(message) { error.with_retryable(false) } else { error }
}

/// The kind of a server error, by its code, else by its class.
pub fn kind_of(state: &str, message: &str) -> ErrorKind {
    match state {
        _ if is_without_transactions(message) => ErrorKind::Validation,
        // Poolers use this code for most errors.
        "XX000" | "08P01" if is_unknown_tenant(message) || message.contains("password authentication") => {
            ErrorKind::Auth
        }
        "08P01" if message.contains("auth") || message.contains("no such user") => ErrorKind::Auth,
        "08P01" | "XX000" if message.contains("server_login") || message.contains("pooler") => ErrorKind::Network,
        "28000" if message.contains("pg_hba.conf") || message.contains("not permitted") => ErrorKind::Permission,
        "42501" => ErrorKind::Permission,
        // A read-only transaction or standby.
        "25006" => ErrorKind::Permission,
        // Too many connections; starting, stopping, recovering, ended by an administrator.
        "53300" | "57P01" | "57P02" | "57P03" | "57P05" => ErrorKind::Network,
        // Serialization, deadlock, lock wait, statement or idle timeout, cancelled.
        "40001" | "40P01" | "55P03" | "57014" | "25P03" | "25P04" => ErrorKind::Timeout,
        "53100" | "53200" | "53400" => ErrorKind::Unknown,
        _ => match state.get(..2) {
            Some("0A" | "20" | "25" | "26" | "2B" | "3F" | "55" | "54" | "P0") => ErrorKind::Validation,
            _ => kind_of_class(state).unwrap_or(ErrorKind::Unknown),
        },
    }
}

/// Whether a table could not be created since there is one of its name. Of two that create it at the same time, the later
/// one is told so by a unique index of the catalog: of the types, since each table has one, or of the relations.
pub fn is_there_already(state: &str, message: &str) -> bool {
    const CATALOG: [&str; 2] = ["\"pg_type_typname_nsp_index\"", "\"pg_class_relname_nsp_index\""];
    matches!(state, "42P07" | "42710") || (state == "23505" && CATALOG.iter().any(|index| message.contains(index)))
}

/// Supavisor and pgbouncer, for a user without the project reference.
fn is_unknown_tenant(message: &str) -> bool {
    message.contains("Tenant or user not found") || message.contains("no such database")
}

/// PgBouncer in statement mode, for the first transaction: no later attempt can succeed.
fn is_without_transactions(message: &str) -> bool {
    message.contains("transaction blocks not allowed in statement pooling mode")
}

/// The hint for an error.
pub fn hint(state: &str, message: &str, kind: ErrorKind) -> &'static str {
    match state {
        _ if message.contains("Tenant or user not found") => {
            "the pooler expects the user `postgres.<project reference>`, and the host of the project's region"
        }
        _ if is_without_transactions(message) => {
            "set `pool_mode` of the pooler to `transaction` or `session`, or use the server's own address"
        }
        "28P01" => "check `user` and `password`, or those in `dsn`",
        "28000" if message.contains("not permitted to log in") => {
            "use a role that can log in, or run ALTER ROLE ... LOGIN"
        }
        // As servers before version 14 say it, too.
        "28000" if message.contains("no encryption") || message.contains("SSL off") => {
            "check the server's pg_hba.conf: it may require encryption (`tls: required`), or reject this role, host or database"
        }
        "28000" => "the server rejects this role, host or database: check its pg_hba.conf",
        "3D000" => "check `database`, or the one in `dsn`",
        "42501" if message.contains("for database") => "grant the privilege: GRANT CONNECT ON DATABASE ... TO the role",
        "42501" => "grant the privilege: GRANT ... ON the table TO the role; for row level security add a policy",
        "25006" => "the server or the transaction is read-only: use the primary server",
        "53300" => "too many connections: use the pooler's address, close other clients, or try later",
        "57P01" | "57P02" | "57P03" | "57P05" => "the server is starting, stopping or was restarted: run again later",
        "40001" | "40P01" | "55P03" => "another transaction locked the rows: run again, or at a quieter time",
        "57014" => {
            "the statement exceeded its time limit or was cancelled: raise `statement_timeout` of the step where it is set, or \
             reduce its work"
        }
        "53100" => "the disk of the server is full: free some space, then run again",
        "42P01" => "check the table's name and `schema`; names are case-sensitive here",
        "3F000" => "check `schema`: it does not exist",
        "42703" => "check the column's name; names are case-sensitive here",
        "42601" => "check the statement's syntax",
        _ if is_there_already(state, message) => "another client has created it in the meantime: run again",
        "23505" => {
            "two rows have the same value in that unique constraint: remove one of them, or merge rows by its columns"
        }
        "23503" => "the rows violate a foreign key: write the parent table first",
        "23502" => "a NOT NULL column has no value: write one, or give it a default",
        "42P10" => "the columns of `key` have no unique constraint: add one, or name columns that have one",
        "21000" => "the same key occurs twice: remove the duplicates",
        "26000" | "42P05" => "connected through a pooler: set its own address and port in the connection",
        _ if kind == ErrorKind::Auth => "check `user` and `password`, or those in `dsn`",
        _ => hint_of_kind(kind)
            .unwrap_or("look up the code in PostgreSQL's list of error codes, and check the server's log"),
    }
}

/// The message without quoted data: a value that does not fit its type. The names of columns, tables,
/// constraints and types are kept.
pub fn without_values(state: &str, message: &str) -> String {
    // Data exceptions, and the three others whose messages quote values.
    if !state.starts_with("22") && !matches!(state, "42804" | "23514" | "P0001") || state == "P0001" {
        return message.to_owned();
    }
    const NAMES: [&str; 9] =
        ["column ", "relation ", "constraint ", "table ", "encoding ", "type ", "domain ", "parameter ", "function "];
    let mut start = 0;
    while let Some(at) = message[start..].find('"').map(|at| start + at) {
        if !NAMES.iter().any(|name| message[..at].ends_with(name)) {
            // A value may contain quotes: it ends with the last one.
            let end = message.rfind('"').filter(|end| *end > at).map_or(message.len(), |end| end + 1);
            return format!("{}\"{MASK}\"{}", &message[..at], &message[end..]);
        }
        match message[at + 1..].find('"') {
            Some(length) => start = at + 1 + length + 1,
            None => break,
        }
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_kinds() {
        for (state, message, kind) in [
            ("28P01", "password authentication failed for user \"u\"", ErrorKind::Auth),
            ("28000", "no pg_hba.conf entry for host \"h\"", ErrorKind::Permission),
            ("XX000", "Tenant or user not found", ErrorKind::Auth),
            ("XX000", "internal error", ErrorKind::Unknown),
            ("08P01", "SASL authentication failed", ErrorKind::Auth),
            ("08P01", "transaction blocks not allowed in statement pooling mode", ErrorKind::Validation),
            ("42501", "permission denied for table t", ErrorKind::Permission),
            ("53300", "sorry, too many clients already", ErrorKind::Network),
            ("57P03", "the database system is starting up", ErrorKind::Network),
            ("08006", "connection failure", ErrorKind::Network),
            ("40P01", "deadlock detected", ErrorKind::Timeout),
            ("57014", "canceling statement due to statement timeout", ErrorKind::Timeout),
            ("3D000", "database \"x\" does not exist", ErrorKind::Validation),
            ("23505", "duplicate key value violates unique constraint \"k\"", ErrorKind::Validation),
            ("53100", "could not extend file", ErrorKind::Unknown),
            ("F0000", "configuration file error", ErrorKind::Unknown),
        ] {
            assert_eq!(kind_of(state, message), kind, "{state}");
            assert!(!hint(state, message, kind).is_empty());
        }
    }

    #[test]
    fn a_name_that_is_taken_is_told_from_a_row_that_comes_twice() {
        for (state, message, is_there) in [
            ("42P07", "relation \"t\" already exists", true),
            ("42710", "type \"t\" already exists", true),
            ("23505", "duplicate key value violates unique constraint \"pg_type_typname_nsp_index\"", true),
            ("23505", "duplicate key value violates unique constraint \"pg_class_relname_nsp_index\"", true),
            ("23505", "duplicate key value violates unique constraint \"t_pkey\"", false),
            ("42P01", "relation \"t\" does not exist", false),
        ] {
            assert_eq!(is_there_already(state, message), is_there, "{message}");
            let hint = hint(state, message, kind_of(state, message));
            assert_eq!(hint.contains("another client has created it"), is_there, "{hint}");
        }
    }

    #[test]
    fn values_that_the_server_quotes_do_not_show() {
        for (state, message, expected) in [
            (
                "22P02",
                "invalid input syntax for type integer: \"abc\"",
                "invalid input syntax for type integer: \"***\"",
            ),
            ("22P02", "invalid input value for enum mood: \"a\"b\"", "invalid input value for enum mood: \"***\""),
            (
                "22003",
                "value \"99999999999\" is out of range for type integer",
                "value \"***\" is out of range for type integer",
            ),
            (
                "22021",
                "invalid byte sequence for encoding \"UTF8\": 0x00",
                "invalid byte sequence for encoding \"UTF8\": 0x00",
            ),
            ("22001", "value too long for type character varying(5)", "value too long for type character varying(5)"),
            ("42P01", "relation \"t\" does not exist", "relation \"t\" does not exist"),
            (
                "23505",
                "duplicate key value violates unique constraint \"k\"",
                "duplicate key value violates unique constraint \"k\"",
            ),
        ] {
            assert_eq!(without_values(state, message), expected);
        }
    }

    #[test]
    fn an_error_carries_its_code() {
        let error = server_error("23505", "duplicate key value violates unique constraint \"k\"", "writing table t");
        assert_eq!(super::super::sqlstate(&error), Some("23505"));
        assert!(!error.is_retryable());
        assert!(server_error("40P01", "deadlock detected", "writing").is_retryable());
    }
}
