//! Secrets: a value that cannot be shown, and the redactor that scrubs every known one from whatever leaves a run.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// What is shown in place of a secret [DRV-018].
pub const MASK: &str = "***";

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

/// Replaces every known secret by [`MASK`], in each form it may take on its way out: raw, JSON-escaped, URL-encoded
/// (either common set), base64 (standard and URL-safe).
///
/// Values shorter than [`Redactor::MIN_LENGTH`] are not scrubbed from running text, where they would turn every `a` into the
/// mask; they are still never printed by us.
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Vec<String>,
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
        self.needles.extend(forms);
        // Longest first, so that a secret that contains another one is masked whole.
        self.needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.needles.dedup();
    }

    /// Adds everything that `other` knows.
    pub fn merge(&mut self, other: &Self) {
        self.needles.extend(other.needles.iter().cloned());
        self.needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.needles.dedup();
    }

    /// `text` without any known secret; borrowed when there was none.
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for needle in &self.needles {
            if text.contains(needle.as_str()) {
                text = Cow::Owned(text.replace(needle.as_str(), MASK));
            }
        }
        text
    }

    /// The same for every string of a JSON value, keys included.
    pub fn scrub_json(&self, value: &mut serde_json::Value) {
        use serde_json::Value;
        if self.needles.is_empty() {
            return;
        }
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.scrub(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.scrub_json(item)),
            Value::Object(map) => {
                let entries = std::mem::take(map);
                for (key, mut item) in entries {
                    self.scrub_json(&mut item);
                    map.insert(self.scrub(&key).into_owned(), item);
                }
            }
            _ => {}
        }
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
        let redactor = Redactor::new(["abc", "abcdef"]);
        assert_eq!(redactor.scrub("x abcdef y"), "x *** y");
    }

    #[test]
    fn debug_and_schema_hold_no_value() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), MASK);
        assert_eq!(schemars::schema_for!(Secret).get("writeOnly"), Some(&true.into()));
    }

    #[test]
    fn json_is_scrubbed_in_keys_and_values() {
        let mut value = serde_json::json!({"hunter22": ["hunter22", 1]});
        Redactor::new(["hunter22"]).scrub_json(&mut value);
        assert_eq!(value, serde_json::json!({"***": ["***", 1]}));
    }
}
