//! Writes the rows of a table into text files: one, or several of a given size, or standard output.

use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use osiris_core::{ExecutionContext, Problem, Result, TableRef, TableScan, Unit, Written, metric};
use serde_json::Value;

use super::output::Output;
use crate::blocking::{StopFlag, blocking};
use crate::client::Location;
use crate::commit::{AtomicDirectory, AtomicFile};
use crate::config::{ColumnOrder, WriteColumns, WriteCompression, WriteMode};
use crate::csv::Charset;
use crate::destination::{Destination, Done, Part, part_name};
use crate::error::io_error;
use crate::lock::TargetLock;
use crate::publish::{Staged, publish};
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Rows of JSON that are formatted at a time.
pub(crate) const CHUNK_ROWS: u64 = 65_536;

/// Size of a formatted chunk in bytes.
const FLUSH_BYTES: usize = 1 << 20;

/// A format of text.
pub(crate) trait TextFormat: Send + Sync + 'static {
    /// The encoding of the files.
    fn charset(&self) -> Charset {
        Charset::Utf8
    }

    /// The extension of parts of the directory `name`, without that of the compression.
    fn extension(&self, name: &str) -> &'static str;

    /// What ends a line.
    fn newline(&self) -> &'static [u8];

    /// Writes what a file begins with.
    ///
    /// # Errors
    /// When it has no form in this format.
    fn head(&self, out: &mut Vec<u8>) -> Result<()>;

    /// Writes the rows of a batch; `first` is the number of its first row, for messages, and `begins` whether that is the first of
    /// the file.
    ///
    /// # Errors
    /// For a value that has no form in this format.
    fn rows(&self, batch: &RecordBatch, first: u64, begins: bool, out: &mut Vec<u8>) -> Result<()>;

    /// Writes what a file ends with.
    fn tail(&self, _: &mut Vec<u8>) {}

    /// Checks that rows can be appended to a file, and returns whether its last line is terminated.
    ///
    /// # Errors
    /// When the file has other content, or cannot be read.
    fn check_append(&self, path: &Path, name: &str) -> Result<bool>;
}

/// The file or directory to write.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    /// The path of the pipeline.
    pub(crate) path: String,
    /// How to handle an existing file.
    pub(crate) mode: WriteMode,
    /// The compression as configured.
    pub(crate) compression: WriteCompression,
    /// Whether to create missing directories.
    pub(crate) create_dirs: bool,
    /// Maximum rows per file of a directory; `None` for one file.
    pub(crate) max_rows_per_file: Option<u64>,
    /// Maximum rows that are formatted at a time.
    pub(crate) chunk_size: u64,
}

impl TextFile {
    /// The problems of its configuration besides those of the path.
    pub(crate) fn problems(&self, columns: &WriteColumns) -> Vec<Problem> {
        let mut problems = Vec::new();
        // The parts of a directory have the ending of their compression.
        if self.max_rows_per_file.is_none() {
            problems.extend(self.compression.problem(&self.path));
        }
        let is_zip = self.compression() == WriteCompression::Zip;
        if self.mode == WriteMode::Append && is_zip && self.max_rows_per_file.is_none() {
            problems
                .push(Problem::error("/mode", "cannot append to a zip archive").with_hint("use `compression: gzip`"));
        }
        if let WriteColumns::List(columns) = columns
            && columns.is_empty()
        {
            problems.push(Problem::error("/columns", "needs at least one column"));
        }
        problems
    }

    /// The compression to write with.
    fn compression(&self) -> WriteCompression {
        self.compression.resolve(&self.path)
    }
}

/// The columns to write, in order.
pub(crate) fn columns(wanted: &WriteColumns, input: &TableRef) -> Vec<String> {
    let mut names: Vec<String> = input.schema().names().map(str::to_owned).collect();
    match wanted {
        WriteColumns::Order(ColumnOrder::Source) => {}
        WriteColumns::Order(ColumnOrder::Sorted) => names.sort(),
        WriteColumns::List(list) => names.clone_from(list),
    }
    names
}

/// One write.
pub(crate) struct TextWriteTask<F> {
    format: F,
    file: TextFile,
    ctx: ExecutionContext,
}

