//! `filesystem.csv_writer`: formats batches and writes them to atomic files.

use std::path::Path;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use osiris_core::{
    CommitOutcome, Component, ComponentSpec, ConnectionUse, DestinationId, Error, ExecutionContext, Feature, Intent,
    Problem, Result, Role, Stdio, Step, TableRef, Write, Written,
};

use super::append::check_append;
use super::dialect::{default_delimiter, delimiter, quote_problem};
use super::encoding::Charset;
use super::format::Formatter;
use crate::client::Location;
use crate::config::{CsvWriterConfig, FilesystemConnection};
use crate::destination::Destination;
use crate::publish::outcome;
use crate::stdio::Streams;
use crate::text::{TextFile, TextFormat, TextWriteTask, columns, date_items};

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
        problems.extend(text_file(config).problems(&config.columns));
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
        let task = TextWriteTask::new(CsvFormat::new(config, columns.clone())?, text_file(config), ctx);
        let location = Location::new(step.connection(), step.base_dir());
        task.write(&location, (step.id(), step.dry_run()), input, columns, &self.streams).await
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

fn text_file(config: &CsvWriterConfig) -> TextFile {
    TextFile {
        path: config.path.clone(),
        mode: config.mode,
        compression: config.compression,
        create_dirs: config.create_dirs,
        max_rows_per_file: config.max_rows_per_file,
        chunk_size: config.chunk_size,
    }
}

/// CSV as configured.
struct CsvFormat {
    config: CsvWriterConfig,
    columns: Vec<String>,
    charset: Charset,
    delimiter: u8,
    formatter: Formatter,
}

impl CsvFormat {
    fn new(config: &CsvWriterConfig, columns: Vec<String>) -> Result<Self> {
        let invalid = |problem: Problem| Error::validation(problem.to_string());
        let delimiter = delimiter(config.delimiter.as_deref()).map_err(invalid)?;
        let delimiter = delimiter.unwrap_or_else(|| default_delimiter(&config.path));
        let formatter = Formatter::new(config, delimiter)?;
        // Check first that the header can be written.
        formatter.header(columns.iter().map(String::as_str), &mut Vec::new())?;
        let charset = Charset::named(&config.encoding).map_err(invalid)?;
        Ok(Self { config: config.clone(), columns, charset, delimiter, formatter })
    }
}

impl TextFormat for CsvFormat {
    fn charset(&self) -> Charset {
        self.charset
    }

    /// That of the path if it has one, else by the format.
    fn extension(&self, name: &str) -> &'static str {
        if name.contains(".tsv") || self.delimiter == b'\t' { "tsv" } else { "csv" }
    }

    fn newline(&self) -> &'static [u8] {
        self.formatter.newline()
    }

    fn head(&self, out: &mut Vec<u8>) -> Result<()> {
        if self.config.header { self.formatter.header(self.columns.iter().map(String::as_str), out) } else { Ok(()) }
    }

    fn rows(&self, batch: &RecordBatch, first: u64, _: bool, out: &mut Vec<u8>) -> Result<()> {
        self.formatter.rows(batch, first, out)
    }

    fn check_append(&self, path: &Path, name: &str) -> Result<bool> {
        check_append(path, name, &self.config, self.delimiter, self.charset, &self.columns)
    }
}
