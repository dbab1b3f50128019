//! Commits a write, and finds out the outcome if the connection is lost.

use std::time::{Duration, Instant};

use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{Error, Result, Written};
use osiris_sql::write::{OnConflict, WriteMode};
use osiris_sql::{CONNECT_TIMEOUT, within};
use serde::{Deserialize, Serialize};

use super::WriteTask;
use super::failure::StatementError;
use super::transaction::Transaction;
use crate::client::Backend;
use crate::client::Client;

const COMMITTING: &str = "committing the rows";
const ASKING: &str = "checking the outcome of the transaction";
/// Poll interval.
const PAUSE: Duration = Duration::from_millis(50);

/// Identifies a recent transaction, so that the server can report its outcome later
/// (<https://www.postgresql.org/docs/current/functions-info.html>, `txid_status`).
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Token {
    /// The permanent identity of the server; another one has transactions with the same ids.
    server: Option<String>,
    transaction: String,
    /// The process that may still be waiting for our commit.
    process: Option<Backend>,
}

/// Commits the rows of `task`. If the connection is lost, the outcome is queried over another one.
///
/// # Errors
/// When the transaction was not committed; or, as an ambiguous error that is not retried, when that is unknown.
pub(super) async fn commit(tx: &mut Transaction, task: &WriteTask<'_>, table: &str, written: Written) -> Result<()> {
    // Without a transaction id nothing was changed, so nothing can be lost.
    let number = tx.rows("SELECT pg_catalog.txid_current_if_assigned()", COMMITTING).await?;
    let Some(transaction) = number.into_iter().next().and_then(|row| row.into_iter().next().flatten()) else {
        return tx.run("COMMIT", COMMITTING).await.map(|_| ());
    };
    let token = Token { server: server(tx).await?, transaction, process: tx.process.clone() };
    let repeatable = is_repeatable(task);
    let intent = Intent::new(format!("table `{table}` of {}", tx.client.address()))
        .with_repeatable(repeatable)
        .with_written(written)
        .with_token(serde_json::to_value(&token).map_err(|error| Error::unknown(COMMITTING).with_source(error))?);
    let commit = task.ctx.begin_commit(intent).await?;
    let error = match tx.attempt("COMMIT", COMMITTING).await {
        Ok(_) => {
            commit.committed(written).await;
            return Ok(());
        }
        Err(failure @ StatementError::Server(_)) => {
            commit.not_committed().await;
            return Err(failure.into_error(COMMITTING));
        }
        Err(StatementError::Lost(error)) => error,
    };
    match outcome(&tx.client, tx.connect_timeout, &token).await {
        Ok(true) => {
            commit.committed(written).await;
            Ok(())
        }
        Ok(false) => {
            commit.not_committed().await;
            Err(error)
        }
        Err(_) if repeatable => Err(error),
        Err(second) => Err(unknown(table, &error).with_source(second)),
    }
}

/// Whether repeating the write leaves the same rows.
fn is_repeatable(task: &WriteTask<'_>) -> bool {
    task.config.fields().mode != WriteMode::Append || task.config.conflict.on_conflict == OnConflict::Ignore
}

/// The identity of the server, if the account can read it.
async fn server(tx: &mut Transaction) -> Result<Option<String>> {
    tx.run("SAVEPOINT osiris_server", ASKING).await?;
    let end = match tx.attempt_rows(IDENTITY, ASKING).await {
        Ok(rows) => {
            tx.run("RELEASE SAVEPOINT osiris_server", ASKING).await?;
            return Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()));
        }
        Err(StatementError::Server(_)) => "ROLLBACK TO SAVEPOINT osiris_server; RELEASE SAVEPOINT osiris_server",
        Err(lost) => return Err(lost.into_error(ASKING)),
    };
    tx.run(end, ASKING).await.map(|_| None)
}

const IDENTITY: &str = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";

/// The outcome of a commit of an earlier attempt or run.
///
/// # Errors
/// When the query fails.
pub(super) async fn asked(client: &Client, intent: &Intent) -> Result<CommitOutcome> {
    let Ok(token) = serde_json::from_value::<Token>(intent.token().clone()) else { return Ok(CommitOutcome::Unknown) };
    let limit = client.target().connection().connect_timeout;
    Ok(match outcome(client, limit, &token).await? {
        true => CommitOutcome::Committed { written: None },
        false => CommitOutcome::NotCommitted,
    })
}

/// Whether the transaction was committed.
async fn outcome(client: &Client, limit: Duration, token: &Token) -> Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let asked = within(limit, CONNECT_TIMEOUT, ASKING, ask(client, token)).await;
        let error = match asked {
            Ok(Some(committed)) => return Ok(committed),
            Ok(None) => Error::timeout("the transaction has not ended on the server"),
            Err(error) if error.is_retryable() => error,
            Err(error) => return Err(error),
        };
        if Instant::now() > deadline {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The outcome; `None` while the transaction is open. A process that still waits for our commit is terminated.
async fn ask(client: &Client, token: &Token) -> Result<Option<bool>> {
    let number = &token.transaction;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::unknown("the id of the transaction is unknown"));
    }
    let mut other = client.acquire().await?;
    if let Some(server) = &token.server
        && other.scalar(IDENTITY, ASKING).await?.as_ref() != Some(server)
    {
        return Err(Error::unknown(
            "connected to another server at the same address, which does not know the transaction",
        ));
    }
    let status = other.scalar(&format!("SELECT pg_catalog.txid_status({number})"), ASKING).await?;
    if status.as_deref() == Some("in progress")
        && let Some(process) = &token.process
    {
        // The upper 32 bits of the id are the epoch; a process only shows the lower 32 bits.
        let end = format!(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE {} \
             AND backend_xid::text = ({number} & 4294967295)::text AND wait_event = 'ClientRead'",
            process.condition()
        );
        other.rows(&end, ASKING).await?;
    }
    other.release().await;
    match status.as_deref() {
        Some("committed") => Ok(Some(true)),
        Some("aborted") => Ok(Some(false)),
        Some(_) => Ok(None),
        None => Err(Error::unknown("the server no longer knows the transaction")),
    }
}

/// The error for an unknown outcome.
fn unknown(table: &str, error: &Error) -> Error {
    Error::ambiguous(format!(
        "connection lost while committing to table `{table}`: either all of the rows are there \
         or none of them ({})",
        error.message()
    ))
    .with_hint("check whether the new rows are in the table; run again only if they are not")
}
