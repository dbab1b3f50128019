//! Direct edges: rows go from the step that reads them to the step that writes them, without a table in between.
//!
//! The sink of the first step opens a [`Channel`] instead of a table, and the second step gets a [`TableRef`] whose
//! rows are still arriving. It reads them once. It sees their end only after the first step has finished its sink,
//! which happens after its row counts were checked; so nothing is committed that was not read in full. When one side
//! stops early, the other is stopped too, and the channel records which side was the cause.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::arrow_scan::{ArrowScan, BatchSource};
use super::quote;
use super::schema::{TableRef, TableSchema};
use crate::{Error, Result};

/// The sending end of a direct edge: where the rows of a step go instead of into a table. See
/// [`ExecutionContext::handing_over`](crate::ExecutionContext::handing_over).
#[derive(Debug, Clone)]
pub struct DirectEdge {
    to: Arc<str>,
    tables: mpsc::UnboundedSender<TableRef>,
}

impl DirectEdge {
    /// An edge to the step `to`, and its receiving end.
    pub fn new(to: &str) -> (Self, StreamReceiver) {
        let (tables, arriving) = mpsc::unbounded_channel();
        (Self { to: Arc::from(to), tables }, StreamReceiver(arriving))
    }

    /// The step that receives the rows.
    pub(super) fn to(&self) -> &str {
        &self.to
    }

    /// Sends a table whose rows are about to arrive.
    pub(super) fn send(&self, table: TableRef) -> Result<()> {
        let gone = |_| Error::cancelled(format!("step `{}`, which receives the rows, has stopped", self.to));
        self.tables.send(table).map_err(gone)
    }
}

/// The receiving end of a [`DirectEdge`].
#[derive(Debug)]
pub struct StreamReceiver(mpsc::UnboundedReceiver<TableRef>);

impl StreamReceiver {
    /// The next table: one for each attempt of the sending step, or `None` when no attempt will follow.
    ///
    /// # Cancel safety
    /// Safe: a table is either returned or stays in the queue.
    pub async fn next(&mut self) -> Option<TableRef> {
        self.0.recv().await
    }
}

/// How a channel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All rows have been sent, and the sender has checked its row counts.
    Complete,
    /// The sender stopped early.
    SenderStopped,
    /// The receiver stopped early.
    ReceiverStopped,
}

/// The state that both sides of an edge share, for one attempt.
pub(crate) struct Channel {
    from: String,
    to: String,
    /// The first end that was reported.
    end: OnceLock<End>,
    received: AtomicU64,
    /// Cancelled when the first rows are on their way, or the channel has ended.
    begun: CancellationToken,
    /// Cancelled when the receiver stops early.
    receiver_stop: CancellationToken,
}

impl Channel {
    pub(super) fn new(from: &str, to: &str) -> Arc<Self> {
        let (from, to) = (from.to_owned(), to.to_owned());
        Arc::new(Self {
            from,
            to,
            end: OnceLock::new(),
            received: AtomicU64::new(0),
            begun: Default::default(),
            receiver_stop: Default::default(),
        })
    }

    /// Ends the channel, unless it has ended. Returns whether it ended this way.
    pub(super) fn end(&self, end: End) -> bool {
        if self.end.set(end).is_ok() && end == End::ReceiverStopped {
            self.receiver_stop.cancel();
        }
        self.begun.cancel();
        self.has(end)
    }

    /// Says that rows are on their way.
    pub(super) fn begin(&self) {
        self.begun.cancel();
    }

    /// Waits until there are rows, or there will be none. A statement that begins to read earlier takes a thread from the query
    /// that makes the rows: DuckDB waits by polling.
    pub(super) fn begun(&self) -> WaitForCancellationFutureOwned {
        self.begun.clone().cancelled_owned()
    }

    fn has(&self, end: End) -> bool {
        self.end.get() == Some(&end)
    }

    /// Whether all rows have been sent and received: the sender waits for the receiver before it says so.
    pub(super) fn is_complete(&self) -> bool {
        self.has(End::Complete)
    }

