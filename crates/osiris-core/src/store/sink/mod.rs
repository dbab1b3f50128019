//! The sink of a step: its batches go into a table, or over a direct edge, with back-pressure.
//!
//! When the receiver of the rows is slower than the source, `send` waits. A sink that is dropped unfinished leaves
//! nothing behind: a table is rolled back, and a step that was receiving the rows is stopped.

mod channel;
mod in_flight;
mod table;

use std::sync::Arc;
use std::thread::JoinHandle;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use duckdb::Connection;

use self::channel::{ChannelSender, ChannelTarget};
use self::in_flight::InFlight;
use self::table::{CommandSender, TableTarget};
use super::Store;
use super::direct::{Channel, DirectEdge};
use super::loader::{Columns, size};
use super::schema::{StepNote, TableRef, TableSchema};
use super::seal::Seal;
use super::threads::Threads;
use super::transaction::StoreTransaction;
use crate::{Code, Error, Progress, Result};

/// Messages in flight between a driver and the store. The real limit is on their bytes: the store takes rows in bursts,
/// since it compresses 122,880 of them at a time, and the source should go on meanwhile.
const MESSAGES_IN_FLIGHT: usize = 256;

/// Receives the rows of a step and writes them to a table, or sends them to the step that reads them.
pub struct TableSink {
    step: String,
    target: SinkTarget,
    in_flight: InFlight,
    progress: Arc<Progress>,
}

/// Where the rows go.
enum SinkTarget {
    /// Into a table of the store.
    Table(TableTarget),
    /// To the step that receives them.
    Channel(ChannelTarget),
}

impl TableSink {
    /// Over a connection of its own, with at most so many bytes in flight.
    pub(super) fn start(
        connection: Connection,
        threads: Arc<Threads>,
        seal: Arc<Seal>,
        in_flight: usize,
        step: &str,
        progress: Arc<Progress>,
    ) -> Result<(Self, JoinHandle<()>)> {
        let (target, thread) = TableTarget::start(connection, threads, seal, step)?;
        Ok((Self::over(SinkTarget::Table(target), in_flight, step, progress), thread))
    }

    /// Over a direct edge.
    pub(super) fn direct(
        store: Store,
        edge: DirectEdge,
        in_flight: usize,
        step: &str,
        progress: Arc<Progress>,
    ) -> Self {
        Self::over(SinkTarget::Channel(ChannelTarget::new(store, edge, step)), in_flight, step, progress)
    }

    fn over(target: SinkTarget, in_flight: usize, step: &str, progress: Arc<Progress>) -> Self {
        Self { step: step.to_owned(), target, in_flight: InFlight::new(in_flight), progress }
    }

    /// The step whose table this is.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// The channel, if the rows go over a direct edge.
    pub(crate) fn channel(&self) -> Option<Arc<Channel>> {
        match &self.target {
            SinkTarget::Table(_) => None,
            SinkTarget::Channel(channel) => Some(channel.channel()),
        }
    }

    /// A sender of batches that all have `schema`; the table is there even if none comes. Clones send into the same
    /// transaction, in no particular order among them.
    ///
    /// # Errors
    /// A schema with a type that has no exact counterpart, or column names that differ by case alone.
    pub async fn sender(&self, schema: SchemaRef) -> Result<TableSender> {
        Ok(self.sender_to(match &self.target {
            SinkTarget::Table(table) => {
                table.run(move |loader| loader.declare(&schema)).await?;
                SenderTarget::Table(table.commands(), Columns::Fixed)
            }
            SinkTarget::Channel(channel) => SenderTarget::Channel(channel.declare(&self.step, &schema)?),
        }))
    }

    /// A sender for a table with these `columns`, whose batches have the values as they are [carried](super::ColumnType::carried): types that
    /// Arrow does not have arrive as what they are.
    ///
    /// # Errors
    /// Another sender has declared other columns.
    pub async fn carrying_sender(&self, columns: TableSchema) -> Result<TableSender> {
        Ok(self.sender_to(match &self.target {
            SinkTarget::Table(table) => {
                table.run(move |loader| loader.declare_as(columns)).await?;
                SenderTarget::Table(table.commands(), Columns::Carried)
            }
            SinkTarget::Channel(channel) => {
                SenderTarget::Channel(channel.declare_as(&self.step, &columns.carried().arrow(), columns)?)
            }
        }))
    }

    /// A sender whose batches may bring new columns and wider types: the table grows with them, nothing is dropped.
    ///
    /// # Errors
    /// When the rows go over a direct edge: see [`Component::streams`](crate::Component::streams).
    pub fn widening_sender(&self) -> Result<TableSender> {
        Ok(self.sender_to(SenderTarget::Table(self.table()?.commands(), Columns::Widening)))
    }

