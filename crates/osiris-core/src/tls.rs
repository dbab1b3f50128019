//! Whom a client trusts over TLS, for all drivers: one verifier, and one text for each reason why a server was refused.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

/// Verifies a server's certificate: by the certificates that are trusted, or not at all. Signatures are always checked, so
/// that the server owns the key that it shows.
#[derive(Debug)]
pub struct ServerVerifier {
    trusted: Option<Trusted>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Trusted {
    chains: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
    names: bool,
}

impl ServerVerifier {
    /// Trusts these certificates, and what they have signed, and nothing else. `names` is whether a certificate must be one
    /// for the name of the server.
    ///
    /// # Errors
    /// When one of them cannot be used, or there is none.
    pub fn of_certificates(
        certificates: Vec<CertificateDer<'static>>,
        names: bool,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone())?;
        }
        let verifier = Self::of_roots(roots, names, provider).map_err(|error| TlsError::General(error.to_string()))?;
        let trusted = verifier.trusted.map(|trusted| Trusted { certificates, ..trusted });
        Ok(Self { trusted, ..verifier })
    }

    /// Trusts what these authorities have signed.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_roots(
        roots: RootCertStore,
        names: bool,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let trusted = Trusted { chains: builder.build()?, certificates: Vec::new(), names };
        Ok(Self { trusted: Some(trusted), provider })
    }

    /// Trusts any certificate of any server.
    pub fn of_anyone(provider: Arc<CryptoProvider>) -> Self {
        Self { trusted: None, provider }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(trusted) = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        let mut verdict = trusted.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // A certificate that signed itself as an authority, as `openssl req -x509` makes it, is not one that it signed.
        // Its time was checked before that was found.
        let is_trusted = || trusted.certificates.iter().any(|certificate| certificate.as_ref() == end_entity.as_ref());
        if verdict.as_ref().is_err_and(is_of_authority) && is_trusted() {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            verdict = verify_server_name(&parsed, server_name).map(|()| ServerCertVerified::assertion());
        }
        match verdict {
            Err(error) if !trusted.names && is_other_name(&error) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether the certificate is that of an authority. The reason has no variant of its own.
pub fn is_of_authority(error: &TlsError) -> bool {
    matches!(error, TlsError::InvalidCertificate(CertificateError::Other(other)) if format!("{other:?}").contains(AUTHORITY))
}

/// Whether the certificate is good but for the name in it.
pub fn is_other_name(error: &TlsError) -> bool {
    use CertificateError as C;
    matches!(error, TlsError::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }))
}

/// Whether the server wants a certificate of the client, or another one.
pub fn wants_client_certificate(error: &TlsError) -> bool {
    use AlertDescription as A;
    matches!(error, TlsError::AlertReceived(A::CertificateRequired | A::BadCertificate | A::UnknownCA))
}

const AUTHORITY: &str = "CaUsedAsEndEntity";

/// What is wrong with a certificate, by the names of rustls and webpki, and what to do.
const CERTIFICATES: [(&str, &str, &str); 12] = [
    (
        AUTHORITY,
        "the server's certificate is that of an authority",
        "it is made with `CA:TRUE`: set `ssl_ca` to this certificate itself, or give the server one with `CA:FALSE`",
    ),
    (
        "EndEntityUsedAsCa",
        "the server's certificate is signed by one that is not that of an authority",
        "have it signed by a certificate with `CA:TRUE`",
    ),
    (
        "UnknownIssuer",
        "the server's certificate is signed by an authority that is not trusted",
        "set `ssl_ca` to the certificate of the authority; behind an inspecting proxy, to that of the proxy",
    ),
    (
        "BadSignature",
        "the server's certificate is signed by an authority that is not trusted",
        "set `ssl_ca` to the certificate of the authority: the one that is set has the same name and another key",
    ),
    (
        "NotValidForName",
        "the server's certificate is for another host",
        "use the host name that the certificate is made for",
    ),
    ("Expired", "the server's certificate has expired", "renew it, or set the clock of this machine"),
    ("NotValidYet", "the server's certificate is not valid yet", "set the clock of this machine"),
    ("Revoked", "the server's certificate has been revoked", "give the server a new one"),
    (
        "InvalidPurpose",
        "the server's certificate is not one for a server",
        "have one made with the extended key usage `serverAuth`",
    ),
    (
        "UnsupportedSignatureAlgorithm",
        "the server's certificate is signed with an algorithm that is not accepted",
        "have it signed with SHA-256 or better, by a key of RSA (2048 bits), ECDSA or Ed25519",
    ),
    (
        "UnsupportedCertVersion",
        "the server's certificate is of an old form (X.509 version 1)",
        "have one made of version 3, with the name of the host as an alternative name",
    ),
    (
        "UnhandledCriticalExtension",
        "the server's certificate has a critical extension that is not supported",
        "give the server one without it",
    ),
];

/// Why a server was refused, or has refused, and what to do.
pub fn explain(error: &TlsError) -> (Cow<'static, str>, &'static str) {
    use AlertDescription as A;
    const VERSIONS: &str = "the server must allow TLS 1.2 or 1.3 with a cipher of today";
    match error {
        TlsError::InvalidCertificate(certificate) => {
            let text = format!("{certificate:?}");
            match CERTIFICATES.iter().find(|(name, ..)| text.contains(name)) {
                Some((_, what, hint)) => ((*what).into(), *hint),
                None => (
                    format!("the server's certificate cannot be used: {certificate}").into(),
                    "give the server another one",
                ),
            }
        }
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

/// The error of TLS among an error and its sources, if any.
pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(tls) = current.downcast_ref::<TlsError>() {
            return Some(tls);
        }
        // An I/O error does not name the error that it wraps as its source, but that one's source.
        let wrapped = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => current.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::OtherError;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct CaUsedAsEndEntity(&'static str);

    #[test]
    fn each_reason_has_a_text_and_a_remedy() {
        use CertificateError as C;
        let other = OtherError(Arc::new(CaUsedAsEndEntity("x")));
        for (certificate, said, advice) in [
            (C::Other(other), "that of an authority", "set `ssl_ca` to this certificate itself"),
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
    fn an_error_of_tls_is_found_inside_of_one_of_the_network() {
        let tls = TlsError::General("x".to_owned());
        let wrapped = std::io::Error::other(std::io::Error::other(tls.clone()));
        assert_eq!(find(&wrapped), Some(&tls));
        assert_eq!(find(&std::io::Error::other("x")), None);
    }
}
