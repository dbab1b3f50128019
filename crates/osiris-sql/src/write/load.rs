//! Loads rows into a table in chunks. A chunk that the server does not accept is split until the failing rows are
//! isolated: those are rejects. Statements, savepoints and the judgement of an answer are the driver's.

use std::future::Future;
use std::ops::Range;

use osiris_core::{ExecutionContext, Reject, Result, TableScan};
use tokio::sync::mpsc;

use super::chunk::Chunk;
use super::encode::{Encoder, RowEncoder};
use super::pending::PendingRanges;

/// The result of loading.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// Rows sent and accepted.
    pub taken: u64,
    /// Rows replaced by a later one with their key.
    pub replaced: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Values changed by a policy.
    pub altered: u64,
}

/// What became of the rows of one request.
#[derive(Debug)]
pub enum ChunkOutcome {
    /// All of them were taken.
    Taken {
        /// Rows replaced by a later one with their key.
        replaced: u64,
    },
    /// None of them was.
    Refused {
        /// The row that the server names, counted from the first one sent.
        row: Option<usize>,
        /// The column of the input at fault.
        column: Option<String>,
        /// Why.
        reason: String,
    },
}

/// Where chunks go.
pub trait ChunkSink: Send {
    /// The result of `work`, while the connection is kept alive.
    fn meanwhile<T: Send>(&mut self, work: impl Future<Output = T> + Send) -> impl Future<Output = Result<T>> + Send;

    /// Sends some rows of a chunk: all of them are taken, or nothing of them stays.
    fn send(&mut self, chunk: &Chunk, rows: &Range<usize>) -> impl Future<Output = Result<ChunkOutcome>> + Send;

    /// Ends a chunk.
    fn end_chunk(&mut self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// Loads all rows of `scan`, whose columns are those of the encoder.
///
/// # Errors
/// On any failure other than single rows, or when too many rows are rejected.
pub async fn load<E>(
    scan: TableScan,
    encoder: Encoder<E>,
    sink: &mut impl ChunkSink,
    ctx: &ExecutionContext,
) -> Result<Loaded>
where
    E: RowEncoder + 'static,
{
    let mut loaded = Loaded::default();
    let mut parts = encoded(scan, encoder);
    while let Some(part) = sink.meanwhile(parts.recv()).await? {
        match part? {
            Encoded::Refused(rejects) => ctx.rejects().push(rejects).await?,
            Encoded::Chunk(chunk) => send(&chunk, sink, ctx, &mut loaded).await?,
        }
    }
    Ok(loaded)
}

async fn send(chunk: &Chunk, sink: &mut impl ChunkSink, ctx: &ExecutionContext, loaded: &mut Loaded) -> Result<()> {
    let mut pending = PendingRanges::new(0..chunk.rows());
    while let Some(rows) = pending.next_range() {
        match sink.send(chunk, &rows).await? {
            ChunkOutcome::Taken { replaced } => {
                let taken = u64::try_from(rows.len()).unwrap_or(0);
                loaded.taken += taken;
                loaded.replaced += replaced;
                loaded.altered += chunk.altered(&rows);
                ctx.progress().add_rows(taken);
            }
            ChunkOutcome::Refused { column, reason, .. } if rows.len() == 1 => {
                ctx.rejects().push(vec![chunk.reject(rows.start, column, reason)]).await?;
            }
            ChunkOutcome::Refused { row, .. } => pending.split(&rows, row.map(|row| rows.start + row)),
        }
    }
    let bytes = u64::try_from(chunk.bytes()).unwrap_or(0);
    loaded.bytes += bytes;
    ctx.progress().add_bytes(bytes);
    sink.end_chunk().await
}

enum Encoded {
    Chunk(Chunk),
    Refused(Vec<Reject>),
}

/// Encodes in a separate thread, one chunk ahead of the one being sent.
fn encoded<E>(mut scan: TableScan, mut encoder: Encoder<E>) -> mpsc::Receiver<Result<Encoded>>
where
    E: RowEncoder + 'static,
{
    let (sender, parts) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let hand_over = |encoder: &mut Encoder<E>| {
            let refused = encoder.refused();
            if !refused.is_empty() && sender.blocking_send(Ok(Encoded::Refused(refused))).is_err() {
                return false;
            }
            while let Some(chunk) = encoder.next_chunk() {
                if sender.blocking_send(Ok(Encoded::Chunk(chunk))).is_err() {
                    return false;
                }
            }
            true
        };
        loop {
            match scan.blocking_next().and_then(|batch| batch.map(|batch| encoder.push(&batch)).transpose()) {
                Ok(Some(())) if hand_over(&mut encoder) => {}
                Ok(Some(())) => return,
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
    parts
}
