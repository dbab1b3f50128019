//! Which texts must not be shown, and how a line looks without them.

use osiris_core::{MASK, mask_tokens};
use serde_json::Value;

use crate::source::Span;

/// Words that a secret's field has in its name.
const SECRET_WORDS: &[&str] = &[
    "password",
    "pass",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "credentials",
    "dsn",
    "apikey",
    "bearer",
    "authorization",
];
/// Pairs of words that only together speak of a secret.
const SECRET_PAIRS: &[(&str, &str)] = &[
    ("api", "key"),
    ("private", "key"),
    ("access", "key"),
    ("role", "key"),
    ("anon", "key"),
    ("service", "key"),
    ("secret", "key"),
    ("account", "key"),
    ("encryption", "key"),
];

/// Whether a field of this name is likely to hold a secret: `db_password`, `apiKey`, `service_role_key`. `primary_key`,
/// `key` and `max_tokens` are not.
pub(crate) fn looks_secret(name: &str) -> bool {
    let words = words(name);
    let has_word = words.iter().any(|word| SECRET_WORDS.contains(&word.as_str()));
    has_word || words.windows(2).any(|pair| SECRET_PAIRS.contains(&(pair[0].as_str(), pair[1].as_str())))
}

/// Whether a field that nobody knows may hold a secret: as above, or a key of any kind.
pub(crate) fn may_be_secret(name: &str) -> bool {
    looks_secret(name) || words(name).iter().any(|word| word == "key" || word == "keys")
}

/// The words of a name, lower case: split at `_`, `-`, `.`, and where a capital follows a small letter.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous = '_';
    for letter in name.chars() {
        let begins = letter.is_uppercase() && previous.is_lowercase();
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        previous = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a text is one variable and nothing else: `${NAME}`. A default behind `:-` may be a secret itself.
pub(crate) fn is_reference(text: &str) -> bool {
    let name = text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    })
}

/// Masks what is written out below a secret field, and below fields whose own name looks secret: `unknown` where no
/// schema says which do. Variables stay.
pub(crate) fn mask_literals_of(value: &mut Value, secret: bool, unknown: bool) {
    let is_secret = |name: &str| if unknown { may_be_secret(name) } else { looks_secret(name) };
    match value {
        Value::String(text) if secret && !is_reference(text) => MASK.clone_into(text),
        Value::String(text) => {
            mask_user_of_url(text);
            *text = mask_tokens(text).into_owned();
        }
        Value::Number(_) if secret => *value = Value::from(MASK),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_literals_of(item, secret, unknown)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, item)| mask_literals_of(item, secret || is_secret(name), unknown));
        }
        _ => {}
    }
}

/// An address may have a password in it: `https://user:password@host`.
fn mask_user_of_url(text: &mut String) {
    let Some(start) = text.find("://").map(|at| at + 3) else { return };
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
    if let Some(at) = text[start..end].rfind('@')
        && text[start..start + at].contains(':')
        && !text[start..start + at].contains("${")
    {
        text.replace_range(start..start + at, MASK);
    }
}

/// A line of a file that could not be parsed, without what stands behind a key that looks secret.
pub(super) fn secret_parts(line: &str) -> Vec<Span> {
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(colon) = line[from..].find(':').map(|at| from + at) {
        let key = line[..colon].trim_end().trim_end_matches(['"', '\'']);
        let start = key.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).map_or(0, |at| at + 1);
        let start = if line.is_char_boundary(start) { start } else { colon };
        let value = &line[colon + 1..];
        if looks_secret(&key[start.min(key.len())..])
            && !value.trim().is_empty()
            && !is_reference(value.trim().trim_matches(['"', '\'']))
        {
            let begin = colon + 1 + (value.len() - value.trim_start().len());
            parts.push(Span::new(begin, line.trim_end().len()));
            break;
        }
        from = colon + 1;
    }
    parts
}

/// A text with parts replaced by the mask, with a mapping from old to new positions.
pub(super) struct Masked {
    pub(super) text: String,
    segments: Vec<Segment>,
}