    fn sender_to(&self, target: SenderTarget) -> TableSender {
        TableSender { target, in_flight: self.in_flight.clone(), progress: Arc::clone(&self.progress) }
    }

    /// Runs `work` inside the transaction, on the sink's thread: for drivers that let DuckDB make the table.
    ///
    /// # Errors
    /// What `work` returns, or an earlier error of the sink. When the rows go over a direct edge there is no table: all
    /// that `work` can do is to [make](StoreTransaction::create_table_as) what would be one.
    pub async fn call<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut StoreTransaction<'_>) -> Result<T> + Send + 'static,
    {
        match &self.target {
            SinkTarget::Table(table) => table.transaction(&self.progress, work).await,
            SinkTarget::Channel(channel) => {
                channel.transaction(&self.step, &self.in_flight, &self.progress, work).await
            }
        }
    }

    fn table(&self) -> Result<&TableTarget> {
        match &self.target {
            SinkTarget::Table(table) => Ok(table),
            SinkTarget::Channel(_) => Err(needs_table()),
        }
    }

    /// The rows so far: those in the table, or those that were read over a direct edge.
    ///
    /// # Errors
    /// An earlier error of the sink, or no table made yet.
    pub async fn rows(&self) -> Result<u64> {
        match &self.target {
            SinkTarget::Table(table) => table.run(|loader| loader.rows()).await,
            SinkTarget::Channel(channel) => channel.rows(&self.in_flight).await,
        }
    }

    /// The rows of each scan of CSV files in the SQL that made the table.
    ///
    /// # Errors
    /// An earlier error of the sink.
    pub(crate) async fn file_scans(&self) -> Result<Vec<u64>> {
        match &self.target {
            SinkTarget::Table(table) => table.run(|loader| Ok(loader.file_scans())).await,
            SinkTarget::Channel(channel) => Ok(channel.file_scans()),
        }
    }

    /// Commits the table, or lets the receiving step see the end of the rows. Senders that still exist can send no
    /// more.
    ///
    /// # Errors
    /// An earlier error of the sink, no table made, or a failing commit; nothing is kept then.
    pub async fn finish(self) -> Result<TableRef> {
        self.finish_with(StepNote::default()).await
    }

    /// The same, with a note for a resumed run.
    pub(crate) async fn finish_with(self, note: StepNote) -> Result<TableRef> {
        match self.target {
            SinkTarget::Table(table) => table.run(move |loader| loader.commit(note)).await,
            SinkTarget::Channel(channel) => channel.finish(&self.step, &self.in_flight, note).await,
        }
    }
}

/// Sends batches into a [`TableSink`]. Cheap to clone.
#[derive(Clone)]
pub struct TableSender {
    target: SenderTarget,
    in_flight: InFlight,
    progress: Arc<Progress>,
}

#[derive(Clone)]
enum SenderTarget {
    Table(CommandSender, Columns),
    Channel(ChannelSender),
}

impl TableSender {
    /// Sends a batch; waits while too many bytes are in flight. A batch of about 8 to 32 MB is best. A batch that was
    /// sent is not yet stored: only the sink's `finish` says that.
    ///
    /// # Errors
    /// The first error of the sink, whichever batch caused it.
    ///
    /// # Cancel safety
    /// The batch is either sent as a whole or not sent.
    pub async fn send(&self, batch: RecordBatch) -> Result<()> {
        let (rows, bytes) = (batch.num_rows(), size(&batch));
        let room = self.in_flight.take(bytes).await?;
        match &self.target {
            SenderTarget::Table(commands, columns) => commands.append(batch, *columns, room).await?,
            SenderTarget::Channel(channel) => channel.send(&batch, room).await?,
        }
        self.progress.add_rows(rows as u64);
        self.progress.add_bytes(bytes as u64);
        Ok(())
    }
}

/// Two senders of one table declared different schemas.
pub(super) fn different_schemas() -> Error {
    Error::validation("the senders of one table have different schemas")
        .with_code(Code::ColumnsDiffer)
        .with_hint("open a widening sender")
}

/// What is asked for cannot be done with rows that are sent.
pub(super) fn needs_table() -> Error {
    Error::unknown("the rows of this step go over a direct edge, but the component needs a table")
        .with_hint("this is a bug in the component: `streams` must be false for this configuration")
}

pub(super) fn no_table() -> Error {
    Error::unknown("the step made no table").with_hint("a source without rows still has columns")
}