    /// Rows that the receiver has read.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// Runs the sender's `work` until the receiver stops. An error that `work` returns after that is replaced, since it
    /// is not the cause.
    pub(crate) async fn as_sender<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let result = tokio::select! {
            result = work => result,
            () = self.receiver_stop.cancelled() => Err(Error::unknown("the receiver of the rows has stopped")),
        };
        result.map_err(|error| self.receiver_stopped().unwrap_or(error))
    }

    /// The result of the receiver, which must not succeed before it has seen the end. If it failed, the sender is
    /// stopped.
    pub(crate) fn as_receiver<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.end(End::ReceiverStopped);
        }
        match result {
            Ok(done) if self.has(End::Complete) => Ok(done),
            Ok(_) => Err(self.sender_stopped().unwrap_or_else(|| {
                Error::integrity("the step finished before it had read all rows of its input")
                    .with_hint("this is a bug in the component: `streams` must be false for this configuration")
            })),
            Err(error) => Err(self.sender_stopped().unwrap_or(error)),
        }
    }

    /// The error of the sender, if the receiver stopped it.
    pub(super) fn receiver_stopped(&self) -> Option<Error> {
        let error =
            || Error::cancelled(format!("stopped because step `{}`, which receives its rows, did not finish", self.to));
        self.has(End::ReceiverStopped).then(error)
    }

    /// The error of the receiver, if the sender stopped it.
    fn sender_stopped(&self) -> Option<Error> {
        let error =
            || Error::cancelled(format!("stopped because step `{}`, which sends its rows, did not finish", self.from));
        self.has(End::SenderStopped).then(error)
    }
}

/// The rows of a [`TableRef`] that are still arriving.
pub(super) struct RowStream {
    channel: Arc<Channel>,
    rows: ArrowScan,
}

impl RowStream {
    /// The rows that come through `batches`.
    pub(super) fn new(channel: Arc<Channel>, schema: SchemaRef, batches: mpsc::Receiver<BatchInFlight>) -> Self {
        let receiver = Receiver { channel: Arc::clone(&channel), batches, last: None };
        Self { channel, rows: ArrowScan::new(schema, receiver) }
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The rows in SQL, with the types that a table of this schema would have. They can be read once.
    pub(super) fn sql(&self, schema: &TableSchema) -> String {
        let cast = |column: &super::Column| {
            let name = quote(&column.name);
            format!("CAST({name} AS {}) AS {name}", column.column_type.sql())
        };
        let columns: Vec<String> = schema.columns().iter().map(cast).collect();
        format!("(SELECT {} FROM {})", columns.join(", "), self.rows.sql())
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream").field("from", &self.channel.from).field("to", &self.channel.to).finish()
    }
}

/// A batch in flight, and the memory permits that it holds.
pub(super) struct BatchInFlight {
    pub(super) batch: RecordBatch,
    pub(super) room: OwnedSemaphorePermit,
}

/// The receiving end, which DuckDB reads.
struct Receiver {
    channel: Arc<Channel>,
    batches: mpsc::Receiver<BatchInFlight>,
    /// The batch that DuckDB is reading: its number of rows, and its permits.
    last: Option<(u64, OwnedSemaphorePermit)>,
}

impl BatchSource for Receiver {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some((rows, _room)) = self.last.take() {
            self.channel.received.fetch_add(rows, Ordering::AcqRel);
        }
        match self.batches.blocking_recv() {
            Some(BatchInFlight { batch, room }) => {
                self.last = Some((batch.num_rows() as u64, room));
                Ok(Some(batch))
            }
            None if self.channel.has(End::Complete) => Ok(None),
            None => {
                self.channel.end(End::SenderStopped);
                Err(self.channel.sender_stopped().unwrap_or_else(|| Error::unknown("rows stopped arriving")))
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Before the permits of the last batch are released: the sender checks this once it has acquired them.
        self.channel.end(End::ReceiverStopped);
    }
}
