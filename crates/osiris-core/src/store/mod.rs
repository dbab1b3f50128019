//! The run store: one DuckDB database a run, through which tables pass from step to step.
//!
//! A step's table is `steps."<step id>"`; what it holds is committed or not there at all. Extractors push Arrow batches
//! into a [`TableSink`], writers pull them out of a [`TableScan`], each on a thread of its own. Memory is bounded by
//! DuckDB's limit, never by the size of a table.
//!
//! DuckDB's types appear here and in the drivers that let DuckDB work natively; nowhere else.

mod arrow_scan;
mod at_work;
mod direct;
mod elsewhere;
mod error;
mod file_identity;
mod file_rows;
mod follow;
mod held_threads;
mod incoming;
mod interrupt;
mod json;
mod loader;
mod mask;
mod memory;
mod nulls;
mod open;
mod rejects;
mod scan;
mod schema;
mod seal;
mod sink;
mod sql;
mod texts;
mod threads;
mod transaction;
mod types;
mod unique;
mod widen;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use at_work::Workers;
use duckdb::Connection;
use follow::{Followed, regularly, track};
use held_threads::{HeldThreads, join_within};
use interrupt::InterruptOnDrop;
use seal::Seal;
use threads::{Threads, Workload};
use tokio::task::JoinError;

pub use at_work::{AtWork, Unfinished};
pub(crate) use direct::Channel;
pub use direct::{DirectEdge, StreamReceiver};
pub use elsewhere::{BatchLoader, interruptible, read_batches};
pub use error::{EngineError, statement_error, store_error, with_cast_hint};
pub use file_identity::FileIdentity;
pub(crate) use file_rows::unless_misread;
pub use memory::default_memory_limit;
pub use open::{StoreKind, StoreOptions};
pub use rejects::{Reject, RejectFile, RejectReason, RejectTable};
pub use scan::{ScanBuilder, TableScan};
pub use schema::{Column, StepNote, TableRef, TableSchema};
pub use sink::{TableSender, TableSink};
pub use sql::{Definition, SelectStatement, SqlExpression, SqlScript, TableName};
pub use texts::{TextRow, TextScan};
pub use transaction::StoreTransaction;
pub use types::ColumnType;

use crate::{Error, Progress, Result};

/// A handle on the run's database. Cheap to clone; closed when the last clone is dropped.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// The connection that others are cloned from.
    root: Mutex<Connection>,
    path: Option<PathBuf>,
    scratch: PathBuf,
    sandbox: open::SandboxPaths,
    threads: Arc<Threads>,
    /// The committed tables, as this process knows them.
    seal: Arc<Seal>,
    /// The most bytes in flight into each table.
    in_flight: usize,
    memory_limit: u64,
    /// The sinks that may still be rolling back, by step.
    sinks: Mutex<HashMap<String, JoinHandle<()>>>,
    workers: Workers,
    readers: HeldThreads,
}

/// How long the last owner of a store waits for its threads. They are interrupted before, so that this is for one that waits for
/// somebody who has outlived the store.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

impl Drop for Inner {
    fn drop(&mut self) {
        let sinks = std::mem::take(self.sinks.get_mut().unwrap_or_else(PoisonError::into_inner));
        join_within(sinks.into_values(), SHUTDOWN_TIMEOUT);
        join_within(self.readers.take(), SHUTDOWN_TIMEOUT);
    }
}

/// The work of a statement that reads `table`.
fn workload_over(table: &TableRef) -> Workload {
    if table.is_arriving() { Workload::Stream } else { Workload::Compute }
}

impl Store {
    /// Opens or creates the database and locks its configuration.
    ///
    /// # Errors
    /// When the file cannot be opened or is no DuckDB database.
    pub fn open(options: &StoreOptions) -> Result<Self> {
        let root = open::open(options)?;
        let another = root.try_clone().map_err(|error| store_error(error, "the run store could not be opened"))?;
        Ok(Self(Arc::new(Inner {
            root: Mutex::new(root),
            path: options.path().map(Path::to_path_buf),
            scratch: options.scratch_dir().to_path_buf(),
            sandbox: open::SandboxPaths::new(options)?,
            seal: Arc::new(Seal::new(&another)?),
            threads: Threads::new(another)?,
            in_flight: options.in_flight(),
            memory_limit: options.memory_limit(),
            sinks: Mutex::default(),
            workers: Workers::default(),
            readers: HeldThreads::default(),
        })))
    }

    /// The database file; none for a store in memory.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// A directory for temporary files, such as a spooled standard input; the store's SQL can read it.
    pub fn scratch_dir(&self) -> &Path {
        &self.0.scratch
    }

    /// How much memory DuckDB may use here, in bytes.
    pub fn memory_limit(&self) -> u64 {
        self.0.memory_limit
    }

