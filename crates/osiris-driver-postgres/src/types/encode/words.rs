//! Text on its way into a column: what PostgreSQL has no place for, and what it would cut off in silence.

use std::cell::Cell;

use super::{Refusal, put};

/// What is done about NUL characters, and how many values were changed by it.
#[derive(Debug, Default)]
pub struct TextRules {
    strip_nul: bool,
    altered: Cell<u64>,
}

impl TextRules {
    /// NUL characters are left out, or a value that has one is refused.
    pub fn new(strip_nul: bool) -> Self {
        Self { strip_nul, altered: Cell::new(0) }
    }

    /// Encodes one row, and says how many of its values were changed: they count once the row is written.
    ///
    /// # Errors
    /// Those of `encode`.
    pub fn row<T, E>(&self, encode: impl FnOnce() -> Result<T, E>) -> Result<(T, u64), E> {
        self.altered.set(0);
        encode().map(|row| (row, self.altered.get()))
    }

    /// The text without what it may not hold.
    ///
    /// # Errors
    /// When it may not be changed.
    pub(super) fn clean<'a>(&self, text: &'a str) -> Result<std::borrow::Cow<'a, str>, Refusal> {
        if !text.as_bytes().contains(&0) {
            return Ok(text.into());
        }
        if !self.strip_nul {
            return Err("it holds a NUL character, which PostgreSQL has no place for: see `nul_bytes`".into());
        }
        self.altered.set(self.altered.get() + 1);
        Ok(text.replace('\0', "").into())
    }

    /// JSON without `\u0000`, which `jsonb` has no place for. Without leave to change it the server refuses it.
    pub(super) fn clean_json<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        let clean = self.without_nul(text);
        if clean.len() < text.len() {
            self.altered.set(self.altered.get() + 1);
        }
        clean
    }

    /// The same for JSON that was made of values whose changes are counted already.
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
            // The escape itself and what it escapes, which is one character.
            let end = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
            clean.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        clean.push_str(rest);
        clean.into()
    }
}

/// A text of at most so many characters.
pub(super) fn text(value: &str, limit: Option<usize>, rules: &TextRules, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let value = rules.clean(value)?;
    fits(&value, limit)?;
    put(value.as_bytes(), out)
}

/// Whether the column keeps all of the text. The server would refuse it too, unless the surplus is blanks: those it cuts off.
pub(super) fn fits(value: &str, limit: Option<usize>) -> Result<(), Refusal> {
    match limit {
        Some(limit) if value.len() > limit && value.chars().count() > limit => {
            Err(format!("it is longer than the {limit} characters that the column keeps").into())
        }
        _ => Ok(()),
    }
}

/// A string of `0` and `1` as bits.
pub(super) fn bits(value: &str, out: &mut Vec<u8>) -> Result<(), Refusal> {
    if !value.bytes().all(|byte| matches!(byte, b'0' | b'1')) {
        return Err("it is no string of bits".into());
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

/// A word that is a truth value.
pub(super) fn truth(value: &str) -> Result<u8, Refusal> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" => Ok(1),
        "false" | "f" => Ok(0),
        _ => Err("it is neither true nor false".into()),
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
