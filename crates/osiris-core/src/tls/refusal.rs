//! What the errors of rustls and webpki mean, and what to do.

use std::borrow::Cow;

use rustls::{AlertDescription, CertificateError, Error as TlsError, OtherError};

/// Whether the server's certificate was refused.
pub fn is_of_certificate(error: &TlsError) -> bool {
    matches!(error, TlsError::InvalidCertificate(_))
}

/// Whether the certificate is good but for the name in it.
pub fn is_other_name(error: &TlsError) -> bool {
    use CertificateError as C;
    matches!(error, TlsError::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }))
}

/// The same where there is no name in it: a subject may have a common name, but that one is no name of a host (RFC 9525).
pub fn names_no_host(error: &TlsError) -> bool {
    use CertificateError as C;
    matches!(error, TlsError::InvalidCertificate(C::NotValidForNameContext { presented, .. }) if presented.is_empty())
}

/// Whether the server wants a certificate of the client, or another one.
pub fn wants_client_certificate(error: &TlsError) -> bool {
    use AlertDescription as A;
    matches!(error, TlsError::AlertReceived(A::CertificateRequired | A::BadCertificate | A::UnknownCA))
}

/// Whether the certificate is good by itself, but not by whom it was signed.
pub(super) fn is_of_issuer(error: &TlsError) -> bool {
    use CertificateError as C;
    let TlsError::InvalidCertificate(error) = error else { return false };
    match error {
        C::UnknownIssuer | C::BadSignature => true,
        C::Other(other) => matches!(webpki_error(other), Some(webpki::Error::CaUsedAsEndEntity)),
        error => is_of_algorithm(error),
    }
}

#[expect(deprecated, reason = "it may still come from a verifier of the system")]
fn is_of_algorithm(error: &CertificateError) -> bool {
    use CertificateError as C;
    matches!(
        error,
        C::UnsupportedSignatureAlgorithm
            | C::UnsupportedSignatureAlgorithmContext { .. }
            | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    )
}

/// The reason behind one for which rustls has no variant.
fn webpki_error(other: &OtherError) -> Option<&webpki::Error> {
    other.0.downcast_ref()
}

/// Why a server was refused, or has refused, and what to do.
pub fn explain(error: &TlsError) -> (Cow<'static, str>, &'static str) {
    use AlertDescription as A;
    const VERSIONS: &str = "the server must allow TLS 1.2 or 1.3 with a cipher of today";
    match error {
        error if names_no_host(error) => (
            "the server's certificate names no host".into(),
            "issue one that names it: `-addext subjectAltName=DNS:HOST` of `openssl req`",
        ),
        TlsError::InvalidCertificate(certificate) => match of_certificate(certificate) {
            Some((what, hint)) => (what.into(), hint),
            None => (
                format!("the server's certificate cannot be used: {}", reason(certificate)).into(),
                "give the server another one",
            ),
        },
        error if wants_client_certificate(error) => {
            ("the server requires a client certificate".into(), "give it one that it trusts")
        }
        TlsError::AlertReceived(A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity)
        | TlsError::PeerIncompatible(_) => {
            (format!("the server and this client have no version or cipher of TLS in common: {error}").into(), VERSIONS)
        }
        error => (format!("the TLS handshake failed: {error}").into(), VERSIONS),
    }
}

/// The reason in the words of whoever checked the certificate.
fn reason(error: &CertificateError) -> String {
    match error {
        CertificateError::Other(OtherError(reason)) => reason.to_string(),
        error => error.to_string(),
    }
}

/// What is wrong with a certificate, and what to do.
fn of_certificate(error: &CertificateError) -> Option<(&'static str, &'static str)> {
    use CertificateError as C;
    Some(match error {
        C::UnknownIssuer => (
            "the server's certificate is signed by an authority that is not trusted",
            "set `ssl_ca` to the certificate of the authority; behind an inspecting proxy, to that of the proxy",
        ),
        C::BadSignature => (
            "the server's certificate is signed by an authority that is not trusted",
            "set `ssl_ca` to the certificate of the authority: the one that is set has the same name and another key",
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            ("the server's certificate is for another host", "use the host name that the certificate is made for")
        }
        C::Expired | C::ExpiredContext { .. } => {
            ("the server's certificate has expired", "renew it, or set the clock of this machine")
        }
        C::NotValidYet | C::NotValidYetContext { .. } => {
            ("the server's certificate is not valid yet", "set the clock of this machine")
        }
        C::Revoked => ("the server's certificate has been revoked", "give the server a new one"),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => (
            "the server's certificate is not one for a server",
            "have one made with the extended key usage `serverAuth`",
        ),
        C::UnhandledCriticalExtension => UNKNOWN_EXTENSION,
        C::Other(other) => return webpki_error(other).and_then(of_webpki),
        error if is_of_algorithm(error) => (
            "the server's certificate is signed with an algorithm that is not accepted",
            "have it signed with SHA-256 or better, by a key of RSA (2048 bits), ECDSA or Ed25519",
        ),
        _ => return None,
    })
}

