//! A script in its statements, and its CREATE TEMP statements taken apart and put together anew.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::expression::of_query;
use super::functions::is_refused;
use super::tree::Purpose;
use super::{OFFSET, SelectStatement, TableName, not_allowed};
use crate::store::quote;
use crate::{Code, Error, Result};

/// One statement of a script, with its tokens.
pub(super) struct Statement<'a> {
    pub(super) text: &'a str,
    pub(super) offset: usize,
    tokens: Vec<(Token, usize)>,
}

/// A CREATE TEMP TABLE, VIEW or MACRO, put together from its name, its columns or parameters and its checked body: no
/// letter of the script is executed that stands elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    sql: String,
    name: String,
    is_macro: bool,
    body_in_sql: usize,
    body_in_script: usize,
}

impl Definition {
    /// The statement to execute.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The name that it defines.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where a place of [`sql`](Self::sql) is in the script: none for what stands before the body.
    pub fn place_in_script(&self, offset: usize) -> Option<usize> {
        offset.checked_sub(self.body_in_sql).map(|below| self.body_in_script + below)
    }

    /// Where the body begins in the script.
    pub fn offset(&self) -> usize {
        self.body_in_script
    }

    pub(super) fn is_macro(&self) -> bool {
        self.is_macro
    }
}

pub(super) fn split(sql: &str) -> Result<Vec<Statement<'_>>> {
    let dialect = PostgreSqlDialect {};
    let lines = line_starts(sql);
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| {
        let offset = byte_offset(sql, &lines, error.location.line, error.location.column);
        Error::validation(format!("SQL error: {}", error.message))
            .with_code(Code::SqlSyntax)
            .with_context(OFFSET, offset)
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

    /// Takes a CREATE TEMP statement apart, checks its parts, and puts it together anew. Returns the tables it reads,
    /// too.
    pub(super) fn definition(&self, macros: &[String]) -> Result<(Definition, Vec<TableName>)> {
        if !self.starts_with_word("CREATE") {
            // A SELECT in mid-script would be thrown away, which its author cannot have meant.
            return Err(if SelectStatement::checked(self.text, 0, Purpose::Query, macros).is_ok() {
                Error::validation("only the last statement may be a SELECT")
                    .with_code(Code::SqlNotAllowed)
                    .with_hint("make it a CREATE TEMP TABLE that the last one reads")
                    .with_context(OFFSET, self.offset)
            } else {
                self.refused()
            });
        }
        let mut head = Head { statement: self, at: 1, macros, tables: Vec::new() };
        let definition = head.definition()?;
        Ok((definition, head.tables))
    }
}

/// What stands before the body of a definition, read token by token.
struct Head<'s, 'a> {
    statement: &'s Statement<'a>,
    at: usize,
    macros: &'s [String],
    /// Tables that the body reads.
    tables: Vec<TableName>,
}

