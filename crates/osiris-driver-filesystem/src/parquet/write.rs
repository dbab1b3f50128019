//! `filesystem.parquet_writer`: writes the files with DuckDB, reads their footers back, then commits them atomically.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use duckdb::Connection;
use osiris_core::problem::nearest;
use osiris_core::store::{AtWork, quote, quote_text};
use osiris_core::{
    Code, ColumnType, CommitOutcome, Component, ComponentSpec, ConnectionUse, DestinationId, Error, ExecutionContext,
    Feature, Intent, Problem, Result, Role, Stdio, Step, Store, TableRef, Unit, Write, Written, metric, private,
};
use serde_json::Value;

use super::footer;
use super::layout::{file_columns, slices};
use crate::checks;
use crate::client::{Location, Target};
use crate::commit::{AtomicDirectory, AtomicFile};
use crate::config::{FilesystemConnection, ParquetCompression, ParquetWriterConfig, WriteMode};
use crate::destination::{Destination, Done, Part};
use crate::error::{engine_error, io_error};
use crate::lock::TargetLock;
use crate::publish::{Staged, outcome, publish};
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Writes Parquet files.
#[derive(Clone, Default)]
pub struct ParquetWriter {
    streams: Streams,
}

impl ParquetWriter {
    /// A writer that writes to standard output for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for ParquetWriter {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.parquet_writer",
        env!("CARGO_PKG_VERSION"),
        Role::Write,
        "Writes a table as Parquet: one file, several of a given size, or partitions",
    )
    .with_connection(ConnectionUse::Optional)
    .with_features(&[Feature::Streams]);

    type Connection = FilesystemConnection;
    type Config = ParquetWriterConfig;

    fn validate(config: &ParquetWriterConfig) -> Vec<Problem> {
        let mut problems = crate::destination::validate(&config.path, config.mode, several(config));
        problems.extend(checks::named_twice("partition_by", config.partition_by.as_deref().unwrap_or_default()));
        problems
    }

    fn files(config: &ParquetWriterConfig, connection: &FilesystemConnection, base: &Path) -> Vec<PathBuf> {
        // Appending to one file reads it. Files are written in the scratch directory, or linked there.
        let appends = config.mode == WriteMode::Append && !several(config);
        let file = Location::new(connection, base).target(&config.path);
        match file {
            Ok(Target::Local(file)) if appends => vec![file],
            _ => Vec::new(),
        }
    }

    fn streams(config: &ParquetWriterConfig, _: &FilesystemConnection) -> bool {
        !several(config)
    }

    fn stdio(config: &ParquetWriterConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::OUTPUT } else { Stdio::NONE }
    }
}

/// Whether the path is a directory of several files.
fn several(config: &ParquetWriterConfig) -> bool {
    config.partition_by.is_some() || config.max_rows_per_file.is_some()
}

