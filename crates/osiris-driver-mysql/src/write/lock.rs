//! One writer per table across machines: a named lock of the server, which is released with the session that holds
//! it. A session whose writer is gone is recognised by its idle time, and is killed.

use std::time::Duration;

use osiris_core::{Error, Result};

use super::session::{PULSE, SILENCE, Session};
use super::target::{TableName, cell, text};

/// How long to wait for another write to the same table, in seconds.
const WAIT: u32 = 30;
const ENDING: &str = "ending a session left by an earlier write";

/// Takes the lock of a table, held until the session ends.
///
/// # Errors
/// When another session writes to the table, which is named; or the connection is lost.
pub(super) async fn take(session: &mut Session, table: &TableName) -> Result<()> {
    // After two missed keepalives the writer is gone.
    let longest = PULSE.saturating_mul(2) + Duration::from_secs(30);
    take_within(session, table, WAIT, longest).await
}

/// The same with other limits: for another write, and for an idle session.
pub(super) async fn take_within(session: &mut Session, table: &TableName, wait: u32, longest: Duration) -> Result<()> {
    if let Some(holder) = holder(session, table).await?
        && holder.is_asleep
        && holder.idle > longest
    {
        tracing::warn!(id = holder.id, seconds = holder.idle.as_secs(), "ending a session left by an earlier write");
        // It may just have ended by itself.
        if let Err(error) = session.run(&format!("KILL {}", holder.id), ENDING).await {
            tracing::debug!(%error, "failed to end the session");
        }
    }
    let locked = session.rows(&format!("SELECT GET_LOCK({}, {wait})", text(&table.lock()))).await;
    match locked.as_ref().map(|rows| rows.first().map(|row| cell(row, 0).to_owned())) {
        Ok(Some(got)) if got == "0" => Err(held(holder(session, table).await?, table)),
        Ok(_) => Ok(()),
        // A cluster may lack named locks: then only their schedule keeps two writes apart.
        Err(error) if session.is_alive() => {
            tracing::debug!(%error, "named lock not available");
            Ok(())
        }
        Err(_) => locked.map(drop),
    }
}

/// The session that holds the lock.
struct Holder {
    id: u64,
    host: String,
    is_asleep: bool,
    idle: Duration,
}

/// The session that holds the lock, if it has the same account.
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
    let message = format!("another write to table `{table}` is still running");
    let Some(Holder { id, host, is_asleep, idle }) = holder else {
        return Error::timeout(format!("{message}: a session of another account holds its lock"))
            .with_hint("wait for it to end, then run again");
    };
    let does = if is_asleep { "has been idle for" } else { "has been running for" };
    Error::timeout(format!("{message}: session {id} from {host} {does} {} s", idle.as_secs())).with_hint(format!(
        "wait for it to end, then run again; if its run was killed, the server ends it within {} minutes, `KILL {id}` at once",
        SILENCE / 60
    ))
}
