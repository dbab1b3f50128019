//! Whom a connection trusts. A CA of the user's is the only one that counts: it is never added to those of the system.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{Tls, TlsMode};
use osiris_core::{Error, Result};

/// TLS as `tls` wants it: the certificates of its own CA and of nobody else, those of the system's authorities, or
/// anybody's. Relative paths start at `base_dir`.
///
/// # Errors
/// When a file cannot be read, or the machine has no authorities although it needs them.
pub fn client_config(tls: &Tls, base_dir: &Path) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Rules::new(tls, base_dir)?));
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let (chain, key) = identity(&base_dir.join(certificate), &base_dir.join(key))?;
            builder.with_client_auth_cert(chain, key).map_err(unusable)
        }
    }
}

/// The cryptography, given explicitly everywhere: no process-wide provider is installed or relied upon.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of the authorities that this machine trusts.
///
/// # Errors
/// When the machine has none.
pub fn system_roots() -> Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(Error::validation("this machine has no certificates of authorities")
            .with_hint("install them (the package `ca-certificates`), or set `ssl_ca`"));
    }
    Ok(found.certs)
}

/// TLS that could not be agreed upon while `doing` something. The server is there, so trying again is of no use.
pub fn refused(error: Box<dyn std::error::Error + Send + Sync>, doing: &str) -> Error {
    let text = error.to_string();
    let (what, advice) = if text.contains("does not support TLS") {
        (
            "the server does not offer TLS",
            "switch TLS on in the server, or set `tls: preferred` if the network is trusted",
        )
    } else if text.contains("UnknownIssuer") || text.contains("BadSignature") {
        (
            "the server's certificate is of an unknown authority",
            "set `ssl_ca` to the authority's certificate; a wrong one there does this too",
        )
    } else if text.contains("NotValidForName") || text.contains("not valid for name") {
        (
            "the server's certificate was made for another name",
            "use in `host` the name that the certificate has, or `tls: verify-ca` if the authority is your own",
        )
    } else if text.contains("Expired") || text.contains("NotValidYet") || text.contains("certificate expired") {
        ("the server's certificate has expired or is not valid yet", "renew it; check the clocks")
    } else {
        ("TLS failed", "check `tls`, `ssl_ca`, `ssl_cert` and `ssl_key`, and the TLS versions that the server allows")
    };
    let refused = Error::network(format!("{doing}: {what}")).with_hint(advice).with_retryable(false);
    refused.with_connection_failed().with_source(error)
}

fn unusable(error: rustls::Error) -> Error {
    Error::validation("the certificates of the connection cannot be used")
        .with_hint("check `ssl_ca`, `ssl_cert` and `ssl_key`")
        .with_source(error)
}

/// The certificates of the authorities in the connection's `ssl_ca`.
fn trusted_roots(ca: &Path, base_dir: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let path = base_dir.join(ca);
    let refused = |what: String| {
        Error::validation(format!("`ssl_ca`: {what}"))
            .with_hint("it is a file with one or more certificates in PEM")
            .with_context("path", path.display())
    };
    let text = std::fs::read(&path).map_err(|error| refused("the file cannot be read".into()).with_source(error))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| refused("a certificate in it is broken".into()).with_source(error))?;
    if certificates.is_empty() { Err(refused("there is no certificate in it".into())) } else { Ok(certificates) }
}

fn identity(certificate: &Path, key: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let unreadable = |field: &str, path: &Path| {
        Error::validation(format!("`{field}`: there is nothing in PEM to be read"))
            .with_hint("check the path and the file's mode")
            .with_context("path", path.display())
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable("ssl_cert", certificate).with_source(error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("ssl_key", key).with_source(error))?;
    Ok((chain, key))
}

/// Certificates of the authorities that count, for any name with `verify-ca`; without authorities anybody's. Signatures
/// are always checked, so that the server owns the key it shows.
#[derive(Debug)]
struct Rules {
    chains: Option<Arc<WebPkiServerVerifier>>,
    names: bool,
    provider: Arc<CryptoProvider>,
}

impl Rules {
    fn new(tls: &Tls, base_dir: &Path) -> Result<Self> {
        let provider = provider();
        let names = tls.mode == TlsMode::VerifyFull;
        if !tls.mode.verifies() {
            return Ok(Self { chains: None, names, provider });
        }
        let mut roots = RootCertStore::empty();
        match &tls.ca {
            Some(ca) => {
                for certificate in trusted_roots(ca, base_dir)? {
                    roots.add(certificate).map_err(unusable)?;
                }
            }
            // Some systems have roots that rustls does not understand: those are left out, as everywhere.
            None => {
                roots.add_parsable_certificates(system_roots()?);
            }
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| unusable(rustls::Error::General(error.to_string())))?;
        Ok(Self { chains: Some(chains), names, provider })
    }
}

impl ServerCertVerifier for Rules {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chains) = &self.chains else { return Ok(ServerCertVerified::assertion()) };
        match chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
