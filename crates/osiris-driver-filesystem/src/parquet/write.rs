//! `filesystem.parquet_writer`: DuckDB writes the files, their footers are read back, then they appear whole.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use duckdb::Connection;
use osiris_core::problem::nearest;
use osiris_core::store::{quote, quote_text};
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, Error, ExecutionContext, Problem, Result, Role, Step, TableRef, Unit,
    Write, Written, metric,
};
use serde_json::Value;

use super::footer;
use super::layout::{file_columns, slices};
use crate::client::Location;
use crate::commit::{AtomicDirectory, AtomicFile, Staged};
use crate::config::{FilesystemConnection, ParquetCompression, ParquetWriterConfig, WriteMode};
use crate::destination::{Destination, Done, Part, send};
use crate::error::{engine_error, io_error};
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Writes Parquet files.
#[derive(Clone, Default)]
pub struct ParquetWriter {
    streams: Streams,
}

impl ParquetWriter {
    /// One that writes to the process's standard output for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// One with other streams.
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
    .with_connection(ConnectionUse::Optional);

    type Connection = FilesystemConnection;
    type Config = ParquetWriterConfig;

    fn validate(config: &ParquetWriterConfig) -> Vec<Problem> {
        let mut problems = crate::destination::validate(&config.path, config.mode, several(config));
        let partitions = config.partition_by.as_deref().unwrap_or_default();
        for (index, name) in partitions.iter().enumerate() {
            if partitions[..index].iter().any(|earlier| earlier.eq_ignore_ascii_case(name)) {
                problems.push(Problem::error(format!("/partition_by/{index}"), format!("`{name}` is named twice")));
            }
        }
        problems
    }

    fn directories(config: &ParquetWriterConfig, connection: &FilesystemConnection, base: &Path) -> Vec<PathBuf> {
        Location::new(connection, base).parents(&config.path)
    }

    fn streams(config: &ParquetWriterConfig, _: &FilesystemConnection) -> bool {
        !several(config)
    }
}

/// Whether the path is a directory of several files.
fn several(config: &ParquetWriterConfig) -> bool {
    config.partition_by.is_some() || config.max_rows_per_file.is_some()
}

#[async_trait]
impl Write for ParquetWriter {
    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config().clone();
        check_partitions(&config, input)?;
        let location = Location::new(step.connection(), step.base_dir());
        let destination = Destination::find(&location, &config.path, config.create_dirs, step.dry_run())?;
        destination.check(several(&config))?;
        if step.dry_run() {
            return Ok(Written::default());
        }
        let name = destination.name().to_owned();
        ctx.progress().expect_rows(input.expected_rows());
        let job = Job { config, table: input.clone(), streams: self.streams.clone() };
        let scratch = Scratch::new(ctx.store().scratch_dir(), step.id())?;
        let write = move |connection: &Connection| job.run(connection, &destination, &scratch);
        let (done, staged) = ctx.store().call_over(input, write).await?;
        staged.commit(&name)?;
        ctx.progress().add_rows(done.rows);
        ctx.progress().add_bytes(done.bytes);
        ctx.log_metric(metric::BYTES_WRITTEN, done.bytes, Unit::Bytes, Value::Null);
        ctx.log_metric(metric::FILES_WRITTEN, done.files, Unit::Files, Value::Null);
        Ok(Written::inserted(done.rows))
    }
}

/// All partition columns are there, and some column is left for the files.
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
            "`partition_by` names what the table does not have: {}",
            missing.join(", ")
        ))
        .with_hint(format!("its columns: {}", names.join(", "))));
    }
    if !partitions.is_empty() && file_columns(table, config).is_empty() {
        return Err(Error::validation("`partition_by` names every column: none is left for the files"));
    }
    Ok(())
}

/// One write, on a connection of the store.
struct Job {
    config: ParquetWriterConfig,
    table: TableRef,
    streams: Streams,
}

