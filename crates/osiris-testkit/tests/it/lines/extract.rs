//! `lines.extractor`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, Error, ExecutionContext, Extract, Extracted, Feature,
    Problem, Result, Role, Step, TableSender, TableSink, Unit, event, metric,
};
use osiris_testkit::RateLimit;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Flaw, LinesConnection, reach, row};

/// Opens a table; what a test can replace.
pub(crate) type Client = fn(&Path) -> std::io::Result<File>;

pub(crate) struct LinesExtractor {
    flaw: Option<Flaw>,
    client: Client,
    kept: Arc<Mutex<Option<Vec<RecordBatch>>>>,
    limit: Option<RateLimit>,
}

/// What to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtractorConfig {
    /// The name of the file.
    table: String,
    /// Rows in a page. Default 1000.
    #[serde(default = "page_size")]
    #[schemars(range(min = 1), extend("x-source" = false))]
    page_size: usize,
    /// A statement, for the rule about statements: `SELECT` or nothing. Default: nothing.
    #[serde(default)]
    query: Option<String>,
    /// Whether only lines are read that no run has taken. Default: no.
    #[serde(default)]
    incremental: bool,
    /// Another file to read in the place of `table`: a part of the source that is not said to be one. Default: none.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    instead: Option<String>,
}

fn page_size() -> usize {
    1000
}

impl LinesExtractor {
    pub(crate) fn new(flaw: Option<Flaw>) -> Self {
        Self::with_client(flaw, |path| File::open(path))
    }

    pub(crate) fn with_client(flaw: Option<Flaw>, client: Client) -> Self {
        let client = if flaw == Some(Flaw::IgnoresItsClient) { |path: &Path| File::open(path) } else { client };
        Self { flaw, client, kept: Arc::default(), limit: None }
    }

    /// The same, of a server with a rate limit.
    pub(crate) fn limited(self, limit: Option<RateLimit>) -> Self {
        Self { limit, ..self }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

impl Component for LinesExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new("lines.extractor", "1", Role::Extract, "Lines")
        .with_connection(ConnectionUse::Required)
        .with_features(&[Feature::Pages, Feature::Incremental, Feature::Streams]);
    type Connection = LinesConnection;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        if config.table.contains('/') {
            problems.push(Problem::error("/table", "a table is no path"));
        }
        let any = config.table.contains("any-statement");
        if config.query.as_ref().is_some_and(|query| query.to_uppercase() != "SELECT" && !any) {
            problems.push(Problem::error("/query", "only SELECT is allowed"));
        }
        // The flaw of a component that accepts any statement is above; here is that of one that stops at the first.
        problems.truncate(if config.table.contains("only-one") { 1 } else { 2 });
        problems
    }

    fn streams(_: &ExtractorConfig, _: &LinesConnection) -> bool {
        true
    }
}

#[async_trait]
impl Extract for LinesExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let (config, connection) = (step.config(), step.connection());
        if self.has(Flaw::RefusesOddSteps) && !step.id().chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Error::validation("an odd step id"));
        }
        if self.has(Flaw::ReadsTheEnvironment) && std::env::var_os("LINES_DIRECTORY").is_some() {
            return Err(Error::validation("the directory of the environment is not there"));
        }
        reach(connection, self.flaw)?;
        if self.has(Flaw::LeavesFiles) {
            let name = format!("{:?}.tmp", std::time::SystemTime::now());
            File::create(connection.directory.join(name))?.write_all(b"x")?;
        }
        if self.has(Flaw::LeavesOpenFiles) {
            std::fs::write(ctx.artifacts_dir()?.join("notes.txt"), "what was read")?;
        }
        if self.has(Flaw::LeavesOpenDirectories) {
            let notes = ctx.artifacts_dir()?.join("notes");
            if !notes.exists() {
                std::fs::create_dir(notes)?;
            }
        }
        let table = config.instead.as_ref().unwrap_or(&config.table);
        let file = (self.client)(&connection.directory.join(table))
            .map_err(|error| Error::from(error).with_hint("name a table that is there"))?;
        if self.has(Flaw::Prints) {
            std::io::stderr().write_all(format!("reading {}\n", config.table).as_bytes())?;
        }
        let whole =
            self.has(Flaw::HoldsTheTable).then(|| std::fs::read(connection.directory.join(&config.table)).unwrap());
        let mut reader = Reader { lines: BufReader::new(file), number: 0, flaw: self.flaw };
        let columns = reader.next()?.unwrap_or_default();
        let sender = out.sender(self.batch(&columns, &[])?.schema()).await?;
        let limit = if step.dry_run() && !self.has(Flaw::ReadsAllInADryRun) { DRY_RUN_ROWS } else { u64::MAX };
        let taken = match step.state().filter(|_| config.incremental) {
            None => 0,
            Some(state) => match state.as_u64() {
                Some(taken) => taken,
                None if self.has(Flaw::IgnoresDamagedStates) => 0,
                None => return Err(Error::validation("the saved state is not a number").with_hint("remove it")),
            },
        };
        for _ in 0..taken {
            reader.next()?;
        }
        let large = self.has(Flaw::ReadsLargePages) && config.page_size == page_size();
        let page_size = if large { 10_000 } else { config.page_size };
        let read = self.send_pages(&mut reader, &columns, page_size, limit, &sender, ctx).await?;
        drop(whole);
        if self.has(Flaw::LogsItsMetricTwice) {
            ctx.log_metric(metric::ROWS_READ, read, Unit::Rows, Value::Null);
        }
        if self.has(Flaw::LogsOddMetrics) {
            ctx.log_metric("Pages!", 1, Unit::Calls, Value::Null);
        }
        let extracted = Extracted::rows(read);
        let leaves_state = config.incremental && !step.dry_run();
        Ok(if leaves_state { extracted.with_state(json!(taken + read)) } else { extracted })
    }
}

