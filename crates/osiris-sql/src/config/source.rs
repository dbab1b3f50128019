//! What is read, and how the reading is divided.

use std::collections::BTreeSet;

use osiris_core::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::guard::{ReadingKind, ReadingStatement, Refusal, SqlDialect, check_fragment};
use crate::read::cursor::Cursor;
use crate::read::source::SelectSource;

/// The fields of an extractor that say what is read of a table, and in which batches. Flattened into the configuration
/// of a driver, which adds `query` and what only its database has.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ReadFields {
    /// The table or view to read, by its exact name. Default: none, and `query` is required.
    #[schemars(length(min = 1))]
    pub table: Option<String>,
    /// The columns of `table` to read, in this order. Default: all that `SELECT *` returns.
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// A SQL condition on the rows of `table`, without WHERE. Default: none.
    #[serde(rename = "where")]
    #[schemars(length(min = 1))]
    pub condition: Option<String>,
    /// The order of the rows of `table`, in SQL without ORDER BY. Default: unspecified.
    #[schemars(length(min = 1))]
    pub order_by: Option<String>,
    /// Maximum number of rows of `table` to read. Default: all.
    pub limit: Option<u64>,
    /// Number of rows of `table` to skip; only meaningful with `order_by`. Default: 0.
    #[serde(default)]
    pub offset: u64,
    /// Maximum rows per batch. A batch also ends at 16 MB.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 10_000_000), extend("x-source" = false))]
    pub batch_size: usize,
    /// Reads only rows at or after the cursor value of the last run. Default: every run reads all rows.
    pub cursor: Option<Cursor>,
}

/// How to handle a decimal column of more than 38 digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecimalOverflow {
    /// The step fails before the first row and names the column.
    #[default]
    Error,
    /// The column becomes text.
    Text,
}

fn default_batch_size() -> usize {
    10_000
}

impl ReadFields {
    /// Every contradiction of these fields and of `query`, for a database that has one of these dialects. `schema` is
    /// whether a schema is set; `same_case` whether names of a different case are different.
    pub fn problems(&self, query: QueryFields<'_>, schema: bool, same_case: bool) -> Vec<Problem> {
        let QueryFields { dialects, query, partition_by, partitions } = query;
        let fields = SourceFields {
            dialects,
            query,
            table: self.table.as_deref(),
            table_fields: &[
                ("schema", schema),
                ("columns", self.columns.is_some()),
                ("where", self.condition.is_some()),
                ("order_by", self.order_by.is_some()),
                ("limit", self.limit.is_some()),
                ("offset", self.offset > 0),
            ],
            order_fields: &["order_by", "limit", "offset"],
            partition_by,
            partitions,
            cursor: self.cursor.as_ref(),
        };
        let mut problems = fields.problems();
        if query.is_none() {
            problems.extend(column_problems(self.columns.as_deref().unwrap_or_default(), same_case));
            problems.extend(fragment_problems(dialects, self.condition.as_deref(), self.order_by.as_deref()));
        }
        problems
    }

    /// Reads them from `table`, which is SQL; `column` writes the name of a column.
    pub fn source(&self, table: String, column: impl Fn(&str) -> String) -> SelectSource {
        let list = self.columns.as_ref().map(|columns| columns.iter().map(|name| column(name)).collect());
        let mut source = SelectSource::table(table, list);
        source.filter.clone_from(&self.condition);
        source.order_by.clone_from(&self.order_by);
        (source.limit, source.offset) = (self.limit, self.offset);
        source
    }
}

/// What a driver adds to [`ReadFields`].
#[derive(Debug, Clone, Copy, Default)]
pub struct QueryFields<'a> {
    /// The dialects that a session may have; the actual one is known only after connecting.
    pub dialects: &'a [SqlDialect],
    /// A statement of the user's.
    pub query: Option<&'a str>,
    /// The column whose ranges are read in parallel.
    pub partition_by: Option<&'a str>,
    /// The number of ranges.
    pub partitions: Option<usize>,
}

/// The fields of an extractor that say what is read: a `query`, or a `table` with what belongs to it.
#[derive(Debug, Clone, Copy)]
pub struct SourceFields<'a> {
    /// The dialects that a session may have; the actual one is known only after connecting.
    pub dialects: &'a [SqlDialect],
    /// A statement of the user's.
    pub query: Option<&'a str>,
    /// A table.
    pub table: Option<&'a str>,
    /// The fields that belong to `table`, and whether they are set.
    pub table_fields: &'a [(&'static str, bool)],
    /// Those of them that cannot be kept when the rows are read in several parts.
    pub order_fields: &'a [&'static str],
    /// The column whose ranges are read in parallel.
    pub partition_by: Option<&'a str>,
    /// The number of ranges.
    pub partitions: Option<usize>,
    /// The cursor of an incremental extraction.
    pub cursor: Option<&'a Cursor>,
}

