//! One writer of a table at a time, whichever machine it runs on: a named lock of the server, which ends with the session that has
//! it. A session whose writer is gone is told from one that is at work by its silence, and is ended.

use std::time::Duration;

use osiris_core::{Error, Result};

use super::session::{PULSE, SILENCE, Session};
use super::target::{TableName, cell, text};

/// How long another write into the same table is waited for, in seconds.
const WAIT: u32 = 30;
const ENDING: &str = "ending a session that an earlier write left";

/// Takes the lock of a table, for as long as the session lives.
///
/// # Errors
/// When somebody else writes into the table, who is named; or the server is gone.
pub(super) async fn take(session: &mut Session, table: &TableName) -> Result<()> {
    // Beyond two pulses nobody is there who would speak to it.
    let longest = PULSE.saturating_mul(2) + Duration::from_secs(30);
    take_within(session, table, WAIT, longest).await
}

/// The same with other limits: for another write, and for a session that is silent.
pub(super) async fn take_within(session: &mut Session, table: &TableName, wait: u32, longest: Duration) -> Result<()> {
    if let Some(holder) = holder(session, table).await?
        && holder.is_asleep
        && holder.idle > longest
    {
        tracing::warn!(id = holder.id, seconds = holder.idle.as_secs(), "ending a session that an earlier write left");
        // It may have ended by itself in this moment.
        if let Err(error) = session.run(&format!("KILL {}", holder.id), ENDING).await {
            tracing::debug!(%error, "the session was not ended");
        }
    }
    let locked = session.rows(&format!("SELECT GET_LOCK({}, {wait})", text(&table.lock()))).await;
    match locked.as_ref().map(|rows| rows.first().map(|row| cell(row, 0).to_owned())) {
        Ok(Some(got)) if got == "0" => Err(held(holder(session, table).await?, table)),
        Ok(_) => Ok(()),
        // A cluster may have no named locks: then nothing keeps two writes apart but their schedule.
        Err(error) if session.is_alive() => {
            tracing::debug!(%error, "no named lock");
            Ok(())
        }
        Err(_) => locked.map(drop),
    }
}

/// A session that has the lock.
struct Holder {
    id: u64,
    host: String,
    is_asleep: bool,
    idle: Duration,
}

/// Who has the lock, where it is a session of the same account.
async fn holder(session: &mut Session, table: &TableName) -> Result<Option<Holder>> {
    let sql = format!(
        "SELECT ID, HOST, COMMAND, TIME FROM information_schema.PROCESSLIST WHERE ID = IS_USED_LOCK({}) \
         AND ID <> CONNECTION_ID() AND USER = SUBSTRING_INDEX(USER(), '@', 1)",
        text(&table.lock())
    );
    let rows = match session.rows(&sql).await {
        Err(_) if session.is_alive() => Vec::new(),
        rows => rows?,
    };
    Ok(rows.first().map(|row| Holder {
        id: cell(row, 0).parse().unwrap_or(0),
        host: cell(row, 1).to_owned(),
        is_asleep: cell(row, 2) == "Sleep",
        idle: Duration::from_secs(cell(row, 3).parse().unwrap_or(0)),
    }))
}

fn held(holder: Option<Holder>, table: &TableName) -> Error {
    let message = format!("another write into the table `{table}` has not ended");
    let Some(Holder { id, host, is_asleep, idle }) = holder else {
        return Error::timeout(format!("{message}: a session of another account has its lock"))
            .with_hint("let it end, then run again");
    };
    let does = if is_asleep { "has been idle for" } else { "has been at work for" };
    Error::timeout(format!("{message}: session {id} from {host} {does} {} s", idle.as_secs())).with_hint(format!(
        "let it end, then run again; if its run was killed, the server ends it within {} minutes, `KILL {id}` at once",
        SILENCE / 60
    ))
}
