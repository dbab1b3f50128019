//! Rows that are committed late: transactions that were open when the bound of a run was taken may have written smaller values, which
//! no later run would read. They are waited for.
//!
//! `information_schema.innodb_trx` is a copy that InnoDB renews only after nobody has read it for a tenth of a second. That our own
//! transaction is in it, which began together with the bound, proves that the copy is not older. Seeing the transactions of others needs PROCESS.
//! <https://dev.mysql.com/doc/refman/8.4/en/information-schema-innodb-trx-table.html>

use std::collections::BTreeSet;
use std::time::Duration;

use osiris_core::{Error, Result};
use tokio::time::Instant;

use crate::client::Session;

const DOING: &str = "looking for open transactions";
/// How often it is looked again: not so often that the copy stays as it is.
const INTERVAL: Duration = Duration::from_millis(150);
/// For so long our own transaction is looked for in the copy, which others may keep from being renewed by reading it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A transaction that may have written rows: its connection, and when it began.
type Writer = (String, String);

/// The transactions of others that have written, or hold locks to do so. Called inside a transaction that has a read view. Nothing
/// when the server does not tell.
///
/// # Errors
/// What the server says, but that the account may not ask; or its list of transactions is older than the read view and stays so.
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
            return Err(Error::timeout("the server's list of open transactions stays out of date while others read it").with_hint(
                "stop what reads information_schema.innodb_trx all the time, or set `lag` in `cursor` to read behind the saved value",
            ));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Waits until all of `writers` have ended.
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

/// A replica knows nothing of the transactions that are open where its rows come from.
async fn is_replica(session: &mut Session) -> Result<bool> {
    let rows = session.rows("SELECT @@GLOBAL.read_only", DOING).await?;
    Ok(rows.first().and_then(|row| row.first()?.as_deref()).is_none_or(|value| value != "0" && value != "OFF"))
}

/// Whether our own transaction is there, and those of others. None where the account may not ask.
async fn look(session: &mut Session) -> Result<Option<(bool, BTreeSet<Writer>)>> {
    const SQL: &str = "SELECT trx_mysql_thread_id, CAST(trx_started AS CHAR), trx_mysql_thread_id = CONNECTION_ID() \
        FROM information_schema.innodb_trx \
        WHERE trx_mysql_thread_id = CONNECTION_ID() OR trx_rows_modified > 0 OR trx_lock_structs > 0";
    let rows = match session.rows(SQL, DOING).await {
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
    let error = Error::timeout(format!(
        "{} transactions that may have written rows with smaller cursor values were still open after {} s",
        writers.len(),
        limit.as_secs()
    ))
    .with_hint("run it again later, raise `timeout` of the step, or set `lag` in `cursor` to read behind the saved value instead");
    match oldest {
        Some((thread, started)) => error.with_context("connection", thread).with_context("open since", started),
        None => error,
    }
}
