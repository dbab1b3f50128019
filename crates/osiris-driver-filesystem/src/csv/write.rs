//! `filesystem.csv_writer`: formats batches and writes them to atomic files.

use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use osiris_core::{
    CommitOutcome, Component, ComponentSpec, ConnectionUse, DestinationId, ExecutionContext, Feature, Intent, Problem,
    Result, Role, Stdio, Step, TableRef, TableScan, Unit, Write, Written, metric,
};
use serde_json::Value;

use super::dialect::{default_delimiter, delimiter, quote_problem};
use super::encoding::Charset;
use super::field::date_items;
use super::format::Formatter;
use super::output::{Output, check_append};
use crate::blocking::{StopFlag, blocking};
use crate::client::Location;
use crate::commit::{AtomicDirectory, AtomicFile};
use crate::config::{ColumnOrder, CsvWriterConfig, FilesystemConnection, WriteColumns, WriteCompression, WriteMode};
use crate::destination::{Destination, Done, Part, part_name};
use crate::error::io_error;
use crate::lock::TargetLock;
use crate::publish::{Staged, outcome, publish};
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Size of a formatted chunk in bytes.
const FLUSH_BYTES: usize = 1 << 20;

/// Writes CSV files.
#[derive(Clone, Default)]
pub struct CsvWriter {
    streams: Streams,
}

impl CsvWriter {
    /// A writer that writes to standard output for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for CsvWriter {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.csv_writer",
        env!("CARGO_PKG_VERSION"),
        Role::Write,
        "Writes a table as CSV: one file, or several of a given size",
    )
    .with_connection(ConnectionUse::Optional)
    .with_features(&[Feature::Streams]);

    type Connection = FilesystemConnection;
    type Config = CsvWriterConfig;

    fn validate(config: &CsvWriterConfig) -> Vec<Problem> {
        let mut problems = crate::destination::validate(&config.path, config.mode, config.max_rows_per_file.is_some());
        let delimiter = delimiter(config.delimiter.as_deref());
        if let Err(problem) = &delimiter {
            problems.push(problem.clone());
        }
        problems.extend(Charset::named(&config.encoding).err());
        problems.extend(quote_problem(config.quotechar.as_deref()));
        if let Some(problem) = config.date_format.as_deref().and_then(|format| date_items(format).err()) {
            problems.push(Problem::error("/date_format", problem).with_hint("such as `%Y-%m-%d %H:%M:%S%.f`"));
        }
        let delimiter = delimiter.ok().flatten().unwrap_or_else(|| default_delimiter(&config.path));
        if config.null_value.bytes().any(|byte| [delimiter, b'"', b'\n', b'\r'].contains(&byte)) {
            problems.push(
                Problem::error("/null_value", "must not contain a delimiter, quote or line end")
                    .with_hint("such as `NULL` or `\\N`"),
            );
        }
        if config.null_value.starts_with('\u{feff}') {
            problems.push(Problem::error("/null_value", "must not begin with a byte order mark (U+FEFF)"));
        }
        if config.mode == WriteMode::Append
            && config.compression == WriteCompression::Zip
            && config.max_rows_per_file.is_none()
        {
            problems
                .push(Problem::error("/mode", "cannot append to a zip archive").with_hint("use `compression: gzip`"));
        }
        if let WriteColumns::List(columns) = &config.columns
            && columns.is_empty()
        {
            problems.push(Problem::error("/columns", "needs at least one column"));
        }
        problems
    }

    fn streams(_: &CsvWriterConfig, _: &FilesystemConnection) -> bool {
        true
    }

    fn stdio(config: &CsvWriterConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::OUTPUT } else { Stdio::NONE }
    }
}

#[async_trait]
impl Write for CsvWriter {
    fn destination(&self, config: &CsvWriterConfig, connection: &FilesystemConnection, base: &Path) -> DestinationId {
        let several = config.max_rows_per_file.is_some();
        Destination::id(&Location::new(connection, base), &config.path, config.mode, several)
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        let columns = columns(&config.columns, input);
        let location = Location::new(step.connection(), step.base_dir());
        let scan = ctx.store().scan(input).columns(columns.clone());
        let job = CsvWriteTask::new(config, columns, ctx)?;
        let destination = Destination::find(&location, &config.path, config.create_dirs, step.dry_run())?;
        let scan = scan.open().await?;
        ctx.progress().expect_rows(input.expected_rows());
        if step.dry_run() {
            job.check(&destination)?;
            return Ok(Written::default());
        }
        let name = destination.name().to_owned();
        let scratch = Arc::new(Scratch::new(ctx.store().scratch_dir(), step.id())?);
        let (of_job, at_work) = (Arc::clone(&scratch), ctx.store().at_work());
        let lock = destination.lock(config.max_rows_per_file.is_some()).await?;
        // The run waits for the end of this thread, and thus for the removal of its temporary file, even if this future
        // is dropped.
        let run = move |stop: &StopFlag| Ok((job.run(scan, &destination, lock, &of_job, stop)?, at_work));
        let ((done, staged), _at_work) = blocking(run).await?;
        let written = Written::inserted(done.rows);
        publish(staged, &name, config.mode, written, &self.streams, ctx).await?;
        ctx.log_metric(metric::BYTES_WRITTEN, done.bytes, Unit::Bytes, Value::Null);
        ctx.log_metric(metric::FILES_WRITTEN, done.files, Unit::Files, Value::Null);
        Ok(written)
    }

