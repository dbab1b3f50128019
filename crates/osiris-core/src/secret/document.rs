//! Secrets in documents that people write: which texts only name a variable, and what is masked where nobody resolves
//! them.

use std::borrow::Cow;

use serde_json::Value;

use super::name::{looks_secret, may_be_secret};
use super::{MASK, mask_addresses, mask_tokens};

/// Whether a text is one variable and nothing else: `${NAME}`. A default behind `:-` may be a secret itself.
pub fn is_reference(text: &str) -> bool {
    let name = text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    })
}

/// A text without what is known for a secret by its form: access tokens, and the secrets of addresses.
pub fn mask_by_form(text: &str) -> Cow<'_, str> {
    match mask_tokens(text) {
        Cow::Borrowed(text) => mask_addresses(text),
        Cow::Owned(text) => Cow::Owned(mask_addresses(&text).into_owned()),
    }
}

/// Masks what is a secret by its form, in all texts of a document, its keys included.
pub fn mask_document_by_form(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(masked) = mask_by_form(text) {
                *text = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask_document_by_form),
        Value::Object(fields) => {
            let entries = std::mem::take(fields);
            fields.extend(entries.into_iter().map(|(name, mut value)| {
                mask_document_by_form(&mut value);
                (mask_by_form(&name).into_owned(), value)
            }));
        }
        _ => {}
    }
}

/// Masks what is written out below a secret field, below fields whose own name looks secret, and what is a secret by its
/// form: `unknown` where no schema says which fields are secret. Variables stay.
pub fn mask_literals_of(value: &mut Value, secret: bool, unknown: bool) {
    let is_secret = |name: &str| if unknown { may_be_secret(name) } else { looks_secret(name) };
    match value {
        Value::String(text) if secret && !is_reference(text) => MASK.clone_into(text),
        Value::String(text) if unknown => *text = mask_pairs(&mask_by_form(text)),
        Value::String(text) => *text = mask_by_form(text).into_owned(),
        Value::Number(_) if secret => *value = Value::from(MASK),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_literals_of(item, secret, unknown)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, item)| mask_literals_of(item, secret || is_secret(name), unknown));
        }
        _ => {}
    }
}

/// Masks the values of `name=value` in a text whose names may be those of secrets.
fn mask_pairs(text: &str) -> String {
    let masked = |part: &str| match part.split_once('=') {
        Some((name, value))
            if may_be_secret(name.trim()) && !is_reference(value.trim_end_matches([';', '&', ',', ' '])) =>
        {
            let end = part.trim_end_matches([';', '&', ',', ' ']).len();
            format!("{name}={MASK}{}", &part[end..])
        }
        _ => part.to_owned(),
    };
    text.split_inclusive([';', '&', ',', ' ']).map(masked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_in_the_text_of_a_field_that_nobody_knows_lose_their_secrets() {
        let mut document = serde_json::json!(["Server=h;Password=p=1; Uid=u", "token=abc", "pwd=${PWD};a=b", "a=b c"]);
        mask_literals_of(&mut document, false, true);
        assert_eq!(
            document,
            serde_json::json!(["Server=h;Password=***; Uid=u", "token=***", "pwd=${PWD};a=b", "a=b c"])
        );
    }

    #[test]
    fn only_a_bare_variable_is_a_reference() {
        assert!(is_reference("${DB_PASSWORD}") && is_reference(" ${A.b-c} "));
        for text in ["${A:-x}", "x${A}", "${A}x", "$A", "${}", "${A}${B}", "hunter2"] {
            assert!(!is_reference(text), "{text}");
        }
    }

    #[test]
    fn texts_and_keys_of_a_document_lose_what_is_a_secret_by_its_form() {
        let mut document = serde_json::json!({"sb_secret_abcdef": ["https://u:p@h", 1, {"url": "https://h/?sig=abc"}]});
        mask_document_by_form(&mut document);
        assert_eq!(document, serde_json::json!({"***": ["https://u:***@h", 1, {"url": "https://h/?sig=***"}]}));
    }
}
