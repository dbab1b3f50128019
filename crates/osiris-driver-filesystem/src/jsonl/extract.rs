//! `filesystem.jsonl_extractor`: decodes lines into batches whose types follow the values, and lets the store widen its
//! table with them.

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, ExecutionContext, Extract, Extracted, Problem, Result, Role,
    Stdio, Step, TableSender, TableSink, Unit, metric,
};
use tokio::sync::mpsc;

use super::JSONL_FILES;
use super::rows::{Done, Piece, RowReader, types};
use crate::blocking::{StopFlag, blocking};
use crate::checks;
use crate::client::{Location, SourceFile, Target};
use crate::compression::{default_most, open_decompressed};
use crate::config::{FilesystemConnection, JsonlExtractorConfig};
use crate::objects::fetch;
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Batches that wait for the store, besides those in its own queue.
const WAITING: usize = 2;

/// Reads files of JSON lines.
#[derive(Clone, Default)]
pub struct JsonlExtractor {
    streams: Streams,
}

impl JsonlExtractor {
    /// An extractor that reads standard input for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for JsonlExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.jsonl_extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads JSON lines: one file, a directory of them, or a glob",
    )
    .with_connection(ConnectionUse::Optional);

    type Connection = FilesystemConnection;
    type Config = JsonlExtractorConfig;

    fn validate(config: &JsonlExtractorConfig) -> Vec<Problem> {
        let mut problems = types(config).err().unwrap_or_default();
        problems.extend(checks::path(&config.path));
        problems.extend(checks::named_twice("columns", config.columns.as_deref().unwrap_or_default()));
        problems.extend(checks::max_rejects(config.on_bad_lines, config.max_rejects));
        problems
    }

    fn stdio(config: &JsonlExtractorConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::INPUT } else { Stdio::NONE }
    }
}

#[async_trait]
impl Extract for JsonlExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let config = step.config();
        ctx.rejects().set_limit(config.max_rejects);
        let dry = if step.dry_run() { DRY_RUN_ROWS } else { u64::MAX };
        let location = Location::new(step.connection(), step.base_dir());
        let scratch = Scratch::new(ctx.store().scratch_dir(), step.id())?;
        let task = JsonlExtractTask {
            downloaded: fetch(&location, &config.path, &JSONL_FILES, &scratch).await?,
            limit: config.limit.unwrap_or(u64::MAX).min(dry),
            config: config.clone(),
            location,
            streams: self.streams.clone(),
            scratch,
        };
        let (pieces, arriving) = mpsc::channel(WAITING);
        let read = blocking(move |stop| task.read(&pieces, stop));
        let (read, stored) = tokio::join!(read, store(arriving, out.widening_sender()?, ctx));
        stored?;
        let (done, bytes) = read?;
        ctx.log_metric(metric::BYTES_READ, bytes, Unit::Bytes, serde_json::Value::Null);
        Ok(Extracted::rows(done.rows).with_altered(done.altered))
    }
}

/// Stores what the reader sends, until its end.
async fn store(mut pieces: mpsc::Receiver<Piece>, sender: TableSender, ctx: &ExecutionContext) -> Result<()> {
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Rows(batch) => sender.send(batch).await?,
            Piece::Rejects(rejects) => ctx.rejects().push(rejects).await?,
        }
    }
    Ok(())
}

/// One extraction, with its scratch directory.
struct JsonlExtractTask {
    config: JsonlExtractorConfig,
    limit: u64,
    location: Location,
    /// The files of a store, in the scratch directory.
    downloaded: Vec<SourceFile>,
    streams: Streams,
    scratch: Scratch,
}

impl JsonlExtractTask {
    /// Reads all files, until `stop` is set. Returns the size of those that were read, too.
    fn read(&self, pieces: &mpsc::Sender<Piece>, stop: &StopFlag) -> Result<(Done, u64)> {
        let files = self.files()?;
        let mut rows = RowReader::new(&self.config, self.limit, pieces, stop)?;
        let mut bytes = 0;
        for file in &files {
            if rows.is_full() {
                break;
            }
            let compression = self.config.compression.resolve(&file.name);
            let most = self.config.max_uncompressed_bytes.unwrap_or_else(|| default_most(file.size));
            open_decompressed(&file.path, &file.name, compression, most, |source| rows.file(source, &file.name))?;
            bytes += file.size;
        }
        let done = rows.finish(files.first().map_or("", |file| file.name.as_str()))?;
        Ok((done, bytes))
    }

    /// The files to read; standard input is first copied to a file.
    fn files(&self) -> Result<Vec<SourceFile>> {
        match self.location.target(&self.config.path)? {
            Target::Local(path) => self.location.files(&path, &JSONL_FILES),
            Target::Stdio => Ok(vec![self.scratch.standard_input(&self.streams, "jsonl")?]),
            Target::Object(_) => Ok(self.downloaded.clone()),
        }
    }
}