impl<F: TextFormat> TextWriteTask<F> {
    /// A write in `format`.
    pub(crate) fn new(format: F, file: TextFile, ctx: &ExecutionContext) -> Self {
        Self { format, file, ctx: ctx.clone() }
    }

    /// Writes `columns` of `input` for the step `step`; with `dry_run` checks only what can be checked without writing.
    ///
    /// # Errors
    /// When a file cannot be written, or a value not be formatted.
    pub(crate) async fn write(
        self,
        location: &Location,
        (step, dry_run): (&str, bool),
        input: &TableRef,
        columns: Vec<String>,
        streams: &Streams,
    ) -> Result<Written> {
        let ctx = self.ctx.clone();
        let scan = ctx.store().scan(input).columns(columns);
        let several = self.file.max_rows_per_file.is_some();
        let kind = (self.file.mode, several);
        let destination = Destination::find(location, &self.file.path, kind, self.file.create_dirs, dry_run)?;
        let scan = scan.open().await?;
        ctx.progress().expect_rows(input.expected_rows());
        if dry_run {
            self.check(&destination)?;
            return Ok(Written::default());
        }
        let (name, mode) = (destination.name().to_owned(), self.file.mode);
        let scratch = Arc::new(Scratch::new(ctx.store().scratch_dir(), step)?);
        let (of_task, at_work) = (Arc::clone(&scratch), ctx.store().at_work());
        let lock = destination.lock(several).await?;
        // The run waits for the end of this thread, and thus for the removal of its temporary file, even if this future
        // is dropped.
        let location = location.clone();
        let run =
            move |stop: &StopFlag| Ok((self.run(scan, &destination, (&location, lock), &of_task, stop)?, at_work));
        let ((done, staged), _at_work) = blocking(run).await?;
        let written = Written::inserted(done.rows);
        publish(staged, &name, mode, written, streams, &ctx).await?;
        ctx.log_metric(metric::BYTES_WRITTEN, done.bytes, Unit::Bytes, Value::Null);
        ctx.log_metric(metric::FILES_WRITTEN, done.files, Unit::Files, Value::Null);
        Ok(written)
    }

    /// Everything that can be checked without writing.
    fn check(&self, destination: &Destination) -> Result<()> {
        let several = self.file.max_rows_per_file.is_some();
        destination.check(several)?;
        let Destination::File { path, name } = destination else { return Ok(()) };
        if self.file.mode == WriteMode::Append && !several && path.exists() {
            self.format.check_append(path, name)?;
        }
        Ok(())
    }

    fn run(
        &self,
        scan: TableScan,
        destination: &Destination,
        (location, lock): (&Location, Option<TargetLock>),
        scratch: &Scratch,
        stop: &StopFlag,
    ) -> Result<(Done, Staged)> {
        let mut rows = Rows { scan, rest: None, first: 0 };
        match destination {
            Destination::Stdout => {
                let (done, path) = self.in_scratch(&mut rows, destination.name(), scratch, stop)?;
                Ok((done, Staged::Stdout(path)))
            }
            Destination::Object { path, name } => match self.file.max_rows_per_file {
                None => {
                    let (done, file) = self.in_scratch(&mut rows, name, scratch, stop)?;
                    Ok((done, Staged::object(location, path, file)?))
                }
                Some(most) => {
                    let (done, staged) = self.directory(&mut rows, &scratch.path("parts"), name, most, None, stop)?;
                    Ok((done, Staged::parts(location, path, staged)?))
                }
            },
            Destination::File { path, name } => match self.file.max_rows_per_file {
                None => self.one(&mut rows, path, name, lock, stop),
                Some(most) => self.directory(&mut rows, path, name, most, lock, stop),
            },
        }
    }

    /// Writes one file into the scratch directory.
    fn in_scratch(&self, rows: &mut Rows, name: &str, scratch: &Scratch, stop: &StopFlag) -> Result<(Done, PathBuf)> {
        let failed = |error| io_error("could not be written", name, error);
        let path = scratch.path(self.format.extension(name));
        let mut output = self.output(osiris_core::private::create(&path).map_err(failed)?, name, true)?;
        self.head(&mut output)?;
        let written = self.rows(rows, u64::MAX, &mut output, stop)?;
        output.finish()?;
        stop.check()?;
        let bytes = path.metadata().map_err(failed)?.len();
        Ok((Done { rows: written, bytes, files: 1 }, path))
    }

