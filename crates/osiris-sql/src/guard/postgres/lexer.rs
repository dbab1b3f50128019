//! The tokens of a PostgreSQL statement, as the server's own scanner sees them. What is ambiguous is an error here, so
//! that nothing can hide in the difference.
//!
//! Facts: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>.

use super::super::{PostgresModes, Refusal};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word without quotes: a keyword, a name, a function.
    Word,
    /// A word that cannot be a keyword, since it stands right behind `name.`.
    Member,
    /// A name in quotes.
    Quoted,
    /// A text in quotes or between dollars.
    Text,
    /// A number.
    Number,
    /// Any other character.
    Symbol(u8),
}

/// One token and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token {
    pub(super) fn is_symbol(&self, symbol: u8) -> bool {
        self.kind == TokenKind::Symbol(symbol)
    }
}

/// Splits `sql` into tokens.
pub(super) fn tokens(sql: &str, modes: PostgresModes) -> Result<Vec<Token>, Refusal> {
    let mut lexer = Lexer { sql: sql.as_bytes(), modes, at: 0, tokens: Vec::new() };
    while lexer.at < lexer.sql.len() {
        lexer.step()?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    sql: &'a [u8],
    modes: PostgresModes,
    at: usize,
    tokens: Vec<Token>,
}

/// How a text in quotes is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// A backslash is a backslash.
    No,
    /// A backslash takes the next character with it.
    Yes,
}

