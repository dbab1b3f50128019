//! Loads rows into a table in chunks of binary COPY. A chunk that the server rejects is
//! rolled back and split until the failing rows are isolated: those are rejects. The caller owns the transaction.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use osiris_core::{ExecutionContext, Reject, Result, TableScan};
use tokio::sync::mpsc;

use super::failure::StatementError;
use super::staging::NUMBER;
use super::transaction::Transaction;
use crate::client::quote;
use crate::types::encode::{Chunk, Encoder, Field, Limits};

/// The size of a chunk in bytes.
const CHUNK: usize = 8 << 20;
const CONTEXT: &str = "sending rows";
/// Keepalive interval while waiting for rows.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
/// The reject reason for a row suppressed by a trigger.
pub(super) const SUPPRESSED: &str = "row suppressed by a trigger that returned NULL";

/// The destination of rows.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// The table in SQL.
    pub(super) table: String,
    pub(super) fields: Arc<[Field]>,
    /// Whether each row also has its number, in [`NUMBER`].
    pub(super) numbered: bool,
    /// Whether NUL characters are removed from text.
    pub(super) strip_nul: bool,
}

/// The result of loading.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loaded {
    /// Rows sent and accepted.
    pub(super) taken: u64,
    /// Bytes sent.
    pub(super) bytes: u64,
    /// Values changed by a policy.
    pub(super) altered: u64,
}

enum ChunkOutcome {
    Taken,
    /// Rejected, with the row that the server names, if any.
    Refused {
        row: Option<usize>,
        column: Option<String>,
        reason: String,
    },
}

/// The state of one load.
pub(super) struct Loader<'a> {
    tx: &'a mut Transaction,
    destination: Destination,
    ctx: &'a ExecutionContext,
    sql: String,
    loaded: Loaded,
    /// Whether a savepoint is set.
    saved: bool,
}

impl<'a> Loader<'a> {
    pub(super) fn new(tx: &'a mut Transaction, destination: Destination, ctx: &'a ExecutionContext) -> Self {
        let number = destination.numbered.then(|| quote(NUMBER));
        let names: Vec<String> =
            number.into_iter().chain(destination.fields.iter().map(|field| quote(&field.target))).collect();
        let sql = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", destination.table, names.join(", "));
        Self { tx, destination, ctx, sql, loaded: Loaded::default(), saved: false }
    }

    /// Loads all rows of `scan`, whose columns are the fields of the destination.
    ///
    /// # Errors
    /// On any failure other than single rows, or when too many rows are rejected.
    pub(super) async fn run(mut self, scan: TableScan, batch_size: Option<u64>) -> Result<Loaded> {
        let rows = usize::try_from(batch_size.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let limits = Limits { rows, bytes: CHUNK };
        let fields = Arc::clone(&self.destination.fields);
        let encoder = Encoder::new(fields, limits, self.destination.numbered, self.destination.strip_nul);
        let mut pieces = encoded(scan, encoder);
        loop {
            let piece = match tokio::time::timeout(SIGN_OF_LIFE, pieces.recv()).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                // The rows arrive slowly: keep the connection alive.
                Err(_) => {
                    self.tx.run("SELECT 1", CONTEXT).await?;
                    continue;
                }
            };
            match piece? {
                Piece::Refused(rejects) => self.ctx.rejects().push(rejects).await?,
                Piece::Chunk(chunk) => self.chunk(&chunk).await?,
            }
        }
        if self.saved {
            self.tx.run("RELEASE SAVEPOINT osiris", CONTEXT).await?;
        }
        Ok(self.loaded)
    }

