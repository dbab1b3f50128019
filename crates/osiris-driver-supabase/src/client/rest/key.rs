//! The key of the REST API. Most are tokens with claims, which are read but never trusted: the server
//! decides.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use osiris_core::Secret;
use serde_json::Value;

/// A key with its claims.
#[derive(Debug, Clone)]
pub(crate) struct ApiKey {
    secret: Secret,
    claims: Option<Value>,
}

impl ApiKey {
    pub(super) fn new(secret: &Secret) -> Self {
        // Copied keys often end with a line break.
        let secret = Secret::new(secret.expose().trim());
        let claims = claims(secret.expose());
        Self { secret, claims }
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Whether it is a token (`eyJ...`), which is also sent in `Authorization`; keys in the newer format
    /// (`sb_secret_...`) are rejected there.
    pub(super) fn is_token(&self) -> bool {
        self.claims.is_some()
    }

    /// The role: `service_role`, `anon`.
    pub(crate) fn role(&self) -> Option<&str> {
        match &self.claims {
            Some(claims) => claims["role"].as_str(),
            None if self.secret.expose().starts_with("sb_secret_") => Some("service_role"),
            None if self.secret.expose().starts_with("sb_publishable_") => Some("anon"),
            None => None,
        }
    }

    /// Its expiry, if present.
    pub(crate) fn expires(&self) -> Option<SystemTime> {
        let seconds = self.claims.as_ref()?["exp"].as_u64()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    /// The reference of its project, if present.
    pub(crate) fn project(&self) -> Option<&str> {
        self.claims.as_ref()?["ref"].as_str()
    }
}

/// The claims of a token (RFC 7519).
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(claims: &Value) -> ApiKey {
        let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
        ApiKey::new(&Secret::new(format!("eyJhbGciOiJIUzI1NiJ9.{payload}.c2lnbmF0dXJl\n")))
    }

    #[test]
    fn a_token_says_what_it_is_for() {
        let key = token(&json!({"role": "anon", "exp": 1_700_000_000, "ref": "abcdefgh"}));
        assert!(key.is_token());
        assert_eq!((key.role(), key.project()), (Some("anon"), Some("abcdefgh")));
        assert_eq!(key.expires(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
        assert!(!key.secret().expose().ends_with('\n'));
    }

    #[test]
    fn keys_of_the_newer_form_and_anything_else_are_taken_as_they_are() {
        for (text, role) in [
            ("sb_secret_abc", Some("service_role")),
            ("sb_publishable_abc", Some("anon")),
            ("anything", None),
            ("a.b.c", None),
            ("eyJhbGciOiJIUzI1NiJ9.bm8ganNvbg.x", None),
        ] {
            let key = ApiKey::new(&Secret::new(text));
            assert!(!key.is_token());
            assert_eq!(key.role(), role, "{text}");
        }
    }
}
