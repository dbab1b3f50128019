//! HogQL as the stand-in understands it, turned into the SQL of its store: one table, conditions, an order, a limit. What is not in this
//! subset is refused as PostHog refuses what it does not know: nothing is guessed.

mod scope;

use sqlparser::ast::{LimitClause, Query, Select, SetExpr, Statement, TableFactor};
use sqlparser::dialect::ClickHouseDialect;
use sqlparser::parser::Parser;

use super::fields::{Kept, Table};
use scope::{Scope, whole};

/// A query, translated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    /// The table; none for a query of constants.
    pub(super) table: Option<&'static str>,
    /// The text between `SELECT` and `FROM`.
    projection: String,
    /// The text after the table: conditions and order, without a limit.
    rest: String,
    /// The conditions that limit how much of the table is scanned.
    pub(super) scanned: String,
    pub(super) columns: Vec<ResultColumn>,
    /// The limit of the query.
    pub(super) limit: Option<u64>,
    /// Whether it returns rows, and not a count of them.
    pub(super) is_rows: bool,
}

/// A column of the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResultColumn {
    pub(super) name: String,
    pub(super) clickhouse: String,
    pub(super) kept: Kept,
}

/// Why a query is refused: PostHog's code and message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) detail: String,
}

type Read<T> = Result<T, Refused>;

fn refused(detail: impl Into<String>) -> Refused {
    Refused { code: "illegal_type_of_argument", detail: detail.into() }
}

fn unsupported(what: impl std::fmt::Display) -> Refused {
    Refused { code: "syntax_error", detail: format!("Unsupported: {what}") }
}

impl Translated {
    /// The query over `from`, which is the table in SQL.
    pub(super) fn sql(&self, from: &str, limit: u64) -> String {
        let from = if self.table.is_some() { format!(" FROM {from} AS t") } else { String::new() };
        format!("SELECT {}{from}{} LIMIT {limit}", self.projection, self.rest)
    }
}

/// Reads a query. `offset` is that of the project's time zone in seconds, which timestamps without a zone are in.
pub(super) fn translate(hogql: &str, offset: i32) -> Read<Translated> {
    let mut statements = Parser::parse_sql(&ClickHouseDialect {}, hogql)
        .map_err(|error| Refused { code: "syntax_error", detail: error.to_string() })?;
    let (Some(Statement::Query(query)), true) = (statements.pop(), statements.is_empty()) else {
        return Err(unsupported("anything but one SELECT"));
    };
    let SetExpr::Select(select) = query.body.as_ref() else { return Err(unsupported("a union")) };
    if query.with.is_some() || query.settings.is_some() || query.format_clause.is_some() {
        return Err(unsupported("WITH, SETTINGS, FORMAT"));
    }
    let table = table(select)?;
    let scope = Scope { table, offset };
    let (projection, columns) = scope.projection(select)?;
    let is_rows = !projection.contains("count(");
    let mut rest = String::new();
    if let Some(condition) = &select.selection {
        rest.push_str(&format!(" WHERE {}", scope.expression(condition)?.sql));
    }
    rest.push_str(&scope.order(&query)?);
    let scanned = match &select.selection {
        Some(condition) => scope.scanned(condition)?,
        None => String::new(),
    };
    Ok(Translated {
        table: table.map(|table| table.name),
        projection,
        rest,
        scanned,
        columns,
        limit: limit(&query)?,
        is_rows,
    })
}

fn table(select: &Select) -> Read<Option<&'static Table>> {
    let plain =
        select.distinct.is_none() && select.having.is_none() && select.prewhere.is_none() && select.qualify.is_none();
    if !plain || !matches!(&select.group_by, sqlparser::ast::GroupByExpr::Expressions(by, _) if by.is_empty()) {
        return Err(unsupported("DISTINCT, GROUP BY, HAVING"));
    }
    match select.from.as_slice() {
        [] => Ok(None),
        [one] if one.joins.is_empty() => match &one.relation {
            TableFactor::Table { name, .. } => {
                let name = name.to_string();
                let known = Table::named(&name);
                known
                    .map(Some)
                    .ok_or_else(|| Refused { code: "unknown_table", detail: format!("Unknown table `{name}`.") })
            }
            _ => Err(unsupported("anything but a table in FROM")),
        },
        _ => Err(unsupported("joins")),
    }
}

