//! The source as SQL: a user statement or a table, with or without a condition. Every statement that is sent is
//! built here, and the user's part of it has passed the guard. No I/O.

use osiris_core::{Error, Result};
use osiris_sql::guard::{MySqlModes, ReadingStatement, SqlDialect};
use osiris_sql::read::source::SelectSource;

use crate::client::{SqlMode, quote};
use crate::config::ExtractorConfig;

fn modes(mode: &SqlMode) -> MySqlModes {
    MySqlModes { ansi_quotes: mode.ansi_quotes, no_backslash_escapes: mode.no_backslash_escapes }
}

/// The source, checked as a session in `mode` parses it.
///
/// # Errors
/// For a statement that is not read-only.
pub(super) fn source(config: &ExtractorConfig, mode: &SqlMode) -> Result<SelectSource> {
    let dialect = SqlDialect::MySql(modes(mode));
    let source = match (&config.query, &config.read.table) {
        (Some(query), _) => SelectSource::statement(&ReadingStatement::parse(query, dialect)?),
        (None, Some(table)) => of_table(config, table),
        (None, None) => return Err(Error::validation("nothing to read").with_hint("set `table` or `query`")),
    };
    ReadingStatement::parse(&source.select(None, None), dialect)?;
    Ok(source)
}

fn of_table(config: &ExtractorConfig, table: &str) -> SelectSource {
    let table = match &config.schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(table)),
        None => quote(table),
    };
    config.read.source(table, quote)
}

/// Refuses calls of these loadable functions.
///
/// # Errors
/// For a call of one of them.
pub(super) fn refuse_loadable(source: &SelectSource, mode: &SqlMode, functions: &[String]) -> Result<()> {
    let sql = source.select(None, None);
    let modes = modes(mode);
    Ok(ReadingStatement::parse(&sql, SqlDialect::MySql(modes))?.refuse_loadable(modes, functions)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(config: serde_json::Value) -> Result<SelectSource> {
        super::source(&serde_json::from_value(config).unwrap(), &SqlMode::default())
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
