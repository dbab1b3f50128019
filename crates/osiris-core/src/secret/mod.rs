//! Secrets: a value that cannot be printed, the redactor that removes every known one from all output of a run, and how
//! one is told by its name or its form.

mod address;
mod document;
mod name;
mod token;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

pub use address::{has_secret_address, mask_addresses, mask_login};
pub use document::{is_reference, mask_by_form, mask_document_by_form, mask_literals_of};
pub use name::{is_guarded_header, is_secret_parameter, looks_secret, may_be_secret};
pub use token::{looks_like_token, mask_tokens};

/// What is shown in place of a secret [DRV-018].
pub const MASK: &str = "***";

/// The text with [`MASK`] in these places, which are in order.
fn masked(text: &str, places: impl IntoIterator<Item = Range<usize>>) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut at = 0;
    for place in places {
        clean.push_str(&text[at..place.start]);
        clean.push_str(MASK);
        at = place.end;
    }
    clean.push_str(&text[at..]);
    clean
}

/// A password, key or token. It has no `Display` and no `Serialize`, its `Debug` prints the mask, and its memory is
/// wiped on drop. Its JSON Schema says `writeOnly`, which is how the rest of Osiris knows that a field is secret.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(SecretString::from(value.into()))
    }

    /// The value, for the one call that must send it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "password", "writeOnly": true})
    }
}

/// Replaces every known secret by [`MASK`], in each form that output may contain: raw, JSON-escaped, URL-encoded
/// (either common set), base64 (standard and URL-safe).
///
/// Only the secret is masked, not the words around it. One that could be a word (letters only, up to twelve of them) or
/// that is shorter than eight characters is masked as a whole word, any other wherever it is found. Names of fields in
/// JSON stay.
///
/// In documents ([`scrub_value`](Self::scrub_value), [`scrub_document`](Self::scrub_document)), whose structure must
/// not depend on a secret, one that could be a word or is shorter than six characters is masked only where it is a
/// whole value: a whole string, or the part after `=` or `:` as in `password=rows` and `user:rows@host`.
///
/// Values shorter than [`Redactor::MIN_LENGTH`] are not searched for at all; Osiris itself still never prints them.
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Vec<Needle>,
}

/// A form of a secret, with where it counts as one.
#[derive(Clone, PartialEq, Eq)]
struct Needle {
    text: String,
    kind: NeedleKind,
}

/// How easily something else is spelt like the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NeedleKind {
    /// Nothing is.
    Unique,
    /// A part of a longer word may be.
    Short,
    /// A word may be.
    Common,
}

/// The kind of text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TextKind {
    /// Text for users: messages, logs.
    Prose,
    /// A value of a document that programs read.
    Value,
}

impl Needle {
    fn new(text: String) -> Self {
        let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
        // A capital in the middle is no word's.
        let is_mixed = text.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
            && text.bytes().any(|byte| byte.is_ascii_lowercase());
        let kind = match text.chars().count() {
            ..6 => NeedleKind::Common,
            6..=12 if is_word && !is_mixed => NeedleKind::Common,
            6..8 => NeedleKind::Short,
            _ => NeedleKind::Unique,
        };
        Self { text, kind }
    }

    /// The byte ranges of its occurrences in a text.
    fn places<'a>(&'a self, text: &'a str, of: TextKind) -> impl Iterator<Item = Range<usize>> + 'a {
        text.match_indices(self.text.as_str())
            .map(|(start, found)| start..start + found.len())
            .filter(move |place| self.counts(&text[..place.start], &text[place.end..], of))
    }

    fn counts(&self, before: &str, after: &str, of: TextKind) -> bool {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let is_name = before.ends_with('"') && (after.starts_with("\":") || after.starts_with("\\\":"));
        match (self.kind, of) {
            (NeedleKind::Unique, _) => true,
            (NeedleKind::Short, _) | (NeedleKind::Common, TextKind::Prose) => {
                !is_part(before.chars().next_back()) && !is_part(after.chars().next()) && !is_name
            }
            (NeedleKind::Common, TextKind::Value) => {
                let is_whole = before.trim().is_empty() && after.trim().is_empty();
                let before = before.strip_suffix(['"', '\'']).unwrap_or(before);
                let is_set = before.ends_with(['=', ':']) && !is_part(after.chars().next());
                is_whole || is_set
            }
        }
    }
}

/// What `encodeURIComponent` and most drivers leave alone.
const COMPONENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'!').remove(b'~').remove(b'*').remove(b'\'');
/// What a user-info part of a URL may keep.
const USERINFO: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'=')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'|')
    .add(b'%');

impl Redactor {
    /// Secrets shorter than this are not searched for.
    pub const MIN_LENGTH: usize = 3;

