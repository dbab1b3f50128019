//! The HogQL that the driver sends: one table, a range of its key, an order, a limit. Every value from outside is an
//! escaped literal. No I/O.
//!
//! A row's key is its time and its id. Ids are compared as texts, on both sides of the comparison and in the order:
//! ClickHouse's own order of UUIDs is not that of their texts.

mod literal;
mod range;

use crate::config::{DataType, Timestamp};

use literal::literal;
pub(crate) use range::{Filter, From, Key, Range, To};

/// A timestamp in HogQL, to the microsecond; the zone is named, since a project may have another.
fn timestamp(timestamp: Timestamp) -> String {
    format!("toDateTime64('{}', 6, 'UTC')", timestamp.hogql())
}

/// A table of PostHog, and how it is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// The table.
    table: &'static str,
    /// What is selected.
    select: &'static str,
    /// The column of a response with the time of a row; distinct ids have none.
    pub(crate) time: Option<&'static str>,
    /// The column of a response with the id of a row.
    pub(crate) id: &'static str,
    /// The time and the id as SQL, for conditions.
    time_sql: &'static str,
    id_sql: &'static str,
    /// The column of a response that holds the properties.
    pub(crate) properties: Option<&'static str>,
    /// The column that grows while the row stays the same: the end of a session that is still active.
    pub(crate) version: Option<&'static str>,
}

impl Source {
    /// How a data type is read.
    pub(crate) const fn of(data_type: DataType) -> Self {
        match data_type {
            DataType::Events => Self {
                table: "events",
                select: "uuid, event, timestamp, distinct_id, person_id, created_at, elements_chain, properties",
                time: Some("timestamp"),
                id: "uuid",
                time_sql: "timestamp",
                id_sql: "toString(uuid)",
                properties: Some("properties"),
                version: None,
            },
            DataType::Persons => Self {
                table: "persons",
                select: "id, created_at, is_identified, properties AS person_properties",
                time: Some("created_at"),
                id: "id",
                time_sql: "created_at",
                id_sql: "toString(id)",
                properties: Some("person_properties"),
                version: None,
            },
            DataType::Sessions => Self {
                table: "sessions",
                // PostHog adds fields from version to version, and cannot be asked which ones it has.
                select: "*",
                time: Some("$start_timestamp"),
                id: "session_id",
                time_sql: "`$start_timestamp`",
                id_sql: "toString(session_id)",
                properties: None,
                version: Some("$end_timestamp"),
            },
            DataType::PersonDistinctIds => Self {
                table: "person_distinct_ids",
                select: "distinct_id, person_id",
                time: None,
                id: "distinct_id",
                time_sql: "",
                id_sql: "toString(distinct_id)",
                properties: None,
                version: None,
            },
        }
    }

    /// A page: the first rows of the range by key.
    pub(crate) fn page(&self, range: &Range, filter: &Filter, limit: u32) -> String {
        let order =
            if self.time.is_some() { format!("{}, {}", self.time_sql, self.id_sql) } else { self.id_sql.to_owned() };
        let condition = self.condition(range, filter);
        format!("SELECT {} FROM {}{condition} ORDER BY {order} LIMIT {limit}", self.select, self.table)
    }

    /// How many rows the range has.
    pub(crate) fn count_rows(&self, range: &Range, filter: &Filter) -> String {
        format!("SELECT count() AS row_count FROM {}{} LIMIT 1", self.table, self.condition(range, filter))
    }

    /// How many distinct ids the range has.
    pub(crate) fn count_ids(&self, range: &Range, filter: &Filter) -> String {
        let condition = self.condition(range, filter);
        format!("SELECT count(DISTINCT {}) AS id_count FROM {}{condition} LIMIT 1", self.id_sql, self.table)
    }

    /// A few rows, for their columns.
    pub(crate) fn sample(&self, limit: u32) -> String {
        format!("SELECT {} FROM {} LIMIT {limit}", self.select, self.table)
    }

    /// How many rows there are in all.
    pub(crate) fn total(&self) -> String {
        format!("SELECT count() AS row_count FROM {} LIMIT 1", self.table)
    }

    fn condition(&self, range: &Range, filter: &Filter) -> String {
        let conditions: Vec<String> =
            [self.lower(&range.from), self.upper(&range.to), filter.condition()].into_iter().flatten().collect();
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
    }

