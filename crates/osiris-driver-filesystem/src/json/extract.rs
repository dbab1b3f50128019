//! `filesystem.json_extractor`: decodes the elements of an array as the rows of JSON lines are.

use async_trait::async_trait;
use osiris_core::rows::{RowPath, RowStream};
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, ExecutionContext, Extract, Extracted, Problem, Result, Role,
    Stdio, Step, TableSink,
};

use super::JSON_FILES;
use super::document::Documents;
use super::rows::{RowSettings, Unit, types};
use super::task::RowTask;
use crate::checks;
use crate::client::Location;
use crate::config::{FilesystemConnection, JsonExtractorConfig};
use crate::objects::fetch;
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Reads JSON documents.
#[derive(Clone, Default)]
pub struct JsonExtractor {
    streams: Streams,
}

impl JsonExtractor {
    /// An extractor that reads standard input for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for JsonExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.json_extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads JSON documents with an array of rows: one file, a directory of them, or a glob",
    )
    .with_connection(ConnectionUse::Optional);

    type Connection = FilesystemConnection;
    type Config = JsonExtractorConfig;

    fn validate(config: &JsonExtractorConfig) -> Vec<Problem> {
        let mut problems = types(config.dtype.as_ref()).err().unwrap_or_default();
        if let Err(error) = data_path(config).and_then(|path| RowStream::of_array(&path)) {
            problems.push(Problem::error("/data_path", error.message()).with_hint(error.hint().unwrap_or_default()));
        }
        problems.extend(checks::path(&config.path));
        problems.extend(checks::named_twice("columns", config.columns.as_deref().unwrap_or_default()));
        problems.extend(checks::max_rejects(config.on_bad_lines, config.max_rejects));
        problems
    }

    fn stdio(config: &JsonExtractorConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::INPUT } else { Stdio::NONE }
    }
}

fn data_path(config: &JsonExtractorConfig) -> Result<RowPath> {
    config.data_path.as_deref().map_or_else(|| Ok(RowPath::root()), str::parse)
}

#[async_trait]
impl Extract for JsonExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let config = step.config();
        let dry = if step.dry_run() { DRY_RUN_ROWS } else { u64::MAX };
        let location = Location::new(step.connection(), step.base_dir());
        let scratch = Scratch::new(ctx.store().scratch_dir(), step.id())?;
        let task = RowTask {
            source: Documents { path: data_path(config)? },
            settings: RowSettings {
                unit: Unit::Element,
                dtype: config.dtype.clone(),
                columns: config.columns.clone(),
                add_filename: config.add_filename.clone(),
                on_bad_lines: config.on_bad_lines,
                max_rejects: config.max_rejects,
            },
            path: config.path.clone(),
            compression: config.compression,
            max_uncompressed: config.max_uncompressed_bytes,
            limit: config.limit.unwrap_or(u64::MAX).min(dry),
            kind: &JSON_FILES,
            downloaded: fetch(&location, &config.path, &JSON_FILES, &scratch).await?,
            location,
            streams: self.streams.clone(),
            scratch,
        };
        task.run(out, ctx).await
    }
}
