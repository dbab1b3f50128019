//! The source as SQL: a user statement or a table, with or without a condition. Every statement that is sent is
//! built here, and the user's part of it has passed the guard. No I/O.

use osiris_core::Result;
use osiris_sql::guard::{FunctionCall, PostgresModes, ReadingStatement, SqlDialect};
use osiris_sql::read::source::{ALIAS, SelectSource};

use crate::client::quote_path;
use crate::types::decode::ColumnPlan;

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

impl SourceSql<'_> {
    /// The source, checked as a session with these settings parses it, and the functions that it may call.
    ///
    /// # Errors
    /// For a statement that is not read-only.
    pub(super) fn checked(&self, standard_conforming_strings: bool) -> Result<(SelectSource, Vec<FunctionCall>)> {
        let modes = PostgresModes { standard_conforming_strings };
        let dialect = SqlDialect::Postgres(modes);
        let source = match self {
            SourceSql::Query(query) => SelectSource::statement(&ReadingStatement::parse(query, dialect)?),
            SourceSql::Table(table) => table.source(),
        };
        let whole = source.select(None, None);
        ReadingStatement::parse(&whole, dialect)?;
        let calls = FunctionCall::all_of(&whole, modes);
        Ok((source, calls))
    }
}

impl TableSql<'_> {
    fn source(&self) -> SelectSource {
        let mut source = SelectSource::table(quote_path(self.schema, self.table), Some(vec![self.list.to_owned()]));
        source.filter = self.condition.map(str::to_owned);
        source.order_by = self.order_by.map(str::to_owned);
        (source.limit, source.offset) = (self.limit, self.offset);
        source
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
    if plans.iter().all(|plan| plan.decoder.is_binary()) {
        return format!("COPY (\n{sql}\n) TO STDOUT (FORMAT binary)");
    }
    let list: Vec<String> = plans.iter().map(|plan| plan.decoder.sql(plan.name())).collect();
    format!("COPY (SELECT {} FROM (\n{sql}\n) AS {ALIAS}) TO STDOUT (FORMAT binary)", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_sent_as_it_is_unless_something_is_added() {
        let (source, _) = SourceSql::Query("SELECT 1 AS a -- one\n;").checked(true).unwrap();
        assert_eq!(source.select(None, None), "SELECT 1 AS a");
        assert_eq!(
            source.select(Some("\"a\" > 1"), Some(5)),
            "SELECT * FROM (\nSELECT 1 AS a\n) AS osiris_source WHERE \"a\" > 1 LIMIT 5 OFFSET 0"
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
        let (source, _) = SourceSql::Table(table).checked(true).unwrap();
        assert_eq!(
            source.select(Some("\"y\" < 2"), Some(100)),
            "SELECT \"id\" FROM \"s\".\"a\"\"b\" WHERE (\nx >= 1 -- and\n OR true\n) AND \"y\" < 2\nORDER BY x DESC\n LIMIT 10 OFFSET 3"
        );
    }

    #[test]
    fn the_parts_of_a_table_cannot_do_more_than_read() {
        for (condition, order_by) in [(Some("true); DROP TABLE t; --"), None), (None, Some("1; DROP TABLE t"))] {
            let table = TableSql { schema: "s", table: "t", list: "*", condition, order_by, limit: None, offset: 0 };
            assert!(SourceSql::Table(table).checked(true).is_err());
        }
    }
}