impl Job {
    fn run(&self, connection: &Connection, destination: &Destination, scratch: &Scratch) -> Result<(Done, Staged)> {
        match destination {
            Destination::Stdout => {
                let path = scratch.path("parquet");
                let rows = self.copy(connection, &self.select(), &path, "standard output", || self.table.rows())?;
                Ok((Done { rows, bytes: send(&path, &self.streams)?, files: 1 }, Staged::Sent))
            }
            Destination::File { path, name } if several(&self.config) => self.directory(connection, path, name),
            Destination::File { path, name } => self.file(connection, path, name),
        }
    }

    fn select(&self) -> String {
        format!("SELECT {} FROM {}", file_columns(&self.table, &self.config), self.table.sql())
    }

    fn file(&self, connection: &Connection, path: &Path, name: &str) -> Result<(Done, Staged)> {
        let atomic = AtomicFile::create(path, name)?;
        let (mut select, mut before) = (self.select(), 0);
        if self.config.mode == WriteMode::Append && path.exists() {
            before = footer::read(path, name)?.rows;
            select = self.appended(connection, atomic.target(), name)?;
        }
        let rows = self.copy(connection, &select, atomic.temp(), name, || before + self.table.rows())?;
        let bytes = atomic.sync(name)?;
        Ok((Done { rows: rows - before, bytes, files: 1 }, Staged::File(atomic)))
    }

    /// The rows of the file that is there, then the new ones, once their columns are found to be the same.
    fn appended(&self, connection: &Connection, path: &Path, name: &str) -> Result<String> {
        let old = format!(
            "SELECT * FROM read_parquet({}, hive_partitioning = false)",
            quote_text(&crate::csv::escape_glob(&path.display().to_string()))
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
        differences.extend(extra.map(|(column, _)| format!("has `{column}` besides")));
        if !differences.is_empty() {
            return Err(Error::validation(format!(
                "rows cannot be appended to `{name}`: it {}",
                differences.join(", ")
            ))
            .with_hint("write the same columns, or set `mode: overwrite`"));
        }
        let columns: Vec<String> = theirs.iter().map(|(column, _)| quote(column)).collect();
        Ok(format!("{old} UNION ALL SELECT {} FROM ({new})", columns.join(", ")))
    }

    fn directory(&self, connection: &Connection, path: &Path, name: &str) -> Result<(Done, Staged)> {
        let directory = AtomicDirectory::create(path, name, &|below| Part::parse(below).is_some())?;
        let kept = match self.config.mode {
            WriteMode::Append => directory.keep_existing(name)?,
            WriteMode::Overwrite => Vec::new(),
        };
        let last = kept.iter().filter_map(|path| Part::parse(path)).map(|part| part.number).max().unwrap_or(0);
        let mut done = Done::default();
        for slice in slices(connection, &self.table, &self.config, last)? {
            let file = directory.temp().join(&slice.path);
            let shown = format!("{name}/{}", slice.path);
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent).map_err(|error| io_error("could not be written", &shown, error))?;
            }
            done.rows += self.copy(connection, &slice.select, &file, &shown, || slice.rows)?;
            done.bytes += file.metadata().map_or(0, |metadata| metadata.len());
            done.files += 1;
        }
        directory.sync(name)?;
        Ok((done, Staged::Directory(directory)))
    }

    /// Lets DuckDB write a file, and reads its footer back. Returns the rows it has, which must be those `expected`: asked for at the
    /// end, since they may have been arriving.
    fn copy(
        &self,
        connection: &Connection,
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
        let sql = format!(
            "COPY ({select}\n) TO {} (FORMAT parquet, COMPRESSION {compression}, USE_TMP_FILE false{groups})",
            quote_text(&path.display().to_string())
        );
        connection.execute_batch(&sql).map_err(|error| engine_error(error, name, "could not be written"))?;
        let (rows, expected) = (footer::read(path, name)?.rows, expected());
        if rows != expected {
            return Err(Error::integrity(format!(
                "`{name}` has {rows} rows by its footer, {expected} were to be written"
            ))
            .with_hint("nothing was kept; run the step again, and report a bug if it stays"));
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
