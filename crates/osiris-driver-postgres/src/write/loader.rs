//! Rows out of the store into one table of the server, in chunks of binary COPY. A chunk that the server does not take whole is
//! taken back and cut until the rows at fault are alone: those are rejects. The caller owns the transaction.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use osiris_core::{ExecutionContext, Reject, Result, TableScan};
use tokio::sync::mpsc;

use super::failure::Failure;
use super::staging::NUMBER;
use super::transaction::Transaction;
use crate::client::quote;
use crate::types::encode::{Chunk, Encoder, Field, Limits};

/// The size of a chunk, in bytes.
const CHUNK: usize = 8 << 20;
const DOING: &str = "sending rows";
/// How long the server hears nothing of us at most, while rows are waited for.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
/// What a trigger that returns nothing does to a row.
pub(super) const LEFT_OUT: &str = "the table left it out: a trigger of it returns no row";

/// Where rows go.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// The table in SQL.
    pub(super) table: String,
    pub(super) fields: Arc<[Field]>,
    /// Whether each row has its number as well, in [`NUMBER`].
    pub(super) numbered: bool,
    /// Whether NUL characters are left out of text.
    pub(super) strip_nul: bool,
}

/// What loading came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loaded {
    /// Rows that were sent and taken.
    pub(super) taken: u64,
    /// Bytes that were sent.
    pub(super) bytes: u64,
    /// Values of them that were changed, as the step allows.
    pub(super) altered: u64,
}

enum Verdict {
    Taken,
    /// Refused, by the row of these that the server names, if it does.
    Refused {
        row: Option<usize>,
        column: Option<String>,
        reason: String,
    },
}

/// The work of one load.
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

    /// Loads every row of `scan`, whose columns are the fields of the destination.
    ///
    /// # Errors
    /// Anything but single rows at fault, or too many of those.
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
                // The rows are slow to come: the server must not take us for gone.
                Err(_) => {
                    self.tx.run("SELECT 1", DOING).await?;
                    continue;
                }
            };
            match piece? {
                Piece::Refused(rejects) => self.ctx.rejects().push(rejects).await?,
                Piece::Chunk(chunk) => self.chunk(&chunk).await?,
            }
        }
        if self.saved {
            self.tx.run("RELEASE SAVEPOINT osiris", DOING).await?;
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
                Verdict::Taken => {
                    let taken = u64::try_from(rows.len()).unwrap_or(0);
                    self.loaded.taken += taken;
                    self.loaded.altered += chunk.altered(&rows);
                    self.ctx.progress().add_rows(taken);
                }
                Verdict::Refused { column, reason, .. } if rows.len() == 1 => {
                    self.ctx.rejects().push(vec![chunk.reject(rows.start, column, reason)]).await?;
                }
                Verdict::Refused { row, .. } => waiting.extend(cut(&rows, row)),
            }
        }
        let bytes = u64::try_from(chunk.bytes()).unwrap_or(0);
        self.loaded.bytes += bytes;
        self.ctx.progress().add_bytes(bytes);
        Ok(())
    }

    async fn send(&mut self, chunk: &Chunk, rows: &Range<usize>) -> Result<Verdict> {
        let save = if self.saved { "RELEASE SAVEPOINT osiris; SAVEPOINT osiris" } else { "SAVEPOINT osiris" };
        self.tx.run(save, DOING).await?;
        self.saved = true;
        let verdict = match self.tx.copy(&self.sql, chunk.slice(rows), DOING).await {
            Ok(taken) if taken == u64::try_from(rows.len()).unwrap_or(0) => return Ok(Verdict::Taken),
            Ok(_) => Verdict::Refused { row: None, column: None, reason: LEFT_OUT.to_owned() },
            Err(Failure::Server(refusal)) if refusal.is_about_rows() => {
                let (column, reason) = refusal.reason();
                Verdict::Refused { row: refusal.row(), column: self.source(column), reason }
            }
            Err(failure) => return Err(failure.into_error(DOING)),
        };
        self.tx.run("ROLLBACK TO SAVEPOINT osiris", DOING).await?;
        Ok(verdict)
    }

    /// The column of the input that is written to this one of the table.
    fn source(&self, column: Option<String>) -> Option<String> {
        let column = column?;
        let field = self.destination.fields.iter().find(|field| field.target == column);
        Some(field.map_or(column, |field| field.source.name.clone()))
    }
}

/// The parts of some rows that were refused, the first one last: around the row that the server named, else in the middle. More
/// than one part in any case, none of them empty on purpose of being sent.
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

/// Encodes on a thread of its own, one chunk ahead of the one being sent.
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
        // A row that is none of these cannot be meant.
        assert_eq!(cut(&(10..20), Some(50)), [15..20, 10..15]);
    }
}
