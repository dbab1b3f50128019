//! Reads ranges over several sessions that share one snapshot.
//!
//! Another session takes a lock that blocks writers while the others begin their transactions, and releases it before
//! the first row is read. While it waits for the lock, writers are blocked too: so it waits for at most two seconds,
//! lets them continue, and tries again. Without the lock there is no common snapshot, and the step fails.

use std::time::{Duration, Instant};

use mysql_async::consts::ColumnType as Wire;
use osiris_core::{Error, ErrorKind, Result};
use osiris_sql::read::ranges::RangeKind;
use osiris_sql::read::source::SelectSource;

use super::snapshot;
use crate::client::{Client, Session};
use crate::types::SourceColumn;

const LOCKING: &str = "locking for a consistent snapshot";
/// Lock wait timeout in seconds, during which writers are blocked.
const LOCK_WAIT: u64 = 2;
/// Pause for writers before the next attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// The kind of a range column, from the server's description.
///
/// # Errors
/// For a type that cannot be split into ranges.
pub(super) fn kind(name: &str, column: &SourceColumn) -> Result<RangeKind> {
    match column.wire {
        Wire::MYSQL_TYPE_TINY
        | Wire::MYSQL_TYPE_SHORT
        | Wire::MYSQL_TYPE_INT24
        | Wire::MYSQL_TYPE_LONG
        | Wire::MYSQL_TYPE_LONGLONG
        | Wire::MYSQL_TYPE_YEAR => Ok(RangeKind::Integer),
        Wire::MYSQL_TYPE_DATE => Ok(RangeKind::Date),
        Wire::MYSQL_TYPE_DATETIME | Wire::MYSQL_TYPE_TIMESTAMP => Ok(RangeKind::Timestamp),
        _ => Err(Error::validation(format!("`{name}` cannot be split into ranges"))
            .with_hint("set `partition_by` to an integer, DATE, DATETIME or TIMESTAMP column")),
    }
}

/// The first value of a range, in SQL: it has only digits and separators, which every sql_mode reads the same.
pub(super) fn split_point(kind: RangeKind, value: String) -> String {
    match kind {
        RangeKind::Integer => value,
        RangeKind::Date | RangeKind::Timestamp => format!("'{value}'"),
    }
}

/// `count` sessions whose transactions share one snapshot.
///
/// # Errors
/// When a privilege is missing, or the lock is not available within `limit`.
pub(super) async fn sessions(
    client: &Client,
    source: &SelectSource,
    count: usize,
    limit: Duration,
    statement_timeout: Option<Duration>,
) -> Result<Vec<Session>> {
    let mut sessions = client.acquire_many(count + 1).await?;
    let Some(mut locker) = sessions.pop() else { return Ok(sessions) };
    // Its settings are changed, and it may still hold the lock after a failure.
    locker.retire();
    let seconds = limit.as_secs().clamp(1, LOCK_WAIT);
    locker.execute(&format!("SET SESSION lock_wait_timeout = {seconds}"), LOCKING).await?;
    let deadline = Instant::now() + limit;
    while let Err(error) = lock(&mut locker, source).await {
        if error.kind() != ErrorKind::Timeout || Instant::now() + PAUSE > deadline {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
    }
    for session in &mut sessions {
        snapshot::begin(session, statement_timeout).await?;
    }
    locker.execute("UNLOCK TABLES", LOCKING).await?;
    locker.release().await;
    Ok(sessions)
}

/// Blocks writers: of one table if that is enough, else of all.
async fn lock(locker: &mut Session, source: &SelectSource) -> Result<()> {
    if let Some(table) = source.table_sql() {
        match locker.execute(&format!("LOCK TABLES {table} READ"), LOCKING).await {
            Err(error) if error.kind() == ErrorKind::Permission => {}
            done => return done.map(drop),
        }
    }
    locker.execute("FLUSH TABLES WITH READ LOCK", LOCKING).await.map(drop).map_err(|error| {
        if error.kind() != ErrorKind::Permission {
            return error;
        }
        let account = &locker.facts().account;
        let (right, hint) = match source.table_sql() {
            Some(_) => ("LOCK TABLES", "GRANT LOCK TABLES ON the table's database"),
            None => ("RELOAD", "GRANT RELOAD ON *.*"),
        };
        Error::permission(format!(
            "{account} lacks the privilege {right}, which `partition_by` needs to read one snapshot over several connections"
        ))
        .with_hint(format!("{hint} to it, or remove `partition_by`: one connection needs no lock"))
        .with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::quote;

    #[test]
    fn ranges_cover_every_value_once() {
        let ranges = |column, kind: RangeKind, bounds: Option<&Vec<Option<String>>>, count| {
            kind.conditions(&quote(column), bounds, count, |value| split_point(kind, value))
        };
        let bounds = |least: &str, greatest: &str| vec![Some(least.to_owned()), Some(greatest.to_owned())];
        assert_eq!(
            ranges("id", RangeKind::Integer, Some(&bounds("1", "10")), 3),
            ["`id` < 4", "`id` >= 4 AND `id` < 7", "`id` >= 7", "`id` IS NULL"]
        );
        assert_eq!(ranges("id", RangeKind::Integer, None, 4), ["`id` IS NOT NULL", "`id` IS NULL"]);
        assert_eq!(
            ranges("d", RangeKind::Date, Some(&bounds("2024-01-01", "2024-01-04")), 2),
            ["`d` < '2024-01-03'", "`d` >= '2024-01-03'", "`d` IS NULL"]
        );
    }
}
