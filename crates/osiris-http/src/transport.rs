//! Failures below HTTP: an unknown host, no connection, an untrusted certificate, a truncated response.

use std::error::Error as StdError;

use osiris_core::Error;

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

/// Converts reqwest's error. Its URL is left out: a query may hold a secret.
pub(crate) fn failed(error: reqwest::Error, what: &str) -> Failed {
    let error = error.without_url();
    if error.is_builder() {
        return Failed::not_processed(Error::validation(format!("{what}: invalid request")).with_source(error));
    }
    if let Some(tls) = tls_error(&error) {
        return Failed::not_processed(tls_failed(&tls, what).with_connection_failed().with_source(error));
    }
    if error.is_connect() {
        let failed = if error.is_timeout() {
            Error::timeout(format!("{what}: connection timed out"))
                .with_hint("check host, port and firewall, or raise the connect timeout")
        } else if error.is_dns() {
            Error::network(format!("{what}: unknown host"))
                .with_hint("check the host in the address and the name resolution of this machine")
        } else {
            Error::network(format!("{what}: failed to connect to the server"))
                .with_hint("check host and port, and that the server is running")
        };
        return Failed::not_processed(failed.with_connection_failed().with_source(error));
    }
    Failed::maybe_processed(if error.is_timeout() {
        Error::timeout(format!("{what}: the server did not respond in time"))
            .with_connection_failed()
            .with_source(error)
    } else if error.is_body() || error.is_decode() {
        Error::network(format!("{what}: the response was truncated or corrupted")).with_source(error)
    } else {
        Error::network(format!("{what}: the connection was lost")).with_connection_failed().with_source(error)
    })
}

fn tls_failed(tls: &rustls::Error, what: &str) -> Error {
    use rustls::{AlertDescription, CertificateError as C, Error as E};
    let (why, hint) = match tls {
        E::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => (
            "the server's certificate is signed by an authority that is not trusted",
            "set `ssl_ca` to the certificate of the authority; behind an inspecting proxy, to that of the proxy",
        ),
        E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            ("the server's certificate is for another host", "use the host name that the certificate is made for")
        }
        E::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            ("the server's certificate has expired", "renew it, or set the clock of this machine")
        }
        E::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            ("the server's certificate is not valid yet", "set the clock of this machine")
        }
        E::InvalidMessage(_) => ("the server does not use TLS on this port", "use `http://`, or another port"),
        E::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
            ("the server requires a client certificate", "client certificates are not supported")
        }
        _ => ("the TLS handshake failed", "see the cause below"),
    };
    // Waiting does not help.
    Error::network(format!("{what}: {why}")).with_hint(hint).with_retryable(false)
}

/// The TLS error among the sources of an error, if any.
fn tls_error(error: &reqwest::Error) -> Option<rustls::Error> {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(current) = cause {
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return Some(tls.clone());
        }
        // An I/O error does not name the error it wraps as its source, but that one's source.
        let wrapped = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => current.source(),
        };
    }
    None
}
