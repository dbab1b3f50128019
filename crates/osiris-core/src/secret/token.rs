//! Recognizes strings that look like access tokens, and hides them in longer texts.

use std::borrow::Cow;

use crate::MASK;

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

/// A text with [`MASK`] in place of everything in it that has the form of an access token: in an address, a statement,
/// a header. Borrowed when there is none.
pub fn mask_tokens(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(start) = text[at..].char_indices().map(|(offset, _)| at + offset).find(|start| begins(text, *start))
    {
        let rest = &text[start..];
        let end = rest.find(|c: char| !is_token_char(c)).map_or(text.len(), |length| start + length);
        if looks_like_token(&text[start..end]) {
            clean.push_str(&text[kept..start]);
            clean.push_str(MASK);
            kept = end;
        }
        at = end;
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[kept..]);
    Cow::Owned(clean)
}

/// Whether the beginning of a token stands at `start`, and not in the middle of a word.
fn begins(text: &str, start: usize) -> bool {
    let is_inside =
        text[..start].chars().next_back().is_some_and(|before| before.is_alphanumeric() || matches!(before, '_' | '-'));
    let rest = &text[start..];
    !is_inside && (rest.starts_with("eyJ") || PREFIXES.iter().any(|prefix| rest.starts_with(prefix)))
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=' | '.')
}

#[cfg(test)]
mod tests {
    use super::{looks_like_token, mask_tokens};

    #[test]
    fn g15_tokens_are_hidden_wherever_they_stand_in_a_text() {
        const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl";
        for (text, masked) in [
            (JWT.to_owned(), "***"),
            (format!("https://h/x?apikey={JWT}&y=1"), "https://h/x?apikey=***&y=1"),
            (format!("Bearer {JWT}"), "Bearer ***"),
            (format!("WHERE a = '{JWT}' OR b = 'sb_secret_abcdef'"), "WHERE a = '***' OR b = '***'"),
            ("exports/sb_publishable_abcdef/x.csv".to_owned(), "exports/***/x.csv"),
            ("größe sb_secret_abcdef ů".to_owned(), "größe *** ů"),
        ] {
            assert_eq!(mask_tokens(&text), masked);
        }
        for text in ["", "orders.csv", "eyJ", "my_sb_secret_abcdef", "keyJungle-and-more-text", "SELECT eyJ FROM t"] {
            assert_eq!(mask_tokens(text), text);
        }
    }

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
