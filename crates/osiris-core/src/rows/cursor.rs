//! Reads JSON text token by token (RFC 8259), as strictly as the grammar, except that control characters inside of
//! strings are accepted. Allocates only where a string has escapes.

use std::borrow::Cow;

use memchr::memchr2;

use crate::Error;

/// Deeper nesting is rejected.
pub(super) const MAX_DEPTH: usize = 128;

/// Why a text cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParseError {
    /// It ends too early.
    Ended,
    /// It is not valid JSON at this byte.
    Syntax(usize),
    /// It has more than [`MAX_DEPTH`] lists and objects inside of each other.
    TooDeep,
}

impl From<ParseError> for Error {
    /// A text that ends too early was truncated by the network: that error is retryable.
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Ended => Error::network("the response ended in the middle of the JSON"),
            ParseError::Syntax(at) => Error::validation(format!("the response is not valid JSON at byte {at}")),
            ParseError::TooDeep => {
                Error::validation(format!("the JSON of the response is nested deeper than {MAX_DEPTH} levels"))
            }
        }
    }
}

type Read<T> = Result<T, ParseError>;

/// The text of a string between its quotes, and whether it has escapes.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawText<'a> {
    pub(super) text: &'a str,
    pub(super) escaped: bool,
}

impl<'a> RawText<'a> {
    /// The string without escapes, and how many halves of surrogate pairs, which are not characters, were replaced in
    /// it.
    pub(super) fn unescaped(self) -> (Cow<'a, str>, u64) {
        if !self.escaped {
            return (Cow::Borrowed(self.text), 0);
        }
        let mut clean = String::with_capacity(self.text.len());
        let replaced = unescape(self.text, &mut clean);
        (Cow::Owned(clean), replaced)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The next byte that is not white space, without stepping over it.
    #[inline]
    pub(super) fn peek(&mut self) -> Read<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(ParseError::Ended)
    }

    /// Steps over `byte`, which must be next.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Read<()> {
        if self.peek()? != byte {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(())
    }

    /// Steps over `byte` if it is next.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> Read<bool> {
        let found = self.peek()? == byte;
        if found {
            self.at += 1;
        }
        Ok(found)
    }

    /// After an item: whether another one follows, up to `close`.
    #[inline]
    pub(super) fn another(&mut self, close: u8) -> Read<bool> {
        match self.peek()? {
            b',' => {
                self.at += 1;
                Ok(true)
            }
            byte if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.syntax()),
        }
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Read<()> {
        match self.peek() {
            Err(ParseError::Ended) => Ok(()),
            _ => Err(self.syntax()),
        }
    }

    pub(super) fn syntax(&self) -> ParseError {
        ParseError::Syntax(self.at)
    }

    /// Steps over the key `name` and its colon if exactly that is next: the usual case, without a look at the rest.
    #[inline]
    pub(super) fn eat_key(&mut self, name: &str) -> Read<bool> {
        self.peek()?;
        let rest = &self.text.as_bytes()[self.at..];
        let length = name.len();
        let found = rest.len() > length + 1
            && rest[0] == b'"'
            && rest[length + 1] == b'"'
            && &rest[1..=length] == name.as_bytes();
        if found {
            self.at += length + 2;
            self.expect(b':')?;
        }
        Ok(found)
    }

    /// A key with its colon.
    pub(super) fn key(&mut self) -> Read<RawText<'a>> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// A string, quotes included.
    pub(super) fn string(&mut self) -> Read<RawText<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            let rest = bytes.get(self.at..).ok_or(ParseError::Ended)?;
            self.at += memchr2(b'"', b'\\', rest).ok_or(ParseError::Ended)?;
            if bytes[self.at] == b'"' {
                let text = &self.text[start..self.at];
                self.at += 1;
                return Ok(RawText { text, escaped });
            }
            escaped = true;
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Read<()> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at + 1).ok_or(ParseError::Ended)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = bytes.get(self.at + 2..self.at + 6).ok_or(ParseError::Ended)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.syntax());
                }
                self.at += 6;
            }
            _ => return Err(self.syntax()),
        }
        Ok(())
    }

    /// A number's text.
    pub(super) fn number(&mut self) -> Read<&'a str> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let first = self.at;
        self.digits()?;
        if bytes[first] == b'0' && self.at > first + 1 {
            return Err(ParseError::Syntax(first));
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Read<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(if rest.is_empty() { ParseError::Ended } else { self.syntax() });
        }
        self.at += count;
        Ok(())
    }

    /// One of the three words of JSON.
    pub(super) fn word(&mut self, word: &str) -> Read<()> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(if word.as_bytes().starts_with(rest) { ParseError::Ended } else { self.syntax() })
    }

    /// Steps over a value of any kind, and returns its text.
    pub(super) fn skip(&mut self) -> Read<&'a str> {
        self.peek()?;
        let start = self.at;
        self.skip_value(0)?;
        Ok(self.since(start))
    }

    fn skip_value(&mut self, depth: usize) -> Read<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' | b'[' if depth >= MAX_DEPTH => Err(ParseError::TooDeep),
            b'{' => {
                self.at += 1;
                if self.eat(b'}')? {
                    return Ok(());
                }
                loop {
                    self.key()?;
                    self.skip_value(depth + 1)?;
                    if !self.another(b'}')? {
                        return Ok(());
                    }
                }
            }
            b'[' => {
                self.at += 1;
                if self.eat(b']')? {
                    return Ok(());
                }
                loop {
                    self.skip_value(depth + 1)?;
                    if !self.another(b']')? {
                        return Ok(());
                    }
                }
            }
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => Err(self.syntax()),
        }
    }
}

