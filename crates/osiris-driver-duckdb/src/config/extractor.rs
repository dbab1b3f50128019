//! The configuration of `duckdb.extractor`.

use osiris_core::store::SelectStatement;
use osiris_core::{Code, Problem};
use osiris_sql::config::{QueryFields, ReadFields};
use schemars::JsonSchema;
use serde::Deserialize;

/// What `duckdb.extractor` reads and how: a `query` or a `table`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExtractorConfig {
    /// One statement that reads, in DuckDB's SQL. It may call functions that compute from their arguments; files and other
    /// databases are out of its reach. Default: none; then `table`.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// The schema of `table`. Default: `main`.
    #[schemars(length(min = 1))]
    pub schema: Option<String>,
    /// The table and its parts.
    #[serde(flatten)]
    pub read: ReadFields,
}

/// The schema of tables that name none.
pub(crate) const MAIN: &str = "main";

impl ExtractorConfig {
    /// The schema of the table.
    pub(crate) fn schema(&self) -> &str {
        self.schema.as_deref().unwrap_or(MAIN)
    }

    /// The problems that the schema cannot express. Pure.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        // SQL is checked by DuckDB's own parser, not by the guard of other dialects.
        let query = QueryFields { query: self.query.as_deref(), ..QueryFields::default() };
        let mut problems = self.read.problems(query, self.schema.is_some(), false);
        problems.extend(self.query.iter().filter_map(|query| part("/query", query, &[("", "")])));
        if self.query.is_none() {
            let (condition, order) = (self.read.condition.as_deref(), self.read.order_by.as_deref());
            // Without parentheses as well: it must not end those that it is put into.
            let conditions = [("SELECT 1 FROM t WHERE (\n", "\n)"), ("SELECT 1 FROM t WHERE ", "")];
            problems.extend(condition.and_then(|text| part("/where", text, &conditions)));
            problems.extend(order.and_then(|text| part("/order_by", text, &[("SELECT 1 FROM t ORDER BY ", "")])));
        }
        problems
    }
}

/// The first problem of `text` as a part of each of these statements.
fn part(pointer: &str, text: &str, statements: &[(&str, &str)]) -> Option<Problem> {
    let problem = |(before, after): &(&str, &str)| {
        let error = SelectStatement::parse(&format!("{before}{text}{after}")).err()?;
        let mut problem = Problem::from_sql(pointer, &error);
        if error.code() == Code::SqlNotAllowed {
            problem = problem.with_hint(
                "write one SELECT over the tables of the file, with functions that compute from their arguments",
            );
        }
        problem.offset = problem.offset.map(|offset| offset.saturating_sub(before.len()).min(text.len()));
        Some(problem)
    };
    statements.iter().find_map(problem)
}
