//! The way into the store: one transaction on one thread, fed through a bounded channel.
//!
//! The channel is the back-pressure: when the store is slower than the source, `send` waits for room. A sink that is dropped
//! without being finished rolls back, so a table is committed whole or was never there.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use duckdb::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::interrupt::InterruptOnDrop;
use super::loader::{Loader, size};
use super::schema::{StepNote, TableRef};
use super::store_error;
use super::threads::{AtWork, Threads, Work};
use super::transaction::StoreTransaction;
use crate::{Error, Progress, Result};

/// Commands on their way between a driver and the store. Their bytes are what is limited: the store takes rows in bursts, since it
/// compresses 122,880 of them at a time, and the source shall go on meanwhile.
const COMMANDS_IN_FLIGHT: usize = 256;
/// The unit in which bytes on their way are counted.
const KIB: usize = 1024;

/// Work that runs on the sink's thread.
type Job = Box<dyn FnOnce(&mut Loader<'_>) + Send>;

enum Command {
    Batch(RecordBatch, Columns, OwnedSemaphorePermit),
    Job(Job),
}

/// What may happen to the columns from one batch to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    /// Nothing.
    Fixed,
    /// New ones are added, types widen.
    Widening,
}

/// The first error of the sink's thread, for whoever asks first.
type FirstError = Arc<Mutex<Option<Error>>>;

/// A table in the making.
pub struct TableSink {
    step: String,
    commands: mpsc::Sender<Command>,
    in_flight: InFlight,
    first_error: FirstError,
    progress: Arc<Progress>,
    _interrupt: InterruptOnDrop,
}

/// Room for batches on their way.
#[derive(Clone)]
struct InFlight {
    room: Arc<Semaphore>,
    /// All of it, in KiB.
    most: u32,
}

impl InFlight {
    fn new(bytes: usize) -> Self {
        let most = u32::try_from(bytes / KIB).unwrap_or(u32::MAX).max(1);
        Self { room: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Waits for room for `bytes`, or for all there is.
    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).min(self.most);
        let taken = Arc::clone(&self.room).acquire_many_owned(units).await;
        taken.map_err(|error| Error::unknown("the way into the store was closed").with_source(error))
    }
}

impl TableSink {
    /// Over a connection of its own, with at most so many bytes on their way.
    pub(super) fn start(
        connection: Connection,
        threads: Arc<Threads>,
        in_flight: usize,
        step: &str,
        progress: Arc<Progress>,
    ) -> Result<(Self, JoinHandle<()>)> {
        let (interrupt, working) = InterruptOnDrop::new(connection.interrupt_handle());
        let (commands, queue) = mpsc::channel(COMMANDS_IN_FLIGHT);
        let first_error = FirstError::default();
        let name = step.to_owned();
        let errors = Arc::clone(&first_error);
        let thread = std::thread::Builder::new()
            .name(format!("sink {step}"))
            .spawn(move || {
                let _working = working;
                serve(&connection, &threads, &name, queue, &errors);
            })
            .map_err(|error| Error::from(error).with_hint("the machine is out of threads: lower `--jobs`"))?;
        let in_flight = InFlight::new(in_flight);
        Ok((Self { step: step.to_owned(), commands, in_flight, first_error, progress, _interrupt: interrupt }, thread))
    }

    /// The step whose table this is.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// A sender of batches that all have `schema`; the table is there even if none comes. Clones send into the same
    /// transaction, in no particular order among them.
    ///
    /// # Errors
    /// A schema with a type that has no exact counterpart, or column names that differ by case alone.
    pub async fn sender(&self, schema: SchemaRef) -> Result<TableSender> {
        self.run(move |loader| loader.declare(&schema)).await?;
        Ok(self.sender_of(Columns::Fixed))
    }

    /// A sender whose batches may bring new columns and wider types: the table grows with them, nothing is dropped.
    pub fn widening_sender(&self) -> TableSender {
        self.sender_of(Columns::Widening)
    }