fn limit(query: &Query) -> Read<Option<u64>> {
    match &query.limit_clause {
        None => Ok(None),
        Some(LimitClause::LimitOffset { limit: None, offset: None, limit_by }) if limit_by.is_empty() => Ok(None),
        Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by }) if limit_by.is_empty() => {
            whole(limit).map(Some).ok_or_else(|| unsupported("a limit that is no number"))
        }
        Some(_) => Err(Refused {
            code: "offset_not_allowed",
            detail: "OFFSET is not allowed with personal API keys. Page by a key instead.".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_sql_over_the_table() {
        let page = "SELECT uuid, `$session_id` FROM events WHERE timestamp >= toDateTime64('2024-01-31 12:00:00.000001', 6, 'UTC') \
                    AND (timestamp > toDateTime64('2024-01-31 12:00:00.000001', 6, 'UTC') OR toString(uuid) > 'a\\'b\\\\') \
                    AND event IN ('x', 'y') ORDER BY timestamp, toString(uuid) DESC LIMIT 10";
        let translated = translate(page, 0).unwrap();
        assert_eq!(
            translated.sql("T", 11),
            "SELECT t.\"uuid\" AS \"uuid\", t.\"$session_id\" AS \"$session_id\" FROM T AS t \
             WHERE t.\"timestamp\" >= make_timestamp(1706702400000001) AND (t.\"timestamp\" > make_timestamp(1706702400000001) \
             OR CAST(t.\"uuid\" AS VARCHAR) > 'a''b\\') AND t.\"event\" IN ('x', 'y') \
             ORDER BY t.\"timestamp\" ASC, CAST(t.\"uuid\" AS VARCHAR) DESC LIMIT 11"
        );
        assert_eq!(translated.scanned, " WHERE t.\"timestamp\" >= make_timestamp(1706702400000001)");
        assert_eq!((translated.limit, translated.is_rows), (Some(10), true));
    }

    #[test]
    fn moments_are_cut_to_their_digits_and_read_in_the_zone_of_the_project() {
        let sql = |call: &str| {
            translate(&format!("SELECT 1 FROM events WHERE timestamp = {call}"), 7200).map(|query| query.rest)
        };
        let at = "'2024-01-31 12:00:00.123456'";
        assert_eq!(
            sql(&format!("toDateTime64({at}, 6, 'UTC')")).unwrap(),
            " WHERE t.\"timestamp\" = make_timestamp(1706702400123456)"
        );
        assert_eq!(
            sql(&format!("toDateTime64({at}, 3, 'UTC')")).unwrap(),
            " WHERE t.\"timestamp\" = make_timestamp(1706702400123000)"
        );
        assert_eq!(
            sql(&format!("toDateTime64({at}, 6)")).unwrap(),
            " WHERE t.\"timestamp\" = make_timestamp(1706695200123456)"
        );
        assert!(sql("toDateTime64('soon', 6)").is_err());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let detail = |hogql: &str| translate(hogql, 0).unwrap_err().detail;
        assert_eq!(detail("SELECT nope FROM events"), "Unable to resolve field: nope");
        assert_eq!(detail("SELECT 1 FROM nowhere"), "Unknown table `nowhere`.");
        for hogql in [
            "SELECT person FROM events",
            "SELECT 1 FROM events LIMIT 10 OFFSET 5",
            "SELECT 1 FROM events LIMIT 5, 10",
            "SELECT event, count() FROM events GROUP BY event",
            "SELECT 1 FROM events; SELECT 2",
            "DROP TABLE events",
            "SELECT now() FROM events",
            "SELECT 1 FROM events WHERE event = 'open",
            "SELECT 1 FROM events JOIN persons ON 1",
        ] {
            assert!(translate(hogql, 0).is_err(), "{hogql}");
        }
    }
}
