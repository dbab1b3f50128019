//! The source as SQL: a user statement or a table, with or without a condition. Every statement that is sent is
//! built here, and the user's part of it has passed the guard. No I/O.

use osiris_core::{Error, Result};
use osiris_sql::guard::{MySqlModes, ReadingKind, ReadingStatement, SqlDialect};

use crate::client::{SqlMode, quote};
use crate::config::ExtractorConfig;

/// The alias of the user's statement inside a statement of ours.
const ALIAS: &str = "osiris_source";

/// The source.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The FROM clause.
    from: String,
    /// The columns, as SQL.
    list: String,
    /// The user's condition.
    filter: Option<String>,
    order_by: Option<String>,
    limit: Option<u64>,
    offset: u64,
    /// The user's statement, sent unchanged if nothing has to be added.
    statement: Option<(String, ReadingKind)>,
    /// The table, where it is one.
    table: Option<String>,
    modes: MySqlModes,
}

impl Source {
    /// Checks the user's SQL as parsed by a session in `mode`.
    ///
    /// # Errors
    /// For a statement that is not read-only.
    pub(super) fn new(config: &ExtractorConfig, mode: &SqlMode) -> Result<Self> {
        let modes = MySqlModes { ansi_quotes: mode.ansi_quotes, no_backslash_escapes: mode.no_backslash_escapes };
        let dialect = SqlDialect::MySql(modes);
        let source = match (&config.query, &config.table) {
            (Some(query), _) => {
                let statement = ReadingStatement::parse(query, dialect)?;
                Self::of_statement(statement, modes)
            }
            (None, Some(table)) => Self::of_table(config, table, modes),
            (None, None) => {
                return Err(Error::validation("nothing to read").with_hint("set `table` or `query`"));
            }
        };
        ReadingStatement::parse(&source.select(None, None), dialect)?;
        Ok(source)
    }

    fn of_statement(statement: ReadingStatement<'_>, modes: MySqlModes) -> Self {
        Self {
            // A trailing comment must not hide the parenthesis.
            from: format!("(\n{}\n) AS {ALIAS}", statement.text()),
            list: "*".to_owned(),
            filter: None,
            order_by: None,
            limit: None,
            offset: 0,
            statement: Some((statement.text().to_owned(), statement.kind())),
            table: None,
            modes,
        }
    }

    fn of_table(config: &ExtractorConfig, table: &str, modes: MySqlModes) -> Self {
        let table = match &config.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(table)),
            None => quote(table),
        };
        let list = match &config.columns {
            Some(columns) => columns.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", "),
            None => "*".to_owned(),
        };
        Self {
            from: table.clone(),
            list,
            filter: config.filter.clone(),
            order_by: config.order_by.clone(),
            limit: config.limit,
            offset: config.offset,
            statement: None,
            table: Some(table),
            modes,
        }
    }

    /// The quoted table, if the source is a table.
    pub(super) fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// Whether part of it is user SQL, which may call functions.
    pub(super) fn has_users_sql(&self) -> bool {
        self.statement.is_some() || self.filter.is_some() || self.order_by.is_some()
    }

    /// Refuses calls of these loadable functions.
    ///
    /// # Errors
    /// For a call of one of them.
    pub(super) fn refuse_loadable(&self, functions: &[String]) -> Result<()> {
        let sql = self.select(None, None);
        let dialect = SqlDialect::MySql(self.modes);
        Ok(ReadingStatement::parse(&sql, dialect)?.refuse_loadable(self.modes, functions)?)
    }

    /// Whether a condition can be added.
    pub(super) fn is_query(&self) -> bool {
        self.statement.as_ref().is_none_or(|(_, kind)| *kind == ReadingKind::Query)
    }

    /// The same source with these expressions instead of its columns.
    pub(super) fn with_list(mut self, list: String) -> Self {
        self.list = list;
        if let Some((_, ReadingKind::Query)) = self.statement {
            self.statement = None;
        }
        self
    }

    /// The statement that reads all rows under `condition`, at most `limit` of them.
    pub(super) fn select(&self, condition: Option<&str>, limit: Option<u64>) -> String {
        if let Some((text, kind)) = &self.statement
            && (*kind == ReadingKind::Listing || (condition.is_none() && limit.is_none()))
        {
            return text.clone();
        }
        let mut sql = format!("SELECT {} FROM {}{}", self.list, self.from, self.conditions(condition));
        if let Some(order) = &self.order_by {
            sql.push_str(&format!("\nORDER BY {order}\n"));
        }
        let limit = match (self.limit, limit) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        match (limit, self.offset) {
            (None, 0) => {}
            (limit, offset) => sql.push_str(&format!(" LIMIT {} OFFSET {offset}", limit.unwrap_or(u64::MAX))),
        }
        sql
    }

    /// The statement that computes `expressions` over the rows under `condition`.
    pub(super) fn aggregate(&self, expressions: &str, condition: Option<&str>) -> String {
        format!("SELECT {expressions} FROM {}{}", self.from, self.conditions(condition))
    }

    fn conditions(&self, condition: Option<&str>) -> String {
        let own = self.filter.as_ref().map(|filter| format!("(\n{filter}\n)"));
        let all: Vec<&str> = own.as_deref().into_iter().chain(condition).collect();
        if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(config: serde_json::Value) -> Result<Source> {
        Source::new(&serde_json::from_value(config).unwrap(), &SqlMode::default())
    }

    #[test]
    fn a_statement_is_sent_as_it_is_unless_something_is_added() {
        let source = source(serde_json::json!({"query": "SELECT 1 AS a -- one\n;"})).unwrap();
        assert_eq!(source.select(None, None), "SELECT 1 AS a");
        assert_eq!(
            source.select(Some("`a` > 1"), Some(5)),
            "SELECT * FROM (\nSELECT 1 AS a\n) AS osiris_source WHERE `a` > 1 LIMIT 5 OFFSET 0"
        );
    }

    #[test]
    fn a_table_is_quoted_and_its_clauses_keep_their_place() {
        let config = serde_json::json!({
            "table": "a`b", "schema": "s", "columns": ["select", "a b"], "where": "x = 1 -- only", "order_by": "x",
            "limit": 10, "offset": 3
        });
        assert_eq!(
            source(config).unwrap().select(Some("`y` < 2"), Some(100)),
            "SELECT `select`, `a b` FROM `s`.`a``b` WHERE (\nx = 1 -- only\n) AND `y` < 2\nORDER BY x\n LIMIT 10 OFFSET 3"
        );
    }

    #[test]
    fn conditions_cannot_bring_other_statements() {
        for filter in ["1); DROP TABLE t; --", "1) INTO OUTFILE '/tmp/x' --", "SLEEP(1)"] {
            assert!(source(serde_json::json!({"table": "t", "where": filter})).is_err(), "{filter}");
        }
    }
}
