//! Rows that are committed late: transactions that were open when the bound of a run was read may have written smaller
//! values, which no later run would read. They are waited for.
//!
//! `information_schema.innodb_trx` is a cache that InnoDB refreshes only if nobody has read it for 0.1 s. If our own
//! transaction, which began together with the bound, is in it, the cache is not older. Seeing the transactions of
//! others needs PROCESS.
//! <https://dev.mysql.com/doc/refman/8.4/en/information-schema-innodb-trx-table.html>

use std::collections::BTreeSet;
use std::time::Duration;

use osiris_core::{Error, Result};
use osiris_sql::read::cursor;
use tokio::time::Instant;

use crate::client::Session;

const CONTEXT: &str = "checking for open transactions";
/// Poll interval: longer than the time after which the copy is renewed.
const INTERVAL: Duration = Duration::from_millis(150);
/// How long to wait for our own transaction in the cache, which other readers may keep from being refreshed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A transaction that may have written rows: its connection id and start.
type Writer = (String, String);

/// The transactions of others that have written or hold locks. Called inside a transaction with a snapshot. `None`
/// when the server does not show them.
///
/// # Errors
/// When the server returns an error other than a missing privilege, or its list of transactions stays older than the
/// snapshot.
pub(super) async fn open(session: &mut Session, limit: Duration) -> Result<Option<BTreeSet<Writer>>> {
    let deadline = Instant::now() + PATIENCE.max(limit);
    if is_replica(session).await? {
        return Ok(None);
    }
    loop {
        let Some((is_fresh, writers)) = look(session).await? else { return Ok(None) };
        if is_fresh {
            return Ok(Some(writers));
        }
        if Instant::now() >= deadline {
            return Err(Error::timeout("the server's list of open transactions is not refreshed while others read it").with_hint(
                "stop the clients that poll information_schema.innodb_trx, or set `lag` in `cursor` to read behind the saved value",
            ));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Waits until all `writers` have ended.
///
/// # Errors
/// When one of them takes longer than `limit`.
pub(super) async fn wait(session: &mut Session, mut writers: BTreeSet<Writer>, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !writers.is_empty() {
        let Some((_, now)) = look(session).await? else { break };
        writers.retain(|writer| now.contains(writer));
        if writers.is_empty() {
            break;
        }
        if Instant::now() >= deadline {
            return Err(still_open(&writers, limit));
        }
        tokio::time::sleep(INTERVAL).await;
    }
    Ok(())
}

/// A replica does not know the open transactions of its source.
async fn is_replica(session: &mut Session) -> Result<bool> {
    let rows = session.rows("SELECT @@GLOBAL.read_only", CONTEXT).await?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()).is_none_or(|value| value != "0" && value != "OFF"))
}

/// Whether our own transaction is listed, and those of others. `None` if the account lacks the privilege.
async fn look(session: &mut Session) -> Result<Option<(bool, BTreeSet<Writer>)>> {
    const SQL: &str = "SELECT trx_mysql_thread_id, CAST(trx_started AS CHAR), trx_mysql_thread_id = CONNECTION_ID() \
        FROM information_schema.innodb_trx \
        WHERE trx_mysql_thread_id = CONNECTION_ID() OR trx_rows_modified > 0 OR trx_lock_structs > 0";
    let rows = match session.rows(SQL, CONTEXT).await {
        Ok(rows) => rows,
        Err(error) if error.kind() == osiris_core::ErrorKind::Permission => return Ok(None),
        Err(error) => return Err(error),
    };
    let (mut is_fresh, mut writers) = (false, BTreeSet::new());
    for row in rows {
        match row.as_slice() {
            [_, _, Some(own)] if own == "1" => is_fresh = true,
            [Some(thread), Some(started), _] => drop(writers.insert((thread.clone(), started.clone()))),
            _ => {}
        }
    }
    Ok(Some((is_fresh, writers)))
}

fn still_open(writers: &BTreeSet<Writer>, limit: Duration) -> Error {
    let oldest = writers.iter().min_by_key(|(_, started)| started);
    let error = cursor::still_open(writers.len(), limit);
    match oldest {
        Some((thread, started)) => error.with_context("connection", thread).with_context("open since", started),
        None => error,
    }
}