    fn lower(&self, from: &From) -> Option<String> {
        let (time, id) = (self.time_sql, self.id_sql);
        match from {
            From::Start => None,
            From::At(at) => Some(format!("{time} >= {}", timestamp(*at))),
            From::After(Key { time: None, id: last }) => Some(format!("{id} > {}", literal(last))),
            From::After(Key { time: Some(at), id: last }) => {
                let at = timestamp(*at);
                // The first half is implied by the second; it is what lets ClickHouse skip the days before.
                Some(format!("{time} >= {at} AND ({time} > {at} OR {id} > {})", literal(last)))
            }
        }
    }

    fn upper(&self, to: &To) -> Option<String> {
        let (time, id) = (self.time_sql, self.id_sql);
        match to {
            To::End => None,
            To::Before(at) => Some(format!("{time} < {}", timestamp(*at))),
            To::Through(Key { time: None, id: last }) => Some(format!("{id} <= {}", literal(last))),
            To::Through(Key { time: Some(at), id: last }) => {
                let at = timestamp(*at);
                Some(format!("{time} <= {at} AND ({time} < {at} OR {id} <= {})", literal(last)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(time: Option<&str>, id: &str) -> Key {
        Key { time: time.map(|time| Timestamp::parse(time).unwrap()), id: id.to_owned() }
    }

    #[test]
    fn a_literal_cannot_be_left() {
        assert_eq!(literal(r"it's \ or"), r"'it\'s \\ or'");
        assert_eq!(literal(r"\"), r"'\\'");
        let filter = Filter { event_types: vec![r"x') OR 1=1 --\".to_owned()] };
        assert_eq!(filter.condition().unwrap(), r"event IN ('x\') OR 1=1 --\\')");
    }

    #[test]
    fn a_page_begins_behind_the_last_row_and_ends_before_the_limit() {
        let range = Range {
            from: From::After(key(Some("2024-01-31T12:00:00.000001Z"), "018d-a")),
            to: To::Before(Timestamp::parse("2024-02-01").unwrap()),
        };
        let filter = Filter { event_types: vec!["$pageview".to_owned()] };
        insta::assert_snapshot!(Source::of(DataType::Events).page(&range, &filter, 1000), @"
        SELECT uuid, event, timestamp, distinct_id, person_id, created_at, elements_chain, properties FROM events WHERE timestamp >= toDateTime64('2024-01-31 12:00:00.000001', 6, 'UTC') AND (timestamp > toDateTime64('2024-01-31 12:00:00.000001', 6, 'UTC') OR toString(uuid) > '018d-a') AND timestamp < toDateTime64('2024-02-01 00:00:00.000000', 6, 'UTC') AND event IN ('$pageview') ORDER BY timestamp, toString(uuid) LIMIT 1000
        ");
        insta::assert_snapshot!(Source::of(DataType::Sessions).page(&range, &Filter::default(), 100), @"
        SELECT * FROM sessions WHERE `$start_timestamp` >= toDateTime64('2024-01-31 12:00:00.000001', 6, 'UTC') AND (`$start_timestamp` > toDateTime64('2024-01-31 12:00:00.000001', 6, 'UTC') OR toString(session_id) > '018d-a') AND `$start_timestamp` < toDateTime64('2024-02-01 00:00:00.000000', 6, 'UTC') ORDER BY `$start_timestamp`, toString(session_id) LIMIT 100
        ");
    }

    #[test]
    fn a_count_has_the_range_of_the_rows_that_were_read() {
        let range = Range {
            from: From::At(Timestamp::parse("2024-01-31").unwrap()),
            to: To::Through(key(Some("2024-01-31T12:00:00Z"), "b")),
        };
        insta::assert_snapshot!(Source::of(DataType::Persons).count_ids(&range, &Filter::default()), @"
        SELECT count(DISTINCT toString(id)) AS id_count FROM persons WHERE created_at >= toDateTime64('2024-01-31 00:00:00.000000', 6, 'UTC') AND created_at <= toDateTime64('2024-01-31 12:00:00.000000', 6, 'UTC') AND (created_at < toDateTime64('2024-01-31 12:00:00.000000', 6, 'UTC') OR toString(id) <= 'b') LIMIT 1
        ");
        let range = Range { from: From::After(key(None, "a'b")), to: To::End };
        insta::assert_snapshot!(Source::of(DataType::PersonDistinctIds).count_ids(&range, &Filter::default()), @r"
        SELECT count(DISTINCT toString(distinct_id)) AS id_count FROM person_distinct_ids WHERE toString(distinct_id) > 'a\'b' LIMIT 1
        ");
    }
}
