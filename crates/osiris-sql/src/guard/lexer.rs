//! The tokens of a MySQL statement, as the server's own scanner sees them. What is ambiguous is an error here, so that
//! nothing can hide in the difference.
//!
//! Facts: <https://dev.mysql.com/doc/refman/8.4/en/comments.html>,
//! <https://dev.mysql.com/doc/refman/8.4/en/string-literals.html>, <https://mariadb.com/kb/en/comment-syntax/>.

use super::{MySqlModes, Refusal};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word without quotes: a keyword, a name, a function.
    Word,
    /// A word that cannot be a keyword, since it stands right behind `name.`.
    Member,
    /// A name in quotes.
    Quoted,
    /// A text in quotes.
    Text,
    /// A number.
    Number,
    /// `\N`.
    Null,
    /// Any other character.
    Symbol(u8),
}

/// One token: its place, and whether a server may skip it, since it stands in an executable comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) optional: bool,
}

impl Token {
    pub(super) fn is_symbol(&self, symbol: u8) -> bool {
        self.kind == TokenKind::Symbol(symbol)
    }

    /// The name it is, quoted or not.
    fn is_name(&self, sql: &[u8]) -> bool {
        match self.kind {
            TokenKind::Word => !sql[self.start].is_ascii_digit(),
            TokenKind::Member | TokenKind::Quoted => true,
            _ => false,
        }
    }
}

/// Splits `sql` into tokens.
pub(super) fn tokens(sql: &str, modes: MySqlModes) -> Result<Vec<Token>, Refusal> {
    let mut lexer = Lexer { sql: sql.as_bytes(), modes, at: 0, tokens: Vec::new(), optional: false };
    while lexer.at < lexer.sql.len() {
        lexer.step()?;
    }
    if lexer.optional {
        return Err(open("an executable comment", sql.len()));
    }
    let last = lexer.tokens.iter().rev().find(|token| !token.is_symbol(b';'));
    if let Some(minus) = last.filter(|token| token.is_symbol(b'-')) {
        // Two of them would begin a comment once what follows them is cut off.
        return Err(Refusal::new("the statement ends in a minus sign", "write what is to be subtracted", minus.start));
    }
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    sql: &'a [u8],
    modes: MySqlModes,
    at: usize,
    tokens: Vec<Token>,
    /// Inside of an executable comment.
    optional: bool,
}

