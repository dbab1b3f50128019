//! What SQL a processor may run: one SELECT, or CREATE TEMP TABLE / VIEW / MACRO statements that a last SELECT uses.
//!
//! Statements are split by a tokenizer and every query in them is parsed by DuckDB itself, alone, so that nothing can
//! hide behind a difference between two parsers. Nothing is executed or bound here.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::{Config, Connection};
use serde_json::Value;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use crate::{Error, Result};

/// A processor's SQL, checked.
#[derive(Debug, Clone)]
pub struct SqlScript {
    setup: Vec<String>,
    select: SelectStatement,
    defined: Vec<String>,
    used: Vec<TableName>,
}

/// One SELECT.
#[derive(Debug, Clone)]
pub struct SelectStatement {
    text: String,
    tables: Vec<TableName>,
}

/// A table that a query names, apart from the names that the query itself defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// The name, without schema.
    pub name: String,
    /// The schema, where one is given.
    pub schema: Option<String>,
    /// Where in the SQL it stands, in bytes, where DuckDB says.
    pub offset: Option<usize>,
}

/// The context key under which an error carries the byte offset into the SQL.
pub(crate) const OFFSET: &str = "offset";

impl SqlScript {
    /// Splits and checks `sql`.
    ///
    /// # Errors
    /// SQL that does not parse, or a statement of another kind. The context of the error has the `offset` in bytes.
    pub fn parse(sql: &str) -> Result<Self> {
        let statements = split(sql)?;
        let Some((last, setup)) = statements.split_last() else {
            return Err(Error::validation("the query is empty").with_hint("write one SELECT"));
        };
        let mut defined = Vec::new();
        let mut used = Vec::new();
        let mut texts = Vec::new();
        for statement in setup {
            let definition = statement.definition()?;
            let body = SelectStatement::parse_at(&definition.body, definition.offset)?;
            used.extend(body.tables.into_iter().filter(|table| !is_defined(&defined, &table.name)));
            defined.push(definition.name);
            texts.push(statement.text.to_owned());
        }
        if last.starts_with_word("CREATE") {
            return Err(Error::validation("the last statement must be a SELECT")
                .with_hint("end the query with the SELECT that makes the step's table")
                .with_context(OFFSET, last.offset));
        }
        let select = SelectStatement::parse_at(last.text, last.offset)?;
        used.extend(select.tables.iter().filter(|table| !is_defined(&defined, &table.name)).cloned());
        Ok(Self { setup: texts, select, defined, used })
    }

    /// The statements before the last: CREATE TEMP ...
    pub fn setup(&self) -> &[String] {
        &self.setup
    }

    /// The SELECT that makes the table.
    pub fn select(&self) -> &SelectStatement {
        &self.select
    }

    /// Names that the setup statements define.
    pub fn defined(&self) -> &[String] {
        &self.defined
    }

    /// Tables that must come from outside.
    pub fn tables(&self) -> &[TableName] {
        &self.used
    }
}

fn is_defined(defined: &[String], name: &str) -> bool {
    defined.iter().any(|known| known.eq_ignore_ascii_case(name))
}

impl SelectStatement {
    /// Checks that `sql` is exactly one SELECT (or VALUES, FROM, TABLE, DESCRIBE, SUMMARIZE), by DuckDB's parser.
    ///
    /// # Errors
    /// As for [`SqlScript::parse`].
    pub fn parse(sql: &str) -> Result<Self> {
        Self::parse_at(sql, 0)
    }

    fn parse_at(sql: &str, base: usize) -> Result<Self> {
        let tree = serialize(sql, base)?;
        let statements = tree["statements"].as_array().map(Vec::as_slice).unwrap_or_default();
        let [statement] = statements else {
            return Err(Error::validation(format!("expected one SELECT, found {} statements", statements.len()))
                .with_context(OFFSET, base));
        };
        let mut walk = Walk { base, tables: Vec::new(), defined: BTreeSet::new(), refused: None };
        walk.visit(statement);
        if let Some(refused) = walk.refused {
            return Err(not_allowed(&refused, base));
        }
        let Walk { mut tables, defined, .. } = walk;
        tables.retain(|table| table.schema.is_some() || !defined.contains(&table.name.to_lowercase()));
        Ok(Self { text: sql.to_owned(), tables })
    }