const UNKNOWN_EXTENSION: (&str, &str) =
    ("the server's certificate has a critical extension that is not supported", "give the server one without it");

fn of_webpki(error: &webpki::Error) -> Option<(&'static str, &'static str)> {
    use webpki::Error as E;
    Some(match error {
        E::CaUsedAsEndEntity => (
            "the server's certificate is that of an authority",
            "it is made with `CA:TRUE`: set `ssl_ca` to this certificate itself, or give the server one with `CA:FALSE`",
        ),
        E::EndEntityUsedAsCa => (
            "the server's certificate is signed by one that is not that of an authority",
            "have it signed by a certificate with `CA:TRUE`; or, if it is the server's own, set `ssl_ca` to the one that it has now",
        ),
        E::PathLenConstraintViolated => (
            "the server's certificate is signed by an authority that may not have another one below it",
            "have it signed by the upper authority, or raise the `pathlen` of that one",
        ),
        E::NameConstraintViolation => (
            "the server's certificate is for a host for which its authority may not sign",
            "have it signed by an authority that may",
        ),
        E::UnsupportedCertVersion => (
            "the server's certificate is of an old form (X.509 version 1)",
            "have one made of version 3, with the name of the host as an alternative name",
        ),
        E::UnsupportedCriticalExtension => UNKNOWN_EXTENSION,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use rustls::pki_types::ServerName;

    fn other(error: webpki::Error) -> CertificateError {
        CertificateError::Other(OtherError(Arc::new(error)))
    }

    fn for_other_name(expected: &str, presented: &[&str]) -> CertificateError {
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from(expected.to_owned()).unwrap(),
            presented: presented.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn each_reason_has_a_text_and_a_remedy() {
        use CertificateError as C;
        use webpki::Error as E;
        for (certificate, said, advice) in [
            (other(E::CaUsedAsEndEntity), "that of an authority", "set `ssl_ca` to this certificate itself"),
            (other(E::EndEntityUsedAsCa), "not that of an authority", "CA:TRUE"),
            (other(E::UnsupportedCertVersion), "version 1", "version 3"),
            (other(E::UnsupportedCriticalExtension), "critical extension", "without it"),
            (other(E::NameConstraintViolation), "may not sign", "that may"),
            (other(E::EmptyEkuExtension), "cannot be used: EmptyEkuExtension", "another one"),
            (C::UnhandledCriticalExtension, "critical extension", "without it"),
            (C::UnknownIssuer, "an authority that is not trusted", "set `ssl_ca`"),
            (C::NotValidForName, "for another host", "the host name"),
            (C::Expired, "has expired", "renew it"),
            (C::NotValidYet, "not valid yet", "clock"),
            (C::Revoked, "revoked", "a new one"),
            (C::InvalidPurpose, "not one for a server", "serverAuth"),
            (C::BadEncoding, "cannot be used: BadEncoding", "another one"),
        ] {
            let (what, hint) = explain(&TlsError::InvalidCertificate(certificate));
            assert!(what.contains(said) && hint.contains(advice), "{what} {hint}");
        }
        let (what, _) = explain(&TlsError::AlertReceived(AlertDescription::ProtocolVersion));
        assert!(what.ends_with("TLS in common: received fatal alert: ProtocolVersion"), "{what}");
    }

    #[test]
    fn the_name_of_a_host_is_not_taken_for_a_reason() {
        for host in ["Expired.example", "UnknownIssuer.example", "CaUsedAsEndEntity"] {
            let (what, _) = explain(&TlsError::InvalidCertificate(for_other_name(host, &["DnsName(\"Revoked\")"])));
            assert_eq!(what, "the server's certificate is for another host");
        }
        let (what, hint) = explain(&TlsError::InvalidCertificate(for_other_name("db.example", &[])));
        assert_eq!(what, "the server's certificate names no host");
        assert!(hint.contains("subjectAltName"), "{hint}");
        let revocations = CertificateError::ExpiredRevocationList;
        let (what, _) = explain(&TlsError::InvalidCertificate(revocations));
        assert!(what.contains("cannot be used"), "{what}");
    }
}