    /// A redactor that knows `secrets`.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut redactor = Self::default();
        for secret in secrets {
            redactor.add(secret.as_ref());
        }
        redactor
    }

    /// Adds one secret.
    pub fn add(&mut self, secret: &str) {
        if secret.len() < Self::MIN_LENGTH {
            return;
        }
        let json = serde_json::Value::from(secret).to_string();
        let mut forms = vec![
            secret.to_owned(),
            json.trim_matches('"').to_owned(),
            format!("{secret:?}").trim_matches('"').to_owned(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            utf8_percent_encode(secret, COMPONENT).to_string(),
            utf8_percent_encode(secret, USERINFO).to_string(),
        ];
        forms.push(forms[4].replace("%20", "+"));
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            forms.push(engine.encode(secret));
        }
        self.needles.extend(forms.into_iter().map(Needle::new));
        self.sort();
    }

    /// Adds everything that `other` knows.
    pub fn merge(&mut self, other: &Self) {
        self.needles.extend(other.needles.iter().cloned());
        self.sort();
    }

    /// Longest first, so that a secret that contains another one is masked whole.
    fn sort(&mut self) {
        self.needles.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then_with(|| a.text.cmp(&b.text)));
        self.needles.dedup();
    }

    /// `text` without any known secret; borrowed when there was none. The beginning of a secret before a [cut](shorten)
    /// goes too.
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.scrub_as(text, TextKind::Prose)
    }

    /// The same for a value of a document, whose form must not depend on how a secret is spelt: a manifest, a saved
    /// state.
    pub fn scrub_value<'a>(&self, value: &'a str) -> Cow<'a, str> {
        self.scrub_as(value, TextKind::Value)
    }

    fn scrub_as<'a>(&self, text: &'a str, of: TextKind) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for needle in &self.needles {
            let mut places = needle.places(&text, of).peekable();
            if places.peek().is_some() {
                text = Cow::Owned(masked(&text, places));
            }
        }
        match self.before_cut(&text) {
            Some(clean) => Cow::Owned(clean),
            None => text,
        }
    }

    /// The text without the beginnings of secrets that stand before a cut.
    fn before_cut(&self, text: &str) -> Option<String> {
        let (mut clean, mut rest, mut found) = (String::new(), text, false);
        while let Some(at) = rest.find(CUT) {
            let before = &rest[..at];
            let longest = self.needles.iter().filter_map(|needle| needle.beginning_at_end_of(before)).max();
            clean.push_str(&before[..before.len() - longest.unwrap_or(0)]);
            if longest.is_some() {
                clean.push_str(MASK);
                found = true;
            }
            clean.push(CUT);
            rest = &rest[at + CUT.len_utf8()..];
        }
        clean.push_str(rest);
        found.then_some(clean)
    }

    /// Whether a text is a secret and nothing else.
    fn is_secret(&self, text: &str) -> bool {
        self.needles.iter().any(|needle| needle.text == text)
    }

    /// The same for every string of a JSON value. A key in small letters and `_` is one of ours or a name that the user
    /// chose, and stays: a secret that is spelt like one must not change the form of what we write.
    pub fn scrub_json(&self, value: &mut serde_json::Value) {
        self.scrub_json_as(value, TextKind::Prose);
    }

    /// The same for a document: see [`scrub_value`](Self::scrub_value).
    pub fn scrub_document(&self, value: &mut serde_json::Value) {
        self.scrub_json_as(value, TextKind::Value);
    }

    fn scrub_json_as(&self, value: &mut serde_json::Value, of: TextKind) {
        use serde_json::Value;
        if self.needles.is_empty() {
            return;
        }
        match value {
            Value::String(text) => {
                if self.is_secret(text) {
                    *text = MASK.to_owned();
                } else if let Cow::Owned(clean) = self.scrub_as(text, of) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.scrub_json_as(item, of)),
            Value::Object(map) => {
                let entries = std::mem::take(map);
                for (key, mut item) in entries {
                    self.scrub_json_as(&mut item, of);
                    let is_name = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                    map.insert(if is_name { key } else { self.scrub_as(&key, of).into_owned() }, item);
                }
            }
            _ => {}
        }
    }
}

/// The mark at the end of a truncated text.
const CUT: char = '…';

/// The beginning of a text, of so many characters at most; a cut is marked, so that the half of a secret before it is
/// found.
pub fn shorten(text: &str, longest: usize) -> Cow<'_, str> {
    match text.char_indices().nth(longest) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}{CUT}", &text[..end])),
    }
}

