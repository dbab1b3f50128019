//! Failures below HTTP: an unknown host, no connection, an untrusted certificate, a truncated response.

use std::error::Error as StdError;

use osiris_core::{Code, Error, tls};

use crate::failure::USE_HTTPS;

/// An attempt that failed, and whether the server may have acted on it.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) processed: bool,
    /// Rejected for exceeding the rate limit: the pace has to know.
    pub(crate) throttled: bool,
}

impl Failed {
    pub(crate) fn maybe_processed(error: Error) -> Self {
        Self { error, processed: true, throttled: false }
    }

    pub(crate) fn not_processed(error: Error) -> Self {
        Self { error, processed: false, throttled: false }
    }
}

/// Converts reqwest's error. Its URL is left out: a query may hold a secret. `encrypted` is whether the address is one of
/// `https`.
pub(crate) fn failed(error: reqwest::Error, what: &str, encrypted: bool) -> Failed {
    let error = error.without_url();
    let failed = explained(&error, what, encrypted);
    Failed { error: failed.error.with_source(error), ..failed }
}

/// The error for a transport failure that another client of HTTP reports, if there is one among its causes, with the
/// advice of this one and without its source: a URL may hold a secret. `what` says what was being done; `encrypted` is
/// whether the address is one of `https`.
pub fn transport_error(error: &(dyn StdError + 'static), what: &str, encrypted: bool) -> Option<Error> {
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    let found = causes.filter_map(|cause| cause.downcast_ref::<reqwest::Error>()).next()?;
    Some(explained(found, what, encrypted).error)
}

fn explained(error: &reqwest::Error, what: &str, encrypted: bool) -> Failed {
    if error.is_builder() {
        return Failed::not_processed(Error::validation(format!("{what}: invalid request")));
    }
    if let Some(tls) = tls::find(error).cloned() {
        return Failed::not_processed(tls_failed(&tls, what).with_connection_failed());
    }
    if error.is_connect() {
        let failed = if error.is_timeout() {
            Error::timeout(format!("{what}: connection timed out"))
                .with_hint("check host, port and firewall, or raise the connect timeout")
        } else if error.is_dns() {
            Error::network(format!("{what}: unknown host"))
                .with_unknown_host(error)
                .with_hint("check the host in the address and the name resolution of this machine")
        } else {
            Error::network(format!("{what}: failed to connect to the server"))
                .with_hint("check host and port, and that the server is running")
        };
        return Failed::not_processed(failed.with_connection_failed());
    }
    Failed::maybe_processed(if error.is_timeout() {
        Error::timeout(format!("{what}: the server did not respond in time")).with_connection_failed()
    } else if error.is_body() || error.is_decode() {
        Error::network(format!("{what}: the response was truncated or corrupted"))
    } else if parsing(error).is_some_and(hyper::Error::is_parse_too_large) {
        // It would send the same again.
        Error::validation(format!("{what}: the headers of the response are too large: expected at most {HEADERS}"))
            .with_hint("set up the server, or a proxy before it, to send fewer or shorter headers, such as cookies")
    } else if parsing(error).is_some() {
        // It would answer the same again.
        Error::network(format!("{what}: the server does not answer as an HTTP server does"))
            .with_code(Code::UnexpectedResponse)
            .with_hint(if encrypted { "check host and port: another service answers there" } else { USE_HTTPS })
            .with_retryable(false)
            .with_connection_failed()
    } else {
        let lost = Error::network(format!("{what}: the connection was lost")).with_connection_failed();
        // Some servers that expect TLS say nothing at all.
        if encrypted { lost } else { lost.with_hint("check the server's log; if it expects TLS, use `https://`") }
    })
}

/// What hyper reads of the head of a response, by default.
const HEADERS: &str = "100 headers of 400 KiB";

/// The error of a response that is no HTTP, such as the alert of a server that expects TLS or the greeting of another
/// service, or that has too much of it.
fn parsing(error: &reqwest::Error) -> Option<&hyper::Error> {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.filter_map(|cause| cause.downcast_ref::<hyper::Error>()).find(|error| error.is_parse())
}

fn tls_failed(tls: &rustls::Error, what: &str) -> Error {
    let (why, hint) = match tls {
        rustls::Error::InvalidMessage(_) => {
            ("the server does not use TLS on this port".into(), "use `http://`, or another port")
        }
        tls if tls::wants_client_certificate(tls) => (tls::explain(tls).0, "client certificates are not supported"),
        tls => tls::explain(tls),
    };
    // Waiting does not help.
    Error::network(format!("{what}: {why}")).with_code(Code::TlsFailed).with_hint(hint).with_retryable(false)
}