    /// The SQL.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Tables it names, without those it defines in WITH.
    pub fn tables(&self) -> &[TableName] {
        &self.tables
    }
}

fn not_allowed(what: &str, offset: usize) -> Error {
    Error::validation(format!("{what} is not allowed here: a processor only reads"))
        .with_hint("use one SELECT, or CREATE TEMP TABLE, VIEW or MACRO statements before it")
        .with_context(OFFSET, offset)
}

/// An engine of its own for parsing. A query is checked when a pipeline is planned, again with the names of its inputs, and
/// again when it runs: its tree is remembered.
struct Parser {
    connection: Connection,
    trees: HashMap<String, Arc<Value>>,
}

/// Trees to remember.
const REMEMBERED: usize = 1024;

impl Parser {
    fn open() -> duckdb::Result<Self> {
        let config = Config::default().enable_autoload_extension(false)?.threads(1)?;
        Ok(Self { connection: Connection::open_in_memory_with_flags(config)?, trees: HashMap::new() })
    }

    fn tree(&mut self, sql: &str) -> Result<Arc<Value>> {
        if let Some(tree) = self.trees.get(sql) {
            return Ok(Arc::clone(tree));
        }
        let text: String = self
            .connection
            .query_row("SELECT json_serialize_sql(?)::VARCHAR", [sql], |row| row.get(0))
            .map_err(|error| super::store_error(error, "the SQL parser could not be used"))?;
        let tree = serde_json::from_str(&text)
            .map_err(|error| Error::unknown("the SQL parser gave no tree").with_source(error))?;
        if self.trees.len() >= REMEMBERED {
            self.trees.clear();
        }
        Ok(Arc::clone(self.trees.entry(sql.to_owned()).or_insert(Arc::new(tree))))
    }
}

/// DuckDB's parse tree of a query, as JSON.
fn serialize(sql: &str, base: usize) -> Result<Arc<Value>> {
    static PARSER: Mutex<Option<Parser>> = Mutex::new(None);
    let tree = {
        let mut parser = PARSER.lock().unwrap_or_else(PoisonError::into_inner);
        let parser = match &mut *parser {
            Some(parser) => parser,
            none => {
                let opened = Parser::open();
                none.insert(opened.map_err(|error| super::store_error(error, "the SQL parser could not be opened"))?)
            }
        };
        parser.tree(sql)?
    };
    if tree["error"] != Value::Bool(true) {
        return Ok(tree);
    }
    if tree["error_type"] == "not implemented" {
        let word: String = sql.trim_start().chars().take_while(|c| c.is_alphabetic()).collect();
        return Err(not_allowed(&format!("`{}`", word.to_uppercase()), base));
    }
    let message = tree["error_message"].as_str().unwrap_or("syntax error");
    let position: usize = tree["position"].as_str().and_then(|position| position.parse().ok()).unwrap_or(0);
    Err(Error::validation(format!("SQL error: {message}")).with_context(OFFSET, base + position))
}

/// Kinds of query that only read.
const READING: [&str; 4] = ["SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"];

struct Walk {
    base: usize,
    tables: Vec<TableName>,
    defined: BTreeSet<String>,
    refused: Option<String>,
}

impl Walk {
    fn visit(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.visit(item)),
            Value::Object(object) => {
                let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
                if kind.ends_with("_NODE") && !READING.contains(&kind) && object.contains_key("cte_map") {
                    self.refused = Some(format!("`{}`", kind.trim_end_matches("_NODE").trim_end_matches("_QUERY")));
                }
                if kind == "BASE_TABLE" {
                    self.table(value);
                }
                let ctes = value["cte_map"]["map"].as_array().into_iter().flatten();
                self.defined.extend(ctes.filter_map(|cte| cte["key"].as_str()).map(str::to_lowercase));
                object.values().for_each(|item| self.visit(item));
            }
            _ => {}
        }
    }

    fn table(&mut self, table: &Value) {
        let schema = table["schema_name"].as_str().filter(|schema| !schema.is_empty());
        let offset = table["query_location"].as_u64().and_then(|offset| usize::try_from(offset).ok());
        self.tables.push(TableName {
            name: table["table_name"].as_str().unwrap_or_default().to_owned(),
            schema: schema.map(str::to_owned),
            offset: offset.filter(|offset| *offset < isize::MAX.unsigned_abs()).map(|offset| self.base + offset),
        });
    }
}

