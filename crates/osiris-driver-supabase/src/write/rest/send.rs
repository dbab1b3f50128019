//! Sends chunks, one request after another. A request that is too large for the server is halved, and so are all after
//! it; one that is rejected because of rows is halved until those are isolated: they are rejects. Each request is a
//! separate transaction.

use std::ops::Range;
use std::time::{Duration, Instant};

use osiris_core::{Error, ExecutionContext, Reject, Result, Written};
use osiris_http::Bytes;
use osiris_http::pages::ran_out_of_time;
use tokio::sync::mpsc;

use super::encode::{Chunk, Piece};
use super::keys::KeySink;
use super::present;
use super::refusal::{is_about_rows, reason, was_too_much};
use super::statement::{Done, Statement};
use crate::error::sqlstate;

/// How long requests may fail in a row, however small they become.
const STUCK: Duration = Duration::from_secs(300);

/// How often the rows of a request without a response are looked up.
const TIMES_ASKED: u32 = 4;

/// The state of sending.
pub(super) struct Sender<'a> {
    pub(super) statement: Statement,
    pub(super) ctx: &'a ExecutionContext,
    pub(super) max_rejects: u64,
    /// Possibly required columns without a value.
    pub(super) left_out: Vec<String>,
    /// The keys of the written rows.
    pub(super) keys: Option<KeySink>,
    /// Maximum rows per request, as learned from the server.
    pub(super) most: usize,
    /// Since when no request has succeeded.
    pub(super) stuck_since: Option<Instant>,
    /// The primary key, if all of it is written: rows can be looked up by it.
    pub(super) identity: Vec<String>,
    /// Whether the outcome of a request is unknown.
    pub(super) is_uncertain: bool,
    /// Whether any request with rows was started.
    pub(super) has_sent: bool,
    /// Bytes sent.
    pub(super) bytes: u64,
    pub(super) written: Written,
}