/// Every byte beyond ASCII is a letter.
fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_name(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

fn open(what: &str, offset: usize) -> Refusal {
    Refusal::new(format!("{what} is not closed"), "close it", offset)
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at + ahead).copied()
    }

    fn push(&mut self, kind: TokenKind, length: usize) {
        self.tokens.push(Token { kind, start: self.at, end: self.at + length });
        self.at += length;
    }

    fn step(&mut self) -> Result<(), Refusal> {
        let byte = self.sql[self.at];
        match byte {
            byte if is_space(byte) => self.at += 1,
            b'-' if self.peek(1) == Some(b'-') => self.line_comment(),
            b'/' if self.peek(1) == Some(b'*') => self.comment()?,
            b'\'' => self.text(0, self.plain_escapes())?,
            b'"' => self.quoted_name()?,
            b'e' | b'E' if self.peek(1) == Some(b'\'') => self.text(1, Escapes::Yes)?,
            b'b' | b'B' | b'x' | b'X' if self.peek(1) == Some(b'\'') => self.text(1, Escapes::No)?,
            b'n' | b'N' if self.peek(1) == Some(b'\'') => self.text(1, self.plain_escapes())?,
            b'u' | b'U' if self.peek(1) == Some(b'&') && matches!(self.peek(2), Some(b'\'' | b'"')) => {
                self.unicode()?
            }
            b'$' => self.dollar()?,
            b'.' if self.peek(1).is_some_and(is_name_start) && self.joins_a_name() => self.member(),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => self.number(),
            byte if byte.is_ascii_digit() => self.number(),
            byte if is_name_start(byte) => self.push(TokenKind::Word, self.run(0)),
            b'\\' => {
                return Err(Refusal::new(
                    "a backslash outside of a string",
                    "quote the string that it belongs to",
                    self.at,
                ));
            }
            byte if byte < b' ' || byte == 0x7f => {
                return Err(Refusal::new("a control character outside of a string", "remove it", self.at));
            }
            byte => self.push(TokenKind::Symbol(byte), 1),
        }
        Ok(())
    }

    fn plain_escapes(&self) -> Escapes {
        if self.modes.standard_conforming_strings { Escapes::No } else { Escapes::Yes }
    }

    /// How many characters of a name follow, from `ahead` on.
    fn run(&self, ahead: usize) -> usize {
        self.sql[self.at + ahead..].iter().take_while(|byte| is_name(**byte)).count()
    }

    /// Whether the last token is a name that ends right here.
    fn joins_a_name(&self) -> bool {
        let is_name = |last: &Token| matches!(last.kind, TokenKind::Word | TokenKind::Member | TokenKind::Quoted);
        self.tokens.last().is_some_and(|last| last.end == self.at && is_name(last))
    }

    fn member(&mut self) {
        self.push(TokenKind::Symbol(b'.'), 1);
        self.push(TokenKind::Member, self.run(0));
    }

    /// A number. A word that stands right behind it is one of its own: older servers read `1INTO x` so.
    fn number(&mut self) {
        let digits = |from: usize| self.sql[self.at + from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut length = digits(0);
        if self.peek(length) == Some(b'.') {
            length += 1 + digits(length + 1);
        }
        if matches!(self.peek(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + sign);
            if exponent > 0 {
                length += 1 + sign + exponent;
            }
        }
        self.push(TokenKind::Number, length);
    }

    /// A text whose quote stands `prefix` characters ahead.
    fn text(&mut self, prefix: usize, escapes: Escapes) -> Result<(), Refusal> {
        let start = self.at;
        let length = self.quoted_length(prefix, b'\'', escapes).ok_or_else(|| open("a string", start))?;
        self.push(TokenKind::Text, length);
        // A text that goes on behind a line break is read as its beginning was, not as a text of its own.
        if prefix > 0 && self.next_is_quote()? {
            return Err(Refusal::new(
                "a string in several parts",
                "write it as one string, or join the parts with `||`",
                start,
            ));
        }
        Ok(())
    }

    /// Whether the next token begins with a quote. The lexer's place stays.
    fn next_is_quote(&mut self) -> Result<bool, Refusal> {
        let place = self.at;
        let mut found = false;
        while let Some(byte) = self.peek(0) {
            match byte {
                byte if is_space(byte) => self.at += 1,
                b'-' if self.peek(1) == Some(b'-') => self.line_comment(),
                b'/' if self.peek(1) == Some(b'*') => self.comment()?,
                byte => {
                    found = byte == b'\'';
                    break;
                }
            }
        }
        self.at = place;
        Ok(found)
    }

    fn quoted_name(&mut self) -> Result<(), Refusal> {
        let length = self.quoted_length(0, b'"', Escapes::No).ok_or_else(|| open("a quoted name", self.at))?;
        self.push(TokenKind::Quoted, length);
        Ok(())
    }

    /// The length of prefix, quotes and what is between them.
    fn quoted_length(&self, prefix: usize, quote: u8, escapes: Escapes) -> Option<usize> {
        let mut end = prefix + 1;
        loop {
            match self.peek(end)? {
                b'\\' if escapes == Escapes::Yes => end += 2,
                byte if byte == quote && self.peek(end + 1) == Some(quote) => end += 2,
                byte if byte == quote => return Some(end + 1),
                _ => end += 1,
            }
        }
    }

    /// `U&'...'`. A name of this kind could spell a function so that nobody sees it.
    fn unicode(&mut self) -> Result<(), Refusal> {
        if self.peek(2) == Some(b'"') {
            return Err(Refusal::new("a name with Unicode escapes", "write its characters", self.at));
        }
        if !self.modes.standard_conforming_strings {
            return Err(Refusal::new("a string with Unicode escapes", "write its characters", self.at));
        }
        self.text(2, Escapes::No)
    }

    /// `$tag$ ... $tag$`, or `$1`, for which there is no value.
    fn dollar(&mut self) -> Result<(), Refusal> {
        let rest = &self.sql[self.at..];
        let tag = match rest.get(1) {
            Some(b'$') => Some(2),
            Some(byte) if is_name_start(*byte) => {
                let length = rest[1..].iter().take_while(|byte| is_name(**byte) && **byte != b'$').count();
                (rest.get(1 + length) == Some(&b'$')).then_some(length + 2)
            }
            _ => None,
        };
        let Some(tag) = tag else {
            return Err(Refusal::new(
                "a `$` outside of a string: parameters are not supported",
                "write the value, or use a pipeline parameter `${params.name}`",
                self.at,
            ));
        };
        let (delimiter, body) = rest.split_at(tag);
        let Some(length) = body.windows(tag).position(|part| part == delimiter) else {
            return Err(open("a dollar-quoted string", self.at));
        };
        self.push(TokenKind::Text, tag + length + tag);
        Ok(())
    }

    fn line_comment(&mut self) {
        let rest = &self.sql[self.at..];
        self.at += rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
    }

    /// Comments between stars nest.
    fn comment(&mut self) -> Result<(), Refusal> {
        let mut depth = 0_usize;
        let mut end = self.at;
        loop {
            match (self.sql.get(end), self.sql.get(end + 1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    end += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    end += 2;
                }
                (Some(_), _) => end += 1,
                (None, _) => return Err(open("a comment", self.at)),
            }
            if depth == 0 {
                self.at = end;
                return Ok(());
            }
        }
    }
}
