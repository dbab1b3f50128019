//! Recognizes strings that look like access tokens.

/// What the tokens of services begin with.
const PREFIXES: [&str; 8] = ["ghp_", "github_pat_", "glpat-", "phx_", "sb_publishable_", "sb_secret_", "sbp_", "xoxb-"];

/// Whether a text has the form of an access token: a JSON web token (RFC 7519), or a key with one of the prefixes in
/// use. No name of a column or table looks like that.
pub fn looks_like_token(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text);
    is_web_token(text) || PREFIXES.iter().any(|prefix| text.len() > prefix.len() + 3 && text.starts_with(prefix))
}

/// Three parts in base64 with points between, of which the first is an object in JSON (`{"` is `eyJ`). Half a token
/// counts as well.
fn is_web_token(text: &str) -> bool {
    const MIN_LENGTH: usize = 12;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'.');
    text.len() >= MIN_LENGTH && text.starts_with("eyJ") && text.bytes().all(is_base64)
}

#[cfg(test)]
mod tests {
    use super::looks_like_token;

    #[test]
    fn tokens_are_told_from_names() {
        for token in [
            "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl",
            " eyJhbGciOiJIUzI1NiJ9.x.y\n",
            "Bearer eyJhbGciOiJIUzI1NiJ9.x.y",
            "sb_secret_abcdef",
            "sb_publishable_abcdef",
            "phx_0123456789",
        ] {
            assert!(looks_like_token(token), "{token}");
        }
        for name in ["id", "eyJ", "sb_secret_", "key", "eye_colour", "eyJ is a text with spaces", "sb_id", "ghp_id"] {
            assert!(!looks_like_token(name), "{name}");
        }
    }
}
