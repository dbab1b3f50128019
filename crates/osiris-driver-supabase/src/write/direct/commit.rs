//! The end of a write: the commit, and what became of it when nobody saw it end.

use std::time::{Duration, Instant};

use osiris_core::{Error, Result};

use super::failure::Failure;
use super::link::Link;
use crate::error::within;

const COMMITTING: &str = "committing the rows";
const ASKING: &str = "asking what became of the transaction";
/// How long to wait between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// Commits. When the connection breaks in that moment the server is asked over another one: it knows the outcome of every
/// transaction of the recent past (<https://www.postgresql.org/docs/current/functions-info.html>, `txid_status`).
///
/// # Errors
/// When the transaction was not committed; or, never to be tried again blindly, when that cannot be found out.
pub(super) async fn commit(link: &mut Link, table: &str) -> Result<()> {
    // Without a number nothing was changed, and nothing can be lost.
    let number = link.rows("SELECT pg_catalog.txid_current_if_assigned()", COMMITTING).await?;
    let number = number.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    match link.attempt("COMMIT", COMMITTING).await {
        Ok(_) => Ok(()),
        Err(failure @ Failure::Server(_)) => Err(failure.into_error(COMMITTING)),
        Err(Failure::Lost(error)) => match number {
            None => Err(error),
            Some(number) => match outcome(link, &number).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(error),
                Err(second) => Err(unknown(table, &error).with_source(second)),
            },
        },
    }
}

/// Whether the transaction was committed.
async fn outcome(link: &Link, number: &str) -> Result<bool> {
    let deadline = Instant::now() + link.connect_timeout;
    loop {
        let asked = within(link.connect_timeout, ASKING, ask(link, number)).await;
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
async fn ask(link: &Link, number: &str) -> Result<Option<bool>> {
    let mut other = link.direct.acquire().await?;
    let status = other.scalar(&format!("SELECT pg_catalog.txid_status({number})"), ASKING).await?;
    if status.as_deref() == Some("in progress") {
        // The number has the epoch above its lower 32 bits, which are all that a process shows.
        let end = format!(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE pid = {} \
             AND backend_xid::text = ({number} & 4294967295)::text AND wait_event = 'ClientRead'",
            link.process
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
    Error::network(format!(
        "the connection was lost while the rows of table `{table}` were being committed: they are there or not, all of them \
         or none ({})",
        error.message()
    ))
    .with_retryable(false)
    .with_hint("look whether the new rows are in the table; run again only if they are not")
}
