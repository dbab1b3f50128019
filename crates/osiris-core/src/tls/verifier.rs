//! Verifies a server's certificate. It knows no vendor and makes no text: it returns the errors of rustls.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};

use super::common_name;
use super::refusal::{is_of_issuer, is_other_name, names_no_host};

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
    /// Those that the user has named; none where the authorities of the system count.
    certificates: Vec<CertificateDer<'static>>,
    names: bool,
}

impl ServerVerifier {
    /// Trusts these certificates, and what they have signed, and nothing else. `names` is whether a certificate must be one
    /// for the name of the server: by its alternative names or, where it has none at all, by its common name, as the
    /// clients of the databases do it.
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

impl Trusted {
    /// Whether this very certificate was named by the user.
    fn names_itself(&self, end_entity: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|certificate| certificate.as_ref() == end_entity.as_ref())
    }

    /// A certificate that is trusted itself needs no authority, as with a partial chain of OpenSSL: its time, its purpose
    /// and its name count. What of these is wrong is found before the authority is looked for; only one that signed itself
    /// as an authority, as `openssl req -x509` makes it, is refused before its purpose is looked at.
    fn verify_itself(
        &self,
        end_entity: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        match self.chains.verify_server_cert(end_entity, &[], server_name, &[], now) {
            Err(error) if is_of_issuer(&error) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)
                    .map(|()| ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    /// Whether the common name of a certificate without alternative names is that of the server. The authorities of the
    /// system do not issue such ones, and no limit of an authority to certain names holds for a common name.
    fn accepts_common_name(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
    ) -> bool {
        let limits_names = |certificate: &CertificateDer<'_>| {
            webpki::anchor_from_trusted_cert(certificate).map_or(true, |anchor| anchor.name_constraints.is_some())
        };
        !self.certificates.is_empty()
            && !self.certificates.iter().chain(intermediates).any(limits_names)
            && common_name::is_of(end_entity, server_name)
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
        let verdict = if trusted.names_itself(end_entity) {
            trusted.verify_itself(end_entity, server_name, now)
        } else {
            trusted.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let Err(error) = verdict else { return verdict };
        let is_accepted = is_other_name(&error)
            && (!trusted.names
                || names_no_host(&error) && trusted.accepts_common_name(end_entity, intermediates, server_name));
        if is_accepted { Ok(ServerCertVerified::assertion()) } else { Err(error) }
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
