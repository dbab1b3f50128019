//! What is read, as SQL: a statement of the user's or a table, whole or under a condition. Every statement that is sent is
//! made here, and the user's part of it has passed the guard. No I/O.

use osiris_core::{Error, Problem, Result};
use osiris_sql::guard::{FunctionCall, PostgresModes, ReadingKind, ReadingStatement, SqlDialect};

use crate::client::postgres::quote_path;
use crate::config::ExtractorConfig;
use crate::types::decode::ColumnPlan;

/// The name of a user's statement inside of a statement of ours.
const ALIAS: &str = "osiris_source";

/// What is read.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// What stands behind FROM.
    from: String,
    /// The columns, as SQL.
    list: String,
    /// The user's own condition.
    filter: Option<String>,
    order_by: Option<String>,
    limit: Option<u64>,
    offset: u64,
    /// A statement of the user's, which is sent as it is where nothing has to be added.
    statement: Option<(String, ReadingKind)>,
    /// The table, quoted, where it is one.
    table: Option<String>,
    /// What that statement may call.
    calls: Vec<FunctionCall>,
}

impl Source {
    /// Checks the user's SQL as a session with these settings reads it.
    ///
    /// # Errors
    /// A statement that does more than read; what only REST can do.
    pub(super) fn new(config: &ExtractorConfig, standard_conforming_strings: bool) -> Result<Self> {
        let modes = PostgresModes { standard_conforming_strings };
        let dialect = SqlDialect::Postgres(modes);
        let source = match (&config.query, &config.table) {
            (Some(query), _) => {
                let calls = FunctionCall::all_of(query, modes);
                Self { calls, ..Self::of_statement(ReadingStatement::parse(query, dialect)?) }
            }
            (None, Some(table)) => Self::of_table(config, table)?,
            (None, None) => {
                return Err(Error::validation("there is nothing to read").with_hint("set `table` or `query`"));
            }
        };
        ReadingStatement::parse(&source.select(None, None), dialect)?;
        Ok(source)
    }

    fn of_statement(statement: ReadingStatement<'_>) -> Self {
        Self {
            // A last comment must not swallow the bracket.
            from: format!("(\n{}\n) AS {ALIAS}", statement.text()),
            list: "*".to_owned(),
            filter: None,
            order_by: None,
            limit: None,
            offset: 0,
            statement: Some((statement.text().to_owned(), statement.kind())),
            table: None,
            calls: Vec::new(),
        }
    }

    fn of_table(config: &ExtractorConfig, table: &str) -> Result<Self> {
        let only_rest = |pointer: &'static str, why: String| {
            let problem = Problem::error(pointer, why);
            Error::validation(format!("`{}`: {}", pointer.trim_start_matches('/'), problem.message))
                .with_hint("read it over REST (`channel: rest` in the connection), or write a `query`")
        };
        let filter = config.filter.as_ref().map(|filter| filter.sql().map_err(|why| only_rest("/filter", why)));
        Ok(Self {
            from: quote_path(config.schema(), table),
            list: config.select().sql().map_err(|why| only_rest("/select", why))?,
            filter: filter.transpose()?,
            order_by: config.order.as_ref().map(crate::config::Order::sql),
            limit: config.limit,
            offset: config.offset,
            statement: None,
            table: Some(quote_path(config.schema(), table)),
            calls: Vec::new(),
        })
    }

    /// The table, quoted, where it is one.
    pub(super) fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// What a statement of the user's may call.
    pub(super) fn calls(&self) -> &[FunctionCall] {
        &self.calls
    }

    /// Whether it is a query, to which a condition can be added; else it is a listing, which is text.
    pub(super) fn is_query(&self) -> bool {
        self.statement.as_ref().is_none_or(|(_, kind)| *kind == ReadingKind::Query)
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
            sql.push_str(&format!(" ORDER BY {order}"));
        }
        let limit = match (self.limit, limit) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        if let Some(limit) = limit {
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        if self.offset > 0 {
            sql.push_str(&format!(" OFFSET {}", self.offset));
        }
        sql
    }

    /// The statement that computes `expressions` over the rows under `condition`.
    pub(super) fn aggregate(&self, expressions: &str, condition: Option<&str>) -> String {
        format!("SELECT {expressions} FROM {}{}", self.from, self.conditions(condition))
    }

    fn conditions(&self, condition: Option<&str>) -> String {
        let own = self.filter.as_ref().map(|filter| format!("({filter})"));
        let all: Vec<&str> = own.as_deref().into_iter().chain(condition).collect();
        if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
    }
}

/// The statement whose one row has the columns of `sql` and no value, for it is executed without reading a row.
pub(super) fn described(sql: &str) -> String {
    format!(
        "SELECT {ALIAS}.* FROM (SELECT 1) AS osiris_one LEFT JOIN (SELECT * FROM (\n{sql}\n) AS osiris_all LIMIT 0) AS {ALIAS} ON TRUE"
    )
}

/// The statement that sends the rows of `sql` in the forms that the plans want.
pub(super) fn copied(sql: &str, plans: &[ColumnPlan]) -> String {
    if plans.iter().all(ColumnPlan::is_binary) {
        return format!("COPY (\n{sql}\n) TO STDOUT (FORMAT binary)");
    }
    let list: Vec<String> = plans.iter().map(ColumnPlan::sql).collect();
    format!("COPY (SELECT {} FROM (\n{sql}\n) AS {ALIAS}) TO STDOUT (FORMAT binary)", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(config: serde_json::Value) -> Result<Source> {
        Source::new(&serde_json::from_value(config).unwrap(), true)
    }

    #[test]
    fn a_statement_is_sent_as_it_is_unless_something_is_added() {
        let source = source(serde_json::json!({"query": "SELECT 1 AS a -- one\n;"})).unwrap();
        assert_eq!(source.select(None, None), "SELECT 1 AS a");
        assert_eq!(
            source.select(Some("\"a\" > 1"), Some(5)),
            "SELECT * FROM (\nSELECT 1 AS a\n) AS osiris_source WHERE \"a\" > 1 LIMIT 5"
        );
        assert_eq!(copied("SELECT 1", &[]), "COPY (\nSELECT 1\n) TO STDOUT (FORMAT binary)");
    }

    #[test]
    fn a_table_is_quoted_and_its_clauses_keep_their_place() {
        let config = serde_json::json!({
            "table": "a\"b", "schema": "s", "select": "id,n:name", "filter": {"x": "gte.1"}, "order": "x.desc",
            "limit": 10, "offset": 3
        });
        assert_eq!(
            source(config).unwrap().select(Some("\"y\" < 2"), Some(100)),
            "SELECT \"id\" AS \"id\", \"name\" AS \"n\" FROM \"s\".\"a\"\"b\" WHERE ((\"x\" >= '1')) AND \"y\" < 2 \
             ORDER BY \"x\" DESC NULLS FIRST LIMIT 10 OFFSET 3"
        );
    }

    #[test]
    fn what_only_rest_can_do_is_refused_with_the_way_out() {
        let error = source(serde_json::json!({"table": "t", "select": "*,author(name)"})).unwrap_err();
        assert!(error.message().contains("`select`") && error.hint().is_some_and(|hint| hint.contains("REST")));
    }
}
