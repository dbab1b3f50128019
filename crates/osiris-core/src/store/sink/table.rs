//! Into a table: one transaction on one thread, fed through a bounded channel.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arrow::record_batch::RecordBatch;
use duckdb::Connection;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::super::interrupt::InterruptOnDrop;
use super::super::loader::{Columns, Loader};
use super::super::seal::Seal;
use super::super::store_error;
use super::super::threads::{AtWork, Threads, Work};
use super::MESSAGES_IN_FLIGHT;
use crate::{Error, Result};

/// Work that runs on the sink's thread.
type Job = Box<dyn FnOnce(&mut Loader<'_>) + Send>;

enum Command {
    Batch(RecordBatch, Columns, OwnedSemaphorePermit),
    Job(Job),
}

/// The first error of the sink's thread, for whoever asks first.
type FirstError = Arc<Mutex<Option<Error>>>;

/// The sink's side of the thread. When it is dropped, the thread rolls back.
pub(super) struct TableWay {
    orders: Orders,
    _interrupt: InterruptOnDrop,
}

/// Sends commands to the thread. Cheap to clone.
#[derive(Clone)]
pub(super) struct Orders {
    commands: mpsc::Sender<Command>,
    first_error: FirstError,
}

impl TableWay {
    /// Begins the table of `step` over a connection of its own.
    pub(super) fn start(
        connection: Connection,
        threads: Arc<Threads>,
        seal: Arc<Seal>,
        step: &str,
    ) -> Result<(Self, JoinHandle<()>)> {
        let (interrupt, working) = InterruptOnDrop::new(connection.interrupt_handle());
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
        Ok((Self { orders: Orders { commands, first_error }, _interrupt: interrupt }, thread))
    }

    pub(super) fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Runs `work` on the thread, after all that was sent before it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Loader<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |loader| drop(reply.send(work(loader))));
        self.orders.send(Command::Job(job)).await?;
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(self.orders.first_error()),
        }
    }
}

impl Orders {
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
    seal: &Seal,
    step: &str,
    mut queue: mpsc::Receiver<Command>,
    first_error: &FirstError,
) {
    let keep = |error: Error| {
        first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    };
    let mut loader = match Loader::begin(connection, seal, step) {
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
