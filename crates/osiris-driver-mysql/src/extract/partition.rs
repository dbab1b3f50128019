//! Reads ranges over several sessions that share one snapshot.
//!
//! Another session takes a lock that blocks writers while the others begin their transactions, and releases it before
//! the first row is read. While it waits for the lock, writers are blocked too: so it waits for at most two seconds,
//! lets them continue, and tries again. Without the lock there is no common snapshot, and the step fails.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::consts::ColumnType as Wire;
use osiris_core::{Error, ErrorKind, Result};
use osiris_sql::read::ranges::{RangeKind, conditions};
use tokio::task::JoinSet;

use super::reader::{Counts, Reader};
use super::snapshot;
use super::source::Source;
use crate::client::{Client, Session, quote};
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

/// Conditions that split all rows, including those where `column` is NULL, into about `count` ranges.
pub(super) fn ranges(
    column: &str,
    kind: RangeKind,
    least: Option<&str>,
    greatest: Option<&str>,
    count: usize,
) -> Vec<String> {
    let cuts = kind.split_points(least, greatest, count);
    let written: Vec<String> = match kind {
        RangeKind::Integer => cuts,
        // Only digits and separators, which every sql_mode reads the same.
        RangeKind::Date | RangeKind::Timestamp => cuts.iter().map(|cut| format!("'{cut}'")).collect(),
    };
    conditions(&quote(column), &written)
}

/// `count` sessions whose transactions share one snapshot.
///
/// # Errors
/// When a privilege is missing, or the lock is not available within `limit`.
pub(super) async fn sessions(client: &Client, source: &Source, count: usize, limit: Duration) -> Result<Vec<Session>> {
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
        snapshot::begin(session).await?;
    }
    locker.execute("UNLOCK TABLES", LOCKING).await?;
    locker.release().await;
    Ok(sessions)
}

/// Blocks writers: of one table if that is enough, else of all.
async fn lock(locker: &mut Session, source: &Source) -> Result<()> {
    if let Some(table) = source.table() {
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
        let (right, hint) = match source.table() {
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

/// Reads all `conditions`, each over a free session.
///
/// # Errors
/// The first error; the other reads are stopped.
pub(super) async fn read(
    sessions: Vec<Session>,
    source: &Source,
    conditions: Vec<String>,
    reader: &Reader,
) -> Result<Counts> {
    let queue: VecDeque<String> =
        conditions.iter().map(|condition| source.select(Some(condition), reader.stop_after)).collect();
    let queue = Arc::new(Mutex::new(queue));
    let mut workers = JoinSet::new();
    for mut session in sessions {
        let (queue, reader) = (Arc::clone(&queue), reader.clone());
        workers.spawn(async move {
            let mut counts = Counts::default();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(sql) = next else { break };
                counts.add(reader.read(&mut session, sql, None).await?);
            }
            snapshot::end(session).await?;
            Ok::<_, Error>(counts)
        });
    }
    let mut counts = Counts::default();
    while let Some(joined) = workers.join_next().await {
        let read = joined.map_err(|error| Error::unknown("reading a range ended in a panic").with_source(error))?;
        counts.add(read?);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_value_once() {
        assert_eq!(
            ranges("id", RangeKind::Integer, Some("1"), Some("10"), 3),
            ["`id` < 4", "`id` >= 4 AND `id` < 7", "`id` >= 7", "`id` IS NULL"]
        );
        assert_eq!(ranges("id", RangeKind::Integer, None, None, 4), ["`id` IS NOT NULL", "`id` IS NULL"]);
        assert_eq!(
            ranges("d", RangeKind::Date, Some("2024-01-01"), Some("2024-01-04"), 2),
            ["`d` < '2024-01-03'", "`d` >= '2024-01-03'", "`d` IS NULL"]
        );
    }
}
