//! Finds out the outcome of a commit without a response. Queried over another session after the first one has ended: as
//! long as it is alive it may still commit.

use std::time::{Duration, Instant};

use osiris_core::{CommitOutcome, Error, Result};
use serde::{Deserialize, Serialize};

use super::marker::Marker;
use super::session::Session;
use super::swap::exists;
use super::target::TableName;
use crate::client::Identity;

const ENDING: &str = "ending the broken session";
/// How long a killed connection may take to end.
const END_WAIT: Duration = Duration::from_secs(10);

/// Opens another session on the same server after `session` has ended.
///
/// # Errors
/// When another server answers, or the session does not end.
pub(super) async fn after_its_end(session: &Session) -> Result<Session> {
    let mut other = session.again().await?;
    wait_for_its_end(&mut other, session.identity()).await?;
    Ok(other)
}

/// Kills a session of the same account and waits until it has ended.
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
        return Err(Error::network("connected to another server than the one that was written to"));
    }
    let deadline = Instant::now() + END_WAIT;
    let mut told = false;
    while !other.rows(&session.find()).await?.is_empty() {
        if !told {
            // It may just have ended by itself; an error does not matter then.
            let _ = other.attempt(&session.kill(), ENDING).await;
            told = true;
        }
        if Instant::now() > deadline {
            return Err(Error::timeout("the broken session has not ended on the server"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The error for an unknown outcome.
pub(super) fn unknown_outcome(table: &TableName, error: Error, has_ended: bool) -> Error {
    let (later, hint) = if has_ended {
        (
            "the server has ended the session, so this will not change",
            "check whether the new rows are in the table: if they are, running the step again would write them twice",
        )
    } else {
        (
            "the session may still be running on the server, so they may still appear",
            "end that session, then check whether the new rows are in the table: if they are, running the step again would write them twice",
        )
    };
    Error::ambiguous(format!(
        "connection lost while committing to table `{table}`: either all of the rows are there \
         or none of them; {later}"
    ))
    .with_source(error)
    .with_hint(hint)
}

/// Identifies a commit, so that its outcome can be queried later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Token {
    /// The session that commits: as long as it is alive it may still do so.
    session: Identity,
    /// The evidence of the commit.
    sign: Sign,
}

/// The evidence that a commit took place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sign {
    /// None.
    None,
    /// A row written to the commit table in the same transaction.
    Marker(Marker),
    /// A table that is renamed by the commit.
    Rename {
        /// The old name.
        from: TableName,
        /// The new name.
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

    /// Queries the outcome.
    ///
    /// # Errors
    /// When the query fails, or when the session may still be running.
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
