//! What an extractor reads, as the statements that read it: a query of the user's or a table, whole or under a
//! condition. The parts of the user's must have passed the [guard](crate::guard).

use crate::guard::{ReadingKind, ReadingStatement};

/// The name of a user's query inside of a statement of ours.
pub const ALIAS: &str = "osiris_source";

/// The source of one extraction, in SQL. Names are quoted by the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelectSource {
    /// What stands behind FROM.
    from: String,
    /// The columns.
    list: String,
    /// The user's statement, which is sent as it is where nothing has to be added.
    statement: Option<(String, ReadingKind)>,
    is_table: bool,
    /// The user's own condition.
    pub filter: Option<String>,
    /// The order of the rows.
    pub order_by: Option<String>,
    /// How many rows at most.
    pub limit: Option<u64>,
    /// How many rows are left out first.
    pub offset: u64,
}

impl SelectSource {
    /// A query that can stand in a FROM.
    pub fn query(query: &str) -> Self {
        Self::of(query, ReadingKind::Query)
    }

    /// A statement of any kind.
    pub fn statement(statement: &ReadingStatement<'_>) -> Self {
        Self::of(statement.text(), statement.kind())
    }

    fn of(text: &str, kind: ReadingKind) -> Self {
        // A last comment must not swallow the bracket.
        let from = format!("(\n{text}\n) AS {ALIAS}");
        Self { statement: Some((text.to_owned(), kind)), is_table: false, ..Self::table(from, None) }
    }

    /// A table, and the columns of it that are read: all, if there is no list. Both are SQL.
    pub fn table(table: impl Into<String>, list: Option<Vec<String>>) -> Self {
        let list = list.map_or_else(|| "*".to_owned(), |names| names.join(", "));
        Self {
            from: table.into(),
            list,
            statement: None,
            is_table: true,
            filter: None,
            order_by: None,
            limit: None,
            offset: 0,
        }
    }

    /// The table in SQL, if it is one.
    pub fn table_sql(&self) -> Option<&str> {
        self.is_table.then_some(&self.from)
    }

    /// The table in SQL, if all its rows are read but for a limit: the database's own number of its rows says something
    /// then.
    pub fn whole_table(&self) -> Option<&str> {
        self.table_sql().filter(|_| self.filter.is_none())
    }

    /// How many rows are read of a table that has `rows`.
    pub fn rows_of(&self, rows: u64) -> u64 {
        let rest = rows.saturating_sub(self.offset);
        self.limit.map_or(rest, |limit| limit.min(rest))
    }

    /// Whether a condition can be added: it is not SHOW or EXPLAIN.
    pub fn is_query(&self) -> bool {
        self.statement.as_ref().is_none_or(|(_, kind)| *kind == ReadingKind::Query)
    }

    /// Whether part of it is the user's SQL, which may call functions.
    pub fn has_users_sql(&self) -> bool {
        !self.is_table || self.filter.is_some() || self.order_by.is_some()
    }

    /// The same source with these expressions instead of its columns.
    #[must_use]
    pub fn with_list(mut self, list: String) -> Self {
        if self.is_query() {
            (self.list, self.statement) = (list, None);
        }
        self
    }

    /// A column of the rows, with what it is a column of: without, a name that is no column may be a text.
    pub fn column(&self, name: &str) -> String {
        let source = if self.is_table { self.from.as_str() } else { ALIAS };
        format!("{source}.{name}")
    }

    /// The statement that reads all rows under `condition`, at most `limit` of them.
    pub fn select(&self, condition: Option<&str>, limit: Option<u64>) -> String {
        if let Some((text, kind)) = &self.statement
            && (*kind == ReadingKind::Listing || (condition.is_none() && limit.is_none()))
        {
            return text.clone();
        }
        let mut sql = format!("SELECT {} FROM {}{}", self.list, self.from, self.conditions(condition));
        if let Some(order) = &self.order_by {
            sql.push_str(&format!("\nORDER BY {order}\n"));
        }
        let limit = self.limit.into_iter().chain(limit).min();
        if limit.is_some() || self.offset > 0 {
            // Every SQL database takes this number, and none has as many rows.
            sql.push_str(&format!(" LIMIT {} OFFSET {}", limit.unwrap_or(i64::MAX.unsigned_abs()), self.offset));
        }
        sql
    }

    /// The statement that computes `expressions` over the rows under `condition`.
    pub fn aggregate(&self, expressions: &str, condition: Option<&str>) -> String {
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

    #[test]
    fn a_query_is_sent_as_it_is_unless_something_is_added() {
        let source = SelectSource::query("SELECT 1 AS a -- one");
        assert_eq!(source.select(None, None), "SELECT 1 AS a -- one");
        assert_eq!(source.column("a"), "osiris_source.a");
        assert_eq!(
            source.select(Some("a > 1"), Some(5)),
            "SELECT * FROM (\nSELECT 1 AS a -- one\n) AS osiris_source WHERE a > 1 LIMIT 5 OFFSET 0"
        );
    }

    #[test]
    fn the_clauses_of_a_table_keep_their_place() {
        let list = Some(vec!["a".to_owned(), "b".to_owned()]);
        let mut source = SelectSource::table("t", list);
        source.filter = Some("x = 1 -- only".to_owned());
        (source.order_by, source.limit, source.offset) = (Some("x".to_owned()), Some(10), 3);
        assert_eq!(
            source.select(Some("y < 2"), Some(100)),
            "SELECT a, b FROM t WHERE (\nx = 1 -- only\n) AND y < 2\nORDER BY x\n LIMIT 10 OFFSET 3"
        );
        assert_eq!(source.aggregate("MAX(y)", None), "SELECT MAX(y) FROM t WHERE (\nx = 1 -- only\n)");
    }
}