    fn output(&self, file: std::fs::File, name: &str, is_new: bool) -> Result<Output> {
        Output::new(file, name, self.format.charset(), self.file.compression(), is_new)
    }

    fn one(
        &self,
        rows: &mut Rows,
        path: &Path,
        name: &str,
        lock: Option<TargetLock>,
        stop: &StopFlag,
    ) -> Result<(Done, Staged)> {
        let failed = |error| io_error("could not be written", name, error);
        let mut atomic = AtomicFile::create(path, name, lock)?;
        if self.file.mode == WriteMode::Append {
            atomic.keep_old();
        }
        let append = self.file.mode == WriteMode::Append && atomic.old_length() > 0;
        let ended = if append { self.format.check_append(path, name)? } else { true };
        let mut file = atomic.handle().map_err(failed)?;
        let mut before = 0;
        if append {
            before = atomic.copy_old(name)?;
            file.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        let mut output = self.output(file, name, !append)?;
        if !ended {
            output.write(&mut self.format.newline().to_vec())?;
        }
        if !append {
            self.head(&mut output)?;
        }
        let written = self.rows(rows, u64::MAX, &mut output, stop)?;
        output.finish()?;
        let bytes = atomic.sync(name)?;
        let done = Done { rows: written, bytes: bytes - before, files: 1 };
        let staged = match append {
            true => Staged::Appended { file: atomic, old: before, copied: true },
            false => Staged::File(atomic),
        };
        Ok((done, staged))
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
        if self.file.mode == WriteMode::Append {
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
            let mut output = self.output(file, &shown, true)?;
            self.head(&mut output)?;
            done.rows += self.rows(rows, most, &mut output, stop)?;
            output.finish()?;
            done.bytes += path.metadata().map_or(0, |metadata| metadata.len());
            done.files += 1;
        }
        directory.sync(name)?;
        Ok((done, Staged::Directory { directory, new }))
    }

    /// The extension of the parts.
    fn extension(&self, name: &str) -> String {
        let compression = match self.file.compression() {
            WriteCompression::Infer | WriteCompression::None => "",
            WriteCompression::Gzip => ".gz",
            WriteCompression::Bz2 => ".bz2",
            WriteCompression::Zip => ".zip",
            WriteCompression::Zstd => ".zst",
        };
        format!("{}{compression}", self.format.extension(name))
    }

    fn head(&self, output: &mut Output) -> Result<()> {
        let mut text = Vec::new();
        self.format.head(&mut text)?;
        if text.is_empty() { Ok(()) } else { output.write(&mut text) }
    }

    /// Writes up to `most` rows and the end of the file; returns their number.
    fn rows(&self, rows: &mut Rows, most: u64, output: &mut Output, stop: &StopFlag) -> Result<u64> {
        let mut text = Vec::with_capacity(FLUSH_BYTES + FLUSH_BYTES / 4);
        let (mut written, mut unflushed) = (0, 0);
        while written < most {
            stop.check()?;
            let Some((batch, first)) = rows.next((most - written).min(self.file.chunk_size))? else { break };
            self.format.rows(&batch, first, written == 0, &mut text)?;
            let count = batch.num_rows() as u64;
            written += count;
            unflushed += count;
            if text.len() >= FLUSH_BYTES || unflushed >= self.file.chunk_size {
                self.ctx.progress().add_bytes(text.len() as u64);
                output.write(&mut text)?;
                unflushed = 0;
            }
            self.ctx.progress().add_rows(count);
        }
        self.format.tail(&mut text);
        self.ctx.progress().add_bytes(text.len() as u64);
        output.write(&mut text)?;
        Ok(written)
    }
}

/// The rows of a scan, in pieces of any size.
struct Rows {
    scan: TableScan,
    rest: Option<RecordBatch>,
    first: u64,
}

impl Rows {
    /// The next rows, at most `most`, and the number of the first; `None` at the end.
    fn next(&mut self, most: u64) -> Result<Option<(RecordBatch, u64)>> {
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
