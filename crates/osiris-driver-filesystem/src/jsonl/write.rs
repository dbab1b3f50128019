//! `filesystem.jsonl_writer`: formats batches and writes them to atomic files.

use std::path::Path;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use osiris_core::rows::{Row, RowDecoder, RowOptions};
use osiris_core::{
    Code, CommitOutcome, Component, ComponentSpec, ConnectionUse, DestinationId, Error, ExecutionContext, Feature,
    Intent, Problem, Result, Role, Stdio, Step, TableRef, Write, Written,
};

use super::lines::LineReader;
use crate::client::Location;
use crate::compression::open_decompressed;
use crate::config::{FilesystemConnection, JsonlWriterConfig, ReadCompression};
use crate::destination::{self, Destination};
use crate::json::{Formatter, Layout};
use crate::publish::outcome;
use crate::stdio::Streams;
use crate::text::{CHUNK_ROWS, TextFile, TextFormat, TextWriteTask, columns, last_byte};

/// Writes files of JSON lines.
#[derive(Clone, Default)]
pub struct JsonlWriter {
    streams: Streams,
}

impl JsonlWriter {
    /// A writer that writes to standard output for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for JsonlWriter {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.jsonl_writer",
        env!("CARGO_PKG_VERSION"),
        Role::Write,
        "Writes a table as JSON lines: one file, or several of a given size",
    )
    .with_connection(ConnectionUse::Optional)
    .with_features(&[Feature::Streams]);

    type Connection = FilesystemConnection;
    type Config = JsonlWriterConfig;

    fn validate(config: &JsonlWriterConfig) -> Vec<Problem> {
        let mut problems = destination::validate(&config.path, config.mode, config.max_rows_per_file.is_some());
        problems.extend(text_file(config).problems(&config.columns));
        problems
    }

    fn streams(_: &JsonlWriterConfig, _: &FilesystemConnection) -> bool {
        true
    }

    fn stdio(config: &JsonlWriterConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::OUTPUT } else { Stdio::NONE }
    }
}

#[async_trait]
impl Write for JsonlWriter {
    fn destination(&self, config: &JsonlWriterConfig, connection: &FilesystemConnection, base: &Path) -> DestinationId {
        let several = config.max_rows_per_file.is_some();
        Destination::id(&Location::new(connection, base), &config.path, config.mode, several)
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        let columns = columns(&config.columns, input);
        let format = JsonlFormat {
            formatter: Formatter::new(&columns, input.schema(), config.nulls, Layout::Lines),
            compression: config.compression.resolve(&config.path).reading(),
        };
        let task = TextWriteTask::new(format, text_file(config), ctx);
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

fn text_file(config: &JsonlWriterConfig) -> TextFile {
    TextFile {
        path: config.path.clone(),
        mode: config.mode,
        compression: config.compression,
        create_dirs: config.create_dirs,
        max_rows_per_file: config.max_rows_per_file,
        chunk_size: CHUNK_ROWS,
    }
}

/// JSON lines as configured.
struct JsonlFormat {
    formatter: Formatter,
    compression: ReadCompression,
}

impl TextFormat for JsonlFormat {
    fn extension(&self, _: &str) -> &'static str {
        "jsonl"
    }

    fn newline(&self) -> &'static [u8] {
        b"\n"
    }

    fn head(&self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn rows(&self, batch: &RecordBatch, first: u64, begins: bool, out: &mut Vec<u8>) -> Result<()> {
        self.formatter.rows(batch, first, begins, out)
    }

    /// The first line alone is looked at: keys may differ from line to line.
    fn check_append(&self, path: &Path, name: &str) -> Result<bool> {
        open_decompressed(path, name, self.compression, u64::MAX, |source| {
            let mut lines = LineReader::new(source, name);
            if !lines.advance()? {
                return Ok(());
            }
            let checked = RowDecoder::new(RowOptions::new()).check(&Row::new(lines.text()));
            checked.map_err(|fault| {
                Error::validation(format!("cannot append to `{name}`: line {}: {fault}", lines.number()))
                    .with_code(Code::BadLine)
                    .with_hint("append to a file of JSON lines, or set `mode: overwrite`")
            })
        })?;
        Ok(matches!(last_byte(path, name, self.compression)?, None | Some(b'\n')))
    }
}
