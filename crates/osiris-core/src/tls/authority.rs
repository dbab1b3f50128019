//! Whether a certificate is that of an authority, by its basic constraints and its key usage (RFC 5280, sections 4.2.1.9 and 4.2.1.3).

use rustls::pki_types::CertificateDer;

use super::der::{BIT_STRING, BOOLEAN, OBJECT_IDENTIFIER, OCTET_STRING, content, next, values};

/// The field `version`, and its value for version 3.
const VERSION: u8 = 0xa0;
const VERSION_3: &[u8] = &[0x02, 0x01, 0x02];
/// The field `extensions`.
const EXTENSIONS: u8 = 0xa3;
/// `id-ce-basicConstraints`, 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// `id-ce-keyUsage`, 2.5.29.15.
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// `keyCertSign`, bit 5 of the key usage, in its first byte.
const KEY_CERT_SIGN: u8 = 0x04;
const TRUE: &[u8] = &[0xff];

/// Whether a certificate says that it is one of an authority, or is older than version 3: those cannot say so, and whoever
/// trusts them takes them for one.
pub fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    let fields = content(content(certificate));
    !matches!(next(fields), Some((VERSION, VERSION_3, _))) || says_authority(fields)
}

/// By its basic constraints; where it has none, by a key that may sign certificates, as `check_ca` of OpenSSL takes it.
fn says_authority(fields: &[u8]) -> bool {
    match extension(fields, BASIC_CONSTRAINTS) {
        Some(constraints) => matches!(next(content(constraints)), Some((BOOLEAN, TRUE, _))),
        None => extension(fields, KEY_USAGE).is_some_and(may_sign_certificates),
    }
}

/// The first byte of a bit string says how many bits of the last one are unused.
fn may_sign_certificates(usage: &[u8]) -> bool {
    matches!(next(usage), Some((BIT_STRING, [_, bits, ..], _)) if bits & KEY_CERT_SIGN != 0)
}

/// The value of an extension.
fn extension<'a>(fields: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (_, extensions) = values(fields).find(|(tag, _)| *tag == EXTENSIONS)?;
    let (_, value) = values(content(extensions)).find_map(|(_, extension)| match next(extension) {
        // Whether it is critical may stand before its value.
        Some((OBJECT_IDENTIFIER, found, rest)) if found == name => values(rest).find(|(tag, _)| *tag == OCTET_STRING),
        _ => None,
    })?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::super::der::SEQUENCE;
    use super::super::der::testing::value;
    use super::*;
    use proptest::prelude::*;

    const INTEGER: u8 = 0x02;

    fn certificate(version: &[u8], extensions: Option<&[Vec<u8>]>) -> CertificateDer<'static> {
        let extensions = extensions.map(|list| value(EXTENSIONS, &value(SEQUENCE, &list.concat()))).unwrap_or_default();
        let fields = [version, &value(INTEGER, &[7]), &value(SEQUENCE, &[0x05, 0x00]), &extensions].concat();
        let signed = [value(SEQUENCE, &fields), value(SEQUENCE, &[]), value(BIT_STRING, &[0])].concat();
        CertificateDer::from(value(SEQUENCE, &signed))
    }

    fn extension(last: u8, critical: bool, of: &[u8]) -> Vec<u8> {
        extension_of(last, critical, &value(SEQUENCE, of))
    }

    fn extension_of(last: u8, critical: bool, of: &[u8]) -> Vec<u8> {
        let critical = if critical { value(BOOLEAN, TRUE) } else { Vec::new() };
        let name = value(OBJECT_IDENTIFIER, &[0x55, 0x1d, last]);
        value(SEQUENCE, &[name, critical, value(OCTET_STRING, of)].concat())
    }

    #[test]
    fn an_authority_is_what_says_so_or_is_too_old_to_say_so() {
        let version_3 = value(VERSION, VERSION_3);
        let (authority, path) = (value(BOOLEAN, TRUE), value(INTEGER, &[0]));
        let usage = extension(0x25, true, &authority);
        for critical in [false, true] {
            for constraints in [authority.clone(), [authority.clone(), path.clone()].concat()] {
                let list = [usage.clone(), extension(0x13, critical, &constraints)];
                assert!(is_authority(&certificate(&version_3, Some(&list))), "{critical} {constraints:?}");
            }
            for constraints in [Vec::new(), value(BOOLEAN, &[0x00]), path.clone()] {
                let list = [usage.clone(), extension(0x13, critical, &constraints)];
                assert!(!is_authority(&certificate(&version_3, Some(&list))), "{critical} {constraints:?}");
            }
        }
        for extensions in [None, Some(Vec::new()), Some(vec![usage])] {
            let extensions = extensions.as_deref();
            assert!(!is_authority(&certificate(&version_3, extensions)), "{extensions:?}");
            assert!(is_authority(&certificate(&[], extensions)), "{extensions:?}");
        }
    }

    #[test]
    fn without_constraints_an_authority_is_whose_key_may_sign_certificates() {
        let version_3 = value(VERSION, VERSION_3);
        let signs: [&[u8]; 4] = [&[1, 0x06], &[2, 0x04], &[2, 0x84], &[7, 0x04, 0x80]];
        let does_not: [&[u8]; 6] = [&[], &[0], &[4], &[5, 0xa0], &[1, 0x02], &[7, 0x80, 0x04]];
        for critical in [false, true] {
            let usage = |bits: &[u8]| extension_of(0x0f, critical, &value(BIT_STRING, bits));
            for bits in signs {
                assert!(is_authority(&certificate(&version_3, Some(&[usage(bits)]))), "{bits:?}");
                let constrained = [usage(bits), extension(0x13, critical, &[])];
                assert!(!is_authority(&certificate(&version_3, Some(&constrained))), "{bits:?}");
            }
            for bits in does_not {
                assert!(!is_authority(&certificate(&version_3, Some(&[usage(bits)]))), "{bits:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_else_it_is_there_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            is_authority(&CertificateDer::from(bytes));
        }
    }
}