/// What a value that begins with this byte is, for messages.
pub(super) fn kind(first: u8) -> &'static str {
    match first {
        b'{' => "an object",
        b'[' => "a list",
        b'"' => "a string",
        b'n' => "null",
        b't' | b'f' => "a boolean",
        _ => "a number",
    }
}

/// Appends `text`, whose escapes are valid, to `out` without escapes, and returns how many halves of surrogate pairs
/// were replaced.
pub(super) fn unescape(text: &str, out: &mut String) -> u64 {
    let mut replaced = 0;
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let code = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let mut length = 2;
        match code {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let (character, read) = character(&rest[at..]);
                out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                replaced += u64::from(character.is_none());
                length = read;
            }
            plain => out.push(char::from(plain)),
        }
        rest = &rest[(at + length).min(rest.len())..];
    }
    out.push_str(rest);
    replaced
}

/// The character of `\uXXXX` or of a pair of them at the start of `text`, and its length there.
pub(super) fn character(text: &str) -> (Option<char>, usize) {
    let unit = |at: usize| -> Option<u32> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else { return (None, 2) };
    if !(0xD800..0xDC00).contains(&first) {
        return (char::from_u32(first), 6);
    }
    match unit(6) {
        Some(second @ 0xDC00..0xE000) => (char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)), 12),
        _ => (None, 6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn accepts(text: &str) -> Read<()> {
        let mut cursor = Cursor::new(text);
        cursor.skip()?;
        cursor.end()
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("\\PC{0,8}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// What serde_json accepts is accepted, and what it rejects is rejected.
        #[test]
        fn the_grammar_is_that_of_another_parser(value in any_json(), at in any::<prop::sample::Index>(), byte in 32u8..127) {
            let text = value.to_string();
            prop_assert_eq!(accepts(&text), Ok(()));
            let at = at.index(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                let mut changed = text.clone();
                changed.replace_range(at..=at, &char::from(byte).to_string());
                let wanted = serde_json::from_str::<serde::de::IgnoredAny>(&changed).is_ok();
                prop_assert_eq!(accepts(&changed).is_ok(), wanted, "{}", changed);
            }
        }

        #[test]
        fn strings_mean_what_another_parser_says(text in "\\PC*|[\\x00-\\xff]*") {
            let json = serde_json::to_string(&text).unwrap();
            let raw = Cursor::new(&json).string().unwrap();
            prop_assert_eq!(raw.unescaped(), (Cow::Borrowed(text.as_str()), 0));
        }
    }

    #[test]
    fn every_beginning_of_a_text_is_one_that_ended_too_early() {
        let text = r#"{"a": [1.5e-7, true, null, "x\u00e9\n"], "b": {}}"#;
        for end in 0..text.len() {
            assert_eq!(accepts(&text[..end]), Err(ParseError::Ended), "{}", &text[..end]);
        }
    }

    #[test]
    fn escapes_and_surrogates_are_read_and_half_pairs_counted() {
        let read = |json: &str| {
            let (text, replaced) = Cursor::new(json).string().unwrap().unescaped();
            (text.into_owned(), replaced)
        };
        assert_eq!(read(r#""\"\\\/\b\f\n\r\tA\u00e9""#), ("\"\\/\u{8}\u{c}\n\r\tAé".to_owned(), 0));
        assert_eq!(read(r#""\ud83d\ude00""#), ("😀".to_owned(), 0));
        assert_eq!(read(r#""\ud83dx\ude00""#), ("\u{fffd}x\u{fffd}".to_owned(), 2));
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = "[".repeat(100_000);
        assert_eq!(accepts(&deep), Err(ParseError::TooDeep));
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(accepts(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(accepts(&nested(MAX_DEPTH + 1)), Err(ParseError::TooDeep));
    }
}
