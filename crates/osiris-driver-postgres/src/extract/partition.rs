//! Reads ranges over several sessions that share one snapshot: the first session exports it, the others import it.
//!
//! A server with few free connections, or a pooler, may give fewer sessions than requested, and a pooler may lead to
//! another server without the snapshot: the ranges are read over the sessions that have it, at worst only over the
//! first. No row is read from another snapshot.

use std::time::Duration;

use osiris_core::{Error, ErrorKind, Result};
use osiris_sql::read::ranges::RangeKind;
use osiris_sql::read::source::SelectSource;
use osiris_sql::within;

use super::snapshot::Snapshot;
use crate::client::Client;
use crate::client::{Session, quote};
use crate::error::sqlstate;
use crate::types::decode::{SourceColumn, oid};

/// More sessions do not read faster, and other clients need connections too.
const MOST_SESSIONS: usize = 16;

/// How long to wait for a session from a pooler, which may come only after the others have finished.
const POOLER_PATIENCE: Duration = Duration::from_secs(2);

/// The kind of a range column, from the server's description.
///
/// # Errors
/// For a type that cannot be split into ranges.
pub(super) fn kind(column: &SourceColumn) -> Result<RangeKind> {
    match column.oid {
        oid::INT2 | oid::INT4 | oid::INT8 | oid::OID => Ok(RangeKind::Integer),
        oid::DATE => Ok(RangeKind::Date),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => Ok(RangeKind::Timestamp),
        _ => Err(Error::validation(format!("`{}` cannot be split into ranges", column.name))
            .with_hint("set `partition_by` to an integer, date or timestamp column")),
    }
}

/// Selects the least and the greatest finite value, as [`RangeKind::cuts`] expects them.
pub(super) fn bounds(source: &SelectSource, column: &str, kind: RangeKind) -> String {
    let name = quote(column);
    let text = match kind {
        RangeKind::Integer => return source.aggregate(&format!("min({name})::text, max({name})::text"), None),
        RangeKind::Date => "text",
        // The session is in UTC.
        RangeKind::Timestamp => "timestamp::text",
    };
    let finite = format!("isfinite({name})");
    let ask = |function: &str| source.aggregate(&format!("{function}({name})::{text}"), Some(&finite));
    format!("SELECT ({}), ({})", ask("min"), ask("max"))
}

/// The first value of a range, in SQL: it has only digits and separators.
pub(super) fn split_point(value: String) -> String {
    format!("'{value}'")
}

/// `first`, whose transaction has begun, and up to `count - 1` others with the same snapshot.
///
/// # Errors
/// When the server returns an error other than too many connections.
pub(super) async fn sessions(
    client: &Client,
    mut first: Session,
    snapshot: &Snapshot,
    count: usize,
    limit: Duration,
) -> Result<Vec<Session>> {
    let exported = first.scalar("SELECT pg_catalog.pg_export_snapshot()", "exporting the snapshot").await?;
    let snapshot = Snapshot { exported, ..snapshot.clone() };
    let wanted = count.min(MOST_SESSIONS);
    let limit = if client.pooler() { limit.min(POOLER_PATIENCE) } else { limit };
    let mut sessions = vec![first];
    for _ in 1..wanted {
        let begun = within(limit, "`timeout`", "starting another read connection", async {
            let mut session = client.acquire().await?;
            snapshot.begin(&mut session).await?;
            Ok(session)
        });
        match begun.await {
            Ok(session) => sessions.push(session),
            Err(error) if is_lack_of_room(&error) || (client.pooler() && is_of_the_pooler(&error)) => {
                let reason = error.message();
                tracing::warn!(
                    connections = sessions.len(),
                    wanted,
                    reason,
                    "reading the ranges with fewer connections"
                );
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(sessions)
}

/// Whether the server has no free connections (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn is_lack_of_room(error: &Error) -> bool {
    sqlstate(error).is_some_and(|state| matches!(state, "53300" | "53400"))
}

/// Whether a pooler timed out, has no free connections, or led to a server without the snapshot.
fn is_of_the_pooler(error: &Error) -> bool {
    error.kind() == ErrorKind::Timeout
        || sqlstate(error)
            .is_some_and(|state| matches!(state, "08P01" | "XX000" | "22023" | "42704" | "58P01" | "55000"))
}

#[cfg(test)]
mod tests {
    use super::super::source::{SourceSql, TableSql};
    use super::*;

    #[test]
    fn ranges_cover_every_value_once() {
        let ranges = |column, kind: RangeKind, bounds: Option<&Vec<Option<String>>>, count| {
            kind.conditions(&quote(column), bounds, count, split_point)
        };
        let bounds = vec![Some("1".to_owned()), Some("10".to_owned())];
        assert_eq!(
            ranges("id", RangeKind::Integer, Some(&bounds), 3),
            ["\"id\" < '4'", "\"id\" >= '4' AND \"id\" < '7'", "\"id\" >= '7'", "\"id\" IS NULL"]
        );
        assert_eq!(ranges("id", RangeKind::Integer, None, 4), ["\"id\" IS NOT NULL", "\"id\" IS NULL"]);
    }

    #[test]
    fn infinite_dates_are_no_bounds() {
        let (condition, order_by, limit) = (None, None, None);
        let table = TableSql { schema: "public", table: "t", list: "*", condition, order_by, limit, offset: 0 };
        let (source, _) = SourceSql::Table(table).checked(true).unwrap();
        assert_eq!(
            bounds(&source, "d", RangeKind::Date),
            "SELECT (SELECT min(\"d\")::text FROM \"public\".\"t\" WHERE isfinite(\"d\")), \
             (SELECT max(\"d\")::text FROM \"public\".\"t\" WHERE isfinite(\"d\"))"
        );
    }
}
