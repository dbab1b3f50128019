//! How the client verifies the server's certificate. The cryptography is ring's, given explicitly: no process-wide
//! provider is installed or relied upon.

use std::path::Path;
use std::sync::Arc;

use osiris_core::tls::{HostNames, ServerVerifier};
use osiris_core::{Error, Result};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::BuilderVerifierExt;

/// How the server's certificate is verified.
#[derive(Debug, Clone, Default)]
pub struct TlsSettings(Trust);

#[derive(Debug, Clone, Default)]
enum Trust {
    #[default]
    System,
    Only(Vec<CertificateDer<'static>>),
    Anyone,
}

impl TlsSettings {
    /// By the certificate authorities that the operating system trusts. The default.
    pub fn system() -> Self {
        Self(Trust::System)
    }

    /// By the certificates of this PEM file and no others: those of authorities, or that of the server itself.
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
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| invalid("the CA file is not in PEM form").with_source(error))?;
        if certificates.is_empty() {
            return Err(invalid("the CA file holds no certificate"));
        }
        verifier(&certificates)
            .map_err(|error| invalid("a certificate of the CA file cannot be used").with_source(error))?;
        Ok(Self(Trust::Only(certificates)))
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
        let verifier = match &self.0 {
            Trust::System => return Ok(builder.with_platform_verifier().map_err(failed)?.with_no_client_auth()),
            Trust::Only(certificates) => verifier(certificates).map_err(failed)?,
            Trust::Anyone => ServerVerifier::of_anyone(provider),
        };
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
    }
}

fn verifier(certificates: &[CertificateDer<'static>]) -> Result<ServerVerifier, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerVerifier::of_certificates(certificates.to_vec(), HostNames::Alternative, provider)
}
