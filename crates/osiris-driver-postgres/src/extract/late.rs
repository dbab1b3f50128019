//! Rows that are committed late: transactions that were open when the bound of a run was read may hold smaller values,
//! which no later run would read. They are waited for, as `CREATE INDEX CONCURRENTLY` does.
//!
//! `pg_locks` shows every transaction to every role, and which of them have written to a table: a lock to write is
//! taken before a sequence or a default produces a value. Those are waited for until they end. One that has not written
//! yet may have taken a value anyway (an explicit `nextval`, or `now()`, which is its start): these are waited for
//! briefly, and then bounded by their start, if values are timestamps with a time zone; if they have no time zone the
//! run fails; if they are not timestamps it continues with a warning. Transactions of our own extractors cannot write
//! and are ignored.
//! <https://www.postgresql.org/docs/current/view-pg-locks.html>

use std::collections::BTreeMap;
use std::time::Duration;

use osiris_core::{Error, Result};
use osiris_sql::read::cursor;
use tokio::time::Instant;

use super::cursor::RowClock;
use crate::client::{Session, literal};

const CONTEXT: &str = "checking for open transactions";
/// Poll interval.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for transactions that have not written.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    /// Whether it may have written to the source.
    writes: bool,
    /// When it began, if the role can see that.
    began: Option<String>,
}

/// Open transactions by their virtual id.
pub(super) type OpenTransactions = BTreeMap<String, Open>;

/// The open transactions of other sessions in the database. `None` on a standby, which does not know them all.
///
/// # Errors
/// What the server says.
pub(super) async fn open(session: &mut Session, table: Option<&str>) -> Result<Option<OpenTransactions>> {
    match session.scalar("SELECT pg_is_in_recovery()", CONTEXT).await?.as_deref() {
        Some("f") => look(session, table).await.map(Some),
        _ => Ok(None),
    }
}

/// Waits until the transactions of `open` that may have written to the source have ended, and briefly for the others.
/// Returns when the oldest remaining ones began, which bounds their values.
///
/// # Errors
/// When one takes longer than `limit` and may have values below the bound.
pub(super) async fn wait(
    session: &mut Session,
    table: Option<&str>,
    mut open: OpenTransactions,
    clock: RowClock,
    limit: Duration,
) -> Result<Vec<String>> {
    let start = Instant::now();
    while !open.is_empty() {
        let now = look(session, table).await?;
        open.retain(|id, transaction| match now.get(id) {
            // It may have written since.
            Some(current) => {
                *transaction = current.clone();
                true
            }
            None => false,
        });
        let (waited, writes) = (start.elapsed(), open.values().any(|transaction| transaction.writes));
        if writes && waited >= limit {
            return Err(still_open(&open, limit));
        }
        if !writes && waited >= PATIENCE.min(limit) {
            return idle(&open, clock, waited);
        }
        if !open.is_empty() {
            tokio::time::sleep(INTERVAL).await;
        }
    }
    Ok(Vec::new())
}

/// Handles transactions that have not written.
fn idle(open: &OpenTransactions, clock: RowClock, waited: Duration) -> Result<Vec<String>> {
    let began: Option<Vec<String>> = open.values().map(|transaction| transaction.began.clone()).collect();
    match (clock, began) {
        (RowClock::Instant, Some(began)) => Ok(began),
        (RowClock::None, _) => {
            tracing::warn!(
                transactions = open.len(),
                "open transactions have not written yet: values they have already taken but write later would not be read"
            );
            Ok(Vec::new())
        }
        _ => Err(still_open(open, waited)),
    }
}

async fn look(session: &mut Session, table: Option<&str>) -> Result<OpenTransactions> {
    let rows = session.rows(&sql(table), CONTEXT).await?;
    let transactions = rows.into_iter().filter_map(|row| {
        let mut fields = row.into_iter();
        let id = fields.next()??;
        let writes = fields.next()?.as_deref() == Some("t");
        Some((id, Open { writes, began: fields.next()? }))
    });
    Ok(transactions.collect())
}

/// The open transactions, whether they hold a write lock on `table` or one of its partitions, and when they began.
/// Without a table, or for a view, any table of the database counts.
fn sql(table: Option<&str>) -> String {
    let table = table.map_or("NULL".to_owned(), |table| format!("pg_catalog.to_regclass({})", literal(table)));
    format!(
        "WITH RECURSIVE tree(oid) AS ( \
           SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.oid = {table} AND c.relkind IN ('r', 'p') \
           UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree ON i.inhparent = tree.oid), \
         here(oid) AS (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()), \
         held AS ( \
           SELECT l.virtualtransaction AS id, l.pid, a.xact_start, \
             l.locktype = 'relation' AND l.relation >= 16384 AND l.database = (SELECT oid FROM here) \
               AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') \
               AND (NOT EXISTS (SELECT 1 FROM tree) OR l.relation IN (SELECT oid FROM tree)) AS writes \
           FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid \
           WHERE l.granted AND l.locktype IN ('virtualxid', 'relation') AND (l.pid IS NULL OR ( \
             l.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL AND a.datid = (SELECT oid FROM here) \
             AND a.application_name IS DISTINCT FROM 'osiris extract'))) \
         SELECT id, bool_or(writes), max(xact_start)::text FROM held GROUP BY id HAVING bool_or(writes) OR max(pid) IS NOT NULL"
    )
}

fn still_open(open: &OpenTransactions, limit: Duration) -> Error {
    let oldest = open.values().filter_map(|transaction| transaction.began.as_ref()).min();
    let error = cursor::still_open(open.len(), limit);
    match oldest {
        Some(began) => error.with_context("open since", began),
        None => error,
    }
}