impl Head<'_, '_> {
    fn definition(&mut self) -> Result<Definition> {
        let replace = self.eat("OR");
        if replace && !self.eat("REPLACE") {
            return Err(self.refused());
        }
        if !self.eat("TEMP") && !self.eat("TEMPORARY") {
            return Err(not_allowed("`CREATE` without `TEMP`", self.statement.offset));
        }
        let is_macro = self.eat("MACRO") || self.eat("FUNCTION");
        let is_view = !is_macro && self.eat("VIEW");
        if !is_macro && !is_view && !self.eat("TABLE") {
            return Err(self.refused());
        }
        let if_missing = self.eat("IF");
        if if_missing && !(self.eat("NOT") && self.eat("EXISTS")) {
            return Err(self.refused());
        }
        let name = self.name()?;
        let mut sql = format!(
            "CREATE {}TEMP {} {}{}",
            if replace { "OR REPLACE " } else { "" },
            if is_macro {
                "MACRO"
            } else if is_view {
                "VIEW"
            } else {
                "TABLE"
            },
            if if_missing { "IF NOT EXISTS " } else { "" },
            quote(&name)
        );
        if is_macro {
            if is_refused(&name) {
                return Err(Error::validation(format!("the macro name `{name}` is taken by a function of DuckDB"))
                    .with_hint("choose another name")
                    .with_context(OFFSET, self.statement.offset));
            }
            sql.push_str(&self.parameters()?);
        } else if self.is_symbol(&Token::LParen) {
            sql.push_str(&self.columns()?);
        }
        if !self.eat("AS") {
            return Err(Error::validation(format!("`{name}` needs `AS SELECT ...`"))
                .with_context(OFFSET, self.statement.offset));
        }
        let of_rows = !is_macro || self.eat("TABLE");
        sql.push_str(if is_macro && of_rows { " AS TABLE " } else { " AS " });
        let Some((_, start)) = self.statement.tokens.get(self.at) else { return Err(self.refused()) };
        let start = *start;
        let body = &self.statement.text[start - self.statement.offset..];
        let mut body_in_sql = sql.len();
        if of_rows {
            let select = SelectStatement::checked(body, start, Purpose::Query, self.macros)?;
            self.tables.extend(select.tables().iter().cloned());
            body_in_sql += 1;
            sql.push_str(&format!("({body}\n)"));
        } else {
            let (expression, tables) = of_query(body, start, self.macros)?;
            self.tables.extend(tables);
            sql.push_str(&expression);
        }
        Ok(Definition { sql, name, is_macro, body_in_sql, body_in_script: start })
    }

    fn refused(&self) -> Error {
        self.statement.refused()
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.statement.word(self.at).is_some_and(|found| found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn is_symbol(&self, symbol: &Token) -> bool {
        self.statement.tokens.get(self.at).is_some_and(|(token, _)| token == symbol)
    }

    fn eat_symbol(&mut self, symbol: &Token) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn name(&mut self) -> Result<String> {
        match self.statement.tokens.get(self.at) {
            Some((Token::Word(word), _)) if !word.value.is_empty() && !word.value.contains('\0') => {
                self.at += 1;
                Ok(word.value.clone())
            }
            _ => Err(self.refused()),
        }
    }

    /// `(a, b)` behind the name of a table or view.
    fn columns(&mut self) -> Result<String> {
        let mut names = Vec::new();
        self.at += 1;
        loop {
            names.push(quote(&self.name()?));
            if self.eat_symbol(&Token::RParen) {
                return Ok(format!(" ({})", names.join(", ")));
            }
            if !self.eat_symbol(&Token::Comma) {
                return Err(self.refused());
            }
        }
    }

    /// `(a, b := 1)` behind the name of a macro.
    fn parameters(&mut self) -> Result<String> {
        if !self.eat_symbol(&Token::LParen) {
            return Err(self.refused());
        }
        let mut parameters = Vec::new();
        while !self.eat_symbol(&Token::RParen) {
            let name = quote(&self.name()?);
            parameters.push(match self.eat_symbol(&Token::Assignment) {
                true => format!("{name} := {}", self.default_value()?),
                false => name,
            });
            if !self.is_symbol(&Token::RParen) && !self.eat_symbol(&Token::Comma) {
                return Err(self.refused());
            }
        }
        Ok(format!("({})", parameters.join(", ")))
    }

    /// A default: the text up to the comma or parenthesis, as one expression.
    fn default_value(&mut self) -> Result<String> {
        let statement = self.statement;
        let Some((_, start)) = statement.tokens.get(self.at) else { return Err(self.refused()) };
        let mut depth = 0_usize;
        while let Some((token, end)) = statement.tokens.get(self.at) {
            match token {
                Token::RParen | Token::Comma if depth == 0 => {
                    let text = &statement.text[start - statement.offset..end - statement.offset];
                    let (sql, tables) = of_query(text, *start, self.macros)?;
                    self.tables.extend(tables);
                    return Ok(sql);
                }
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
        Err(self.refused())
    }
}
