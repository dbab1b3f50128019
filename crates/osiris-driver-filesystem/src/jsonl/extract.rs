//! `filesystem.jsonl_extractor`: decodes lines into batches whose types follow the values, and lets the store widen its
//! table with them.

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, ExecutionContext, Extract, Extracted, Problem, Result, Role,
    Stdio, Step, TableSink,
};

use super::JSONL_FILES;
use super::lines::Lines;
use crate::checks;
use crate::client::Location;
use crate::config::{FilesystemConnection, JsonlExtractorConfig};
use crate::json::{RowSettings, RowTask, Unit, types};
use crate::objects::fetch;
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Reads files of JSON lines.
#[derive(Clone, Default)]
pub struct JsonlExtractor {
    streams: Streams,
}

impl JsonlExtractor {
    /// An extractor that reads standard input for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for JsonlExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.jsonl_extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads JSON lines: one file, a directory of them, or a glob",
    )
    .with_connection(ConnectionUse::Optional);

    type Connection = FilesystemConnection;
    type Config = JsonlExtractorConfig;

    fn validate(config: &JsonlExtractorConfig) -> Vec<Problem> {
        let mut problems = types(config.dtype.as_ref()).err().unwrap_or_default();
        problems.extend(checks::path(&config.path));
        problems.extend(checks::named_twice("columns", config.columns.as_deref().unwrap_or_default()));
        problems.extend(checks::max_rejects(config.on_bad_lines, config.max_rejects));
        problems
    }

    fn stdio(config: &JsonlExtractorConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::INPUT } else { Stdio::NONE }
    }
}

#[async_trait]
impl Extract for JsonlExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let config = step.config();
        let dry = if step.dry_run() { DRY_RUN_ROWS } else { u64::MAX };
        let location = Location::new(step.connection(), step.base_dir());
        let scratch = Scratch::new(ctx.store().scratch_dir(), step.id())?;
        let task = RowTask {
            source: Lines,
            settings: RowSettings {
                unit: Unit::Line,
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
            kind: &JSONL_FILES,
            downloaded: fetch(&location, &config.path, &JSONL_FILES, &scratch).await?,
            location,
            streams: self.streams.clone(),
            scratch,
        };
        task.run(out, ctx).await
    }
}
