//! A directory, a store that reaches it, and steps over both.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use osiris_core::{
    Error, Inputs, Registry, ResolvedConnection, RetryPolicy, RunContext, StepOutput, StepRequest, Store, StoreKind,
    StoreOptions, TableRef, Telemetry,
};
use osiris_driver_filesystem::Streams;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// What went to standard output.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The place of one test.
pub(crate) struct Bench {
    directory: TempDir,
    registry: Registry,
    run: RunContext,
    metrics: Captured,
    stdout: Captured,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_stdin(b"")
    }

    /// One whose standard input holds `bytes`.
    pub(crate) fn with_stdin(bytes: &'static [u8]) -> Self {
        Self::reaching(bytes, None)
    }

    /// One whose store reaches another directory too.
    pub(crate) fn reaching(bytes: &'static [u8], other: Option<PathBuf>) -> Self {
        Self::over(bytes, |options, data| options.with_directories([data.to_path_buf()].into_iter().chain(other)))
    }

    /// One whose store reaches these files of the data directory alone.
    pub(crate) fn exact(files: &[&str]) -> Self {
        Self::over(b"", |options, data| options.with_files(files.iter().map(|file| data.join(file))))
    }

    fn over(bytes: &'static [u8], reach: impl FnOnce(StoreOptions, &Path) -> StoreOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let options = StoreOptions::new(StoreKind::Memory, directory.path().join("scratch")).with_threads(2);
        let options = reach(options, &data);
        let store = Store::open(&options).unwrap();
        let metrics = Captured::default();
        let telemetry =
            Telemetry::to_writers(Box::new(std::io::sink()), Box::new(metrics.clone()), "test", Default::default());
        let run = RunContext::new(store, telemetry, directory.path().join("artifacts"), CancellationToken::new());
        let stdout = Captured::default();
        let output = stdout.clone();
        let streams = Streams::new(
            move || Box::new(bytes) as Box<dyn Read + Send>,
            move || Box::new(output.clone()) as Box<dyn Write + Send>,
        );
        let mut registry = Registry::new();
        osiris_driver_filesystem::register_with_io(&mut registry, streams).unwrap();
        Self { directory, registry, run, metrics, stdout }
    }

    /// The directory of the data; relative paths start here.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    /// All files below the data directory, hidden ones too.
    pub(crate) fn files(&self) -> Vec<String> {
        fn walk(directory: &Path, root: &Path, files: &mut Vec<String>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, files);
                } else {
                    files.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.data(), &self.data(), &mut files);
        files.sort();
        files
    }

    /// Files that a step left in the scratch directory.
    pub(crate) fn scratch(&self) -> usize {
        std::fs::read_dir(self.directory.path().join("scratch"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name() != "spill")
            .count()
    }

    pub(crate) fn stdout(&self) -> Vec<u8> {
        self.stdout.0.lock().unwrap().clone()
    }

    /// The last value of a metric.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let text = String::from_utf8(self.metrics.0.lock().unwrap().clone()).unwrap();
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.rfind(|line| line["metric"] == name).and_then(|line| line["value"].as_u64())
    }

    /// Runs a step; `fields` are those of its connection.
    pub(crate) async fn request(
        &self,
        component: &str,
        request: StepRequest,
        (config, fields): (Value, Value),
        inputs: Inputs,
    ) -> Result<StepOutput, Error> {
        let request = StepRequest { retry: RetryPolicy::never(), ..request };
        let ctx = self.run.step(&request.step_id);
        let driver = self.registry.get(component).unwrap();
        let fields = fields.as_object().unwrap().clone();
        let connection = ResolvedConnection::from_fields(fields, driver.connection_schema());
        let prepared = driver.prepare(&config, Some(&connection), &self.data());
        let step = prepared.into_step().map_err(|error| error.with_step(&request.step_id))?;
        step.run(&request, &inputs, &ctx).await.map_err(Error::from)
    }

    pub(crate) async fn run(&self, component: &str, config: Value, inputs: Inputs) -> Result<StepOutput, Error> {
        self.request(component, StepRequest::new("step"), (config, json!({})), inputs).await
    }

    /// Checks everything, changes nothing.
    pub(crate) async fn dry_run(&self, component: &str, config: Value, inputs: Inputs) -> Result<StepOutput, Error> {
        let request = StepRequest { dry_run: true, ..StepRequest::new("step") };
        self.request(component, request, (config, json!({})), inputs).await
    }

    pub(crate) async fn arrow(&self, config: Value) -> Result<Table, Error> {
        let output = self.run("filesystem.arrow_extractor", config, Inputs::none()).await?;
        self.table(output).await
    }

    pub(crate) async fn csv(&self, config: Value) -> Result<Table, Error> {
        let output = self.run("filesystem.csv_extractor", config, Inputs::none()).await?;
        self.table(output).await
    }

    pub(crate) async fn json(&self, config: Value) -> Result<Table, Error> {
        let output = self.run("filesystem.json_extractor", config, Inputs::none()).await?;
        self.table(output).await
    }

    pub(crate) async fn jsonl(&self, config: Value) -> Result<Table, Error> {
        let output = self.run("filesystem.jsonl_extractor", config, Inputs::none()).await?;
        self.table(output).await
    }

    pub(crate) async fn excel(&self, config: Value) -> Result<Table, Error> {
        let output = self.run("filesystem.excel_extractor", config, Inputs::none()).await?;
        self.table(output).await
    }

    pub(crate) async fn parquet(&self, config: Value) -> Result<Table, Error> {
        let output = self.run("filesystem.parquet_extractor", config, Inputs::none()).await?;
        self.table(output).await
    }

    pub(crate) async fn arrow_error(&self, config: Value) -> String {
        self.shown(self.arrow(config).await.err().unwrap())
    }

    /// The message and hint of the error that reading ends in.
    pub(crate) async fn csv_error(&self, config: Value) -> String {
        self.shown(self.csv(config).await.err().unwrap())
    }

    pub(crate) async fn json_error(&self, config: Value) -> String {
        self.shown(self.json(config).await.err().unwrap())
    }

    pub(crate) async fn jsonl_error(&self, config: Value) -> String {
        self.shown(self.jsonl(config).await.err().unwrap())
    }

    pub(crate) async fn excel_error(&self, config: Value) -> String {
        self.shown(self.excel(config).await.err().unwrap())
    }

    pub(crate) async fn parquet_error(&self, config: Value) -> String {
        self.shown(self.parquet(config).await.err().unwrap())
    }

    /// Kind, message and hint, without the path of this machine.
    pub(crate) fn shown(&self, error: Error) -> String {
        let text = format!("{}: {error}\nhint: {}", error.kind(), error.hint().unwrap_or("-"));
        text.replace(&self.data().display().to_string(), "[data]")
    }

    /// Makes a table by SQL in the store.
    pub(crate) async fn make(&self, select: &str) -> TableRef {
        self.make_with_instants(select, &[]).await
    }

    pub(crate) async fn make_with_instants(&self, select: &str, instants: &'static [&'static str]) -> TableRef {
        let sink = self.run.store().sink("input").await.unwrap();
        let select = select.to_owned();
        sink.call(move |tx| tx.create_table_as(&select, &|column| instants.contains(&column.name.as_str())))
            .await
            .unwrap();
        sink.finish().await.unwrap()
    }

    /// Writes the table that `select` makes.
    pub(crate) async fn write(&self, component: &str, select: &str, config: Value) -> Result<StepOutput, Error> {
        let table = self.make(select).await;
        self.request(component, StepRequest::new("write"), (config, json!({})), Inputs::one(table)).await
    }

    pub(crate) async fn table(&self, output: StepOutput) -> Result<Table, Error> {
        let table = output.table.clone().unwrap();
        let mut scan = self.run.store().scan(&table).open().await?;
        let mut batches = Vec::new();
        while let Some(batch) = scan.next().await? {
            batches.push(batch);
        }
        Ok(Table { output, table, batches })
    }

    /// What DuckDB says to a query, as text.
    pub(crate) async fn query(&self, sql: &str) -> String {
        let sql = sql.to_owned();
        let read = move |connection: &duckdb::Connection| {
            Ok(connection.query_row(&sql, [], |row| row.get::<_, Option<String>>(0)).unwrap().unwrap_or_default())
        };
        self.run.store().call(read).await.unwrap()
    }

    /// The rejects of the step `step`.
    pub(crate) async fn rejects(&self) -> Value {
        let rows = self
            .query("SELECT CAST(coalesce(to_json(list({n: row_number, c: \"column\", why: reason, row: \"row\"} ORDER BY row_number)), '[]') AS VARCHAR) FROM rejects.step")
            .await;
        serde_json::from_str(&rows).unwrap_or(json!([]))
    }
}

/// A table that was read.
pub(crate) struct Table {
    pub(crate) output: StepOutput,
    pub(crate) table: TableRef,
    pub(crate) batches: Vec<RecordBatch>,
}

impl Table {
    /// `name TYPE` of every column.
    pub(crate) fn columns(&self) -> Vec<String> {
        let columns = self.table.schema().columns();
        columns.iter().map(|column| format!("{} {}", column.name, column.column_type)).collect()
    }

    /// Every value as text, NULL as `∅`.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let options = FormatOptions::default().with_null("∅");
        let mut rows = Vec::new();
        for batch in &self.batches {
            let columns: Vec<_> =
                batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
            }
        }
        rows
    }
}