    /// Whether the store's SQL has access to `file`: it is one of the files of the run, or is in the scratch directory.
    pub fn reaches(&self, file: &Path) -> bool {
        self.0.sandbox.has(file)
    }

    fn threads(&self) -> Arc<Threads> {
        Arc::clone(&self.0.threads)
    }

    /// A connection of one's own. Settings are shared and locked; temporary objects are not shared.
    pub(crate) fn connection(&self) -> Result<Connection> {
        let root = self.0.root.lock().unwrap_or_else(PoisonError::into_inner);
        root.try_clone().map_err(|error| store_error(error, "a connection to the run store could not be opened"))
    }

    /// Runs `work` on a blocking thread with a connection of its own. When the returned future is dropped, the running
    /// statement is interrupted.
    ///
    /// # Errors
    /// What `work` returns.
    pub async fn call<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.work(Workload::Compute, None, work).await
    }

    /// The same for work that reads `table`, whose rows may still be arriving.
    ///
    /// # Errors
    /// What `work` returns.
    pub async fn call_over<T, F>(&self, table: &TableRef, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        if let Some(channel) = table.channel() {
            channel.begun().await;
        }
        self.work(workload_over(table), None, work).await
    }

    /// The same, and `progress` advances meanwhile: with the rows that arrive, else as DuckDB estimates.
    pub(crate) async fn call_over_followed<T, F>(
        &self,
        table: &TableRef,
        progress: &Arc<Progress>,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let Some(channel) = table.channel() else {
            return self.work(workload_over(table), Some(Arc::clone(progress)), work).await;
        };
        channel.begun().await;
        let look = || progress.follow_rows(channel.received());
        regularly(look, self.work(workload_over(table), None, work)).await
    }

    /// The same as [`call`](Self::call), and `progress` advances as DuckDB estimates.
    async fn call_followed<T, F>(&self, progress: &Arc<Progress>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.work(Workload::Compute, Some(Arc::clone(progress)), work).await
    }

    async fn work<T, F>(&self, workload: Workload, progress: Option<Arc<Progress>>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let connection = self.connection()?;
        let followed = match progress {
            Some(progress) => {
                track(&connection)?;
                Some(Followed { handle: connection.progress_handle(), progress })
            }
            None => None,
        };
        let threads = self.threads();
        let (_guard, working) = InterruptOnDrop::new(connection.interrupt_handle());
        let at_work = self.at_work();
        let work = move || {
            // Dropped last: see `TableScan`.
            let _at_work = at_work;
            let (connection, threads) = (connection, threads);
            let _working = working;
            let _workload = threads.begin(workload);
            work(&connection)
        };
        let result = tokio::task::spawn_blocking(work);
        let result = match followed {
            Some(followed) => followed.during(result).await,
            None => result.await,
        };
        result.map_err(panicked)?
    }

    /// Starts a table for `step`. Whatever an earlier attempt left is replaced.
    ///
    /// # Errors
    /// When the transaction cannot be started.
    pub async fn sink(&self, step: &str) -> Result<TableSink> {
        self.sink_with_progress(step, Arc::default()).await
    }

    pub(crate) async fn sink_with_progress(&self, step: &str, progress: Arc<Progress>) -> Result<TableSink> {
        self.wait_for_sink(step).await?;
        let (sink, thread) = TableSink::start(
            self.connection()?,
            self.threads(),
            Arc::clone(&self.0.seal),
            self.0.in_flight,
            step,
            progress,
        )?;
        self.sinks().insert(step.to_owned(), thread);
        Ok(sink)
    }

    /// A sink for `step` whose rows go over `edge` instead of into a table.
    pub fn direct_sink(&self, edge: DirectEdge, step: &str) -> TableSink {
        self.direct_sink_with_progress(edge, step, Arc::default())
    }

    pub(crate) fn direct_sink_with_progress(&self, edge: DirectEdge, step: &str, progress: Arc<Progress>) -> TableSink {
        TableSink::direct(self.clone(), edge, self.0.in_flight, step, progress)
    }

    /// Notes what a resumed run needs to know of rows that went to another step.
    pub(crate) async fn note_sent(&self, step: &str, note: StepNote) -> Result<()> {
        let (step, seal) = (step.to_owned(), Arc::clone(&self.0.seal));
        // The table of an earlier attempt has other rows.
        let enter = move |connection: &Connection| {
            let work = || {
                transaction::drop_table(connection, &step)?;
                transaction::enter_sent(connection, &step, &note)
            };
            seal.remove(&step, || transaction::atomic(connection, work))
        };
        self.call(enter).await
    }

    /// Waits until the last sink of `step` has committed or rolled back.
    async fn wait_for_sink(&self, step: &str) -> Result<()> {
        let Some(thread) = self.sinks().remove(step) else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(())) => Ok(()),
            _ => Err(Error::unknown("the thread of a sink panicked")),
        }
    }

    /// Announces work on a thread that outlives the future which waits for it, and cleans up what it has created, such
    /// as a temporary file next to a destination. A run that ends [waits](Self::settle) until the result is dropped,
    /// for at most 20 s. Not for a thread that may wait for keyboard input.
    pub fn at_work(&self) -> AtWork {
        self.0.workers.begin()
    }

    /// Waits until every sink has committed or rolled back, and [work](Self::at_work) has ended: before the store's
    /// file is moved or removed, and before the process ends.
    pub async fn settle(&self) {
        let steps: Vec<String> = self.sinks().keys().cloned().collect();
        for step in steps {
            if let Err(error) = self.wait_for_sink(&step).await {
                tracing::warn!(step, %error, "a sink did not end well");
            }
        }
        self.0.workers.end().await;
        let readers = self.0.readers.take();
        // Elsewhere: one of them may wait for a task of this runtime.
        let _ = tokio::task::spawn_blocking(move || join_within(readers, SHUTDOWN_TIMEOUT)).await;
    }

    /// Keeps a thread that reads out of the store until it can be joined.
    fn hold(&self, thread: JoinHandle<()>) {
        self.0.readers.add(thread);
    }

    fn sinks(&self) -> std::sync::MutexGuard<'_, HashMap<String, JoinHandle<()>>> {
        self.0.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader of a table.
    pub fn scan(&self, table: &TableRef) -> ScanBuilder {
        ScanBuilder::new(self.clone(), table.clone())
    }

    /// The committed table of `step`, if there is one: for a resumed run.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn table(&self, step: &str) -> Result<Option<TableRef>> {
        let step = step.to_owned();
        self.call(move |connection| transaction::committed_table(connection, &step)).await
    }

    /// The steps that have a committed table.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn steps(&self) -> Result<Vec<String>> {
        self.call(transaction::committed_steps).await
    }

    /// What was noted when the table of `step` was committed, or the end of its rows sent to another step.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn note(&self, step: &str) -> Result<Option<StepNote>> {
        let step = step.to_owned();
        self.call(move |connection| transaction::committed_note(connection, &step)).await
    }

    /// Checks that the tables are as they were committed which `step` reads, itself or through views: before it begins. `reads`
    /// has the steps that each step reads.
    ///
    /// # Errors
    /// SQL of the pipeline has changed one.
    pub async fn ensure_as_committed(&self, step: &str, reads: &Arc<BTreeMap<String, Vec<String>>>) -> Result<()> {
        if reads.get(step).is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let (step, reads) = (step.to_owned(), Arc::clone(reads));
        self.compare(move |seal| seal.ensure_as_committed(&step, &reads)).await
    }

    /// The same for all tables, at the end of a run.
    ///
    /// # Errors
    /// As for [`ensure_as_committed`](Self::ensure_as_committed).
    pub async fn ensure_all_as_committed(&self) -> Result<()> {
        self.compare(Seal::ensure_all_as_committed).await
    }

    /// Compares tables over the connection of the seal: one of its own, and the threads of a [`call`](Self::call), would cost
    /// more than there is to do.
    async fn compare(&self, work: impl FnOnce(&Seal) -> Result<()> + Send + 'static) -> Result<()> {
        let (at_work, seal) = (self.at_work(), Arc::clone(&self.0.seal));
        let compared = tokio::task::spawn_blocking(move || {
            // Dropped last: see `TableScan`.
            let (_at_work, seal) = (at_work, seal);
            work(&seal)
        });
        compared.await.map_err(panicked)?
    }

    /// Drops the table of `step`, if there is one.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn drop_table(&self, step: &str) -> Result<()> {
        self.wait_for_sink(step).await?;
        let (step, seal) = (step.to_owned(), Arc::clone(&self.0.seal));
        // An interrupt may come at any time: a table that is half gone would look as if SQL had changed it.
        let drop = move |connection: &Connection| {
            seal.remove(&step, || transaction::atomic(connection, || transaction::drop_table(connection, &step)))
        };
        self.call(drop).await
    }
}

fn panicked(error: JoinError) -> Error {
    Error::unknown("work on the run store ended in a panic").with_source(error)
}

/// An identifier in SQL, quoted.
pub fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A text in SQL, quoted.
pub fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The table of `step` in SQL.
pub(crate) fn table_sql(step: &str) -> String {
    format!("{STEPS}.{}", quote(step))
}

/// The schema of the step tables.
pub(crate) const STEPS: &str = "steps";

/// A step id with every character that SQL or a file system could trip over replaced by `_`.
pub fn safe_name(step: &str) -> String {
    step.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
