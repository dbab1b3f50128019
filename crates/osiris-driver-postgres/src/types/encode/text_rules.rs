//! Encodes text: handles NUL characters, which PostgreSQL cannot store, and text that it would truncate silently.

use std::cell::Cell;

use super::{ConversionError, put};

/// The policy for NUL characters, and the number of values changed by it.
#[derive(Debug, Default)]
pub struct TextRules {
    strip_nul: bool,
    altered: Cell<u64>,
}

impl TextRules {
    /// With `true` NUL characters are removed, else values with one are rejected.
    pub fn new(strip_nul: bool) -> Self {
        Self { strip_nul, altered: Cell::new(0) }
    }

    /// Encodes a row and returns the number of changed values, which count once the row is written.
    ///
    /// # Errors
    /// The errors of `encode`.
    pub fn row<T, E>(&self, encode: impl FnOnce() -> Result<T, E>) -> Result<(T, u64), E> {
        self.altered.set(0);
        encode().map(|row| (row, self.altered.get()))
    }

    /// The text without NUL characters.
    ///
    /// # Errors
    /// When it has NUL characters and must not be changed.
    pub(super) fn clean<'a>(&self, text: &'a str) -> Result<std::borrow::Cow<'a, str>, ConversionError> {
        if !text.as_bytes().contains(&0) {
            return Ok(text.into());
        }
        if !self.strip_nul {
            return Err("NUL character, which PostgreSQL cannot store: see `nul_bytes`".into());
        }
        self.altered.set(self.altered.get() + 1);
        Ok(text.replace('\0', "").into())
    }

    /// JSON without `\u0000`, which `jsonb` cannot store. If it must not be changed, the server rejects it.
    pub(super) fn clean_json<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        let clean = self.without_nul(text);
        if clean.len() < text.len() {
            self.altered.set(self.altered.get() + 1);
        }
        clean
    }

    /// The same for JSON built from values whose changes are already counted.
    pub(super) fn without_nul<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        if !self.strip_nul || !text.contains("\\u0000") {
            return text.into();
        }
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            clean.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("\\u0000") {
                rest = after;
                continue;
            }
            // The escape and the escaped character.
            let end = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
            clean.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        clean.push_str(rest);
        clean.into()
    }
}

/// Writes text with a maximum number of characters.
pub(super) fn text(
    value: &str,
    limit: Option<usize>,
    rules: &TextRules,
    out: &mut Vec<u8>,
) -> Result<(), ConversionError> {
    let value = rules.clean(value)?;
    fits(&value, limit)?;
    put(value.as_bytes(), out)
}

/// Checks the length of the text. The server would reject it too, unless the excess is spaces, which it truncates.
pub(super) fn fits(value: &str, limit: Option<usize>) -> Result<(), ConversionError> {
    match limit {
        Some(limit) if value.len() > limit && value.chars().count() > limit => {
            Err(format!("longer than the column allows ({limit} characters)").into())
        }
        _ => Ok(()),
    }
}

/// Writes a string of `0` and `1` as bits.
pub(super) fn bits(value: &str, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if !value.bytes().all(|byte| matches!(byte, b'0' | b'1')) {
        return Err("invalid bit string: expected only 0 and 1".into());
    }
    super::framed(out, |out| {
        out.extend_from_slice(&super::length(value.len())?.to_be_bytes());
        out.extend(value.as_bytes().chunks(8).map(|bits| {
            let byte = bits.iter().fold(0_u8, |byte, bit| (byte << 1) | (bit & 1));
            byte << (8 - bits.len())
        }));
        Ok(())
    })
}

/// Parses a boolean.
pub(super) fn truth(value: &str) -> Result<u8, ConversionError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" => Ok(1),
        "false" | "f" => Ok(0),
        _ => Err("invalid boolean: expected true or false".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_characters_are_refused_or_left_out_and_counted() {
        let strict = TextRules::default();
        assert!(strict.clean("a\0b").is_err());
        assert_eq!(strict.clean("ab").unwrap(), "ab");
        let lenient = TextRules::new(true);
        assert_eq!(lenient.clean("\0a\0b").unwrap(), "ab");
        assert_eq!(lenient.clean_json(r#"{"a": "x\u0000y", "b": "\\u0000"}"#), r#"{"a": "xy", "b": "\\u0000"}"#);
        assert_eq!(lenient.clean_json(r#""\\u0000é\"""#), r#""\\u0000é\"""#);
        assert_eq!(lenient.altered.get(), 2);
    }

    #[test]
    fn a_text_is_measured_in_characters() {
        let mut out = Vec::new();
        let rules = TextRules::default();
        assert!(text("日本", Some(2), &rules, &mut out).is_ok());
        assert!(text("ab ", Some(2), &rules, &mut out).is_err());
    }

    #[test]
    fn bits_fill_bytes_from_the_left() {
        let mut out = Vec::new();
        bits("1000000011", &mut out).unwrap();
        assert_eq!(out, [0, 0, 0, 6, 0, 0, 0, 10, 0x80, 0xC0]);
        assert!(bits("012", &mut out).is_err());
    }
}
