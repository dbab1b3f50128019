//! Whom a client trusts over TLS, for all drivers: one verifier, and one text for each reason why a server was refused.

mod authority;
mod common_name;
mod der;
mod refusal;
mod verifier;

use std::error::Error as StdError;

use rustls::Error as TlsError;

pub use authority::is_authority;
pub use refusal::{explain, is_of_certificate, is_other_name, names_no_host, wants_client_certificate};
pub use verifier::{HostNames, ServerVerifier};

/// The error of TLS among an error and its sources, if any.
pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(tls) = current.downcast_ref::<TlsError>() {
            return Some(tls);
        }
        // An I/O error does not name the error that it wraps as its source, but that one's source.
        let wrapped = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => current.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_tls_is_found_inside_of_one_of_the_network() {
        let tls = TlsError::General("x".to_owned());
        let wrapped = std::io::Error::other(std::io::Error::other(tls.clone()));
        assert_eq!(find(&wrapped), Some(&tls));
        assert_eq!(find(&std::io::Error::other("x")), None);
    }
}
