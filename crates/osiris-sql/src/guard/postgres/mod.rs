//! What PostgreSQL may be asked: one SELECT, WITH, TABLE, VALUES, SHOW or EXPLAIN, with nothing in it that writes,
//! locks, waits, or reaches beyond the database.

pub(super) mod functions;
mod lexer;

use self::functions::{is_refused, is_refused_schema};
use self::lexer::{Token, TokenKind, tokens};
use super::{FunctionCall, PostgresModes, ReadingKind, ReadingStatement, Refusal, check_brackets};

const ONE_STATEMENT: &str = "write one SELECT, WITH, TABLE, VALUES, SHOW or EXPLAIN statement";

/// Keywords that cannot be the name of a table: what stands behind `UPDATE` in a statement that only has a column of
/// this name.
const NO_TABLE: [&str; 45] = [
    "AND",
    "AS",
    "ASC",
    "COLLATE",
    "CROSS",
    "DESC",
    "ELSE",
    "END",
    "EXCEPT",
    "FETCH",
    "FOR",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTO",
    "IS",
    "ISNULL",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NATURAL",
    "NOT",
    "NOTNULL",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVERLAPS",
    "RIGHT",
    "SIMILAR",
    "THEN",
    "UNION",
    "USING",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

pub(super) fn check(sql: &str, modes: PostgresModes) -> Result<ReadingStatement<'_>, Refusal> {
    let all = tokens(sql, modes)?;
    let last = all.iter().rposition(|token| !token.is_symbol(b';')).map_or(0, |last| last + 1);
    let statement = Statement { sql, tokens: &all[..last] };
    let kind = statement.kind()?;
    for index in 0..last {
        statement.check_token(index)?;
    }
    let start = all.first().map_or(0, |first| first.start);
    let end = statement.tokens.last().map_or(start, |token| token.end);
    Ok(ReadingStatement { text: &sql[start..end], kind })
}

pub(super) fn check_fragment(sql: &str, modes: PostgresModes) -> Result<(), Refusal> {
    check_brackets(tokens(sql, modes)?.into_iter().filter_map(|token| match token.kind {
        TokenKind::Symbol(symbol) => Some((symbol, token.start)),
        _ => None,
    }))
}

/// What `sql` may call; nothing where it cannot be read.
pub(super) fn calls(sql: &str, modes: PostgresModes) -> Vec<FunctionCall> {
    let Ok(tokens) = tokens(sql, modes) else { return Vec::new() };
    let statement = Statement { sql, tokens: &tokens };
    let mut calls: Vec<_> = (0..tokens.len()).filter_map(|index| statement.call(index)).collect();
    calls.sort();
    calls.dedup();
    calls
}

struct Statement<'a> {
    sql: &'a str,
    tokens: &'a [Token],
}

