//! How the client verifies the server's certificate. The cryptography is ring's, given explicitly: no process-wide
//! provider is installed or relied upon.

use std::path::Path;
use std::sync::Arc;

use osiris_core::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

/// How the server's certificate is verified.
#[derive(Debug, Clone, Default)]
pub struct TlsSettings(Trust);

#[derive(Debug, Clone, Default)]
enum Trust {
    #[default]
    System,
    Only(Arc<RootCertStore>),
    Anyone,
}

impl TlsSettings {
    /// By the certificate authorities that the operating system trusts. The default.
    pub fn system() -> Self {
        Self(Trust::System)
    }

    /// By the certificate authorities of this PEM file and no others.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn with_ca_file(path: &Path) -> Result<Self> {
        let pem = std::fs::read(path).map_err(|error| {
            Error::from(error)
                .with_context("ssl_ca", path.display())
                .with_hint("set `ssl_ca` to a file of certificates in PEM form")
        })?;
        Self::with_ca_pem(&pem).map_err(|error| error.with_context("ssl_ca", path.display()))
    }

    /// The same from the file's content.
    ///
    /// # Errors
    /// When there is no certificate in it.
    pub fn with_ca_pem(pem: &[u8]) -> Result<Self> {
        let invalid = |message: &'static str| {
            Error::validation(message)
                .with_hint("set `ssl_ca` to a file with certificates in PEM form: `-----BEGIN CERTIFICATE-----`")
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate =
                certificate.map_err(|error| invalid("the CA file is not in PEM form").with_source(error))?;
            roots
                .add(certificate)
                .map_err(|error| invalid("a certificate of the CA file cannot be used").with_source(error))?;
        }
        if roots.is_empty() {
            return Err(invalid("the CA file holds no certificate"));
        }
        Ok(Self(Trust::Only(Arc::new(roots))))
    }

    /// Not at all: any certificate of any host is accepted. The connection is encrypted, but the server is not
    /// verified. For tests and for `validate_ssl: false`.
    pub fn unverified() -> Self {
        Self(Trust::Anyone)
    }

    pub(crate) fn client_config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let failed = |error: rustls::Error| Error::unknown("failed to set up TLS").with_source(error);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(failed)?;
        Ok(match &self.0 {
            Trust::System => builder.with_platform_verifier().map_err(failed)?.with_no_client_auth(),
            Trust::Only(roots) => builder.with_root_certificates(Arc::clone(roots)).with_no_client_auth(),
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
                .with_no_client_auth(),
        })
    }
}

/// Accepts every certificate; signatures are still checked, so that the peer owns the key of its certificate.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
