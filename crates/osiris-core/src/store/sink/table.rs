//! The sink of a table: one transaction on one thread, which receives its commands through a bounded channel.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arrow::record_batch::RecordBatch;
use duckdb::{Connection, ProgressHandle};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::super::follow::{Followed, track};
use super::super::interrupt::InterruptOnDrop;
use super::super::loader::{Columns, TableLoader};
use super::super::seal::Seal;
use super::super::store_error;
use super::super::threads::{ActiveWorkload, Threads, Workload};
use super::super::transaction::StoreTransaction;
use super::MESSAGES_IN_FLIGHT;
use crate::{Error, Progress, Result};

/// Work that runs on the sink's thread.
type SinkTask = Box<dyn FnOnce(&mut TableLoader<'_>) + Send>;

enum Command {
    Batch(RecordBatch, Columns, OwnedSemaphorePermit),
    Task(SinkTask),
}

/// The first error of the sink's thread; the first caller gets it.
type FirstError = Arc<Mutex<Option<Error>>>;

/// The sink's side of the thread. When it is dropped, the thread rolls back.
pub(super) struct TableTarget {
    commands: CommandSender,
    progress: ProgressHandle,
    _interrupt: InterruptOnDrop,
}

/// Sends commands to the thread. Cheap to clone.
#[derive(Clone)]
pub(super) struct CommandSender {
    commands: mpsc::Sender<Command>,
    first_error: FirstError,
}

impl TableTarget {
    /// Begins the table of `step` over a connection of its own.
    pub(super) fn start(
        connection: Connection,
        threads: Arc<Threads>,
        seal: Arc<Seal>,
        step: &str,
    ) -> Result<(Self, JoinHandle<()>)> {
        let (interrupt, working) = InterruptOnDrop::new(connection.interrupt_handle());
        let progress = connection.progress_handle();
        let (commands, queue) = mpsc::channel(MESSAGES_IN_FLIGHT);
        let first_error = FirstError::default();
        let name = step.to_owned();
        let errors = Arc::clone(&first_error);
        let thread = std::thread::Builder::new()
            .name(format!("sink {step}"))
            .spawn(move || {
                let _working = working;
                serve(&connection, &threads, &seal, &name, queue, &errors);
            })
            .map_err(|error| Error::from(error).with_hint("the machine is out of threads: lower `--jobs`"))?;
        Ok((Self { commands: CommandSender { commands, first_error }, progress, _interrupt: interrupt }, thread))
    }

    pub(super) fn commands(&self) -> CommandSender {
        self.commands.clone()
    }

    /// Runs `work` in the transaction, after all that was sent before it; `progress` advances as DuckDB estimates.
    pub(super) async fn transaction<T: Send + 'static>(
        &self,
        progress: &Arc<Progress>,
        work: impl FnOnce(&mut StoreTransaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let followed = Followed { handle: self.progress.clone(), progress: Arc::clone(progress) };
        let work = self.run(move |loader| {
            loader.transaction(|transaction| {
                track(transaction.connection())?;
                work(transaction)
            })
        });
        followed.during(work).await
    }

    /// Runs `work` on the thread, after all that was sent before it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut TableLoader<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let task: SinkTask = Box::new(move |loader| drop(reply.send(work(loader))));
        self.commands.send(Command::Task(task)).await?;
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(self.commands.first_error()),
        }
    }
}

impl CommandSender {
    pub(super) async fn append(&self, batch: RecordBatch, columns: Columns, room: OwnedSemaphorePermit) -> Result<()> {
        self.send(Command::Batch(batch, columns, room)).await
    }

    async fn send(&self, command: Command) -> Result<()> {
        self.commands.send(command).await.map_err(|_| self.first_error())
    }

    fn first_error(&self) -> Error {
        let taken = self.first_error.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.unwrap_or_else(|| Error::unknown("the table was rolled back after an earlier error"))
    }
}

/// Turns a panic, such as in the conversion of an Arrow type, into an error of the step.
fn guarded(work: impl FnOnce() -> Result<()>) -> Result<()> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::unknown("internal error: the run store panicked").with_hint("this is a bug: please report it"))
    })
}

/// The sink's thread: runs the commands of the queue until a commit, an error, or the end of all senders.
fn serve(
    connection: &Connection,
    threads: &Arc<Threads>,
    seal: &Seal,
    step: &str,
    mut queue: mpsc::Receiver<Command>,
    first_error: &FirstError,
) {
    let keep = |error: Error| {
        first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    };
    let mut loader = match TableLoader::begin(connection, seal, step) {
        Ok(loader) => loader,
        Err(error) => return keep(error),
    };
    let mut transfer: Option<ActiveWorkload> = None;
    while let Some(command) = queue.blocking_recv() {
        match command {
            Command::Batch(batch, columns, _room) => {
                transfer.get_or_insert_with(|| threads.begin(Workload::Transfer));
                if let Err(error) = guarded(|| loader.append(&batch, columns)) {
                    keep(error);
                    break;
                }
            }
            Command::Task(task) => {
                let _computing = threads.begin(Workload::Compute);
                let done = guarded(|| {
                    task(&mut loader);
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
    // The error that ended the loop is the one to report; closing the connection rolls back where ROLLBACK failed.
    drop(loader);
    if let Err(error) = connection.execute_batch("ROLLBACK") {
        tracing::debug!(step, error = %store_error(error, "rollback"), "a sink was closed without a rollback");
    }
}
