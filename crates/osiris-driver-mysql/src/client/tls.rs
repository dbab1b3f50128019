//! Whom a connection trusts. A CA of the user's is the only one that counts: it is never added to those of the system.

use std::path::Path;
use std::sync::Arc;

use osiris_core::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::{Tls, TlsMode};

/// The certificates of the authorities in the connection's `ssl_ca`.
///
/// # Errors
/// When the file cannot be read or holds none.
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

/// The certificates of the authorities that this machine trusts.
///
/// # Errors
/// When the machine has none.
pub(crate) fn system_roots() -> Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(Error::validation("this machine has no certificates of authorities")
            .with_hint("install them (the package `ca-certificates`), or set `ssl_ca`"));
    }
    Ok(found.certs)
}

/// TLS that trusts the connection's own CA and nobody else.
pub(super) fn client_config(tls: &Tls, ca: &Path, base_dir: &Path) -> Result<ClientConfig> {
    let wrong = |error: rustls::Error| {
        Error::validation("the certificates of the connection cannot be used")
            .with_hint("check `ssl_ca`, `ssl_cert` and `ssl_key`")
            .with_source(error)
    };
    let provider = provider();
    let mut roots = RootCertStore::empty();
    for certificate in trusted_roots(ca, base_dir)? {
        roots.add(certificate).map_err(wrong)?;
    }
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| wrong(rustls::Error::General(error.to_string())))?;
    let verifier = OwnCa { chains, names: tls.mode == TlsMode::VerifyFull };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let (chain, key) = identity(&base_dir.join(certificate), &base_dir.join(key))?;
            builder.with_client_auth_cert(chain, key).map_err(wrong)
        }
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
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

/// Certificates of the user's authorities; for any name with `verify-ca`.
#[derive(Debug)]
struct OwnCa {
    chains: Arc<WebPkiServerVerifier>,
    names: bool,
}

impl ServerCertVerifier for OwnCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
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
        self.chains.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