#[async_trait]
impl Write for ParquetWriter {
    fn destination(
        &self,
        config: &ParquetWriterConfig,
        connection: &FilesystemConnection,
        base: &Path,
    ) -> DestinationId {
        Destination::id(&Location::new(connection, base), &config.path, config.mode, several(config))
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config().clone();
        check_partitions(&config, input)?;
        let location = Location::new(step.connection(), step.base_dir());
        let kind = (config.mode, several(&config));
        let destination = Destination::find(&location, &config.path, kind, config.create_dirs, step.dry_run())?;
        destination.check(several(&config))?;
        if step.dry_run() {
            return Ok(Written::default());
        }
        let name = destination.name().to_owned();
        ctx.progress().expect_rows(input.expected_rows());
        let mode = config.mode;
        let job = ParquetWriteTask { config, table: input.clone() };
        let scratch = Arc::new(Scratch::new(ctx.store().scratch_dir(), step.id())?);
        let lock = destination.lock(several(&job.config)).await?;
        let outside = Outside {
            store: ctx.store().clone(),
            scratch: Arc::clone(&scratch),
            at_work: ctx.store().at_work(),
            location,
        };
        // The run waits for the end of this thread, and thus for the removal of its temporary file, even if this future
        // is dropped.
        let write = move |connection: &Connection| {
            let written = job.run(connection, &destination, lock, &outside)?;
            Ok((written, outside))
        };
        let ((done, staged), _at_work) = ctx.call_over(input, write).await?;
        let written = Written::inserted(done.rows);
        publish(staged, &name, mode, written, &self.streams, ctx).await?;
        ctx.progress().add_rows(done.rows);
        ctx.progress().add_bytes(done.bytes);
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

/// Checks that all partition columns exist, and that a column remains for the files.
fn check_partitions(config: &ParquetWriterConfig, table: &TableRef) -> Result<()> {
    let partitions = config.partition_by.as_deref().unwrap_or_default();
    let missing: Vec<String> = partitions
        .iter()
        .filter(|name| table.schema().column(name).is_none())
        .map(|name| match nearest(name, table.schema().names()) {
            Some(similar) => format!("`{name}` (did you mean `{similar}`?)"),
            None => format!("`{name}`"),
        })
        .collect();
    let names: Vec<&str> = table.schema().names().collect();
    if !missing.is_empty() {
        return Err(Error::validation(format!(
            "`partition_by` names columns that the table does not have: {}",
            missing.join(", ")
        ))
        .with_code(Code::ColumnNotFound)
        .with_hint(format!("its columns: {}", names.join(", "))));
    }
    let without_text = partitions.iter().filter_map(|name| table.schema().column(name)).filter(|column| {
        use ColumnType as T;
        matches!(column.column_type, T::Blob | T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..))
    });
    let without_text: Vec<String> =
        without_text.map(|column| format!("`{}` ({})", column.name, column.column_type)).collect();
    if !without_text.is_empty() {
        return Err(Error::validation(format!(
            "`partition_by` names columns whose values cannot be directory names: {}",
            without_text.join(", ")
        ))
        .with_hint("partition by a column of text, numbers or dates; `duckdb.processor` can create one"));
    }
    if !partitions.is_empty() && file_columns(table, config).is_empty() {
        return Err(Error::validation("`partition_by` names every column: no columns remain for the files"));
    }
    Ok(())
}

/// Files that the run store cannot access: it writes to a link of the file in the scratch directory, or if the file
/// system has no links, to a file there that is copied.
struct Outside {
    store: Store,
    scratch: Arc<Scratch>,
    at_work: AtWork,
    location: Location,
}

impl Outside {
    fn failed(name: &str) -> impl Fn(std::io::Error) -> Error + '_ {
        move |error| io_error("could not be written", name, error)
    }

    /// A path where the run store can write the file at `path`, which is created if missing.
    fn writable(&self, path: &Path, name: &str) -> Result<PathBuf> {
        if self.store.reaches(path.parent().unwrap_or(path)) {
            return Ok(path.to_path_buf());
        }
        OpenOptions::new().append(true).create(true).open(path).map_err(Self::failed(name))?;
        let here = self.scratch.path("parquet");
        // Without links the written file is copied.
        let _ = std::fs::hard_link(path, &here);
        Ok(here)
    }

    /// Copies `here` to `path`, unless it is the same file.
    fn put(&self, here: &Path, path: &Path, name: &str) -> Result<()> {
        if here != path {
            let linked =
                here.metadata().ok().zip(path.metadata().ok()).is_some_and(|(here, there)| same(&here, &there));
            if !linked {
                std::fs::copy(here, path).map_err(Self::failed(name))?;
            }
            std::fs::remove_file(here).map_err(Self::failed(name))?;
        }
        Ok(())
    }

    /// A path where the run store can read the file at `path`.
    fn readable(&self, path: &Path, name: &str) -> Result<PathBuf> {
        if self.store.reaches(path) {
            return Ok(path.to_path_buf());
        }
        let here = self.scratch.path("parquet");
        std::fs::hard_link(path, &here)
            .or_else(|_| std::fs::copy(path, &here).map(drop))
            .map_err(|error| io_error("could not be copied to the scratch directory", name, error))?;
        Ok(here)
    }
}

