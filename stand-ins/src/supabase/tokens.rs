//! Keys of the REST API, as a project has them: tokens (RFC 7519) signed with a secret that the API knows.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use osiris_testkit::services::Postgrest;
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = Postgrest::JWT_SECRET;

/// The service key, which bypasses row level security.
pub fn service() -> String {
    with_claims(&json!({"role": "service_role", "iss": "supabase", "ref": "abcdefgh", "exp": in_an_hour()}))
}

/// The public key, without a user.
pub fn anon() -> String {
    with_claims(&json!({"role": "anon", "iss": "supabase", "ref": "abcdefgh", "exp": in_an_hour()}))
}

/// The token of a user who has signed in.
pub fn authenticated() -> String {
    with_claims(&json!({"role": "authenticated", "exp": in_an_hour()}))
}

/// A service key that expired an hour ago.
pub fn expired() -> String {
    with_claims(&json!({"role": "service_role", "iss": "supabase", "exp": in_an_hour() - 7200}))
}

/// A service key with the wrong signature.
pub fn bad() -> String {
    signed(&json!({"role": "service_role", "exp": in_an_hour()}), "a secret of another project, of thirty-two letters")
}

/// A token with these claims.
pub fn with_claims(claims: &Value) -> String {
    signed(claims, SECRET)
}

/// Whether it is one of ours, expired or not.
pub(super) fn is_ours(token: &str) -> bool {
    let Some((content, signature)) = token.rsplit_once('.') else { return false };
    signature_of(content, SECRET) == signature
}

/// The role in a token.
pub(super) fn role(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    Some(claims["role"].as_str()?.to_owned())
}

fn signed(claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let content = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let signature = signature_of(&content, secret);
    format!("{content}.{signature}")
}

fn signature_of(content: &str, secret: &str) -> String {
    // A key of any length is one for HMAC (RFC 2104).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(content.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

fn in_an_hour() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    now.as_secs() + 3600
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_standard() {
        // RFC 7515, appendix A.1, has its key in base64.
        let key = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let content = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(content.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        assert_eq!(signature, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn a_token_of_another_project_is_told_apart() {
        assert!(is_ours(&service()) && is_ours(&expired()) && !is_ours(&bad()));
        assert_eq!(role(&anon()).as_deref(), Some("anon"));
    }
}