    async fn outcome(
        &self,
        _: &Step<'_, Self>,
        intent: &Intent,
        _: Option<&TableRef>,
        _: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        outcome(intent).await
    }
}

/// The columns to write, in order.
fn columns(wanted: &WriteColumns, input: &TableRef) -> Vec<String> {
    let mut names: Vec<String> = input.schema().names().map(str::to_owned).collect();
    match wanted {
        WriteColumns::Order(ColumnOrder::Source) => {}
        WriteColumns::Order(ColumnOrder::Sorted) => names.sort(),
        WriteColumns::List(list) => names.clone_from(list),
    }
    names
}

/// One write, in blocking code.
struct CsvWriteTask {
    config: CsvWriterConfig,
    columns: Vec<String>,
    charset: Charset,
    delimiter: u8,
    formatter: Formatter,
    ctx: ExecutionContext,
}

impl CsvWriteTask {
    fn new(config: &CsvWriterConfig, columns: Vec<String>, ctx: &ExecutionContext) -> Result<Self> {
        let invalid = |problem: Problem| osiris_core::Error::validation(problem.to_string());
        let delimiter = delimiter(config.delimiter.as_deref()).map_err(invalid)?;
        let delimiter = delimiter.unwrap_or_else(|| default_delimiter(&config.path));
        let formatter = Formatter::new(config, delimiter)?;
        // Check first that the header can be written.
        formatter.header(columns.iter().map(String::as_str), &mut Vec::new())?;
        Ok(Self {
            charset: Charset::named(&config.encoding).map_err(invalid)?,
            config: config.clone(),
            columns,
            delimiter,
            formatter,
            ctx: ctx.clone(),
        })
    }

    /// Everything that can be checked without writing.
    fn check(&self, destination: &Destination) -> Result<()> {
        destination.check(self.config.max_rows_per_file.is_some())?;
        let Destination::File { path, name } = destination else { return Ok(()) };
        if self.config.mode == WriteMode::Append && self.config.max_rows_per_file.is_none() && path.exists() {
            check_append(path, name, &self.config, self.delimiter, self.charset, &self.columns)?;
        }
        Ok(())
    }

    fn run(
        &self,
        scan: TableScan,
        destination: &Destination,
        lock: Option<TargetLock>,
        scratch: &Scratch,
        stop: &StopFlag,
    ) -> Result<(Done, Staged)> {
        let mut rows = Rows { scan, rest: None, first: 0 };
        match destination {
            Destination::Stdout => {
                let path = scratch.path("csv");
                let name = "standard output";
                let file = osiris_core::private::create(&path)
                    .map_err(|error| io_error("could not be written", name, error))?;
                let mut output = Output::new(file, name, self.charset, self.config.compression, true)?;
                self.header(&mut output)?;
                let written = self.rows(&mut rows, u64::MAX, &mut output, stop)?;
                output.finish()?;
                stop.check()?;
                let bytes = path.metadata().map_err(|error| io_error("could not be written", name, error))?.len();
                Ok((Done { rows: written, bytes, files: 1 }, Staged::Stdout(path)))
            }
            Destination::File { path, name } => match self.config.max_rows_per_file {
                None => self.file(&mut rows, path, name, lock, stop),
                Some(most) => self.directory(&mut rows, path, name, most, lock, stop),
            },
        }
    }

