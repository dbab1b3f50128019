//! What the network says, before any server does.

use std::io;

use osiris_core::{Error, ErrorKind};

/// Converts an I/O error of the network.
pub fn io_error(error: io::Error, doing: &str) -> Error {
    if let Some(inner) = error.get_ref().filter(|inner| inner.is::<rustls::Error>()) {
        return osiris_sql::tls::refused(inner.to_string().into(), doing).with_source(error);
    }
    let (what, advice) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            ("connection refused", "check that the server is running, and `host` and `port` or those in `dsn`")
        }
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => (
            "the server closed the connection",
            "check the server's log: it may have been restarted, or the connection killed",
        ),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            ("no route to the host", "check the network of this machine and firewalls")
        }
        io::ErrorKind::TimedOut => ("connection timed out", "check `host`, `port` and firewalls"),
        _ => ("network error", "check `host`, `port` and the network"),
    };
    let kind = if error.kind() == io::ErrorKind::TimedOut { ErrorKind::Timeout } else { ErrorKind::Network };
    Error::new(kind, format!("{doing}: {what}")).with_hint(advice).with_connection_failed().with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_network_says_has_a_kind_and_advice() {
        for (kind, expected) in [
            (io::ErrorKind::ConnectionRefused, ErrorKind::Network),
            (io::ErrorKind::UnexpectedEof, ErrorKind::Network),
            (io::ErrorKind::TimedOut, ErrorKind::Timeout),
            (io::ErrorKind::Other, ErrorKind::Network),
        ] {
            let error = io_error(kind.into(), "connecting");
            assert_eq!(error.kind(), expected);
            assert!(error.is_retryable() && error.hint().is_some());
        }
    }
}