    fn sender_of(&self, columns: Columns) -> TableSender {
        TableSender {
            commands: self.commands.clone(),
            in_flight: self.in_flight.clone(),
            first_error: Arc::clone(&self.first_error),
            progress: Arc::clone(&self.progress),
            columns,
        }
    }

    /// Runs `work` inside the transaction, on the sink's thread: for drivers that let DuckDB make the table.
    ///
    /// # Errors
    /// What `work` returns, or an earlier error of the sink.
    pub async fn call<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut StoreTransaction<'_>) -> Result<T> + Send + 'static,
    {
        self.run(move |loader| loader.transaction(work)).await
    }

    /// The rows in the table so far, as the store counts them.
    ///
    /// # Errors
    /// An earlier error of the sink, or no table made yet.
    pub async fn rows(&self) -> Result<u64> {
        self.run(|loader| loader.rows()).await
    }

    /// Commits the table. Senders that are still around can send no more.
    ///
    /// # Errors
    /// An earlier error of the sink, no table made, or a failing commit; nothing is kept then.
    pub async fn finish(self) -> Result<TableRef> {
        self.finish_with(StepNote::default()).await
    }

    /// The same, with a note for a resumed run.
    pub(crate) async fn finish_with(self, note: StepNote) -> Result<TableRef> {
        self.run(move |loader| loader.commit(&note)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Loader<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |loader| drop(reply.send(work(loader))));
        if self.commands.send(Command::Job(job)).await.is_err() {
            return Err(take(&self.first_error));
        }
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(take(&self.first_error)),
        }
    }
}

/// Sends batches into a [`TableSink`]. Cheap to clone.
#[derive(Clone)]
pub struct TableSender {
    commands: mpsc::Sender<Command>,
    in_flight: InFlight,
    first_error: FirstError,
    progress: Arc<Progress>,
    columns: Columns,
}

impl TableSender {
    /// Hands over a batch; waits while the store is behind. A batch of about 8 to 32 MB is best. That a batch was taken does not
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
        if self.commands.send(Command::Batch(batch, self.columns, room)).await.is_err() {
            return Err(take(&self.first_error));
        }
        self.progress.add_rows(rows as u64);
        self.progress.add_bytes(bytes as u64);
        Ok(())
    }
}

fn take(first_error: &FirstError) -> Error {
    let taken = first_error.lock().unwrap_or_else(PoisonError::into_inner).take();
    taken.unwrap_or_else(|| Error::unknown("the table was rolled back after an earlier error"))
}

/// A panic below us, such as in the conversion of an Arrow type, is an error of the step and not the end of the program.
fn guarded(work: impl FnOnce() -> Result<()>) -> Result<()> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::unknown("the store could not take what it was given").with_hint("this is a bug: please report it"))
    })
}

/// The sink's thread: works off the queue until a commit, an error, or the end of all senders.
fn serve(
    connection: &Connection,
    threads: &Arc<Threads>,
    step: &str,
    mut queue: mpsc::Receiver<Command>,
    first_error: &FirstError,
) {
    let keep = |error: Error| {
        first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    };
    let mut loader = match Loader::begin(connection, step) {
        Ok(loader) => loader,
        Err(error) => return keep(error),
    };
    let mut passing: Option<AtWork> = None;
    while let Some(command) = queue.blocking_recv() {
        match command {
            Command::Batch(batch, columns, _room) => {
                passing.get_or_insert_with(|| threads.begin(Work::Passing));
                if let Err(error) = guarded(|| loader.append(&batch, columns)) {
                    keep(error);
                    break;
                }
            }
            Command::Job(job) => {
                let _computing = threads.begin(Work::Computing);
                let done = guarded(|| {
                    job(&mut loader);
                    Ok(())
                });
                if let Err(error) = done {
                    keep(error);
                    break;
                }
            }
        }
        if loader.is_committed() {
            return;
        }
    }
    // The error that brought us here is the one to report; a failing rollback is undone by closing the connection.
    drop(loader);
    if let Err(error) = connection.execute_batch("ROLLBACK") {
        tracing::debug!(step, error = %store_error(error, "rollback"), "a sink was closed without a rollback");
    }
}
