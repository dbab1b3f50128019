//! Whom a connection trusts. A CA of the user's is the only one that counts: it is never added to those of the system.

use std::path::Path;
use std::sync::Arc;

use osiris_core::tls::{self, HostNames, ServerVerifier};
use osiris_core::{Code, Error, Result};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::{Tls, TlsMode};

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
        .with_custom_certificate_verifier(Arc::new(verifier(tls, base_dir)?));
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

/// The certificates of the authorities whose servers are trusted: those in the connection's `ssl_ca`, without the servers' own
/// ones among them, or those of the system.
///
/// # Errors
/// When they cannot be read.
pub fn authorities(tls: &Tls, base_dir: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let Some(ca) = &tls.ca else { return system_roots() };
    let certificates = trusted_certificates(ca, base_dir)?.into_iter();
    Ok(certificates.filter(tls::is_authority).collect())
}

/// TLS that could not be agreed upon while `doing` something. The server is there, so trying again is of no use.
pub fn refused(error: Box<dyn std::error::Error + Send + Sync>, doing: &str) -> Error {
    const DOING_WITHOUT: &str = "switch TLS on in the server, or set `tls: preferred` if the network is trusted";
    let (what, advice) = match tls::find(&*error) {
        _ if error.to_string().contains("does not support TLS") => {
            ("the server does not offer TLS".into(), DOING_WITHOUT)
        }
        Some(tls) if tls::names_no_host(tls) => (
            tls::explain(tls).0,
            "issue one with `-addext subjectAltName=DNS:HOST`, or use `tls: verify-ca` if the authority is your own",
        ),
        Some(tls) if tls::is_other_name(tls) => (
            tls::explain(tls).0,
            "use in `host` the name that the certificate has, or `tls: verify-ca` if the authority is your own",
        ),
        Some(tls) if tls::wants_client_certificate(tls) => {
            (tls::explain(tls).0, "set `ssl_cert` and `ssl_key` to a certificate that the server trusts, and its key")
        }
        Some(tls) => tls::explain(tls),
        None => (
            format!("TLS failed: {error}").into(),
            "check `tls`, `ssl_ca`, `ssl_cert` and `ssl_key`, and the TLS versions that the server allows",
        ),
    };
    let refused = Error::network(format!("{doing}: {what}")).with_hint(advice).with_retryable(false);
    refused.with_code(Code::TlsFailed).with_connection_failed().with_source(error)
}

fn unusable(error: rustls::Error) -> Error {
    Error::validation("the certificates of the connection cannot be used")
        .with_code(Code::TlsFailed)
        .with_hint("check `ssl_ca`, `ssl_cert` and `ssl_key`")
        .with_source(error)
}

/// The certificates in the connection's `ssl_ca`.
fn trusted_certificates(ca: &Path, base_dir: &Path) -> Result<Vec<CertificateDer<'static>>> {
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

fn verifier(tls: &Tls, base_dir: &Path) -> Result<ServerVerifier> {
    let names = if tls.mode == TlsMode::VerifyFull { HostNames::AlternativeOrCommon } else { HostNames::Ignored };
    match &tls.ca {
        _ if !tls.mode.verifies() => Ok(ServerVerifier::of_anyone(provider())),
        Some(ca) => {
            ServerVerifier::of_certificates(trusted_certificates(ca, base_dir)?, names, provider()).map_err(unusable)
        }
        // Some systems have roots that rustls does not understand: those are left out, as everywhere.
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(system_roots()?);
            ServerVerifier::of_roots(roots, names, provider()).map_err(unusable)
        }
    }
}