impl Needle {
    /// How many bytes at the end of a text are a beginning of it: four characters at least, or the text would be full
    /// of them.
    fn beginning_at_end_of(&self, text: &str) -> Option<usize> {
        let ends = self.text.char_indices().map(|(at, _)| at).skip(4);
        ends.filter(|end| text.ends_with(&self.text[..*end])).max()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} forms)", self.needles.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "p@ss/w0rd+==";

    #[test]
    fn every_form_of_a_secret_is_masked() {
        let redactor = Redactor::new([NASTY]);
        for form in [
            NASTY.to_owned(),
            format!("mysql://u:{NASTY}@h/db"),
            "p%40ss%2Fw0rd%2B%3D%3D".to_owned(),
            "p%40ss%2Fw0rd+%3D%3D".to_owned(),
            STANDARD.encode(NASTY),
            URL_SAFE_NO_PAD.encode(NASTY),
        ] {
            let clean = redactor.scrub(&form).into_owned();
            assert!(clean.contains(MASK), "{form} -> {clean}");
            assert!(!clean.contains("w0rd"), "{form} -> {clean}");
        }
    }

    #[test]
    fn quotes_and_line_breaks_are_found_inside_json_and_debug_output() {
        let secret = "a\"b\\c\nd";
        let redactor = Redactor::new([secret]);
        let json = serde_json::json!({ "k": secret }).to_string();
        assert_eq!(redactor.scrub(&json), r#"{"k":"***"}"#);
        assert_eq!(redactor.scrub(&format!("{secret:?}")), r#""***""#);
    }

    #[test]
    fn a_secret_inside_another_leaves_no_rest() {
        let redactor = Redactor::new(["abc-1234", "abc-1234-def"]);
        assert_eq!(redactor.scrub("x abc-1234-def y"), "x *** y");
    }

    #[test]
    fn debug_and_schema_hold_no_value() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), MASK);
        assert_eq!(schemars::schema_for!(Secret).get("writeOnly"), Some(&true.into()));
    }

    #[test]
    fn s40_a_short_secret_is_masked_as_a_word_of_a_message_and_not_within_others() {
        let redactor = Redactor::new(["abc", "rows", "k3y!", "variable"]);
        for (text, clean) in [
            ("Access denied for 'root' using abc", "Access denied for 'root' using ***"),
            ("(abc), `abc`; abc.", "(***), `***`; ***."),
            ("tried k3y!, then rows", "tried ***, then ***"),
            ("to variable 'x'", "to *** 'x'"),
            ("https://h/abc/d?e", "https://h/***/d?e"),
        ] {
            assert_eq!(redactor.scrub(text), clean);
        }
        for text in
            ["abcdef, xabc, abc_d, abc2", "arrows", "rows_written", r#"{"rows":3,"abc": 4,"x":{"variable":[]}}"#]
        {
            assert_eq!(redactor.scrub(text), text);
        }
        let nested = serde_json::json!({"body": serde_json::json!({"rows": "rows"}).to_string()}).to_string();
        assert_eq!(redactor.scrub(&nested), r#"{"body":"{\"rows\":\"***\"}"}"#);
    }

    #[test]
    fn s40_in_a_document_a_secret_that_is_a_common_word_hides_itself_and_no_other_text() {
        let redactor = Redactor::new(["event", "rows", "abc", "variable"]);
        for text in
            ["no such event: 3 rows", "Incorrect argument type to variable 'x'", "Unknown column 'rows'", "abcdef"]
        {
            assert_eq!(redactor.scrub_value(text), text);
        }
        for (text, clean) in [
            ("event", "***"),
            (" rows\n", " ***\n"),
            ("mysql://root:event@h/db", "mysql://root:***@h/db"),
            ("host=h password=rows;x", "host=h password=***;x"),
            ("password='rows'", "password='***'"),
            ("{\"password\":\"abc\"}", "{\"password\":\"***\"}"),
        ] {
            assert_eq!(redactor.scrub_value(text), clean, "{text}");
            assert_eq!(redactor.scrub(text), clean, "{text}");
        }
        let redactor = Redactor::new(["hunter2"]);
        assert_eq!(redactor.scrub("by hunter2, not hunter22"), "by ***, not hunter22");
        assert_eq!(Redactor::new(["QzTrPlaaaaaaaaXX"]).scrub("xQzTrPlaaaaaaaaXXx"), "x***x");
    }

    #[test]
    fn s40_keys_of_ours_stay_whatever_the_secret() {
        let mut value = serde_json::json!({"event": "event", "rows_written": {"password": "rows_written", "n": 1}});
        Redactor::new(["event", "rows_written", "password", "n"]).scrub_json(&mut value);
        assert_eq!(value, serde_json::json!({"event": "***", "rows_written": {"password": "***", "n": 1}}));
    }

    #[test]
    fn s39_half_a_secret_before_a_cut_is_masked() {
        let secret = "sk_live_0123456789";
        let redactor = Redactor::new([secret]);
        let text = format!("no such key: {secret}");
        for longest in 0..text.len() {
            let cut = shorten(&text, longest);
            let clean = redactor.scrub(&cut);
            assert!(!clean.contains("sk_l"), "{clean}");
        }
        assert_eq!(redactor.scrub(&format!("{} (line 1)", shorten(&text, 24))), "no such key: ***… (line 1)");
        assert_eq!(shorten("short", 5), "short");
    }

    #[test]
    fn json_is_scrubbed_in_keys_and_values() {
        let mut value = serde_json::json!({"hunter22": ["hunter22", 1]});
        Redactor::new(["hunter22"]).scrub_json(&mut value);
        assert_eq!(value, serde_json::json!({"***": ["***", 1]}));
    }
}
