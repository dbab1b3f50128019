//! `filesystem.arrow_extractor`: sends the batches of the files, whose types the store takes exactly or refuses.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use osiris_core::{
    Code, Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, Error, ExecutionContext, Extract, Extracted, Problem,
    Result, Role, Stdio, Step, TableSink, Unit, metric,
};
use tokio::sync::mpsc;

use super::ARROW_FILES;
use super::source::{ArrowFile, damaged};
use crate::blocking::{StopFlag, blocking};
use crate::checks;
use crate::client::{Location, SourceFile};
use crate::config::{ArrowExtractorConfig, FilesystemConnection};
use crate::csv::{find_all, unique};
use crate::objects::fetch;
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Batches that wait for the store, besides those in its own queue.
const WAITING: usize = 2;
/// Rows that are sent at a time.
const MOST_ROWS: usize = 122_880;
/// What to do about a type or a value that the store does not take.
const CAST: &str = "cast the column where the file is created, such as to `timestamp[us]`, `decimal128(38, 10)` or `string`, or \
                    exclude it with `columns`";

/// Reads Arrow IPC files.
#[derive(Clone, Default)]
pub struct ArrowExtractor {
    streams: Streams,
}

impl ArrowExtractor {
    /// An extractor that reads standard input for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for ArrowExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.arrow_extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads Arrow IPC and Feather files: one, a directory of them, or a glob",
    )
    .with_connection(ConnectionUse::Optional);

    type Connection = FilesystemConnection;
    type Config = ArrowExtractorConfig;

    fn validate(config: &ArrowExtractorConfig) -> Vec<Problem> {
        let mut problems = checks::named_twice("columns", config.columns.as_deref().unwrap_or_default());
        problems.extend(checks::path(&config.path));
        problems
    }

    fn stdio(config: &ArrowExtractorConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::INPUT } else { Stdio::NONE }
    }
}

#[async_trait]
impl Extract for ArrowExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let config = step.config().clone();
        let dry = if step.dry_run() { DRY_RUN_ROWS } else { u64::MAX };
        let limit = config.limit.unwrap_or(u64::MAX).min(dry);
        let location = Location::new(step.connection(), step.base_dir());
        let scratch = Scratch::new(ctx.store().scratch_dir(), step.id())?;
        let downloaded = fetch(&location, &config.path, &ARROW_FILES, &scratch).await?;
        let streams = self.streams.clone();
        let task = blocking(move |stop| {
            let sources = scratch.sources(&location, &config.path, &ARROW_FILES, &streams, &downloaded)?;
            ArrowExtractTask::open(&config, sources, scratch, stop)
        })
        .await?;
        let sender = out.sender(Arc::clone(&task.schema)).await.map_err(|error| error.with_hint(CAST))?;
        let (batches, mut arriving) = mpsc::channel(WAITING);
        let read = blocking(move |stop| task.read(limit, &batches, stop));
        let stored = async move {
            while let Some(batch) = arriving.recv().await {
                sender.send(batch).await?;
            }
            Ok::<_, Error>(())
        };
        let (read, stored) = tokio::join!(read, stored);
        let with_cast = |error: Error| match error.code() {
            Code::ValueDoesNotFit => error.with_hint(CAST),
            _ => error,
        };
        stored.map_err(with_cast)?;
        let (rows, bytes) = read?;
        // A batch that was sent is not yet stored: whether its values fit is told here.
        out.rows().await.map_err(with_cast)?;
        ctx.log_metric(metric::BYTES_READ, bytes, Unit::Bytes, serde_json::Value::Null);
        Ok(Extracted::rows(rows))
    }
}

/// One extraction, with its scratch directory.
struct ArrowExtractTask {
    files: Vec<ArrowFile>,
    /// The positions of the columns in each file.
    places: Vec<Vec<usize>>,
    /// What every batch has.
    schema: SchemaRef,
    _scratch: Scratch,
}

