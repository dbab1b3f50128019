//! `filesystem.arrow_writer`: writes the batches of a table to an atomic file.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use async_trait::async_trait;
use osiris_core::{
    CommitOutcome, Component, ComponentSpec, ConnectionUse, DestinationId, Error, ExecutionContext, Feature, Intent,
    Problem, Result, Role, Stdio, Step, TableRef, TableScan, Unit, Write, Written, metric,
};
use serde_json::Value;

use super::is_stream;
use crate::blocking::{StopFlag, blocking};
use crate::client::Location;
use crate::commit::AtomicFile;
use crate::config::{ArrowCompression, ArrowWriterConfig, FilesystemConnection, WriteMode};
use crate::destination::{self, Destination, Done};
use crate::error::io_error;
use crate::lock::TargetLock;
use crate::publish::{Staged, outcome, publish};
use crate::scratch::Scratch;
use crate::stdio::Streams;
use crate::text::columns;

/// Rows in a batch of the file.
const BATCH_ROWS: usize = 65_536;

/// Writes Arrow IPC files.
#[derive(Clone, Default)]
pub struct ArrowWriter {
    streams: Streams,
}

impl ArrowWriter {
    /// A writer that writes to standard output for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for ArrowWriter {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.arrow_writer",
        env!("CARGO_PKG_VERSION"),
        Role::Write,
        "Writes a table as an Arrow IPC file, which is Feather version 2",
    )
    .with_connection(ConnectionUse::Optional)
    .with_features(&[Feature::Streams]);

    type Connection = FilesystemConnection;
    type Config = ArrowWriterConfig;

    fn validate(config: &ArrowWriterConfig) -> Vec<Problem> {
        destination::validate(&config.path, WriteMode::Overwrite, false)
    }

    fn streams(_: &ArrowWriterConfig, _: &FilesystemConnection) -> bool {
        true
    }

    fn stdio(config: &ArrowWriterConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::OUTPUT } else { Stdio::NONE }
    }
}

#[async_trait]
impl Write for ArrowWriter {
    fn destination(&self, config: &ArrowWriterConfig, connection: &FilesystemConnection, base: &Path) -> DestinationId {
        Destination::id(&Location::new(connection, base), &config.path, WriteMode::Overwrite, false)
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        let location = Location::new(step.connection(), step.base_dir());
        let scan = ctx.store().scan(input).columns(columns(&config.columns, input));
        let destination = Destination::find(
            &location,
            &config.path,
            (WriteMode::Overwrite, false),
            config.create_dirs,
            step.dry_run(),
        )?;
        let scan = scan.open().await?;
        ctx.progress().expect_rows(input.expected_rows());
        if step.dry_run() {
            destination.check(false)?;
            return Ok(Written::default());
        }
        let name = destination.name().to_owned();
        let scratch = Arc::new(Scratch::new(ctx.store().scratch_dir(), step.id())?);
        let (of_task, at_work) = (Arc::clone(&scratch), ctx.store().at_work());
        let lock = destination.lock(false).await?;
        let task =
            ArrowWriteTask { is_stream: is_stream(&config.path), compression: config.compression, ctx: ctx.clone() };
        // The run waits for the end of this thread, and thus for the removal of its temporary file, even if this future
        // is dropped.
        let run =
            move |stop: &StopFlag| Ok((task.run(scan, &destination, (&location, lock), &of_task, stop)?, at_work));
        let ((done, staged), _at_work) = blocking(run).await?;
        let written = Written::inserted(done.rows);
        publish(staged, &name, WriteMode::Overwrite, written, &self.streams, ctx).await?;
        ctx.log_metric(metric::BYTES_WRITTEN, done.bytes, Unit::Bytes, Value::Null);
        ctx.log_metric(metric::FILES_WRITTEN, done.files, Unit::Files, Value::Null);
        Ok(written)
    }

    async fn outcome(
        &self,
        step: &Step<'_, Self>,
        intent: &Intent,
        _: Option<&TableRef>,
        _: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        outcome(intent, &Location::new(step.connection(), step.base_dir())).await
    }
}

/// One write.
struct ArrowWriteTask {
    is_stream: bool,
    compression: ArrowCompression,
    ctx: ExecutionContext,
}