/// A segment of the old text and where it went.
struct Segment {
    start: usize,
    now: usize,
    is_mask: bool,
}

impl Masked {
    /// `parts` are bytes of `text`; they may overlap.
    pub(super) fn new(text: &str, mut parts: Vec<Span>) -> Self {
        parts.retain(|part| part.start < part.end && text.get(part.start..part.end).is_some());
        parts.sort();
        let mut masked = Self { text: String::with_capacity(text.len()), segments: Vec::new() };
        let mut at = 0;
        for part in parts.into_iter().filter(|part| part.end > 0) {
            let start = part.start.max(at);
            if part.end <= start {
                continue;
            }
            masked.add(at, &text[at..start], false);
            masked.add(start, MASK, true);
            // A mask over several lines leaves their number as it was.
            masked.text.extend(text[start..part.end].chars().filter(|c| *c == '\n'));
            at = part.end;
        }
        masked.add(at, &text[at..], false);
        masked
    }

    fn add(&mut self, start: usize, text: &str, is_mask: bool) {
        self.segments.push(Segment { start, now: self.text.len(), is_mask });
        self.text.push_str(text);
    }

    /// Where the span is now; inside a masked part it is the mask.
    pub(super) fn span(&self, span: Span) -> Span {
        let start = self.segment(self.segments.partition_point(|segment| segment.start <= span.start));
        let end = self.segment(self.segments.partition_point(|segment| segment.start < span.end));
        let place = |segment: &Segment, offset: usize, masked: usize| {
            segment.now + if segment.is_mask { masked } else { offset.saturating_sub(segment.start) }
        };
        let start = place(start, span.start, 0);
        Span::new(start, place(end, span.end, MASK.len()).max(start))
    }

    /// The segment before `index`: there is always one at the beginning.
    fn segment(&self, index: usize) -> &Segment {
        &self.segments[index.saturating_sub(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets() {
        for name in [
            "password",
            "DB_PASSWORD",
            "apiKey",
            "api_key",
            "service_role_key",
            "pg-dsn",
            "accessToken",
            "token",
            "client_secret",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in
            ["key", "primary_key", "upsert_keys", "max_tokens", "tokens", "author", "host", "secretary", "monkey"]
        {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn only_a_bare_variable_is_a_reference() {
        assert!(is_reference("${DB_PASSWORD}") && is_reference(" ${A.b-c} "));
        for text in ["${A:-x}", "x${A}", "${A}x", "$A", "${}", "${A}${B}", "hunter2"] {
            assert!(!is_reference(text), "{text}");
        }
    }

    #[test]
    fn an_unparsed_line_loses_what_stands_behind_a_secret_key() {
        let shown = |line: &str| Masked::new(line, secret_parts(line)).text;
        assert_eq!(shown("  db: {host: h, password: 'x: y, z}"), "  db: {host: h, password: ***");
        assert_eq!(shown("\"token\" : abc  "), "\"token\" : ***  ");
        assert_eq!(shown("password: ${PW}"), "password: ${PW}");
        assert_eq!(shown("url: http://x:y"), "url: http://x:y");
        assert_eq!(shown("ключ_password: тайна"), "ключ_password: ***");
    }

    #[test]
    fn places_move_with_the_text() {
        let masked = Masked::new("a secret b other c", vec![Span::new(2, 8), Span::new(11, 16)]);
        assert_eq!(masked.text, "a *** b *** c");
        let shown = |start, end| {
            let span = masked.span(Span::new(start, end));
            &masked.text[span.start..span.end]
        };
        assert_eq!(shown(0, 1), "a");
        assert_eq!(shown(2, 8), "***");
        assert_eq!(shown(4, 6), "***");
        assert_eq!(shown(9, 10), "b");
        assert_eq!(shown(0, 10), "a *** b");
        assert_eq!(shown(17, 18), "c");
        assert_eq!(shown(18, 18), "");
    }
}