/// One statement of a script, with its tokens.
struct Statement<'a> {
    text: &'a str,
    offset: usize,
    tokens: Vec<(Token, usize)>,
}

/// `CREATE TEMP ... name ... AS body`.
struct Definition {
    name: String,
    body: String,
    offset: usize,
}

fn split(sql: &str) -> Result<Vec<Statement<'_>>> {
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
    fn starts_with_word(&self, word: &str) -> bool {
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
    fn definition(&self) -> Result<Definition> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sql: &str) -> String {
        SqlScript::parse(sql).map(|_| sql).expect_err("must be refused").to_string()
    }

    fn tables(sql: &str) -> Vec<String> {
        SqlScript::parse(sql).unwrap().tables().iter().map(|table| table.name.clone()).collect()
    }

    #[test]
    fn tables_are_listed_without_those_the_query_defines() {
        assert_eq!(tables("WITH q AS (SELECT * FROM a) SELECT * FROM q JOIN \"b-c\" USING (x)"), ["a", "b-c"]);
        assert_eq!(
            tables("CREATE TEMP TABLE t AS SELECT * FROM a; CREATE TEMP MACRO f(x) AS x + 1; FROM t SELECT f(1);"),
            ["a"]
        );
        assert_eq!(tables("SELECT 1 -- ; DROP TABLE x"), Vec::<String>::new());
    }

    #[test]
    fn everything_but_reading_is_refused() {
        for sql in [
            "INSERT INTO a VALUES (1)",
            "WITH x AS (INSERT INTO a VALUES (1) RETURNING *) SELECT * FROM x",
            "WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x",
            "WITH x AS (UPDATE a SET b = 1 RETURNING *) SELECT * FROM x",
            "DROP TABLE a",
            "ATTACH 'x.db'",
            "COPY a TO 'x.csv'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET memory_limit = '1GB'",
            "PRAGMA database_list",
            "CALL pragma_version()",
            "EXPORT DATABASE 'x'",
            "CREATE TABLE t AS SELECT 1; SELECT * FROM t",
            "CREATE TEMP TABLE t AS INSERT INTO a VALUES (1) RETURNING *; SELECT 1",
            "CREATE TEMP TABLE t (a INTEGER); SELECT 1",
            "CREATE TEMP SEQUENCE s; SELECT 1",
            "SELECT 1; DROP TABLE a; SELECT 2",
            "CREATE SECRET s (TYPE s3); SELECT 1",
            "USE other",
            "BEGIN; SELECT 1",
        ] {
            let message = refused(sql);
            assert!(
                ["not allowed", "SQL error", "needs `AS", "only the last"]
                    .iter()
                    .any(|reason| message.contains(reason)),
                "{sql}: {message}"
            );
        }
    }

    #[test]
    fn an_error_says_where() {
        let error = SqlScript::parse("SELECT 1,\n  FROM FROM x").unwrap_err();
        assert_eq!(error.context(), [(OFFSET, "17".to_owned())], "{error:?}");
        let error = SqlScript::parse("CREATE TEMP TABLE t AS SELEC 1; SELECT 2").unwrap_err();
        assert_eq!(error.context(), [(OFFSET, "23".to_owned())], "{error:?}");
    }

    #[test]
    fn a_script_ends_in_a_select() {
        assert!(refused("").contains("empty"));
        assert!(refused("-- nothing").contains("empty"));
        assert!(refused("CREATE TEMP TABLE t AS SELECT 1").contains("last statement"));
        assert!(refused("SELECT 1; SELECT 2").contains("only the last"));
    }

    #[test]
    fn semicolons_in_strings_and_comments_do_not_split() {
        for sql in ["SELECT ';' AS a", "SELECT $$;$$ AS a", "SELECT 1 /* ; */ AS \";\"", "SELECT E'\\';' AS a"] {
            assert_eq!(SqlScript::parse(sql).unwrap().setup().len(), 0, "{sql}");
        }
    }
}
