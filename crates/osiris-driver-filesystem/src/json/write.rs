//! `filesystem.json_writer`: formats batches as one array and writes it to atomic files.

use std::path::Path;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use osiris_core::{
    CommitOutcome, Component, ComponentSpec, ConnectionUse, DestinationId, Error, ExecutionContext, Feature, Intent,
    Problem, Result, Role, Stdio, Step, TableRef, Write, Written,
};

use super::format::{Formatter, Layout};
use crate::client::Location;
use crate::config::{FilesystemConnection, JsonWriterConfig, WriteMode};
use crate::destination::{self, Destination};
use crate::publish::outcome;
use crate::stdio::Streams;
use crate::text::{CHUNK_ROWS, TextFile, TextFormat, TextWriteTask, columns};

/// Writes JSON documents.
#[derive(Clone, Default)]
pub struct JsonWriter {
    streams: Streams,
}

impl JsonWriter {
    /// A writer that writes to standard output for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for JsonWriter {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.json_writer",
        env!("CARGO_PKG_VERSION"),
        Role::Write,
        "Writes a table as a JSON array: one file, or several of a given size",
    )
    .with_connection(ConnectionUse::Optional)
    .with_features(&[Feature::Streams]);

    type Connection = FilesystemConnection;
    type Config = JsonWriterConfig;

    fn validate(config: &JsonWriterConfig) -> Vec<Problem> {
        let mut problems =
            destination::validate(&config.path, WriteMode::Overwrite, config.max_rows_per_file.is_some());
        problems.extend(text_file(config).problems(&config.columns));
        problems
    }

    fn streams(_: &JsonWriterConfig, _: &FilesystemConnection) -> bool {
        true
    }

    fn stdio(config: &JsonWriterConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::OUTPUT } else { Stdio::NONE }
    }
}

#[async_trait]
impl Write for JsonWriter {
    fn destination(&self, config: &JsonWriterConfig, connection: &FilesystemConnection, base: &Path) -> DestinationId {
        let several = config.max_rows_per_file.is_some();
        Destination::id(&Location::new(connection, base), &config.path, WriteMode::Overwrite, several)
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        let columns = columns(&config.columns, input);
        let formatter = Formatter::new(&columns, input.schema(), config.nulls, Layout::Array);
        let task = TextWriteTask::new(JsonFormat { formatter }, text_file(config), ctx);
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

fn text_file(config: &JsonWriterConfig) -> TextFile {
    TextFile {
        path: config.path.clone(),
        mode: WriteMode::Overwrite,
        compression: config.compression,
        create_dirs: config.create_dirs,
        max_rows_per_file: config.max_rows_per_file,
        chunk_size: CHUNK_ROWS,
    }
}

/// A JSON array as configured, with a row in each line.
struct JsonFormat {
    formatter: Formatter,
}

impl TextFormat for JsonFormat {
    fn extension(&self, _: &str) -> &'static str {
        "json"
    }

    fn newline(&self) -> &'static [u8] {
        b"\n"
    }

    fn head(&self, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'[');
        Ok(())
    }

    fn rows(&self, batch: &RecordBatch, first: u64, begins: bool, out: &mut Vec<u8>) -> Result<()> {
        self.formatter.rows(batch, first, begins, out)
    }

    fn tail(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n]\n");
    }

    fn check_append(&self, _: &Path, _: &str) -> Result<bool> {
        Err(Error::validation("rows cannot be appended to a JSON array"))
    }
}
