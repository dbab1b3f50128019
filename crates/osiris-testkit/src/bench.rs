//! A run without a runner: real store, real telemetry, and the components that a test registers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use osiris_core::{
    Driver, Error, Inputs, Prepared, Problem, Registry, ResolvedConnection, Result, RunContext, Store, StoreKind,
    StoreOptions, TableRef, Telemetry,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::telemetry::{event_violations, metric_violations};
use crate::{BenchStep, InputTable, Place, Recording, Rows};

/// What the store of a [`Bench`] is like.
#[derive(Debug, Clone, Default)]
pub struct BenchOptions {
    file: bool,
    memory_limit: Option<u64>,
    threads: Option<usize>,
    directories: Vec<PathBuf>,
}

impl BenchOptions {
    /// A store in memory with the default limit and a thread for every core.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store in a file, as runs have it by default.
    #[must_use]
    pub fn in_a_file(mut self) -> Self {
        self.file = true;
        self
    }

    /// How much memory the store may use, in bytes.
    #[must_use]
    pub fn with_memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// How many threads the store uses.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// A directory that the store's SQL may reach besides the bench's place.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directories.push(directory.into());
        self
    }
}

/// A place to run steps on: a registry, a store that reaches one [`Place`], telemetry kept in memory.
pub struct Bench {
    registry: Registry,
    run: RunContext,
    place: Place,
    events: Recording,
    metrics: Recording,
    // Dropped after the store that lives in it.
    scratch: TempDir,
}

impl Bench {
    /// A bench with an empty place, a store in memory and the components that `register` adds.
    ///
    /// # Errors
    /// What `register` returns, or a store that cannot be opened.
    pub fn new(register: impl FnOnce(&mut Registry) -> Result<()>) -> Result<Self> {
        Self::at(&Place::new()?, &BenchOptions::new(), register)
    }