impl SourceFields<'_> {
    /// Every contradiction. The checks of the fields of a table are the caller's: it knows how they are written.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = match (self.query, self.table) {
            (Some(_), Some(_)) => {
                vec![
                    Problem::error("/query", "conflicts with `table`: set one of them").with_hint("remove one of them"),
                ]
            }
            (None, None) => vec![Problem::error("", "names nothing to read").with_hint("set `table` or `query`")],
            (Some(query), None) => self.query_problems(query),
            (None, Some(_)) => Vec::new(),
        };
        problems.extend(self.strategy_problems());
        problems
    }

    fn query_problems(&self, query: &str) -> Vec<Problem> {
        let set = self.table_fields.iter().filter(|(_, is_set)| *is_set);
        let mut problems: Vec<Problem> = set
            .map(|(field, _)| {
                Problem::error(format!("/{field}"), "belongs to `table`").with_hint("write it in the query")
            })
            .collect();
        match reading_kind(self.dialects, query) {
            Err(refusal) => problems.push(refusal.into_problem("/query")),
            Ok(ReadingKind::Query) => {}
            Ok(ReadingKind::Listing) => {
                let split = [("partition_by", self.partition_by.is_some()), ("cursor", self.cursor.is_some())];
                problems.extend(split.into_iter().filter(|(_, is_set)| *is_set).map(|(field, _)| {
                    Problem::error(format!("/{field}"), "needs a SELECT").with_hint("SHOW and EXPLAIN are read whole")
                }));
            }
        }
        problems
    }

    /// Checks that the read is partitioned in at most one way.
    fn strategy_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.partitions.is_some() && self.partition_by.is_none() {
            problems
                .push(Problem::error("/partitions", "needs `partition_by`").with_hint("name the column to split by"));
        }
        if self.partition_by.is_some() && self.cursor.is_some() {
            problems.push(
                Problem::error("/partition_by", "conflicts with `cursor`: a run reads by ranges or by a cursor")
                    .with_hint("remove one of them"),
            );
        }
        if (self.partition_by.is_some() || self.cursor.is_some()) && self.query.is_none() {
            let set = self.table_fields.iter().filter(|(_, is_set)| *is_set);
            problems.extend(set.filter(|(field, _)| self.order_fields.contains(field)).map(|(field, _)| {
                Problem::error(format!("/{field}"), "cannot be kept when the rows are read in several parts")
                    .with_hint("remove it, or remove `partition_by` and `cursor`")
            }));
        }
        problems.extend(self.cursor.iter().flat_map(|cursor| cursor.problems("/cursor")));
        problems
    }
}

/// What kind of statement `sql` is: refused is what no dialect accepts. It is checked again once the session's modes
/// are known.
///
/// # Errors
/// What the first dialect says of it.
pub fn reading_kind(dialects: &[SqlDialect], sql: &str) -> Result<ReadingKind, Refusal> {
    let mut first = None;
    for dialect in dialects {
        match ReadingStatement::parse(sql, *dialect) {
            Ok(statement) => return Ok(statement.kind()),
            Err(refusal) => first = first.or(Some(refusal)),
        }
    }
    first.map_or(Ok(ReadingKind::Query), Err)
}

/// Problems of `where` and `order_by`, judged as parts of the statement that they will be.
fn fragment_problems(dialects: &[SqlDialect], condition: Option<&str>, order_by: Option<&str>) -> Vec<Problem> {
    let parts = [
        ("/where", condition, "SELECT 1 FROM t WHERE (\n", "\n)"),
        ("/order_by", order_by, "SELECT 1 FROM t ORDER BY ", ""),
    ];
    let mut problems = Vec::new();
    for (pointer, part, before, after) in parts {
        let Some(part) = part else { continue };
        let whole = format!("{before}{part}{after}");
        if let Err(refusal) = reading_kind(dialects, &whole) {
            let offset = refusal.offset().saturating_sub(before.len()).min(part.len());
            problems.push(refusal.into_problem(pointer).with_offset(offset));
            continue;
        }
        // In each dialect that takes it: which one it will be is not known.
        let accepting = dialects.iter().filter(|dialect| ReadingStatement::parse(&whole, **dialect).is_ok());
        let refusal = accepting.filter_map(|dialect| check_fragment(part, *dialect).err()).next();
        problems.extend(refusal.map(|refusal| refusal.into_problem(pointer)));
    }
    problems
}

/// Columns that are named twice; `same_case` says whether names of a different case are different.
fn column_problems(columns: &[String], same_case: bool) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let twice = columns.iter().enumerate().filter(|(_, name)| {
        let name = if same_case { (*name).clone() } else { name.to_lowercase() };
        !seen.insert(name)
    });
    twice.map(|(index, name)| Problem::error(format!("/columns/{index}"), format!("`{name}` is named twice"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_cannot_end_the_condition_that_it_is_a_part_of() {
        for dialects in [SqlDialect::MYSQL, SqlDialect::POSTGRES, SqlDialect::SQLITE] {
            let problems = fragment_problems(dialects, Some("a = 1) OR (b = 2"), Some("f(a)), (b"));
            let found: Vec<_> = problems.iter().map(|problem| (problem.pointer.as_str(), problem.offset)).collect();
            assert_eq!(found, [("/where", Some(5)), ("/order_by", Some(4))], "{dialects:?}");
            assert!(fragment_problems(dialects, Some("(a = ')') -- only"), Some("f(a), b DESC")).is_empty());
        }
        // Where a backslash is a backslash, the text ends at the second quote.
        let by_mode = fragment_problems(SqlDialect::MYSQL, Some("a = '\\') OR (b = ' -- '"), None);
        assert_eq!(by_mode.len(), 1, "{by_mode:?}");
    }
}
