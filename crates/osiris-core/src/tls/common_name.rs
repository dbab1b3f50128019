//! The common name in the subject of a certificate (RFC 5280, section 4.1.2.6).

use rustls::pki_types::{CertificateDer, ServerName};

use super::der::{OBJECT_IDENTIFIER, SEQUENCE, SET, next};

/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Whether a common name of the certificate is that of the server: a wildcard stands for one label, as in alternative
/// names.
pub(super) fn is_of(certificate: &CertificateDer<'_>, server_name: &ServerName<'_>) -> bool {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return false };
    common_names(certificate.subject()).iter().any(|name| is_name(name, server_name))
}

fn is_name(name: &str, server_name: &ServerName<'_>) -> bool {
    match server_name {
        ServerName::DnsName(host) => {
            let host = host.as_ref();
            let below = |domain: &str| {
                domain.contains('.') && host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain))
            };
            name.eq_ignore_ascii_case(host) || name.strip_prefix("*.").is_some_and(below)
        }
        ServerName::IpAddress(address) => name.parse() == Ok(std::net::IpAddr::from(*address)),
        _ => false,
    }
}

/// The common names in the DER of a subject, which is a sequence of sets of attributes.
fn common_names(mut subject: &[u8]) -> Vec<&str> {
    let mut names = Vec::new();
    while let Some((SET, mut attributes, rest)) = next(subject) {
        subject = rest;
        while let Some((SEQUENCE, attribute, rest)) = next(attributes) {
            attributes = rest;
            if let Some((OBJECT_IDENTIFIER, COMMON_NAME, value)) = next(attribute) {
                names.extend(next(value).and_then(|(_, name, _)| std::str::from_utf8(name).ok()));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::der::testing::value;
    use super::*;
    use proptest::prelude::*;

    fn attribute(last: u8, text: &str) -> Vec<u8> {
        let parts = [value(OBJECT_IDENTIFIER, &[0x55, 0x04, last]), value(0x0c, text.as_bytes())].concat();
        value(SET, &value(SEQUENCE, &parts))
    }

    #[test]
    fn a_common_name_is_that_of_a_host_an_address_or_one_label_of_a_domain() {
        let is_name = |name: &str, server: &str| is_name(name, &ServerName::try_from(server.to_owned()).unwrap());
        for (name, server) in [
            ("DB.example.com", "db.EXAMPLE.com"),
            ("*.example.com", "db.example.com"),
            ("127.0.0.1", "127.0.0.1"),
            ("0:0::1", "::1"),
        ] {
            assert!(is_name(name, server), "{name} {server}");
        }
        for (name, server) in [
            ("db.example.com", "example.com"),
            ("*.example.com", "a.db.example.com"),
            ("*.com", "example.com"),
            ("*", "localhost"),
            ("127.0.0.1", "127.0.0.2"),
            ("db.example.com\0.other", "db.example.com"),
        ] {
            assert!(!is_name(name, server), "{name} {server}");
        }
    }

    proptest! {
        #[test]
        fn common_names_are_found_among_other_attributes(
            subject in prop::collection::vec((3u8..6, "[a-zé.]{0,300}"), 0..5),
            cut in any::<prop::sample::Index>(),
        ) {
            let der: Vec<u8> = subject.iter().flat_map(|(last, text)| attribute(*last, text)).collect();
            let names: Vec<_> = subject.iter().filter(|(last, _)| *last == 3).map(|(_, text)| text).collect();
            prop_assert_eq!(&common_names(&der), &names);
            let cut = &der[..cut.index(der.len() + 1)];
            prop_assert!(names.iter().map(|name| &***name).collect::<Vec<_>>().starts_with(&common_names(cut)));
        }

        #[test]
        fn whatever_else_it_is_there_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            common_names(&bytes);
        }
    }
}