impl Sender<'_> {
    /// Sends everything. Returns the number of rows replaced by a later one with their key.
    ///
    /// # Errors
    /// On any failure other than single rows, or when too many rows are rejected. The message says what is written
    /// already.
    pub(super) async fn run(&mut self, mut pieces: mpsc::Receiver<Result<Piece>>) -> Result<()> {
        while let Some(piece) = pieces.recv().await {
            let done = match piece {
                Err(error) => Err(error),
                Ok(Piece::Refused(rejects)) => self.ctx.rejects().push(rejects).await,
                Ok(Piece::Chunk(chunk)) => self.chunk(&chunk).await,
                Ok(Piece::Done { superseded }) => {
                    self.written.ignored += superseded;
                    Ok(())
                }
            };
            let done =
                done.and_then(|()| if self.max_rejects == 0 { self.ctx.rejects().enforce_limit() } else { Ok(()) });
            done.map_err(|error| self.broken_off(error))?;
        }
        Ok(())
    }

    async fn chunk(&mut self, chunk: &Chunk) -> Result<()> {
        let mut waiting: Vec<Range<usize>> = parts(0..chunk.rows(), self.most);
        while let Some(rows) = waiting.pop() {
            if self.ctx.cancel().is_cancelled() {
                return Err(Error::cancelled("stopped between two requests"));
            }
            if rows.len() > self.most {
                waiting.extend(parts(rows, self.most));
                continue;
            }
            let count = u64::try_from(rows.len()).unwrap_or(0);
            match self.send(chunk, &rows).await {
                Ok(done) => {
                    self.stuck_since = None;
                    self.written.altered += chunk.altered(&rows);
                    self.account(done, count).await?;
                }
                Err(error) if rows.len() > 1 && self.may_be_halved(&error) => {
                    self.most = (rows.len() / 2).max(1);
                    tracing::warn!(
                        rows = rows.len(),
                        "the server rejected the size of a request: retrying with a smaller batch"
                    );
                    waiting.push(rows);
                }
                Err(error) if is_about_rows(&error) => {
                    if let Some(halves) = self.refused(chunk, &rows, &error).await? {
                        waiting.extend(halves);
                    }
                }
                Err(error) => return Err(explained(error)),
            }
        }
        Ok(())
    }

    async fn send(&mut self, chunk: &Chunk, rows: &Range<usize>) -> Result<Done> {
        let count = u64::try_from(rows.len()).unwrap_or(0);
        let body = chunk.body(rows);
        let bytes = u64::try_from(body.len()).unwrap_or(0);
        self.bytes += bytes;
        self.has_sent = true;
        self.ctx.progress().add_bytes(bytes);
        match self.statement.send(body.clone(), count).await {
            Err(error) if self.statement.asks_for_marks() && has_no_marks(&error) => {
                tracing::debug!("cannot tell which rows are new: all count as updated");
                self.statement = self.statement.without_marks();
                self.statement.send(body, count).await
            }
            Err(error) if is_unknown(&error) => match self.found(&body, count).await {
                Some(done) => Ok(done),
                None => {
                    self.is_uncertain = true;
                    Err(error)
                }
            },
            other => other,
        }
    }

    /// The outcome of a request without a response: its rows are looked up. If they are missing they are sent again,
    /// which cannot duplicate them: their key is unique. `None` if that is impossible.
    async fn found(&self, body: &Bytes, rows: u64) -> Option<Done> {
        if self.identity.is_empty() {
            return None;
        }
        for _ in 0..TIMES_ASKED {
            match present::rows(&self.statement.api, &self.identity, body).await {
                Ok(found) if found == rows => {
                    return Some(Done { written: Written::inserted(rows), ..Done::default() });
                }
                Ok(0) => {}
                Ok(_) | Err(_) => return None,
            }
            match self.statement.send(body.clone(), rows).await {
                Ok(done) => return Some(done),
                // Either the first request succeeded, or this one.
                Err(error) if is_unknown(&error) || is_about_rows(&error) => {}
                Err(_) => return None,
            }
        }
        None
    }

    fn may_be_halved(&mut self, error: &Error) -> bool {
        let smaller_may_pass = was_too_much(error) || (ran_out_of_time(error) && self.statement.is_repeatable());
        smaller_may_pass && self.stuck_since.get_or_insert_with(Instant::now).elapsed() < STUCK
    }

    async fn account(&mut self, done: Done, rows: u64) -> Result<()> {
        let Done { written, keys, .. } = done;
        self.written.inserted += written.inserted;
        self.written.updated += written.updated;
        self.written.ignored += written.ignored;
        self.ctx.progress().add_rows(rows);
        match &mut self.keys {
            Some(sink) => sink.push(keys).await,
            None => Ok(()),
        }
    }

    /// Handles rows that the server rejects: halves to be retried, or a reject.
    async fn refused(&self, chunk: &Chunk, rows: &Range<usize>, error: &Error) -> Result<Option<[Range<usize>; 2]>> {
        let (column, reason) = reason(error);
        if let Some(column) = column.as_ref().filter(|column| self.left_out.contains(column)) {
            return Err(Error::validation(format!(
                "column `{column}` is NOT NULL without a default, but no column of the input is written to it"
            ))
            .with_hint("write a value to it, or give it a default"));
        }
        if rows.len() == 1 {
            self.ctx.rejects().push(vec![chunk.reject(rows.start, column, reason)]).await?;
            return Ok(None);
        }
        if self.max_rejects == 0 {
            // Accepted halves would stay: REST has no rollback.
            let reason = format!("{}{reason}", among(chunk, rows));
            self.ctx.rejects().push(vec![Reject { row_number: None, column, reason, row: None }]).await?;
            return Ok(None);
        }
        let middle = rows.start + rows.len() / 2;
        Ok(Some([middle..rows.end, rows.start..middle]))
    }

    /// Adds how many rows are written, and whether the write can be retried.
    fn broken_off(&self, error: Error) -> Error {
        let there = self.written.inserted + self.written.updated;
        if there == 0 {
            return error;
        }
        let error = error.with_context("rows written before", there);
        if self.statement.is_repeatable() {
            return error.with_context("those rows", "remain; running again writes them again, with the same result");
        }
        error.with_retryable(false).with_context(
            "those rows",
            "remain: over REST no transaction spans two requests; running again would write them twice",
        )
    }
}

/// A description of the rows.
fn among(chunk: &Chunk, rows: &Range<usize>) -> String {
    match (chunk.number(rows.start), chunk.number(rows.end.saturating_sub(1))) {
        (Some(first), Some(last)) => {
            format!("one of the rows {first} to {last} (set `max_rejects` to find it): ")
        }
        _ => format!("one of {} rows (set `max_rejects` to find it): ", rows.len()),
    }
}

/// Whether the server may have executed the request.
fn is_unknown(error: &Error) -> bool {
    error.context().iter().any(|(key, _)| *key == "outcome")
}

fn has_no_marks(error: &Error) -> bool {
    matches!(sqlstate(error), Some("0A000" | "42703"))
}

/// Adds hints that depend on the write.
fn explained(error: Error) -> Error {
    match sqlstate(&error) {
        Some("21000") => error.with_hint(
            "the server treats two keys of the input as equal that DuckDB does not (case, trailing spaces): keep one of them",
        ),
        _ => error,
    }
}

/// Splits `rows` into parts of at most `most`, the first one last.
fn parts(rows: Range<usize>, most: usize) -> Vec<Range<usize>> {
    let most = most.max(1);
    let mut parts: Vec<_> = rows.clone().step_by(most).map(|start| start..(start + most).min(rows.end)).collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_parts_without_a_gap() {
        assert_eq!(parts(0..7, 3), [6..7, 3..6, 0..3]);
        assert_eq!(parts(2..4, 10).first(), Some(&(2..4)));
        assert!(parts(0..0, 3).is_empty());
    }
}