    /// The same over a place that is there already, with a store as `options` say. Several benches may share a place: each
    /// is a run of its own.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn at(
        place: &Place,
        options: &BenchOptions,
        register: impl FnOnce(&mut Registry) -> Result<()>,
    ) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let kind = if options.file { StoreKind::File(scratch.path().join("run.duckdb")) } else { StoreKind::Memory };
        let mut store = StoreOptions::new(kind, scratch.path().join("tmp"))
            .with_directories(options.directories.iter().cloned().chain([place.path().to_path_buf()]));
        if let Some(bytes) = options.memory_limit {
            store = store.with_memory_limit(bytes);
        }
        if let Some(threads) = options.threads {
            store = store.with_threads(threads);
        }
        let (events, metrics) = (Recording::default(), Recording::default());
        let telemetry =
            Telemetry::to_writers(Box::new(events.clone()), Box::new(metrics.clone()), "bench", Default::default());
        let artifacts = scratch.path().join("artifacts");
        let run = RunContext::new(Store::open(&store)?, telemetry, artifacts, CancellationToken::new());
        let mut registry = Registry::new();
        register(&mut registry)?;
        Ok(Self { registry, run, place: place.clone(), events, metrics, scratch })
    }

    /// A step to run: its id, its component and its configuration. See [`BenchStep`].
    pub fn step(&self, id: impl Into<String>, component: &str, config: Value) -> BenchStep<'_> {
        BenchStep::new(self, id.into(), component.to_owned(), config)
    }

    /// The component called `name`.
    ///
    /// # Errors
    /// When it is not registered.
    pub fn driver(&self, name: &str) -> Result<&Arc<dyn Driver>> {
        self.registry.get(name)
    }

    /// A connection of `component` from plain fields; null for none.
    ///
    /// # Errors
    /// When the component is not registered or `fields` is neither an object nor null.
    pub fn connection(&self, component: &str, fields: &Value) -> Result<ResolvedConnection> {
        match fields {
            Value::Null => Ok(ResolvedConnection::none()),
            Value::Object(map) => {
                Ok(ResolvedConnection::from_fields(map.clone(), self.driver(component)?.connection_schema()))
            }
            _ => Err(Error::validation("the fields of a connection are an object")),
        }
    }

    /// What a component makes of a configuration and the plain fields of a connection; null for none.
    ///
    /// # Errors
    /// When the component is not registered or `fields` is neither an object nor null.
    pub fn prepare(&self, component: &str, config: &Value, fields: &Value) -> Result<Prepared> {
        let connection = self.connection(component, fields)?;
        Ok(self.driver(component)?.prepare(config, Some(&connection), self.place.path()))
    }

    /// Every problem of a configuration of `component`.
    ///
    /// # Errors
    /// When the component is not registered.
    pub fn config_problems(&self, component: &str, config: &Value) -> Result<Vec<Problem>> {
        Ok(self.driver(component)?.prepare(config, None, self.place.path()).config_problems().to_vec())
    }

    /// The directory that the store can reach, where relative paths of steps start.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A directory of the run's own, outside of the place.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The run, with its store, its telemetry and its cancellation.
    pub fn run_context(&self) -> &RunContext {
        &self.run
    }

    /// The run's store.
    pub fn store(&self) -> &Store {
        self.run.store()
    }

    /// The events so far.
    pub fn events(&self) -> &Recording {
        &self.events
    }

    /// The metrics so far.
    pub fn metrics(&self) -> &Recording {
        &self.metrics
    }

    /// What the published schemas say against the telemetry so far; empty when every line fits.
    pub fn telemetry_violations(&self) -> Vec<String> {
        let mut violations = event_violations(&self.events.lines());
        violations.extend(metric_violations(&self.metrics.lines()));
        violations
    }

    /// Makes the table of a step, to be another one's input.
    ///
    /// # Errors
    /// Data that the store cannot take, SQL that is not valid.
    pub async fn table(&self, step: &str, data: impl Into<InputTable>) -> Result<TableRef> {
        let sink = self.store().sink(step).await?;
        match data.into() {
            InputTable::Sql(sql) => {
                sink.call(move |transaction| transaction.create_table_as(&sql, &|_| false)).await?;
            }
            InputTable::Batches(batches) => {
                let Some(first) = batches.first() else {
                    return Err(Error::validation("a table needs at least one batch, which may be empty"));
                };
                let sender = sink.sender(first.schema()).await?;
                for batch in batches {
                    sender.send(batch).await?;
                }
            }
            InputTable::Sample(sample) => {
                let mut sender = None;
                for batch in sample.batches() {
                    let batch = batch?;
                    let sender = match &sender {
                        Some(sender) => sender,
                        None => sender.insert(sink.sender(batch.schema()).await?),
                    };
                    sender.send(batch).await?;
                }
            }
        }
        sink.finish().await
    }

    /// Several tables as the inputs of one step, none with a key of its own.
    pub fn inputs(tables: impl IntoIterator<Item = TableRef>) -> Inputs {
        let mut inputs = Inputs::none();
        tables.into_iter().for_each(|table| inputs.insert(None, table));
        inputs
    }

    /// The batches of a table. Not for tables larger than memory.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn batches(&self, table: &TableRef) -> Result<Vec<RecordBatch>> {
        let mut scan = self.store().scan(table).open().await?;
        let mut batches = Vec::new();
        while let Some(batch) = scan.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }

    /// A table as text, with its types.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn rows(&self, table: &TableRef) -> Result<Rows> {
        let columns = table.schema().columns();
        let empty = RecordBatch::new_empty(table.schema().arrow());
        let mut batches = vec![empty];
        batches.extend(self.batches(table).await?);
        let types = columns.iter().map(|column| column.column_type.to_string());
        Ok(Rows::from_batches(&batches)?.with_types(types))
    }

    /// The rows of a SELECT over the store's tables (`steps."<step id>"`), as text.
    ///
    /// # Errors
    /// SQL that is not valid.
    pub async fn query(&self, select: &str) -> Result<Rows> {
        const STEP: &str = "osiris-testkit query";
        let table = self.table(STEP, InputTable::Sql(select.to_owned())).await?;
        let rows = self.rows(&table).await;
        self.store().drop_table(STEP).await?;
        rows
    }

    /// The latest event of this name, or null.
    pub fn last_event(&self, name: &str) -> Value {
        self.events.matching("event", name).pop().unwrap_or_else(|| json!(null))
    }
}
