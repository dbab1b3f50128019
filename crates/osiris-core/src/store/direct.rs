//! Direct edges: rows that pass from the step that reads them to the step that writes them without a table between.
//!
//! The sink of the first step makes a [`Passage`] instead of a table, and a [`TableRef`] whose rows are still arriving goes to the
//! second step. It reads them once. It sees their end only when the first step has finished its sink, which is after its books
//! balanced; so nothing is committed that was not read whole. When one side ends early, the other is stopped, and the passage knows
//! which of them was the cause.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::quote;
use super::rows::{Feed, Offer};
use super::schema::{TableRef, TableSchema};
use crate::{Error, Result};

/// Where the rows of a step go instead of into a table: the beginning of the edge. See
/// [`ExecutionContext::handing_over`](crate::ExecutionContext::handing_over).
#[derive(Debug, Clone)]
pub struct DirectEdge {
    to: Arc<str>,
    tables: mpsc::UnboundedSender<TableRef>,
}

impl DirectEdge {
    /// An edge to the step `to`, and the end of it at which tables arrive.
    pub fn new(to: &str) -> (Self, Arrivals) {
        let (tables, arriving) = mpsc::unbounded_channel();
        (Self { to: Arc::from(to), tables }, Arrivals(arriving))
    }

    /// The step that takes the rows.
    pub(super) fn to(&self) -> &str {
        &self.to
    }

    /// Hands a table over whose rows are about to arrive.
    pub(super) fn send(&self, table: TableRef) -> Result<()> {
        let gone = |_| Error::cancelled(format!("step `{}`, which takes the rows, is gone", self.to));
        self.tables.send(table).map_err(gone)
    }
}

/// The tables that arrive over a [`DirectEdge`].
#[derive(Debug)]
pub struct Arrivals(mpsc::UnboundedReceiver<TableRef>);

impl Arrivals {
    /// The next table: one for each attempt of the step that reads the rows. None when no attempt will follow.
    ///
    /// # Cancel safety
    /// Safe: a table is returned or stays.
    pub async fn next(&mut self) -> Option<TableRef> {
        self.0.recv().await
    }
}

/// How a passage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All rows have been sent, and the books of the sender balance.
    Whole,
    /// The sender ended early.
    BrokenOff,
    /// The taker ended early.
    Abandoned,
}

/// What both sides of an edge know, for one attempt.
pub(crate) struct Passage {
    from: String,
    to: String,
    /// The first there was.
    end: OnceLock<End>,
    taken: AtomicU64,
    /// Cancelled when it is abandoned.
    abandonment: CancellationToken,
}

impl Passage {
    pub(super) fn new(from: &str, to: &str) -> Arc<Self> {
        let (from, to) = (from.to_owned(), to.to_owned());
        Arc::new(Self { from, to, end: OnceLock::new(), taken: AtomicU64::new(0), abandonment: Default::default() })
    }

    /// Ends it, unless it has ended. Returns whether this is its end.
    pub(super) fn end(&self, end: End) -> bool {
        if self.end.set(end).is_ok() && end == End::Abandoned {
            self.abandonment.cancel();
        }
        self.has(end)
    }

    fn has(&self, end: End) -> bool {
        self.end.get() == Some(&end)
    }

    /// Rows that the taker has taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Does the sender's work, until the taker is gone. What the work says when it was stopped is not why the run failed.
    pub(crate) async fn as_sender<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let result = tokio::select! {
            result = work => result,
            () = self.abandonment.cancelled() => Err(Error::unknown("nobody takes the rows")),
        };
        result.map_err(|error| self.abandoned().unwrap_or(error))
    }

    /// What the taker came to; it cannot be done before it has seen the end. If it failed, the sender is stopped.
    pub(crate) fn as_taker<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.end(End::Abandoned);
        }
        match result {
            Ok(done) if self.has(End::Whole) => Ok(done),
            Ok(_) => Err(self.broken_off().unwrap_or_else(|| {
                Error::integrity("the step was done before it had read all rows of its input")
                    .with_hint("this is a bug of the component: its `streams` must be false for this configuration")
            })),
            Err(error) => Err(self.broken_off().unwrap_or(error)),
        }
    }

    /// What stopped the sender, if that was the taker.
    pub(super) fn abandoned(&self) -> Option<Error> {
        let said = || Error::cancelled(format!("stopped, since step `{}`, which took its rows, was not done", self.to));
        self.has(End::Abandoned).then(said)
    }

    /// What stopped the taker, if that was the sender.
    fn broken_off(&self) -> Option<Error> {
        let said =
            || Error::cancelled(format!("stopped, since step `{}`, whose rows it took, was not done", self.from));
        self.has(End::BrokenOff).then(said)
    }
}

/// The rows of a [`TableRef`] that are still arriving.
pub(super) struct Arriving {
    passage: Arc<Passage>,
    offer: Offer,
}

impl Arriving {
    /// Offers what comes through `batches`.
    pub(super) fn new(passage: Arc<Passage>, schema: SchemaRef, batches: mpsc::Receiver<Passing>) -> Self {
        let feed = Taker { passage: Arc::clone(&passage), batches, last: None };
        Self { passage, offer: Offer::new(schema, feed) }
    }

    pub(super) fn passage(&self) -> &Passage {
        &self.passage
    }

    /// The rows in SQL, for one reading: with the types that a table of this schema would have.
    pub(super) fn sql(&self, schema: &TableSchema) -> String {
        let cast = |column: &super::Column| {
            let name = quote(&column.name);
            format!("CAST({name} AS {}) AS {name}", column.column_type.sql())
        };
        let columns: Vec<String> = schema.columns().iter().map(cast).collect();
        format!("(SELECT {} FROM {})", columns.join(", "), self.offer.sql())
    }
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving").field("from", &self.passage.from).field("to", &self.passage.to).finish()
    }
}

/// A batch on its way, and the room that it takes.
pub(super) struct Passing {
    pub(super) batch: RecordBatch,
    pub(super) room: OwnedSemaphorePermit,
}

/// The taker's end.
struct Taker {
    passage: Arc<Passage>,
    batches: mpsc::Receiver<Passing>,
    /// What DuckDB is reading: the number of its rows, and its room.
    last: Option<(u64, OwnedSemaphorePermit)>,
}

impl Feed for Taker {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some((rows, _room)) = self.last.take() {
            self.passage.taken.fetch_add(rows, Ordering::AcqRel);
        }
        match self.batches.blocking_recv() {
            Some(Passing { batch, room }) => {
                self.last = Some((batch.num_rows() as u64, room));
                Ok(Some(batch))
            }
            None if self.passage.has(End::Whole) => Ok(None),
            None => {
                self.passage.end(End::BrokenOff);
                Err(self.passage.broken_off().unwrap_or_else(|| Error::unknown("rows stopped arriving")))
            }
        }
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        // Before the room of the last batch is given back: the sender looks at this when it gets it.
        self.passage.end(End::Abandoned);
    }
}
