//! A script in its statements, and what a CREATE TEMP of it defines.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::{OFFSET, SelectStatement, not_allowed};
use crate::{Error, Result};

/// One statement of a script, with its tokens.
pub(super) struct Statement<'a> {
    pub(super) text: &'a str,
    pub(super) offset: usize,
    tokens: Vec<(Token, usize)>,
}

/// `CREATE TEMP ... name ... AS body`.
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) body: String,
    pub(super) offset: usize,
}

pub(super) fn split(sql: &str) -> Result<Vec<Statement<'_>>> {
    let dialect = PostgreSqlDialect {};
    let lines = line_starts(sql);
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| {
        let offset = byte_offset(sql, &lines, error.location.line, error.location.column);
        Error::validation(format!("SQL error: {}", error.message)).with_context(OFFSET, offset)
    })?;
    let mut statements = Vec::new();
    let mut current: Vec<(Token, usize)> = Vec::new();
    for TokenWithSpan { token, span } in tokens {
        let offset = byte_offset(sql, &lines, span.start.line, span.start.column);
        match token {
            Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab)
            | Token::Whitespace(_)
            | Token::EOF => {}
            Token::SemiColon => finish(sql, &mut current, offset, &mut statements),
            token => current.push((token, offset)),
        }
    }
    finish(sql, &mut current, sql.len(), &mut statements);
    Ok(statements)
}

fn finish<'a>(sql: &'a str, tokens: &mut Vec<(Token, usize)>, end: usize, statements: &mut Vec<Statement<'a>>) {
    if let Some((_, start)) = tokens.first() {
        let offset = *start;
        statements.push(Statement { text: &sql[offset..end], offset, tokens: std::mem::take(tokens) });
    }
}

fn line_starts(sql: &str) -> Vec<usize> {
    std::iter::once(0).chain(sql.match_indices('\n').map(|(index, _)| index + 1)).collect()
}

/// The tokenizer counts lines and characters from 1.
fn byte_offset(sql: &str, lines: &[usize], line: u64, column: u64) -> usize {
    let line = usize::try_from(line.saturating_sub(1)).unwrap_or(0);
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
    let start = lines.get(line).copied().unwrap_or(sql.len());
    sql[start..].char_indices().nth(column).map_or(sql.len(), |(index, _)| start + index)
}

impl Statement<'_> {
    pub(super) fn starts_with_word(&self, word: &str) -> bool {
        self.word(0).is_some_and(|first| first.eq_ignore_ascii_case(word))
    }

    /// The unquoted word at `index`.
    fn word(&self, index: usize) -> Option<&str> {
        match self.tokens.get(index) {
            Some((Token::Word(word), _)) if word.quote_style.is_none() => Some(&word.value),
            _ => None,
        }
    }

    fn refused(&self) -> Error {
        not_allowed(&format!("`{}`", self.word(0).unwrap_or("this statement").to_uppercase()), self.offset)
    }

    /// Reads the head of a CREATE TEMP statement up to its AS.
    pub(super) fn definition(&self) -> Result<Definition> {
        if !self.starts_with_word("CREATE") {
            // A SELECT in mid-script would be thrown away, which its author cannot have meant.
            return Err(if SelectStatement::parse(self.text).is_ok() {
                Error::validation("only the last statement may be a SELECT")
                    .with_hint("make it a CREATE TEMP TABLE that the last one reads")
                    .with_context(OFFSET, self.offset)
            } else {
                self.refused()
            });
        }
        let mut at = 1;
        let mut eat = |words: &[&str]| {
            let found = self.word(at).is_some_and(|word| words.iter().any(|wanted| word.eq_ignore_ascii_case(wanted)));
            at += usize::from(found);
            found
        };
        if eat(&["OR"]) && !eat(&["REPLACE"]) {
            return Err(self.refused());
        }
        if !eat(&["TEMP", "TEMPORARY"]) {
            return Err(not_allowed("`CREATE` without `TEMP`", self.offset));
        }
        let is_macro = eat(&["MACRO", "FUNCTION"]);
        if !is_macro && !eat(&["TABLE", "VIEW"]) {
            return Err(self.refused());
        }
        if eat(&["IF"]) && !(eat(&["NOT"]) && eat(&["EXISTS"])) {
            return Err(self.refused());
        }
        let name = match self.tokens.get(at) {
            Some((Token::Word(word), _)) => word.value.clone(),
            _ => return Err(self.refused()),
        };
        let after = self.tokens[at..].iter().position(|(token, _)| is_keyword(token, Keyword::AS));
        let Some(position) = after else {
            return Err(Error::validation(format!("`{name}` needs `AS SELECT ...`")).with_context(OFFSET, self.offset));
        };
        let head = &self.tokens[at + 1..at + position];
        if !head.iter().all(|(token, _)| is_head(token)) {
            return Err(self.refused());
        }
        let mut start = at + position + 1;
        let is_table_macro = is_macro && self.word(start).is_some_and(|word| word.eq_ignore_ascii_case("TABLE"));
        start += usize::from(is_table_macro);
        let Some((_, offset)) = self.tokens.get(start) else { return Err(self.refused()) };
        let body = &self.text[offset - self.offset..];
        if is_macro && !is_table_macro {
            // A scalar macro's body is an expression.
            let select = format!("SELECT {body}");
            return Ok(Definition { name, body: select, offset: offset.saturating_sub("SELECT ".len()) });
        }
        Ok(Definition { name, body: body.to_owned(), offset: *offset })
    }
}

/// What may stand between the name and AS: parameters with defaults, column names.
fn is_head(token: &Token) -> bool {
    matches!(
        token,
        Token::Word(_)
            | Token::LParen
            | Token::RParen
            | Token::Comma
            | Token::Assignment
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Period
            | Token::Minus
    )
}

fn is_keyword(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}
