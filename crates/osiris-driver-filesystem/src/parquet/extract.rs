//! `filesystem.parquet_extractor`: footers first, then DuckDB loads the files.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use osiris_core::store::{SqlExpression, StoreTransaction, quote, quote_text};
use osiris_core::{
    Column, ColumnType, Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, Error, ExecutionContext, Extract,
    Extracted, Problem, Result, Role, Stdio, Step, TableSink, Unit, metric,
};

use super::PARQUET_FILES;
use super::footer::{self, Footer};
use super::partition::{NULL_PARTITION, Partitions, encode};
use crate::blocking::{Stop, blocking};
use crate::client::{Location, SourceFile, Target};
use crate::config::{FilesystemConnection, ParquetExtractorConfig};
use crate::csv::find_all;
use crate::error::io_error;
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Reads Parquet files.
#[derive(Clone, Default)]
pub struct ParquetExtractor {
    streams: Streams,
}

impl ParquetExtractor {
    /// One that reads the process's standard input for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// One with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for ParquetExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.parquet_extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads Parquet files: one, a directory with hive partitions, or a glob",
    )
    .with_connection(ConnectionUse::Optional);

    type Connection = FilesystemConnection;
    type Config = ParquetExtractorConfig;

    fn validate(config: &ParquetExtractorConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(error) = Location::new(&FilesystemConnection::default(), Path::new(".")).target(&config.path) {
            problems.push(Problem::error("/path", error.message()).with_hint(error.hint().unwrap_or_default()));
        }
        if let Some(Err(error)) = config.filter.as_deref().map(SqlExpression::parse) {
            problems.push(Problem::from_sql("/filter", &error));
        }
        problems
    }

    fn files(config: &ParquetExtractorConfig, connection: &FilesystemConnection, base: &Path) -> Vec<PathBuf> {
        Location::new(connection, base).readable(&config.path, &PARQUET_FILES)
    }

    fn stdio(config: &ParquetExtractorConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::INPUT } else { Stdio::NONE }
    }
}

#[async_trait]
impl Extract for ParquetExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let config = step.config().clone();
        let dry = if step.dry_run() { DRY_RUN_ROWS } else { u64::MAX };
        let limit = Some(config.limit.unwrap_or(u64::MAX).min(dry)).filter(|limit| *limit < u64::MAX);
        let scratch = Scratch::new(ctx.store().scratch_dir(), step.id())?;
        let location = Location::new(step.connection(), step.base_dir());
        let streams = self.streams.clone();
        let filter = config.filter.as_deref().map(SqlExpression::parse).transpose()?;
        let path = config.path.clone();
        let store = ctx.store().clone();
        // The scratch directory has to outlive the load.
        let (sources, scratch) = blocking(move |stop| {
            let reaches = |file: &Path| store.reaches(file);
            Sources::find(&location, &path, &streams, &reaches, &scratch, stop).map(|sources| (sources, scratch))
        })
        .await?;
        ctx.progress().expect_bytes(sources.bytes);
        ctx.progress().expect_rows(limit.map_or(sources.rows, |limit| limit.min(sources.rows)));
        let bytes = sources.bytes;
        let load = Load { config, filter, limit, sources };
        let (read, stored) = out.call(move |transaction| load.run(transaction)).await?;
        drop(scratch);
        ctx.progress().add_bytes(bytes);
        ctx.progress().add_rows(stored);
        ctx.log_metric(metric::BYTES_READ, bytes, Unit::Bytes, serde_json::Value::Null);
        Ok(Extracted::rows(read))
    }
}

/// The files to read.
struct Sources {
    files: Vec<SourceFile>,
    partitions: Partitions,
    rows: u64,
    bytes: u64,
}

impl Sources {
    fn find(
        location: &Location,
        path: &str,
        streams: &Streams,
        reaches: &dyn Fn(&Path) -> bool,
        scratch: &Scratch,
        stop: &Stop,
    ) -> Result<Self> {
        let mut files = match location.target(path)? {
            Target::Local(local) => location.files(&local, &PARQUET_FILES)?,
            Target::Stdio => {
                let name = "standard input".to_owned();
                let path = scratch.spool(&mut streams.input(), &name, "parquet")?;
                let size = path.metadata().map_or(0, |metadata| metadata.len());
                vec![SourceFile { path, name, size, partitions: Vec::new() }]
            }
        };
        let partitions = Partitions::of(&files)?;
        let mut first: Option<(String, Footer)> = None;
        let mut rows = 0;
        for file in &mut files {
            stop.check()?;
            let footer = footer::read(&file.path, &file.name)?;
            rows += footer.rows;
            match &first {
                None => first = Some((file.name.clone(), footer)),
                Some((name, first)) => first.compare(name, &footer, &file.name)?,
            }
            if !reaches(&file.path) {
                file.path = bring(file, scratch)?;
            }
        }
        let bytes = files.iter().map(|file| file.size).sum();
        Ok(Self { files, partitions, rows, bytes })
    }
}

