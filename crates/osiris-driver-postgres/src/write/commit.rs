//! The end of a write: the commit, and what became of it when nobody saw it end.

use std::time::{Duration, Instant};

use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{Error, Result, Written};
use osiris_sql::write::{OnConflict, WriteMode};
use serde::{Deserialize, Serialize};

use super::WriteTask;
use super::failure::Failure;
use super::transaction::Transaction;
use crate::client::Backend;
use crate::client::Client;
use crate::error::within;

const COMMITTING: &str = "committing the rows";
const ASKING: &str = "asking what became of the transaction";
/// How long to wait between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// By what a server can say later what became of a transaction of the recent past
/// (<https://www.postgresql.org/docs/current/functions-info.html>, `txid_status`).
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Token {
    /// Which server, by the identity that it keeps for life; another one has transactions of the same numbers.
    server: Option<String>,
    transaction: String,
    /// The process that may still be waiting for us to commit.
    process: Option<Backend>,
}

/// Commits what `task` has written. When the connection breaks in that moment the server is asked over another one.
///
/// # Errors
/// When the transaction was not committed; or, never to be tried again blindly, when that cannot be found out.
pub(super) async fn commit(tx: &mut Transaction, task: &WriteTask<'_>, table: &str, written: Written) -> Result<()> {
    // Without a number nothing was changed, and nothing can be lost.
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
        Err(failure @ Failure::Server(_)) => {
            commit.not_committed().await;
            return Err(failure.into_error(COMMITTING));
        }
        Err(Failure::Lost(error)) => error,
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

/// Whether doing it again leaves the same rows.
fn is_repeatable(task: &WriteTask<'_>) -> bool {
    task.config.mode() != WriteMode::Append || task.config.on_conflict == OnConflict::Ignore
}

/// The identity of the server, where the account may know it.
async fn server(tx: &mut Transaction) -> Result<Option<String>> {
    tx.run("SAVEPOINT osiris_server", ASKING).await?;
    let end = match tx.attempt_rows(IDENTITY, ASKING).await {
        Ok(rows) => {
            tx.run("RELEASE SAVEPOINT osiris_server", ASKING).await?;
            return Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()));
        }
        Err(Failure::Server(_)) => "ROLLBACK TO SAVEPOINT osiris_server; RELEASE SAVEPOINT osiris_server",
        Err(lost) => return Err(lost.into_error(ASKING)),
    };
    tx.run(end, ASKING).await.map(|_| None)
}

const IDENTITY: &str = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";

/// What became of a commit of an earlier attempt or run.
///
/// # Errors
/// When the server cannot be asked.
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
        let asked = within(limit, ASKING, ask(client, token)).await;
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

/// What the server knows; nothing while the transaction is open. A process that still waits for us is ended: nobody will come.
async fn ask(client: &Client, token: &Token) -> Result<Option<bool>> {
    let number = &token.transaction;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::unknown("the number of the transaction is not known"));
    }
    let mut other = client.acquire().await?;
    if let Some(server) = &token.server
        && other.scalar(IDENTITY, ASKING).await?.as_ref() != Some(server)
    {
        return Err(Error::unknown("another server answers at the address, which knows nothing of the transaction"));
    }
    let status = other.scalar(&format!("SELECT pg_catalog.txid_status({number})"), ASKING).await?;
    if status.as_deref() == Some("in progress")
        && let Some(process) = &token.process
    {
        // The number has the epoch above its lower 32 bits, which are all that a process shows.
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

/// A step whose end nobody saw.
fn unknown(table: &str, error: &Error) -> Error {
    Error::ambiguous(format!(
        "the connection was lost while the rows of table `{table}` were being committed: they are there or not, all of them \
         or none ({})",
        error.message()
    ))
    .with_hint("look whether the new rows are in the table; run again only if they are not")
}