/// Whether two paths are the same file.
#[cfg(unix)]
fn same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether two paths are the same file: unknown on this platform, so it is copied.
#[cfg(not(unix))]
fn same(_: &std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    false
}

/// One write, on a connection of the store.
struct ParquetWriteTask {
    config: ParquetWriterConfig,
    table: TableRef,
}

impl ParquetWriteTask {
    fn run(
        &self,
        connection: &Connection,
        destination: &Destination,
        lock: Option<TargetLock>,
        outside: &Outside,
    ) -> Result<(Done, Staged)> {
        match destination {
            Destination::Stdout => {
                let (done, path) = self.in_scratch(connection, outside, destination.name())?;
                Ok((done, Staged::Stdout(path)))
            }
            Destination::Object { path, name } if several(&self.config) => {
                let parts = outside.scratch.path("parts");
                let (done, staged) = self.directory(connection, outside, &parts, name, None)?;
                Ok((done, Staged::parts(&outside.location, path, staged)?))
            }
            Destination::Object { path, name } => {
                let (done, file) = self.in_scratch(connection, outside, name)?;
                Ok((done, Staged::object(&outside.location, path, file)?))
            }
            Destination::File { path, name } if several(&self.config) => {
                self.directory(connection, outside, path, name, lock)
            }
            Destination::File { path, name } => self.file(connection, outside, path, name, lock),
        }
    }

    /// Writes one file into the scratch directory.
    fn in_scratch(&self, connection: &Connection, outside: &Outside, name: &str) -> Result<(Done, PathBuf)> {
        let failed = |error| io_error("could not be written", name, error);
        let path = outside.scratch.path("parquet");
        private::create(&path).map_err(failed)?;
        let rows = self.copy(connection, outside, &self.select(), &path, name, || self.table.rows())?;
        let bytes = path.metadata().map_err(failed)?.len();
        Ok((Done { rows, bytes, files: 1 }, path))
    }

    fn select(&self) -> String {
        format!("SELECT {} FROM {}", file_columns(&self.table, &self.config), self.table.sql())
    }

    fn file(
        &self,
        connection: &Connection,
        outside: &Outside,
        path: &Path,
        name: &str,
        lock: Option<TargetLock>,
    ) -> Result<(Done, Staged)> {
        let mut atomic = AtomicFile::create(path, name, lock)?;
        let _unfinished = outside.at_work.unfinished(atomic.temp());
        let (mut select, mut before, mut old) = (self.select(), 0, None);
        if self.config.mode == WriteMode::Append {
            atomic.keep_old();
        }
        if self.config.mode == WriteMode::Append && path.exists() {
            old = Some(path.metadata().map_err(|error| io_error("cannot be read", name, error))?.len());
            before = footer::read(path, name)?.rows;
            select = self.appended(connection, &outside.readable(atomic.target(), name)?, name)?;
        }
        let rows = self.copy(connection, outside, &select, atomic.temp(), name, || before + self.table.rows())?;
        let bytes = atomic.sync(name)?;
        let done = Done { rows: rows - before, bytes, files: 1 };
        Ok((
            done,
            match old {
                Some(old) => Staged::Appended { file: atomic, old, copied: false },
                None => Staged::File(atomic),
            },
        ))
    }