/// Brings a file that the store does not reach, such as one that was written since the run began, to where it does: a link, else
/// a copy. Its partitions are read from the names of its directories.
fn bring(file: &SourceFile, scratch: &Scratch) -> Result<PathBuf> {
    let failed = |error| io_error("could not be copied to the scratch directory", &file.name, error);
    let mut here = scratch.path("parquet");
    if !file.partitions.is_empty() {
        let mut directory = here.with_extension("");
        for (name, value) in &file.partitions {
            directory.push(format!("{}={}", encode(Some(name)), encode(Some(value))));
        }
        std::fs::create_dir_all(&directory).map_err(failed)?;
        here = directory.join("0.parquet");
    }
    std::fs::hard_link(&file.path, &here).or_else(|_| std::fs::copy(&file.path, &here).map(drop)).map_err(failed)?;
    Ok(here)
}

/// One load.
struct Load {
    config: ParquetExtractorConfig,
    filter: Option<SqlExpression>,
    limit: Option<u64>,
    sources: Sources,
}

impl Load {
    /// Makes the table. Returns the rows that the source gave and those that arrived.
    fn run(&self, transaction: &mut StoreTransaction<'_>) -> Result<(u64, u64)> {
        let select = self.select(transaction)?;
        let stored = transaction.create_table_as(&select, &|_: &Column| false)?;
        let read = match (&self.filter, self.limit) {
            // Only DuckDB knows which rows meet the condition.
            (Some(_), _) => stored,
            (None, limit) => limit.map_or(self.sources.rows, |limit| limit.min(self.sources.rows)),
        };
        Ok((read, stored))
    }

    fn select(&self, transaction: &StoreTransaction<'_>) -> Result<String> {
        let all = format!("SELECT {} FROM {}", self.all_columns(transaction)?, self.read());
        let mut select = format!("SELECT {} FROM ({all})", self.selected(transaction, &all)?);
        if let Some(filter) = &self.filter {
            select.push_str(&format!(" WHERE {}", filter.sql()));
            transaction.describe(&select).map_err(|error| {
                Error::validation("`filter` is not a condition over the columns of the file")
                    .with_source(error)
                    .with_hint("write SQL such as `year >= 2020 AND country = 'CZ'`")
            })?;
        }
        if let Some(limit) = self.limit {
            select.push_str(&format!(" LIMIT {limit}"));
        }
        Ok(select)
    }

    /// The file's own columns, then its partitions, both by name.
    fn all_columns(&self, transaction: &StoreTransaction<'_>) -> Result<String> {
        let own = transaction.describe(&format!("SELECT * FROM {}", self.read_files("hive_partitioning = false")))?;
        let partition =
            |name: &str| self.sources.partitions.columns.iter().any(|(ours, _)| ours.eq_ignore_ascii_case(name));
        let own = own.iter().filter(|column| !partition(&column.name)).map(|column| quote(&column.name));
        let partitions = self.sources.partitions.columns.iter().map(|(name, column_type)| {
            let text = format!("nullif({}, {})", quote(name), quote_text(NULL_PARTITION));
            match column_type {
                ColumnType::Varchar => format!("{text} AS {}", quote(name)),
                other => format!("CAST(nullif({text}, '') AS {}) AS {}", sql(other), quote(name)),
            }
        });
        Ok(own.chain(partitions).collect::<Vec<_>>().join(", "))
    }

    fn selected(&self, transaction: &StoreTransaction<'_>, all: &str) -> Result<String> {
        let Some(wanted) = &self.config.columns else { return Ok("*".to_owned()) };
        let names: Vec<String> = transaction.describe(all)?.into_iter().map(|column| column.name).collect();
        let places = find_all(&names, wanted, "columns")?;
        Ok(places.into_iter().map(|place| quote(&names[place])).collect::<Vec<_>>().join(", "))
    }

    fn read(&self) -> String {
        if self.sources.partitions.is_empty() {
            return self.read_files("hive_partitioning = false");
        }
        let types: Vec<String> =
            self.sources.partitions.columns.iter().map(|(name, _)| format!("{}: VARCHAR", quote_text(name))).collect();
        self.read_files(&format!("hive_partitioning = true, hive_types = {{{}}}", types.join(", ")))
    }

    /// No name is a pattern: the store does not reach such files, which are read from the scratch directory.
    fn read_files(&self, options: &str) -> String {
        let files: Vec<String> =
            self.sources.files.iter().map(|file| quote_text(&file.path.display().to_string())).collect();
        format!("read_parquet([{}], {options})", files.join(", "))
    }
}

fn sql(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Instant => "TIMESTAMP WITH TIME ZONE".to_owned(),
        other => other.sql(),
    }
}
