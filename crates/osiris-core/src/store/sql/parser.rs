//! DuckDB's own parser, which gives the tree of a query as JSON. Nothing is executed or bound.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use duckdb::{Config, Connection};
use serde_json::Value;

use super::{OFFSET, not_allowed};
use crate::store::store_error;
use crate::{Error, Result};

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
            .map_err(|error| store_error(error, "the SQL parser could not be used"))?;
        let tree = serde_json::from_str(&text)
            .map_err(|error| Error::unknown("the SQL parser gave no tree").with_source(error))?;
        if self.trees.len() >= REMEMBERED {
            self.trees.clear();
        }
        Ok(Arc::clone(self.trees.entry(sql.to_owned()).or_insert(Arc::new(tree))))
    }
}

/// DuckDB's parse tree of a query, as JSON.
pub(super) fn serialize(sql: &str, base: usize) -> Result<Arc<Value>> {
    static PARSER: Mutex<Option<Parser>> = Mutex::new(None);
    let tree = {
        let mut parser = PARSER.lock().unwrap_or_else(PoisonError::into_inner);
        let parser = match &mut *parser {
            Some(parser) => parser,
            none => {
                let opened = Parser::open();
                none.insert(opened.map_err(|error| store_error(error, "the SQL parser could not be opened"))?)
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