impl Statement<'_> {
    fn text(&self, token: &Token) -> &str {
        &self.sql[token.start..token.end]
    }

    fn is_word(&self, index: usize, word: &str) -> bool {
        self.tokens
            .get(index)
            .is_some_and(|token| token.kind == TokenKind::Word && self.text(token).eq_ignore_ascii_case(word))
    }

    fn is_any_word(&self, index: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(index, word))
    }

    fn is_symbol(&self, index: usize, symbol: u8) -> bool {
        self.tokens.get(index).is_some_and(|token| token.is_symbol(symbol))
    }

    /// What the first word says.
    fn kind(&self) -> Result<ReadingKind, Refusal> {
        let Some(first) = self.tokens.iter().position(|token| !token.is_symbol(b'(')) else {
            return Err(Refusal::new("the query is empty", ONE_STATEMENT, 0));
        };
        if self.is_query(first) {
            return Ok(ReadingKind::Query);
        }
        match first {
            0 if self.is_word(0, "SHOW") => Ok(ReadingKind::Listing),
            0 if self.is_word(0, "EXPLAIN") => self.explained(),
            _ => Err(self.no_reader(first)),
        }
    }

    fn is_query(&self, index: usize) -> bool {
        self.is_any_word(index, &["SELECT", "WITH", "TABLE", "VALUES"])
    }

    /// What is explained must be a query: it may be executed.
    fn explained(&self) -> Result<ReadingKind, Refusal> {
        let mut at = 1;
        if self.is_symbol(at, b'(') && !self.is_query(at + 1) && !self.is_symbol(at + 1, b'(') {
            at = self.tokens.iter().position(|token| token.is_symbol(b')')).map_or(self.tokens.len(), |end| end + 1);
        }
        while self.is_any_word(at, &["ANALYZE", "ANALYSE", "VERBOSE"]) {
            at += 1;
        }
        while self.is_symbol(at, b'(') {
            at += 1;
        }
        if self.is_query(at) { Ok(ReadingKind::Listing) } else { Err(self.no_reader(at)) }
    }

    fn no_reader(&self, index: usize) -> Refusal {
        let Some(token) = self.tokens.get(index) else {
            return Refusal::new("there is nothing to explain", ONE_STATEMENT, 0);
        };
        match token.kind {
            TokenKind::Word => {
                let word = shown(self.text(token)).to_ascii_uppercase();
                Refusal::new(format!("`{word}` is not a statement that reads"), ONE_STATEMENT, token.start)
            }
            _ => Refusal::new("this is not a statement that reads", ONE_STATEMENT, token.start),
        }
    }

    fn check_token(&self, index: usize) -> Result<(), Refusal> {
        let token = &self.tokens[index];
        match token.kind {
            TokenKind::Symbol(b';') => {
                return Err(Refusal::new("more than one statement", "keep the first and remove the rest", token.start));
            }
            TokenKind::Word => self.check_keyword(index, token)?,
            _ => {}
        }
        self.check_function(index, token)
    }

    /// Words that make a statement more than a query, wherever they stand. `INTO` and `FOR` cannot be names; the others
    /// can, so the word behind them counts.
    fn check_keyword(&self, index: usize, token: &Token) -> Result<(), Refusal> {
        if self.is_word(index, "INTO") {
            return Err(self.refused("INTO", token));
        }
        if self.is_word(index, "DELETE") && self.is_word(index + 1, "FROM") {
            return Err(self.refused("DELETE", token));
        }
        if self.is_word(index, "UPDATE") && self.names_a_table(index + 1) {
            return Err(self.refused("UPDATE", token));
        }
        if self.is_word(index, "FOR") && self.is_any_word(index + 1, &["UPDATE", "SHARE", "NO", "KEY"]) {
            return Err(self.refused("FOR UPDATE", token));
        }
        Ok(())
    }

    fn names_a_table(&self, index: usize) -> bool {
        match self.tokens.get(index).map(|token| token.kind) {
            Some(TokenKind::Quoted) => true,
            Some(TokenKind::Word) => !self.is_any_word(index, &NO_TABLE),
            _ => false,
        }
    }

    fn check_function(&self, index: usize, token: &Token) -> Result<(), Refusal> {
        let is_name = matches!(token.kind, TokenKind::Word | TokenKind::Member | TokenKind::Quoted);
        if !is_name || !self.is_symbol(index + 1, b'(') {
            return Ok(());
        }
        let name = match token.kind {
            TokenKind::Quoted => self.text(token).trim_matches('"').replace("\"\"", "\""),
            _ => self.text(token).to_owned(),
        };
        if is_refused(&name) {
            return Err(self.refused(&format!("{}()", shown(&name).to_ascii_lowercase()), token));
        }
        if let Some(schema) = self.schema_of(index).filter(|schema| is_refused_schema(schema)) {
            let called = format!("{}.{}()", shown(&schema), shown(&name));
            return Err(self.refused(&called.to_ascii_lowercase(), token));
        }
        Ok(())
    }

    /// The name that stands before the point before a name.
    fn schema_of(&self, index: usize) -> Option<String> {
        let point = index.checked_sub(1).filter(|point| self.is_symbol(*point, b'.'))?;
        self.identifier(point.checked_sub(1)?)
    }

    /// A name as the server takes it: in small letters where it is not quoted, 63 bytes of it at most.
    fn identifier(&self, index: usize) -> Option<String> {
        const MAX_BYTES: usize = 63;
        let token = self.tokens.get(index)?;
        let mut name = match token.kind {
            TokenKind::Quoted => {
                let text = self.text(token);
                text.get(1..text.len().saturating_sub(1))?.replace("\"\"", "\"")
            }
            TokenKind::Word | TokenKind::Member => self.text(token).to_ascii_lowercase(),
            _ => return None,
        };
        while name.len() > MAX_BYTES {
            name.pop();
        }
        Some(name)
    }

    fn call(&self, index: usize) -> Option<FunctionCall> {
        let (schema, name) = (self.schema_of(index), self.identifier(index)?);
        let called = self.is_symbol(index + 1, b'(');
        let is_member = index.checked_sub(1).is_some_and(|point| self.is_symbol(point, b'.'));
        match (called, is_member) {
            (true, _) => Some(FunctionCall { schema, name, attribute: false }),
            (false, true) => Some(FunctionCall { schema: None, name, attribute: true }),
            (false, false) => None,
        }
    }

    fn refused(&self, what: &str, token: &Token) -> Refusal {
        let hint = match what {
            "INTO" => "remove INTO: the rows go to the step's table",
            "FOR UPDATE" => "remove the locking clause; the step reads a consistent snapshot without it",
            what if what.ends_with("()") => "call only functions that compute from what is in the database",
            _ => "only read-only statements are accepted; if it is a name, put it in double quotes",
        };
        Refusal::new(format!("`{what}` is not allowed: an extractor only reads"), hint, token.start)
    }
}

/// A word short enough to be one.
fn shown(word: &str) -> &str {
    if word.len() <= 40 && word.is_ascii() { word } else { "..." }
}
