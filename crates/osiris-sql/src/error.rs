//! What errors of the network and of SQL mean, whichever the server: their kinds, and what to do.

#[cfg(feature = "tls")]
use std::io;

#[cfg(feature = "tls")]
use osiris_core::Error;
use osiris_core::{Code, ErrorKind};

/// The kind of the classes of SQLSTATE that mean the same everywhere; `None` for the others.
pub fn kind_of_class(sqlstate: &str) -> Option<ErrorKind> {
    match sqlstate.get(..2)? {
        "28" => Some(ErrorKind::Auth),
        "08" => Some(ErrorKind::Network),
        "40" => Some(ErrorKind::Timeout),
        "21" | "22" | "23" | "42" | "44" | "3D" => Some(ErrorKind::Validation),
        _ => None,
    }
}

/// The kind of mistake that an SQLSTATE stands for; `None` where the kind of the error says as much.
pub fn code_of_state(sqlstate: &str) -> Option<Code> {
    match sqlstate {
        "42P01" | "42S02" => Some(Code::TableNotFound),
        "42703" | "42S22" => Some(Code::ColumnNotFound),
        "42601" => Some(Code::SqlSyntax),
        // Ambiguous names, GROUP BY, types and functions; a division by zero, whose result no type has.
        "42702" | "42803" | "42804" | "42883" | "22012" => Some(Code::SqlFailed),
        "53100" => Some(Code::DiskFull),
        "53200" => Some(Code::OutOfMemory),
        _ => match sqlstate.get(..2)? {
            "22" => Some(Code::ValueDoesNotFit),
            "23" => Some(Code::ConstraintViolated),
            _ => None,
        },
    }
}

/// What to do about an error of a server by its kind alone; `None` where that depends on the server.
pub fn hint_of_kind(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Network => Some("check the server and the network, then run again"),
        ErrorKind::Timeout => Some("run again, or at a quieter time"),
        ErrorKind::Permission => Some("grant the missing privilege"),
        ErrorKind::Validation => Some("fix the configuration, the statement or the data, then run again"),
        _ => None,
    }
}

/// Whether the name of the host could not be resolved.
#[cfg(feature = "tls")]
pub fn is_unknown_host(error: &io::Error) -> bool {
    let text = error.to_string();
    text.contains("lookup address") || text.contains("nodename nor servname")
}

/// The error of the network while `doing` something; those of TLS are among them. `address` names the fields with the
/// address of the server.
#[cfg(feature = "tls")]
pub fn io_error(error: io::Error, doing: &str, address: &str) -> Error {
    if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        return crate::tls::refused(error.into(), doing);
    }
    let (what, advice) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            ("connection refused", format!("check that the server is running, and {address}"))
        }
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => (
            "the server closed the connection",
            "check the server's log: it may have been restarted, or the connection killed".to_owned(),
        ),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            ("no route to the host", "check the network of this machine and firewalls".to_owned())
        }
        io::ErrorKind::TimedOut => ("connection timed out", format!("check {address}, and firewalls")),
        _ => ("network error", format!("check {address}, and the network")),
    };
    let kind = if error.kind() == io::ErrorKind::TimedOut { ErrorKind::Timeout } else { ErrorKind::Network };
    let failed = Error::new(kind, format!("{doing}: {what}")).with_hint(advice).with_connection_failed();
    let failed = if is_unknown_host(&error) { failed.with_unknown_host(&error) } else { failed };
    failed.with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_stands_for_a_mistake() {
        for (state, expected) in [
            ("42P01", Some(Code::TableNotFound)),
            ("22003", Some(Code::ValueDoesNotFit)),
            ("22012", Some(Code::SqlFailed)),
            ("23505", Some(Code::ConstraintViolated)),
            ("53100", Some(Code::DiskFull)),
            ("28000", None),
            ("2", None),
        ] {
            assert_eq!(code_of_state(state), expected, "{state}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn what_the_network_says_has_a_kind_and_advice() {
        for (kind, expected) in [
            (io::ErrorKind::ConnectionRefused, ErrorKind::Network),
            (io::ErrorKind::UnexpectedEof, ErrorKind::Network),
            (io::ErrorKind::TimedOut, ErrorKind::Timeout),
            (io::ErrorKind::Other, ErrorKind::Network),
        ] {
            let error = io_error(kind.into(), "connecting", "the fields");
            assert_eq!(error.kind(), expected);
            assert_eq!(error.code() == Code::ConnectionRefused, kind == io::ErrorKind::ConnectionRefused);
            assert!(error.is_retryable() && error.hint().is_some());
            let is_answered = kind == io::ErrorKind::UnexpectedEof;
            assert_eq!(error.hint().unwrap().contains("the fields"), !is_answered, "{error:?}");
        }
    }
}
