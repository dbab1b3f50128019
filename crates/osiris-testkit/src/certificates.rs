//! Certificates of a made-up authority.

use std::fs;
use std::path::{Path, PathBuf};

use osiris_core::{Error, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// An authority that nobody knows.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

fn failed(error: rcgen::Error) -> Error {
    Error::unknown("a certificate could not be made").with_source(error)
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self::of(params)
    }

    /// One that is none by its own certificate, which is that of a server with these host names and addresses (`CA:FALSE`):
    /// nobody should trust what it issues.
    ///
    /// # Errors
    /// When the system has no randomness or a name is none.
    pub fn of_server(hosts: &[String]) -> Result<Self> {
        let mut params = CertificateParams::new(hosts.to_vec()).map_err(failed)?;
        params.is_ca = IsCa::ExplicitNoCa;
        Self::of(params)
    }

    fn of(mut params: CertificateParams) -> Result<Self> {
        params.distinguished_name.push(DnType::CommonName, "Osiris test authority");
        let key = KeyPair::generate().map_err(failed)?;
        CertifiedIssuer::self_signed(params, key).map(Self).map_err(failed)
    }

    /// Writes its certificate, in PEM.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(fs::write(path, self.0.pem())?)
    }

    /// Writes `name.pem` and `name.key` into `directory`: a certificate for these host names and addresses, or for a client.
    ///
    /// # Errors
    /// When a file cannot be written or a name is none.
    pub fn issue(&self, directory: &Path, name: &str, hosts: &[String]) -> Result<(PathBuf, PathBuf)> {
        let mut params = CertificateParams::new(hosts.to_vec()).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.0).map_err(failed)?;
        let paths = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
        fs::write(&paths.0, certificate.pem())?;
        fs::write(&paths.1, key.serialize_pem())?;
        Ok(paths)
    }
}

/// Writes `server.pem` and `server.key` into `directory`: a certificate for these host names and addresses, and of this
/// common name, that signed itself as an authority, as the manuals of servers make it, and is valid from 2000 until the
/// year `until`.
///
/// # Errors
/// When a file cannot be written or a name is none.
pub fn self_signed(directory: &Path, common_name: &str, hosts: &[String], until: i32) -> Result<(PathBuf, PathBuf)> {
    let mut params = CertificateParams::new(hosts.to_vec()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2000, 1, 1), rcgen::date_time_ymd(until, 1, 1));
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let paths = (directory.join("server.pem"), directory.join("server.key"));
    fs::write(&paths.0, certificate.pem())?;
    fs::write(&paths.1, key.serialize_pem())?;
    Ok(paths)
}
