//! The way into the store, or straight through it: batches of a step, with back-pressure.
//!
//! When whoever takes the rows is slower than the source, `send` waits for room. A sink that is dropped without being finished takes
//! all of it back: a table is rolled back, and a step that was taking the rows is stopped.

mod direct;
mod in_flight;
mod table;

use std::sync::Arc;
use std::thread::JoinHandle;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use duckdb::Connection;

use self::direct::{DirectWay, Lane};
use self::in_flight::InFlight;
use self::table::{Orders, TableWay};
use super::direct::{DirectEdge, Passage};
use super::loader::{Columns, size};
use super::schema::{StepNote, TableRef};
use super::seal::Seal;
use super::threads::Threads;
use super::transaction::StoreTransaction;
use crate::{Error, Progress, Result};

/// Messages on their way between a driver and the store. Their bytes are what is limited: the store takes rows in bursts, since it
/// compresses 122,880 of them at a time, and the source shall go on meanwhile.
const MESSAGES_IN_FLIGHT: usize = 256;

/// Rows on their way into a table, or straight to the step that takes them.
pub struct TableSink {
    step: String,
    way: Way,
    in_flight: InFlight,
    progress: Arc<Progress>,
}

/// Where the rows go.
enum Way {
    /// Into a table of the store.
    Table(TableWay),
    /// To the step that takes them.
    Direct(DirectWay),
}

impl TableSink {
    /// Over a connection of its own, with at most so many bytes on their way.
    pub(super) fn start(
        connection: Connection,
        threads: Arc<Threads>,
        seal: Arc<Seal>,
        in_flight: usize,
        step: &str,
        progress: Arc<Progress>,
    ) -> Result<(Self, JoinHandle<()>)> {
        let (way, thread) = TableWay::start(connection, threads, seal, step)?;
        Ok((Self::over(Way::Table(way), in_flight, step, progress), thread))
    }

    /// Over a direct edge.
    pub(super) fn direct(edge: DirectEdge, in_flight: usize, step: &str, progress: Arc<Progress>) -> Self {
        Self::over(Way::Direct(DirectWay::new(edge, step)), in_flight, step, progress)
    }

    fn over(way: Way, in_flight: usize, step: &str, progress: Arc<Progress>) -> Self {
        Self { step: step.to_owned(), way, in_flight: InFlight::new(in_flight), progress }
    }

    /// The step whose table this is.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// What is known of a direct edge by both of its sides.
    pub(crate) fn passage(&self) -> Option<Arc<Passage>> {
        match &self.way {
            Way::Table(_) => None,
            Way::Direct(way) => Some(way.passage()),
        }
    }

    /// A sender of batches that all have `schema`; the table is there even if none comes. Clones send into the same
    /// transaction, in no particular order among them.
    ///
    /// # Errors
    /// A schema with a type that has no exact counterpart, or column names that differ by case alone.
    pub async fn sender(&self, schema: SchemaRef) -> Result<TableSender> {
        Ok(self.sender_to(match &self.way {
            Way::Table(way) => {
                way.run(move |loader| loader.declare(&schema)).await?;
                Receiver::Table(way.orders(), Columns::Fixed)
            }
            Way::Direct(way) => Receiver::Direct(way.declare(&self.step, &schema)?),
        }))
    }

    /// A sender whose batches may bring new columns and wider types: the table grows with them, nothing is dropped.
    ///
    /// # Errors
    /// When the rows go over a direct edge: see [`Component::streams`](crate::Component::streams).
    pub fn widening_sender(&self) -> Result<TableSender> {
        Ok(self.sender_to(Receiver::Table(self.table()?.orders(), Columns::Widening)))
    }

    fn sender_to(&self, receiver: Receiver) -> TableSender {
        TableSender { receiver, in_flight: self.in_flight.clone(), progress: Arc::clone(&self.progress) }
    }

    /// Runs `work` inside the transaction, on the sink's thread: for drivers that let DuckDB make the table.
    ///
    /// # Errors
    /// What `work` returns, or an earlier error of the sink. When the rows go over a direct edge there is no table: see
    /// [`Component::streams`](crate::Component::streams).
    pub async fn call<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut StoreTransaction<'_>) -> Result<T> + Send + 'static,
    {
        self.table()?.run(move |loader| loader.transaction(work)).await
    }

    fn table(&self) -> Result<&TableWay> {
        match &self.way {
            Way::Table(way) => Ok(way),
            Way::Direct(_) => Err(Error::unknown("the rows of this step go over a direct edge, and it wants a table")
                .with_hint("this is a bug of the component: its `streams` must be false for this configuration")),
        }
    }

    /// The rows so far: as the store counts them in the table, or as they were taken over a direct edge.
    ///
    /// # Errors
    /// An earlier error of the sink, or no table made yet.
    pub async fn rows(&self) -> Result<u64> {
        match &self.way {
            Way::Table(way) => way.run(|loader| loader.rows()).await,
            Way::Direct(way) => way.rows(&self.in_flight).await,
        }
    }

    /// Commits the table, or lets the step that takes the rows see their end. Senders that are still around can send no more.
    ///
    /// # Errors
    /// An earlier error of the sink, no table made, or a failing commit; nothing is kept then.
    pub async fn finish(self) -> Result<TableRef> {
        self.finish_with(StepNote::default()).await
    }

    /// The same, with a note for a resumed run.
    pub(crate) async fn finish_with(self, note: StepNote) -> Result<TableRef> {
        match self.way {
            Way::Table(way) => way.run(move |loader| loader.commit(&note)).await,
            Way::Direct(way) => way.finish(&self.step, &self.in_flight).await,
        }
    }
}

/// Sends batches into a [`TableSink`]. Cheap to clone.
#[derive(Clone)]
pub struct TableSender {
    receiver: Receiver,
    in_flight: InFlight,
    progress: Arc<Progress>,
}

#[derive(Clone)]
enum Receiver {
    Table(Orders, Columns),
    Direct(Lane),
}

impl TableSender {
    /// Hands over a batch; waits while the taker is behind. A batch of about 8 to 32 MB is best. That a batch was taken does not
    /// yet mean that it is stored: the sink's `finish` says that.
    ///
    /// # Errors
    /// The first error of the sink, whichever batch caused it.
    ///
    /// # Cancel safety
    /// The batch is either handed over or not sent.
    pub async fn send(&self, batch: RecordBatch) -> Result<()> {
        let (rows, bytes) = (batch.num_rows(), size(&batch));
        let room = self.in_flight.take(bytes).await?;
        match &self.receiver {
            Receiver::Table(orders, columns) => orders.append(batch, *columns, room).await?,
            Receiver::Direct(lane) => lane.send(&batch, room).await?,
        }
        self.progress.add_rows(rows as u64);
        self.progress.add_bytes(bytes as u64);
        Ok(())
    }
}

/// What may not happen to a table.
pub(super) fn different_schemas() -> Error {
    Error::validation("the senders of one table have different schemas").with_hint("open a widening sender")
}

pub(super) fn no_table() -> Error {
    Error::unknown("the step made no table").with_hint("a source without rows still has columns")
}
