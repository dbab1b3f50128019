//! Verifies a server's certificate. It knows no vendor and makes no text: it returns the errors of rustls.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError, OtherError, RootCertStore, SignatureScheme};

use super::authority::is_authority;
use super::common_name;
use super::refusal::{is_of_issuer, is_other_name, names_no_host};

/// Verifies a server's certificate: by the certificates that are trusted, or not at all. Signatures are always checked, so
/// that the server owns the key that it shows.
#[derive(Debug)]
pub struct ServerVerifier {
    trusted: Option<Trusted>,
    provider: Arc<CryptoProvider>,
}

/// Which names in a certificate count as those of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostNames {
    /// None: a certificate for any host will do, as with `verify-ca` of the databases.
    Ignored,
    /// Its alternative names, as over HTTPS (RFC 9110, section 4.3.4).
    Alternative,
    /// Its alternative names or, where it has none at all, its common name, as the clients of the databases do it.
    AlternativeOrCommon,
}

#[derive(Debug)]
struct Trusted {
    roots: RootCertStore,
    /// Those that the user has named and that are no authorities: they tell why what their keys have signed is refused.
    no_authorities: RootCertStore,
    /// Those that the user has named; none where the authorities of the system count.
    certificates: Vec<CertificateDer<'static>>,
    names: HostNames,
}

impl ServerVerifier {
    /// Trusts these certificates, and what the authorities among them have signed, and nothing else. What is signed with
    /// the key of one that is no authority is not trusted: whoever has that key is one server, not all of them.
    ///
    /// # Errors
    /// When one of them cannot be used, or there is none.
    pub fn of_certificates(
        certificates: Vec<CertificateDer<'static>>,
        names: HostNames,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let (mut roots, mut no_authorities) = (RootCertStore::empty(), RootCertStore::empty());
        for certificate in &certificates {
            let store = if is_authority(certificate) { &mut roots } else { &mut no_authorities };
            store.add(certificate.clone())?;
        }
        if certificates.is_empty() {
            Err(nothing_trusted())
        } else {
            Ok(Self::new(Trusted { roots, no_authorities, certificates, names }, provider))
        }
    }

    /// Trusts what these authorities have signed.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_roots(roots: RootCertStore, names: HostNames, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        if roots.is_empty() {
            return Err(nothing_trusted());
        }
        let (no_authorities, certificates) = (RootCertStore::empty(), Vec::new());
        Ok(Self::new(Trusted { roots, no_authorities, certificates, names }, provider))
    }

    /// Trusts any certificate of any server.
    pub fn of_anyone(provider: Arc<CryptoProvider>) -> Self {
        Self { trusted: None, provider }
    }

    fn new(trusted: Trusted, provider: Arc<CryptoProvider>) -> Self {
        Self { trusted: Some(trusted), provider }
    }
}

fn nothing_trusted() -> TlsError {
    TlsError::General("there is no certificate to trust".to_owned())
}

/// The reason why what a server's own certificate has signed is refused.
fn signed_by_no_authority() -> TlsError {
    TlsError::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(webpki::Error::EndEntityUsedAsCa))))
}