impl ArrowWriteTask {
    fn run(
        &self,
        scan: TableScan,
        destination: &Destination,
        (location, lock): (&Location, Option<TargetLock>),
        scratch: &Scratch,
        stop: &StopFlag,
    ) -> Result<(Done, Staged)> {
        match destination {
            Destination::Stdout => {
                let (done, file) = self.in_scratch(scan, destination.name(), scratch, stop)?;
                Ok((done, Staged::Stdout(file)))
            }
            Destination::Object { path, name } => {
                let (done, file) = self.in_scratch(scan, name, scratch, stop)?;
                Ok((done, Staged::object(location, path, file)?))
            }
            Destination::File { path, name } => {
                let atomic = AtomicFile::create(path, name, lock)?;
                let file = atomic.handle().map_err(|error| io_error("could not be written", name, error))?;
                let rows = self.rows(scan, file, name, stop)?;
                let bytes = atomic.sync(name)?;
                Ok((Done { rows, bytes, files: 1 }, Staged::File(atomic)))
            }
        }
    }

    /// Writes the file into the scratch directory.
    fn in_scratch(&self, scan: TableScan, name: &str, scratch: &Scratch, stop: &StopFlag) -> Result<(Done, PathBuf)> {
        let path = scratch.path("arrow");
        let failed = |error| io_error("could not be written", name, error);
        let rows = self.rows(scan, osiris_core::private::create(&path).map_err(failed)?, name, stop)?;
        let bytes = path.metadata().map_err(failed)?.len();
        Ok((Done { rows, bytes, files: 1 }, path))
    }

    /// Writes all rows to `file`; returns their number.
    fn rows(&self, mut scan: TableScan, file: File, name: &str, stop: &StopFlag) -> Result<u64> {
        let failed = |error| not_written(name, error);
        let mut output = self.output(&scan, file).map_err(failed)?;
        let (mut rows, mut waiting, mut waiting_rows) = (0, Vec::new(), 0);
        while let Some(batch) = scan.blocking_next()? {
            stop.check()?;
            let count = batch.num_rows();
            waiting_rows += count;
            waiting.push(batch);
            if waiting_rows >= BATCH_ROWS {
                output.write(&scan, &waiting).map_err(failed)?;
                waiting.clear();
                waiting_rows = 0;
            }
            rows += count as u64;
            self.ctx.progress().add_rows(count as u64);
        }
        if waiting_rows > 0 {
            output.write(&scan, &waiting).map_err(failed)?;
        }
        output.finish().map_err(failed)?;
        stop.check()?;
        Ok(rows)
    }

    fn output(&self, scan: &TableScan, file: File) -> Result<Output, ArrowError> {
        let compression = match self.compression {
            ArrowCompression::Lz4 => Some(CompressionType::LZ4_FRAME),
            ArrowCompression::Zstd => Some(CompressionType::ZSTD),
            ArrowCompression::None => None,
        };
        let options = IpcWriteOptions::default().try_with_compression(compression)?;
        let (file, schema) = (BufWriter::with_capacity(1 << 18, file), scan.arrow_schema());
        Ok(match self.is_stream {
            true => Output::Stream(Box::new(StreamWriter::try_new_with_options(file, &schema, options)?)),
            false => Output::File(Box::new(FileWriter::try_new_with_options(file, &schema, options)?)),
        })
    }
}

/// A file in one of the two formats.
enum Output {
    File(Box<FileWriter<BufWriter<File>>>),
    Stream(Box<StreamWriter<BufWriter<File>>>),
}

impl Output {
    /// Writes the rows of some batches as one.
    fn write(&mut self, scan: &TableScan, batches: &[RecordBatch]) -> Result<(), ArrowError> {
        let batch = concat_batches(&scan.arrow_schema(), batches)?;
        match self {
            Self::File(file) => file.write(&batch),
            Self::Stream(stream) => stream.write(&batch),
        }
    }

    fn finish(self) -> Result<(), ArrowError> {
        let mut file = match self {
            Self::File(file) => file.into_inner()?,
            Self::Stream(stream) => stream.into_inner()?,
        };
        Ok(file.flush()?)
    }
}

fn not_written(name: &str, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) => io_error("could not be written", name, error),
        error => Error::unknown(format!("`{name}` could not be written as Arrow IPC")).with_source(error),
    }
}