    async fn chunk(&mut self, chunk: &Chunk) -> Result<()> {
        let mut waiting = Vec::new();
        waiting.push(0..chunk.rows());
        while let Some(rows) = waiting.pop() {
            if rows.is_empty() {
                continue;
            }
            match self.send(chunk, &rows).await? {
                ChunkOutcome::Taken => {
                    let taken = u64::try_from(rows.len()).unwrap_or(0);
                    self.loaded.taken += taken;
                    self.loaded.altered += chunk.altered(&rows);
                    self.ctx.progress().add_rows(taken);
                }
                ChunkOutcome::Refused { column, reason, .. } if rows.len() == 1 => {
                    self.ctx.rejects().push(vec![chunk.reject(rows.start, column, reason)]).await?;
                }
                ChunkOutcome::Refused { row, .. } => waiting.extend(cut(&rows, row)),
            }
        }
        let bytes = u64::try_from(chunk.bytes()).unwrap_or(0);
        self.loaded.bytes += bytes;
        self.ctx.progress().add_bytes(bytes);
        Ok(())
    }

    async fn send(&mut self, chunk: &Chunk, rows: &Range<usize>) -> Result<ChunkOutcome> {
        let save = if self.saved { "RELEASE SAVEPOINT osiris; SAVEPOINT osiris" } else { "SAVEPOINT osiris" };
        self.tx.run(save, CONTEXT).await?;
        self.saved = true;
        let verdict = match self.tx.copy(&self.sql, chunk.slice(rows), CONTEXT).await {
            Ok(taken) if taken == u64::try_from(rows.len()).unwrap_or(0) => return Ok(ChunkOutcome::Taken),
            Ok(_) => ChunkOutcome::Refused { row: None, column: None, reason: SUPPRESSED.to_owned() },
            Err(StatementError::Server(refusal)) if refusal.is_about_rows() => {
                let (column, reason) = refusal.reason();
                ChunkOutcome::Refused { row: refusal.row(), column: self.source(column), reason }
            }
            Err(failure) => return Err(failure.into_error(CONTEXT)),
        };
        self.tx.run("ROLLBACK TO SAVEPOINT osiris", CONTEXT).await?;
        Ok(verdict)
    }

    /// The input column for this column of the table.
    fn source(&self, column: Option<String>) -> Option<String> {
        let column = column?;
        let field = self.destination.fields.iter().find(|field| field.target == column);
        Some(field.map_or(column, |field| field.source.name.clone()))
    }
}

/// Splits rejected rows, the first part last: around the row that the server named, else in the middle. Always more
/// than one part, and no empty part is sent.
fn cut(rows: &Range<usize>, named: Option<usize>) -> Vec<Range<usize>> {
    match named.map(|row| rows.start + row) {
        Some(row) if rows.contains(&row) => vec![row + 1..rows.end, row..row + 1, rows.start..row],
        _ => {
            let middle = rows.start + rows.len() / 2;
            vec![middle..rows.end, rows.start..middle]
        }
    }
}

enum Piece {
    Chunk(Chunk),
    Refused(Vec<Reject>),
}

/// Encodes in a separate thread, one chunk ahead of the one being sent.
fn encoded(mut scan: TableScan, mut encoder: Encoder) -> mpsc::Receiver<Result<Piece>> {
    let (sender, pieces) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let hand_over = |encoder: &mut Encoder| {
            let refused = encoder.refused();
            if !refused.is_empty() && sender.blocking_send(Ok(Piece::Refused(refused))).is_err() {
                return false;
            }
            while let Some(chunk) = encoder.next() {
                if sender.blocking_send(Ok(Piece::Chunk(chunk))).is_err() {
                    return false;
                }
            }
            true
        };
        loop {
            match scan.blocking_next() {
                Ok(Some(batch)) => {
                    if let Err(error) = encoder.push(&batch) {
                        let _ = sender.blocking_send(Err(error));
                        return;
                    }
                    if !hand_over(&mut encoder) {
                        return;
                    }
                }
                Ok(None) => {
                    encoder.cut();
                    hand_over(&mut encoder);
                    return;
                }
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            }
        }
    });
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_rows_are_cut_around_the_one_that_is_named() {
        assert_eq!(cut(&(10..20), Some(3)), [14..20, 13..14, 10..13]);
        assert_eq!(cut(&(10..20), None), [15..20, 10..15]);
        // Ignore a row number out of range.
        assert_eq!(cut(&(10..20), Some(50)), [15..20, 10..15]);
    }
}