impl LinesExtractor {
    async fn send_pages(
        &self,
        reader: &mut Reader,
        columns: &[Option<String>],
        page_size: usize,
        limit: u64,
        sender: &TableSender,
        ctx: &ExecutionContext,
    ) -> Result<u64> {
        if let Some(kept) = self.has(Flaw::KeepsOldRows).then(|| self.kept.lock().unwrap().clone()).flatten() {
            let rows = kept.iter().map(|batch| batch.num_rows() as u64).sum();
            for batch in kept {
                sender.send(batch).await?;
            }
            return Ok(rows);
        }
        let (mut read, mut page, mut batches) = (0, 0, Vec::new());
        loop {
            let mut rows = Vec::new();
            while rows.len() < page_size && read + (rows.len() as u64) < limit {
                match reader.next() {
                    Ok(Some(row)) => rows.push(row),
                    Ok(None) => break,
                    Err(_) if self.has(Flaw::SwallowsErrors) => break,
                    Err(error) => return Err(error),
                }
            }
            if rows.is_empty() {
                break;
            }
            self.admitted(page == 0).await;
            page += 1;
            ctx.log_event(event::EXTRACTION_PAGE, json!({"page": page, "rows": rows.len()}));
            if self.has(Flaw::LosesARow) && rows.len() < page_size {
                rows.pop();
            }
            read += rows.len() as u64;
            let batch = self.batch(columns, &rows)?;
            if self.has(Flaw::KeepsOldRows) {
                batches.push(batch.clone());
            }
            sender.send(batch).await?;
        }
        *self.kept.lock().unwrap() = Some(batches);
        Ok(read)
    }

    /// Waits until the server takes a request.
    async fn admitted(&self, is_first: bool) {
        let Some(limit) = &self.limit else { return };
        if !is_first && !limit.headers().is_empty() && !self.has(Flaw::HurriesNearALimit) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        while let Err(wait) = limit.admit() {
            let wait = if self.has(Flaw::ForgetsHowLongToWait) { Duration::from_millis(700) } else { wait };
            tokio::time::sleep(wait).await;
        }
    }

    /// The column `id` is a number, every other a text.
    fn batch(&self, columns: &[Option<String>], rows: &[Vec<Option<String>>]) -> Result<RecordBatch> {
        let arrays = columns.iter().enumerate().map(|(index, name)| {
            let name = name.clone().unwrap_or_default();
            let cells = rows.iter().map(|row| row[index].as_deref());
            let array: ArrayRef = if name == "id" && !self.has(Flaw::TurnsNumbersIntoText) {
                Arc::new(cells.map(|cell| cell.and_then(|cell| cell.parse().ok())).collect::<Int64Array>())
            } else {
                Arc::new(cells.collect::<StringArray>())
            };
            (name, array, true)
        });
        RecordBatch::try_from_iter_with_nullable(arrays)
            .map_err(|error| Error::validation("the table has no columns").with_source(error))
    }
}

pub(super) struct Reader {
    pub(super) lines: BufReader<File>,
    pub(super) number: usize,
    pub(super) flaw: Option<Flaw>,
}

impl Reader {
    pub(super) fn next(&mut self) -> Result<Option<Vec<Option<String>>>> {
        let mut line = String::new();
        self.number += 1;
        if self.lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        row(&line, self.number, self.flaw).map(Some)
    }
}
