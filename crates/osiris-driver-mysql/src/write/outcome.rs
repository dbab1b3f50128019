//! What became of a commit whose answer never came. Asked over another session, once the first one is known to be gone: as long as
//! it lives it may still commit.

use std::time::{Duration, Instant};

use osiris_core::{CommitOutcome, Error, Result};
use serde::{Deserialize, Serialize};

use super::marker::Marker;
use super::session::Session;
use super::swap::exists;
use super::target::TableName;
use crate::client::Identity;

const ENDING: &str = "ending the session that broke";
/// How long a connection that is told to end may take.
const END_WAIT: Duration = Duration::from_secs(10);

/// Another session of the same server, once `session` has ended there.
///
/// # Errors
/// When that cannot be found out: another server answers, or the session does not end.
pub(super) async fn after_its_end(session: &Session) -> Result<Session> {
    let mut other = session.again().await?;
    wait_for_its_end(&mut other, session.identity()).await?;
    Ok(other)
}

/// Ends a session of the same account and waits until the server has it no more.
///
/// # Errors
/// As for [`after_its_end`].
pub(super) async fn wait_for_its_end(other: &mut Session, session: &Identity) -> Result<()> {
    if !session.is_of_same_account(other.identity()) {
        return Err(Error::permission("the session that was committing belongs to another account"));
    }
    if session.ended_with_the_server(other.identity()) {
        return Ok(());
    }
    if !session.is_of_same_server(other.identity()) {
        return Err(Error::network("another server answers than the one that was written to"));
    }
    let deadline = Instant::now() + END_WAIT;
    let mut told = false;
    while !other.rows(&session.find()).await?.is_empty() {
        if !told {
            // It may end by itself in this moment; and whether it may be ended does not matter if it ends.
            let _ = other.attempt(&session.kill(), ENDING).await;
            told = true;
        }
        if Instant::now() > deadline {
            return Err(Error::timeout("the broken session does not end on the server"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A step whose end nobody saw.
pub(super) fn unknown_outcome(table: &TableName, error: Error, has_ended: bool) -> Error {
    let (later, hint) = if has_ended {
        (
            "the server has ended the session, so that nothing changes any more",
            "check whether the new rows are in the table: if they are, running the step again would write them twice",
        )
    } else {
        (
            "the session may still be at work on the server, so that they may also appear later",
            "end that session, then check whether the new rows are in the table: if they are, running the step again would write them twice",
        )
    };
    Error::ambiguous(format!(
        "the connection was lost while the rows of table `{table}` were being committed: they are there or not, all of them \
         or none; {later}"
    ))
    .with_source(error)
    .with_hint(hint)
}

/// By what a server can be asked later what became of a commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Token {
    /// The session that commits: as long as it lives it may still do so.
    session: Identity,
    /// What tells afterwards.
    sign: Sign,
}

/// What tells whether a commit took place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sign {
    /// Nothing: the rows alone.
    None,
    /// A row of a table that is written in the same transaction.
    Marker(Marker),
    /// A table that gets its name by the commit.
    Rename {
        /// Its name before.
        from: TableName,
        /// Its name afterwards.
        to: TableName,
    },
}

impl Token {
    pub(super) fn new(session: &Session, sign: Sign) -> Self {
        Self { session: session.identity().clone(), sign }
    }

    /// As it is recorded.
    pub(super) fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// As it was recorded.
    pub(super) fn parse(value: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(value.clone()).ok()
    }

    /// Asks the server.
    ///
    /// # Errors
    /// When it cannot be asked, or when the session may still be at work.
    pub(super) async fn ask(&self, session: &mut Session) -> Result<CommitOutcome> {
        wait_for_its_end(session, &self.session).await?;
        let found = match &self.sign {
            Sign::None => return Ok(CommitOutcome::Unknown),
            Sign::Marker(marker) => marker.is_there(session).await?,
            Sign::Rename { from, .. } if exists(session, from).await? => false,
            Sign::Rename { to, .. } if exists(session, to).await? => true,
            Sign::Rename { .. } => return Ok(CommitOutcome::Unknown),
        };
        Ok(if found { CommitOutcome::Committed { written: None } } else { CommitOutcome::NotCommitted })
    }
}