/// The server's identifier characters; every byte beyond ASCII is one.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn open(what: &str, offset: usize) -> Refusal {
    Refusal::new(format!("{what} is not closed"), "close it", offset)
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at + ahead).copied()
    }

    fn push(&mut self, kind: TokenKind, length: usize) {
        self.tokens.push(Token { kind, start: self.at, end: self.at + length, optional: self.optional });
        self.at += length;
    }

    fn step(&mut self) -> Result<(), Refusal> {
        let byte = self.sql[self.at];
        if self.optional {
            self.check_inside(byte)?;
        }
        match byte {
            byte if is_space(byte) => self.at += 1,
            b'*' if self.optional && self.peek(1) == Some(b'/') => {
                self.optional = false;
                self.at += 2;
            }
            b'/' if self.peek(1) == Some(b'*') => self.comment()?,
            b'-' if self.peek(1) == Some(b'-') => self.dashes()?,
            b'#' => self.line_comment(),
            b'\'' => self.quoted(byte, TokenKind::Text, !self.modes.no_backslash_escapes)?,
            b'"' if self.modes.ansi_quotes => self.quoted(byte, TokenKind::Quoted, false)?,
            b'"' => self.quoted(byte, TokenKind::Text, !self.modes.no_backslash_escapes)?,
            b'`' => self.quoted(byte, TokenKind::Quoted, false)?,
            b'.' if self.peek(1).is_some_and(is_word) && self.joins_a_name() => self.member(),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => self.number(),
            byte if byte.is_ascii_digit() => self.number(),
            byte if is_word(byte) => self.push(TokenKind::Word, self.run(0)),
            // The server's NULL: two bytes, whatever letters follow.
            b'\\' if self.peek(1) == Some(b'N') => self.push(TokenKind::Null, 2),
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

    /// How many identifier characters follow, from `ahead` on.
    fn run(&self, ahead: usize) -> usize {
        self.sql[self.at + ahead..].iter().take_while(|byte| is_word(**byte)).count()
    }

    fn digits(&self, ahead: usize) -> usize {
        self.sql[self.at + ahead..].iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// Whether the last token is a name that ends right here.
    fn joins_a_name(&self) -> bool {
        self.tokens.last().is_some_and(|last| last.end == self.at && last.is_name(self.sql))
    }

    fn member(&mut self) {
        self.push(TokenKind::Symbol(b'.'), 1);
        self.push(TokenKind::Member, self.run(0));
    }

    /// A number, or a name that begins with digits.
    fn number(&mut self) {
        let whole = self.digits(0);
        let mut length = whole;
        if self.peek(length) == Some(b'.') {
            length += 1 + self.digits(length + 1);
        }
        if matches!(self.peek(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(length + 1), Some(b'+' | b'-')));
            let exponent = self.digits(length + 1 + sign);
            if exponent > 0 {
                return self.push(TokenKind::Number, length + 1 + sign + exponent);
            }
        }
        if length == whole && self.peek(length).is_some_and(is_word) {
            return self.push(TokenKind::Word, self.run(0));
        }
        self.push(TokenKind::Number, length);
    }

    fn quoted(&mut self, quote: u8, kind: TokenKind, escapes: bool) -> Result<(), Refusal> {
        let mut end = self.at + 1;
        loop {
            match self.sql.get(end) {
                None => return Err(open(if kind == TokenKind::Text { "a string" } else { "a quoted name" }, self.at)),
                Some(b'\\') if escapes => end += 2,
                Some(byte) if *byte == quote && self.sql.get(end + 1) == Some(&quote) => end += 2,
                Some(byte) if *byte == quote => break,
                Some(_) => end += 1,
            }
        }
        self.push(kind, end + 1 - self.at);
        Ok(())
    }

    fn line_comment(&mut self) {
        let rest = &self.sql[self.at..];
        self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }

    /// Two dashes begin a comment when a space follows, and are two minus signs otherwise.
    fn dashes(&mut self) -> Result<(), Refusal> {
        match self.peek(2) {
            None => self.line_comment(),
            Some(byte) if is_space(byte) => self.line_comment(),
            Some(byte) if byte < b' ' || byte == 0x7f => {
                return Err(Refusal::new("a control character after `--`", "put a space there", self.at));
            }
            Some(_) => self.push(TokenKind::Symbol(b'-'), 1),
        }
        Ok(())
    }

    fn comment(&mut self) -> Result<(), Refusal> {
        let executable = match (self.peek(2), self.peek(3)) {
            (Some(b'!'), _) => 3,
            (Some(b'M'), Some(b'!')) => 4,
            _ => 0,
        };
        if executable > 0 {
            self.optional = true;
            self.at += executable;
            // The version from which a server executes it.
            self.at += self.digits(0);
            return Ok(());
        }
        let body = &self.sql[self.at + 2..];
        let Some(length) = body.windows(2).position(|pair| pair == b"*/") else {
            return Err(open("a comment", self.at));
        };
        let is_hint = body.first() == Some(&b'+');
        if is_hint && body[..length].iter().any(|byte| matches!(byte, b'\'' | b'"' | b'`')) {
            return Err(Refusal::new(
                "quotes in an optimizer hint",
                "write the names in the hint without quotes",
                self.at,
            ));
        }
        self.at += length + 4;
        Ok(())
    }

    /// In an executable comment only what ends at the same place whether it is executed or skipped.
    fn check_inside(&self, byte: u8) -> Result<(), Refusal> {
        let plain = byte.is_ascii_alphanumeric() || is_space(byte) || matches!(byte, b'_' | b',' | b'(' | b')' | b'.');
        if plain || matches!(byte, b'=' | b'*' | b'+') {
            return Ok(());
        }
        Err(Refusal::new(
            "an executable comment `/*! ... */` that holds more than plain words",
            "write what the server should execute without the comment",
            self.at,
        ))
    }
}