    /// The rows of the existing file, then the new ones, after checking that their columns are the same.
    fn appended(&self, connection: &Connection, path: &Path, name: &str) -> Result<String> {
        let old = format!(
            "SELECT * FROM read_parquet({}, hive_partitioning = false)",
            quote_text(&path.display().to_string())
        );
        let new = self.select();
        let (theirs, ours) = (describe(connection, &old, name)?, describe(connection, &new, name)?);
        let mut differences = Vec::new();
        for (column, column_type) in &ours {
            match theirs.iter().find(|(other, _)| other == column) {
                None => differences.push(format!("lacks `{column}`")),
                Some((_, other)) if other != column_type => {
                    differences.push(format!("has `{column}` as {other}, not {column_type}"));
                }
                Some(_) => {}
            }
        }
        let extra = theirs.iter().filter(|(column, _)| !ours.iter().any(|(other, _)| other == column));
        differences.extend(extra.map(|(column, _)| format!("also has `{column}`")));
        if !differences.is_empty() {
            return Err(Error::validation(format!("cannot append rows to `{name}`: it {}", differences.join(", ")))
                .with_code(Code::ColumnsDiffer)
                .with_hint("write the same columns, or set `mode: overwrite`"));
        }
        let columns: Vec<String> = theirs.iter().map(|(column, _)| quote(column)).collect();
        Ok(format!("{old} UNION ALL SELECT {} FROM ({new})", columns.join(", ")))
    }

    fn directory(
        &self,
        connection: &Connection,
        outside: &Outside,
        path: &Path,
        name: &str,
        lock: Option<TargetLock>,
    ) -> Result<(Done, Staged)> {
        let mut directory = AtomicDirectory::create(path, name, &|below| Part::parse(below).is_some(), lock)?;
        let _unfinished = outside.at_work.unfinished(directory.temp());
        let kept = match self.config.mode {
            WriteMode::Append => directory.keep_existing(name)?,
            WriteMode::Overwrite => Vec::new(),
        };
        let last = kept.iter().filter_map(|path| Part::parse(path)).map(|part| part.number).max().unwrap_or(0);
        let (mut done, mut new) = (Done::default(), Vec::new());
        for slice in slices(connection, &self.table, &self.config, last)? {
            let file = directory.temp().join(&slice.path);
            let shown = format!("{name}/{}", slice.path);
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent).map_err(|error| io_error("could not be written", &shown, error))?;
            }
            done.rows += self.copy(connection, outside, &slice.select, &file, &shown, || slice.rows)?;
            done.bytes += file.metadata().map_or(0, |metadata| metadata.len());
            done.files += 1;
            new.push(PathBuf::from(&slice.path));
        }
        directory.sync(name)?;
        Ok((done, Staged::Directory { directory, new }))
    }

    /// Writes a file with DuckDB, and reads its footer back. Returns its row count, which must be `expected`: requested
    /// at the end, since rows may still have been arriving.
    fn copy(
        &self,
        connection: &Connection,
        outside: &Outside,
        select: &str,
        path: &Path,
        name: &str,
        expected: impl FnOnce() -> u64,
    ) -> Result<u64> {
        let compression = match self.config.compression {
            ParquetCompression::Zstd => "zstd",
            ParquetCompression::Snappy => "snappy",
            ParquetCompression::Gzip => "gzip",
            ParquetCompression::Lz4 => "lz4_raw",
            ParquetCompression::Brotli => "brotli",
            ParquetCompression::None => "uncompressed",
        };
        let groups =
            self.config.row_group_bytes.map(|bytes| format!(", ROW_GROUP_SIZE_BYTES {bytes}")).unwrap_or_default();
        let writable = outside.writable(path, name)?;
        let sql = format!(
            "COPY ({select}\n) TO {} (FORMAT parquet, COMPRESSION {compression}, USE_TMP_FILE false{groups})",
            quote_text(&writable.display().to_string())
        );
        connection.execute_batch(&sql).map_err(|error| engine_error(error, name, "could not be written"))?;
        outside.put(&writable, path, name)?;
        let (rows, expected) = (footer::read(path, name)?.rows, expected());
        if rows != expected {
            return Err(Error::integrity(format!(
                "the footer of `{name}` declares {rows} rows, but {expected} were expected"
            ))
            .with_hint("nothing was kept; run the step again, and if it fails again, report a bug"));
        }
        Ok(rows)
    }
}

fn describe(connection: &Connection, select: &str, name: &str) -> Result<Vec<(String, String)>> {
    let failed = |error| engine_error(error, name, "cannot be read");
    let mut statement = connection.prepare(&format!("DESCRIBE {select}")).map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    rows.map(|row| row.map_err(failed)).collect()
}
