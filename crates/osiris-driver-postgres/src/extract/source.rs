//! The source as SQL: a user statement or a table, with or without a condition. Every statement that is sent is
//! built here, and the user's part of it has passed the guard. No I/O.

use osiris_core::Result;
use osiris_sql::guard::{FunctionCall, PostgresModes, ReadingKind, ReadingStatement, SqlDialect};

use crate::client::quote_path;
use crate::types::decode::ColumnPlan;

/// The alias of the user's statement inside a statement of ours.
const ALIAS: &str = "osiris_source";

/// The source in SQL: a user statement or a table.
#[derive(Debug, Clone, Copy)]
pub enum SourceSql<'a> {
    /// One statement, checked to be read-only.
    Query(&'a str),
    /// A table or part of it.
    Table(TableSql<'a>),
}

/// A table or part of it. The parts are SQL text; the resulting statement is checked to be read-only.
#[derive(Debug, Clone, Copy)]
pub struct TableSql<'a> {
    /// Its schema, unquoted.
    pub schema: &'a str,
    /// Its name, unquoted.
    pub table: &'a str,
    /// The select list.
    pub list: &'a str,
    /// A condition on its rows, without WHERE.
    pub condition: Option<&'a str>,
    /// Their order, without ORDER BY.
    pub order_by: Option<&'a str>,
    /// Maximum number of rows.
    pub limit: Option<u64>,
    /// Rows to skip.
    pub offset: u64,
}

/// The source.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The FROM clause.
    from: String,
    /// The columns, as SQL.
    list: String,
    /// The user's condition.
    condition: Option<String>,
    order_by: Option<String>,
    limit: Option<u64>,
    offset: u64,
    /// The user's statement, sent unchanged if nothing has to be added.
    statement: Option<(String, ReadingKind)>,
    /// The quoted table, if the source is a table.
    table: Option<String>,
    /// The functions that the statement may call.
    calls: Vec<FunctionCall>,
}

impl Source {
    /// Checks the SQL as parsed by a session with these settings.
    ///
    /// # Errors
    /// For a statement that is not read-only.
    pub(super) fn new(sql: &SourceSql<'_>, standard_conforming_strings: bool) -> Result<Self> {
        let modes = PostgresModes { standard_conforming_strings };
        let dialect = SqlDialect::Postgres(modes);
        let mut source = match sql {
            SourceSql::Query(query) => Self::of_statement(ReadingStatement::parse(query, dialect)?),
            SourceSql::Table(table) => Self::of_table(table),
        };
        let whole = source.select(None, None);
        ReadingStatement::parse(&whole, dialect)?;
        source.calls = FunctionCall::all_of(&whole, modes);
        Ok(source)
    }

    fn of_statement(statement: ReadingStatement<'_>) -> Self {
        Self {
            // A trailing comment must not hide the parenthesis.
            from: format!("(\n{}\n) AS {ALIAS}", statement.text()),
            list: "*".to_owned(),
            condition: None,
            order_by: None,
            limit: None,
            offset: 0,
            statement: Some((statement.text().to_owned(), statement.kind())),
            table: None,
            calls: Vec::new(),
        }
    }

    fn of_table(sql: &TableSql<'_>) -> Self {
        let table = quote_path(sql.schema, sql.table);
        Self {
            from: table.clone(),
            list: sql.list.to_owned(),
            // A trailing comment must not hide what follows.
            condition: sql.condition.map(|condition| format!("{condition}\n")),
            order_by: sql.order_by.map(|order| format!("{order}\n")),
            limit: sql.limit,
            offset: sql.offset,
            statement: None,
            table: Some(table),
            calls: Vec::new(),
        }
    }

    /// The quoted table, if the source is a table.
    pub(super) fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// The functions that the user's statement may call.
    pub(super) fn calls(&self) -> &[FunctionCall] {
        &self.calls
    }

    /// Whether it is a query, to which a condition can be added, or a listing, which is text.
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
        let own = self.condition.as_ref().map(|condition| format!("({condition})"));
        let all: Vec<&str> = own.as_deref().into_iter().chain(condition).collect();
        if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
    }
}

/// A statement with one row of NULLs with the columns of `sql`, executed without reading data.
pub(super) fn described(sql: &str) -> String {
    format!(
        "SELECT {ALIAS}.* FROM (SELECT 1) AS osiris_one LEFT JOIN (SELECT * FROM (\n{sql}\n) AS osiris_all LIMIT 0) AS {ALIAS} ON TRUE"
    )
}

/// The statement that sends the rows of `sql` in the formats of the plans.
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

    #[test]
    fn a_statement_is_sent_as_it_is_unless_something_is_added() {
        let source = Source::new(&SourceSql::Query("SELECT 1 AS a -- one\n;"), true).unwrap();
        assert_eq!(source.select(None, None), "SELECT 1 AS a");
        assert_eq!(
            source.select(Some("\"a\" > 1"), Some(5)),
            "SELECT * FROM (\nSELECT 1 AS a\n) AS osiris_source WHERE \"a\" > 1 LIMIT 5"
        );
        assert_eq!(copied("SELECT 1", &[]), "COPY (\nSELECT 1\n) TO STDOUT (FORMAT binary)");
    }

    #[test]
    fn a_table_is_quoted_and_its_clauses_keep_their_place() {
        let table = TableSql {
            schema: "s",
            table: "a\"b",
            list: "\"id\"",
            condition: Some("x >= 1 -- and\n OR true"),
            order_by: Some("x DESC"),
            limit: Some(10),
            offset: 3,
        };
        let source = Source::new(&SourceSql::Table(table), true).unwrap();
        assert_eq!(
            source.select(Some("\"y\" < 2"), Some(100)),
            "SELECT \"id\" FROM \"s\".\"a\"\"b\" WHERE (x >= 1 -- and\n OR true\n) AND \"y\" < 2 ORDER BY x DESC\n LIMIT 10 OFFSET 3"
        );
    }

    #[test]
    fn the_parts_of_a_table_cannot_do_more_than_read() {
        for (condition, order_by) in [(Some("true); DROP TABLE t; --"), None), (None, Some("1; DROP TABLE t"))] {
            let table = TableSql { schema: "s", table: "t", list: "*", condition, order_by, limit: None, offset: 0 };
            assert!(Source::new(&SourceSql::Table(table), true).is_err());
        }
    }
}
