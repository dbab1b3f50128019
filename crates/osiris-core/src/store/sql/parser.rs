//! DuckDB's own parser, which gives the tree of a query as JSON. Nothing is executed or bound.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::{Config, Connection};
use serde_json::Value;

use super::deep::read;
use super::{OFFSET, refusal};
use crate::store::store_error;
use crate::{Code, Error, Result};

/// An engine of its own for parsing. A query is checked when a pipeline is planned, again with the names of its inputs,
/// and again when it runs: its tree is remembered.
struct Parser {
    connection: Connection,
    trees: HashMap<String, Arc<Value>>,
}

/// Trees to remember, of texts of at most so many bytes.
const REMEMBERED: usize = 1024;
const REMEMBERED_BYTES: usize = 16 << 10;

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
            .map_err(|error| store_error(error, "the SQL parser could not be used"))?;
        let tree = read(&text)?;
        if sql.len() > REMEMBERED_BYTES {
            return Ok(Arc::new(tree));
        }
        if self.trees.len() >= REMEMBERED {
            self.trees.clear();
        }
        Ok(Arc::clone(self.trees.entry(sql.to_owned()).or_insert(Arc::new(tree))))
    }

    /// The text that DuckDB writes for a tree.
    fn text(&self, tree: &Value) -> Result<String> {
        self.connection
            .query_row("SELECT json_deserialize_sql(?::JSON)", [tree.to_string()], |row| row.get(0))
            .map_err(|error| store_error(error, "the SQL parser could not serialize the parse tree"))
    }
}

/// Works with the one parser of the process.
fn with_parser<T>(work: impl FnOnce(&mut Parser) -> Result<T>) -> Result<T> {
    static PARSER: Mutex<Option<Parser>> = Mutex::new(None);
    let mut parser = PARSER.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *parser {
        Some(parser) => work(parser),
        none => {
            let opened = Parser::open();
            work(none.insert(opened.map_err(|error| store_error(error, "the SQL parser could not be opened"))?))
        }
    }
}

/// The text that DuckDB writes for a tree of [`serialize`].
pub(super) fn deserialize(tree: &Value) -> Result<String> {
    with_parser(|parser| parser.text(tree))
}

/// DuckDB's parse tree of a query, as JSON.
pub(super) fn serialize(sql: &str, base: usize) -> Result<Arc<Value>> {
    if sql.contains('\0') {
        // The end of the text for a program in C.
        return Err(Error::validation("SQL error: a NUL character")
            .with_code(Code::SqlSyntax)
            .with_hint("remove it")
            .with_context(OFFSET, base));
    }
    let tree = with_parser(|parser| parser.tree(sql))?;
    if tree["error"] != Value::Bool(true) {
        return Ok(tree);
    }
    if tree["error_type"] == "not implemented" {
        let word: String = sql.trim_start().chars().take_while(|c| c.is_alphabetic()).collect();
        return Err(refusal(&format!("`{}`", word.to_uppercase())).with_context(OFFSET, base));
    }
    let message = tree["error_message"].as_str().unwrap_or("syntax error");
    let position: usize = tree["position"].as_str().and_then(|position| position.parse().ok()).unwrap_or(0);
    let error = Error::validation(format!("SQL error: {message}"));
    let error = error.with_code(Code::SqlSyntax).with_context(OFFSET, base + position);
    Err(match misspelt_keyword(sql, position) {
        Some(keyword) => error.with_hint(format!("did you mean `{keyword}`?")),
        None => error,
    })
}

/// The keywords that a query is made of.
const KEYWORDS: [&str; 21] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "QUALIFY",
    "LIMIT",
    "OFFSET",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "INNER",
    "OUTER",
    "CROSS",
    "JOIN",
    "USING",
    "DISTINCT",
    "BETWEEN",
    "VALUES",
    "WITH",
];

/// The keyword that was meant where the parser stopped: a misspelt one reads as a name, so the parser stops at the word
/// behind it, or at the word itself where a query begins.
fn misspelt_keyword(sql: &str, position: usize) -> Option<&'static str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (before, at) = (sql.get(..position)?, sql.get(position..)?);
    let previous = before.trim_end().rsplit(|c| !is_word(c)).next().unwrap_or_default();
    let stopped_at = at.split(|c| !is_word(c)).next().unwrap_or_default();
    let meant = |word: &str| {
        let word = word.to_uppercase();
        KEYWORDS.into_iter().find(|keyword| strsim::damerau_levenshtein(&word, keyword) == 1)
    };
    [previous, stopped_at].into_iter().filter(|word| word.len() > 2).find_map(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_keyword_is_named() {
        for (sql, keyword) in [
            ("SELECT * FROM t WERE amount > 5", Some("WHERE")),
            ("SELECT a FORM t", Some("FROM")),
            ("SELCT a FROM t", Some("SELECT")),
            ("SELECT a, count(*) FROM t GROPU BY a", Some("GROUP")),
            ("SELECT a FROM t WHERE a = = 5", None),
            ("SELECT a b c FROM t", None),
        ] {
            let error = serialize(sql, 0).unwrap_err();
            assert_eq!(error.hint().map(str::to_owned), keyword.map(|word| format!("did you mean `{word}`?")), "{sql}");
        }
    }
}