impl ArrowExtractTask {
    /// Finds the files and their columns.
    ///
    /// # Errors
    /// When a file cannot be read, or has other columns than the first.
    fn open(
        config: &ArrowExtractorConfig,
        sources: Vec<SourceFile>,
        scratch: Scratch,
        stop: &StopFlag,
    ) -> Result<Self> {
        let mut files = Vec::new();
        for source in sources {
            stop.check()?;
            files.push(ArrowFile::open(source)?);
        }
        let Some(first) = files.first() else { return Err(Error::validation("there is no file to read")) };
        let names = names(first);
        let wanted = match &config.columns {
            None => (0..names.len()).collect(),
            Some(columns) => find_all(&names, columns, "columns")?,
        };
        let field = |place: &usize| first.schema.field(*place).clone().with_name(&names[*place]);
        let fields: Vec<Field> = wanted.iter().map(field).collect();
        let places = files.iter().map(|file| places(file, first, &fields)).collect::<Result<_>>()?;
        Ok(Self { schema: Arc::new(Schema::new(fields)), files, places, _scratch: scratch })
    }

    /// Reads up to `limit` rows. Returns their number, and the size of the files that were read.
    fn read(&self, limit: u64, batches: &mpsc::Sender<RecordBatch>, stop: &StopFlag) -> Result<(u64, u64)> {
        let (mut rows, mut bytes) = (0, 0);
        for (file, places) in self.files.iter().zip(&self.places) {
            if rows == limit {
                break;
            }
            let name = file.source.name.as_str();
            let mut sorted = places.clone();
            sorted.sort_unstable();
            let order: Vec<usize> = places.iter().filter_map(|place| sorted.binary_search(place).ok()).collect();
            for batch in file.batches(sorted)? {
                let batch = batch.map_err(|error| damaged(name, error))?;
                let columns = order.iter().map(|place| Arc::clone(batch.column(*place))).collect();
                let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
                let mut rest = batch.map_err(|error| damaged(name, error))?;
                while rest.num_rows() > 0 && rows < limit {
                    stop.check()?;
                    let left = usize::try_from(limit - rows).unwrap_or(usize::MAX);
                    let taken = rest.num_rows().min(MOST_ROWS).min(left);
                    let piece = rest.slice(0, taken);
                    rest = rest.slice(taken, rest.num_rows() - taken);
                    rows += taken as u64;
                    // The error of the store is the one that is reported.
                    batches.blocking_send(piece).map_err(|_| Error::cancelled("cancelled"))?;
                }
                if rows == limit {
                    break;
                }
            }
            bytes += file.source.size;
        }
        Ok((rows, bytes))
    }
}

/// The names of the columns of a file, unique.
fn names(file: &ArrowFile) -> Vec<String> {
    let written: Vec<&str> = file.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let (names, renamed) = unique(&written);
    if renamed {
        let file = file.source.name.as_str();
        tracing::warn!(file, columns = ?names, "the file has empty or duplicate column names: renamed to be unique");
    }
    names
}

/// The positions of the columns `fields` in a file, which must have them all, and with the same types.
fn places(file: &ArrowFile, first: &ArrowFile, fields: &[Field]) -> Result<Vec<usize>> {
    let names = names(file);
    let differs = |what: String| {
        let (name, first) = (&file.source.name, &first.source.name);
        Error::validation(format!("columns of `{name}` differ from `{first}`: {what}"))
            .with_code(Code::ColumnsDiffer)
            .with_hint("read the files in two steps and join them in SQL")
    };
    let place = |field: &Field| {
        let place = names.iter().position(|name| name.to_lowercase() == field.name().to_lowercase());
        let place = place.ok_or_else(|| differs(format!("it lacks `{}`", field.name())))?;
        let found = file.schema.field(place).data_type();
        if found == field.data_type() {
            return Ok(place);
        }
        Err(differs(format!("`{}` is {found}, not {}", field.name(), field.data_type())))
    };
    if names.len() != first.schema.fields().len() {
        let (has, expected) = (names.len(), first.schema.fields().len());
        return Err(differs(format!("it has {has} columns, not {expected}")));
    }
    fields.iter().map(place).collect()
}