impl Trusted {
    /// Whether this very certificate was named by the user.
    fn names_itself(&self, end_entity: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|certificate| certificate.as_ref() == end_entity.as_ref())
    }

    /// Whether the name of the server is one of the certificate's that count.
    fn verify_name(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
    ) -> Result<(), TlsError> {
        let verdict = verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name);
        let Err(error) = verdict else { return verdict };
        let is_accepted = match self.names {
            HostNames::Ignored => is_other_name(&error),
            HostNames::Alternative => false,
            HostNames::AlternativeOrCommon => {
                names_no_host(&error) && self.accepts_common_name(end_entity, intermediates, server_name)
            }
        };
        if is_accepted { Ok(()) } else { Err(error) }
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
    /// A certificate that is trusted itself needs no authority, as with a partial chain of OpenSSL: its time, its purpose
    /// and its name count. What of these is wrong is found before the authority is looked for; only one that signed itself
    /// as an authority, as `openssl req -x509` makes it, is refused before its purpose is looked at.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(trusted) = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        let needs_authority = !trusted.names_itself(end_entity);
        let chain = if needs_authority { intermediates } else { &[] };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let verify = |roots: &RootCertStore| {
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, chain, now, algorithms)
        };
        match verify(&trusted.roots) {
            Err(error) if needs_authority && is_of_issuer(&error) && verify(&trusted.no_authorities).is_ok() => {
                return Err(signed_by_no_authority());
            }
            Err(error) if needs_authority || !is_of_issuer(&error) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        trusted.verify_name(end_entity, intermediates, server_name)?;
        Ok(ServerCertVerified::assertion())
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

    use super::super::explain;
    use super::*;

    const HOST: &str = "db.example.com";
    const AUTHORITY: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

    /// A certificate without alternative names.
    fn params(common_name: &str, is_ca: IsCa) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = is_ca;
        params
    }

    fn self_signed(params: CertificateParams) -> CertifiedIssuer<'static, KeyPair> {
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn issued(common_name: &str, authority: &CertifiedIssuer<'static, KeyPair>) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        params(common_name, IsCa::NoCa).signed_by(&key, authority).unwrap().der().clone()
    }

    /// Whether the server at the host, which shows a certificate, is believed by one who trusts another.
    fn verdict(
        trusted: &CertificateDer<'static>,
        shown: &CertificateDer<'static>,
        names: HostNames,
    ) -> Result<(), TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = ServerVerifier::of_certificates(vec![trusted.clone()], names, provider).unwrap();
        let (host, now) =
            (ServerName::try_from(HOST).unwrap(), UnixTime::since_unix_epoch(Duration::from_secs(1 << 30)));
        verifier.verify_server_cert(shown, &[], &host, &[], now).map(|_| ())
    }

    #[test]
    fn a_common_name_counts_where_there_is_no_other_name_and_the_clients_of_databases_take_it() {
        for common_name in [HOST, "other.example.com"] {
            let authority = self_signed(params("authority", AUTHORITY));
            let leaf = issued(common_name, &authority);
            let own = self_signed(params(common_name, IsCa::ExplicitNoCa));
            let own_authority = self_signed(params(common_name, AUTHORITY));
            for (what, trusted, shown) in [
                ("issued", authority.der(), &leaf),
                ("pinned, CA:FALSE", own.der(), own.der()),
                ("pinned, CA:TRUE", own_authority.der(), own_authority.der()),
            ] {
                for (names, is_accepted) in [
                    (HostNames::Ignored, true),
                    (HostNames::Alternative, false),
                    (HostNames::AlternativeOrCommon, common_name == HOST),
                ] {
                    let verdict = verdict(trusted, shown, names);
                    assert_eq!(verdict.is_ok(), is_accepted, "{what} {common_name} {names:?}: {verdict:?}");
                    assert!(verdict.err().is_none_or(|error| names_no_host(&error)), "{what} {common_name} {names:?}");
                }
            }
        }
    }

    #[test]
    fn a_certificate_that_is_trusted_itself_is_refused_when_it_has_expired() {
        for is_ca in [IsCa::ExplicitNoCa, AUTHORITY] {
            let mut expired = params(HOST, is_ca);
            (expired.not_before, expired.not_after) =
                (rcgen::date_time_ymd(2000, 1, 1), rcgen::date_time_ymd(2001, 1, 1));
            let own = self_signed(expired);
            let error = verdict(own.der(), own.der(), HostNames::Ignored).unwrap_err();
            let is_expired = matches!(error, TlsError::InvalidCertificate(CertificateError::ExpiredContext { .. }));
            assert!(is_expired, "{error:?}");
        }
    }

    #[test]
    fn an_authority_without_constraints_is_one_by_its_key_usage() {
        for (usages, is_authority) in [
            (vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign], true),
            (vec![KeyUsagePurpose::DigitalSignature], false),
        ] {
            let mut authority = params("authority", IsCa::NoCa);
            authority.key_usages = usages;
            let authority = self_signed(authority);
            let verdict = verdict(authority.der(), &issued(HOST, &authority), HostNames::AlternativeOrCommon);
            assert_eq!(verdict.is_ok(), is_authority, "{verdict:?}");
        }
    }

    #[test]
    fn a_certificate_that_the_servers_own_one_has_signed_is_refused_with_the_reason() {
        let own = self_signed(params(HOST, IsCa::ExplicitNoCa));
        let mut later = params(HOST, IsCa::ExplicitNoCa);
        later.not_after = rcgen::date_time_ymd(4000, 1, 1);
        let renewed = later.self_signed(own.key()).unwrap();
        for shown in [renewed.der().clone(), issued(HOST, &own)] {
            let (what, hint) = explain(&verdict(own.der(), &shown, HostNames::Ignored).unwrap_err());
            assert_eq!(what, "the server's certificate is signed by one that is not that of an authority");
            assert!(hint.ends_with("if it is the server's own, set `ssl_ca` to the one that it has now"), "{hint}");
        }
        // Another key of the same name.
        let other = self_signed(params(HOST, IsCa::ExplicitNoCa));
        let error = verdict(own.der(), other.der(), HostNames::Ignored).unwrap_err();
        assert!(matches!(error, TlsError::InvalidCertificate(CertificateError::UnknownIssuer)), "{error:?}");
    }
}