    fn file(
        &self,
        rows: &mut Rows,
        path: &Path,
        name: &str,
        lock: Option<TargetLock>,
        stop: &StopFlag,
    ) -> Result<(Done, Staged)> {
        let failed = |error| io_error("could not be written", name, error);
        let mut atomic = AtomicFile::create(path, name, lock)?;
        if self.config.mode == WriteMode::Append {
            atomic.keep_old();
        }
        let append = self.config.mode == WriteMode::Append && atomic.old_length() > 0;
        let ended = if append {
            check_append(path, name, &self.config, self.delimiter, self.charset, &self.columns)?
        } else {
            true
        };
        let mut file = atomic.handle().map_err(failed)?;
        let mut before = 0;
        if append {
            before = atomic.copy_old(name)?;
            file.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        let mut output = Output::new(file, name, self.charset, self.config.compression, !append)?;
        if !ended {
            output.write(&mut self.formatter.newline().to_vec())?;
        }
        if !append {
            self.header(&mut output)?;
        }
        let written = self.rows(rows, u64::MAX, &mut output, stop)?;
        output.finish()?;
        let bytes = atomic.sync(name)?;
        let done = Done { rows: written, bytes: bytes - before, files: 1 };
        let appended = append.then_some(before);
        Ok((
            done,
            match appended {
                Some(old) => Staged::Appended { file: atomic, old, copied: true },
                None => Staged::File(atomic),
            },
        ))
    }

    fn directory(
        &self,
        rows: &mut Rows,
        path: &Path,
        name: &str,
        most: u64,
        lock: Option<TargetLock>,
        stop: &StopFlag,
    ) -> Result<(Done, Staged)> {
        let extension = self.extension(name);
        let mut directory = AtomicDirectory::create(path, name, &|below| Part::parse(below).is_some(), lock)?;
        let mut number = 0;
        if self.config.mode == WriteMode::Append {
            let kept = directory.keep_existing(name)?;
            number = kept.iter().filter_map(|path| Part::parse(path)).map(|part| part.number).max().unwrap_or(0);
        }
        let (mut done, mut new) = (Done::default(), Vec::new());
        while done.files == 0 || rows.more()? {
            number += 1;
            new.push(PathBuf::from(part_name(number, &extension)));
            let path = directory.temp().join(part_name(number, &extension));
            let shown = format!("{name}/{}", part_name(number, &extension));
            let file = std::fs::File::create(&path).map_err(|error| io_error("could not be written", &shown, error))?;
            let mut output = Output::new(file, &shown, self.charset, self.config.compression, true)?;
            self.header(&mut output)?;
            done.rows += self.rows(rows, most, &mut output, stop)?;
            output.finish()?;
            done.bytes += path.metadata().map_or(0, |metadata| metadata.len());
            done.files += 1;
        }
        directory.sync(name)?;
        Ok((done, Staged::Directory { directory, new }))
    }

    /// The extension of the parts: that of the path if it has one, else by the format.
    fn extension(&self, name: &str) -> String {
        let compression = match self.config.compression {
            WriteCompression::None => "",
            WriteCompression::Gzip => ".gz",
            WriteCompression::Bz2 => ".bz2",
            WriteCompression::Zip => ".zip",
            WriteCompression::Zstd => ".zst",
        };
        let plain = if name.contains(".tsv") || self.delimiter == b'\t' { "tsv" } else { "csv" };
        format!("{plain}{compression}")
    }

    fn header(&self, output: &mut Output) -> Result<()> {
        if !self.config.header {
            return Ok(());
        }
        let mut text = Vec::new();
        self.formatter.header(self.columns.iter().map(String::as_str), &mut text)?;
        output.write(&mut text)
    }

    /// Writes up to `most` rows; returns their number.
    fn rows(&self, rows: &mut Rows, most: u64, output: &mut Output, stop: &StopFlag) -> Result<u64> {
        let mut text = Vec::with_capacity(FLUSH_BYTES + FLUSH_BYTES / 4);
        let (mut written, mut unflushed) = (0, 0);
        while written < most {
            stop.check()?;
            let Some((batch, first)) = rows.next((most - written).min(self.config.chunk_size))? else { break };
            self.formatter.rows(&batch, first, &mut text)?;
            let count = batch.num_rows() as u64;
            written += count;
            unflushed += count;
            if text.len() >= FLUSH_BYTES || unflushed >= self.config.chunk_size {
                self.ctx.progress().add_bytes(text.len() as u64);
                output.write(&mut text)?;
                unflushed = 0;
            }
            self.ctx.progress().add_rows(count);
        }
        self.ctx.progress().add_bytes(text.len() as u64);
        output.write(&mut text)?;
        Ok(written)
    }
}

/// The rows of a scan, in pieces of any size.
struct Rows {
    scan: TableScan,
    rest: Option<arrow::array::RecordBatch>,
    first: u64,
}

impl Rows {
    /// The next rows, at most `most`, and the number of the first; `None` at the end.
    fn next(&mut self, most: u64) -> Result<Option<(arrow::array::RecordBatch, u64)>> {
        if !self.more()? {
            return Ok(None);
        }
        let Some(batch) = self.rest.take() else { return Ok(None) };
        let first = self.first;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let taken = if batch.num_rows() > most {
            self.rest = Some(batch.slice(most, batch.num_rows() - most));
            batch.slice(0, most)
        } else {
            batch
        };
        self.first += taken.num_rows() as u64;
        Ok(Some((taken, first)))
    }

    /// Whether there are rows left.
    fn more(&mut self) -> Result<bool> {
        while self.rest.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
            match self.scan.blocking_next()? {
                Some(batch) => self.rest = Some(batch),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}
