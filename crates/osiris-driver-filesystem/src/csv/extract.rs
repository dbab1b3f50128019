//! `filesystem.csv_extractor`: scan every file, then let DuckDB load them into the step's table.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use osiris_core::store::FileIdentity;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, ExecutionContext, Extract, Extracted, Phase, Problem,
    Result, Role, Stdio, Step, TableSink, Unit, metric,
};

use super::CSV_FILES;
use super::dialect::{Dialect, quote_problem};
use super::load::Load;
use super::loading::{Loading, RowPlaces, Wanted, invalid, kept_rejects};
use super::scan::ScanOptions;
use super::source::{Opening, Piece, Scanning};
use super::types::{DeclaredType, declared};
use crate::blocking::{StopFlag, blocking};
use crate::checks;
use crate::client::{Location, SourceFile, Target};
use crate::config::{CsvExtractorConfig, FilesystemConnection, Header, Materialize};
use crate::objects::fetch;
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Reads CSV files.
#[derive(Clone, Default)]
pub struct CsvExtractor {
    streams: Streams,
}

impl CsvExtractor {
    /// An extractor that reads standard input for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for CsvExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.csv_extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads CSV files: one, a directory of them, or a glob",
    )
    .with_connection(ConnectionUse::Optional);

    type Connection = FilesystemConnection;
    type Config = CsvExtractorConfig;

    fn validate(config: &CsvExtractorConfig) -> Vec<Problem> {
        let mut problems = Dialect::new(config).err().unwrap_or_default();
        problems.extend(stated_types(config).err().unwrap_or_default());
        problems.extend(quote_problem(config.quotechar.as_deref()));
        problems.extend(checks::path(&config.path));
        problems.extend(checks::named_twice("columns", config.columns.as_deref().unwrap_or_default()));
        problems.extend(checks::max_rejects(config.on_bad_lines, config.max_rejects));
        problems
    }

    fn files(config: &CsvExtractorConfig, connection: &FilesystemConnection, base: &Path) -> Vec<PathBuf> {
        Location::new(connection, base).readable(&config.path, &CSV_FILES)
    }

    fn stdio(config: &CsvExtractorConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::INPUT } else { Stdio::NONE }
    }
}

/// The configured types.
fn stated_types(config: &CsvExtractorConfig) -> Result<Vec<(String, DeclaredType)>, Vec<Problem>> {
    declared(config.dtype.as_ref(), config.parse_dates.as_ref())
}

#[async_trait]
impl Extract for CsvExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let config = step.config();
        ctx.rejects().set_limit(config.max_rejects);
        let dialect = Dialect::new(config).map_err(|problems| invalid(&problems))?;
        let copies = |file: &SourceFile| config.materialize == Materialize::Table || step.is_written(&file.path);
        let dry = if step.dry_run() { DRY_RUN_ROWS } else { u64::MAX };
        let location = Location::new(step.connection(), step.base_dir());
        let scratch = Scratch::new(ctx.store().scratch_dir(), step.id())?;
        let job = CsvExtractTask {
            downloaded: fetch(&location, &config.path, &CSV_FILES, &scratch).await?,
            location,
            limit: Some(config.limit.unwrap_or(u64::MAX).min(dry)).filter(|limit| *limit < u64::MAX),
            config: config.clone(),
            dialect,
            streams: self.streams.clone(),
            scratch,
            ctx: ctx.clone(),
        };
        let (job, mut scanning) = blocking(move |stop| job.scan(stop)).await?;
        if scanning.pieces.iter().any(|piece| copies(&piece.source)) {
            scanning.in_place = None;
        }
        ctx.log_metric(metric::BYTES_READ, scanning.bytes, Unit::Bytes, serde_json::Value::Null);
        job.load(scanning, out).await
    }
}

/// One extraction, with its scratch directory.
struct CsvExtractTask {
    config: CsvExtractorConfig,
    dialect: Dialect,
    location: Location,
    /// The files of a store, in the scratch directory.
    downloaded: Vec<SourceFile>,
    limit: Option<u64>,
    streams: Streams,
    scratch: Scratch,
    ctx: ExecutionContext,
}

impl CsvExtractTask {
    /// Scans all files, until `stop` is set.
    fn scan(self, stop: &StopFlag) -> Result<(Self, Scanning)> {
        let files = self.files()?;
        self.ctx.progress().enter(Phase::InferringTypes);
        self.ctx.progress().expect_bytes(files.iter().map(|file| file.size).sum());
        let on_bytes = |bytes| {
            self.ctx.progress().add_bytes(bytes);
            stop.check()
        };
        let store = self.ctx.store();
        let before: Vec<_> = files.iter().map(|file| FileIdentity::of(&file.path)).collect();
        let is_local = matches!(self.location.target(&self.config.path)?, Target::Local(_));
        let mut scanning =
            self.opening(&|file| store.reaches(file)).scan_all(files, &self.options(&on_bytes), &self.scratch)?;
        // Copies in the scratch directory are gone when this step ends.
        if is_local && scanning.pieces.iter().all(|piece| !piece.copied) {
            scanning.in_place = before.into_iter().collect::<std::io::Result<_>>().ok();
        }
        Ok((self, scanning))
    }

    fn opening<'a>(&'a self, reaches: &'a dyn Fn(&Path) -> bool) -> Opening<'a> {
        Opening {
            dialect: &self.dialect,
            compression: self.config.compression,
            max_uncompressed: self.config.max_uncompressed_bytes,
            reaches,
        }
    }

    fn options<'a>(&'a self, on_bytes: &'a (dyn Fn(u64) -> Result<()> + Sync)) -> ScanOptions<'a> {
        let names = self.config.columns.as_deref().filter(|_| self.config.header == Header::Present(false));
        ScanOptions {
            dialect: &self.dialect,
            on_bad_lines: self.config.on_bad_lines,
            limit: self.limit,
            keep_rejects: kept_rejects(self.config.max_rejects),
            names,
            locate: &[],
            on_bytes,
        }
    }

    /// The files to read; standard input is first copied to a file.
    fn files(&self) -> Result<Vec<SourceFile>> {
        self.scratch.sources(&self.location, &self.config.path, &CSV_FILES, &self.streams, &self.downloaded)
    }

    /// Loads the scanned files with DuckDB.
    async fn load(self, scanning: Scanning, out: &TableSink) -> Result<Extracted> {
        let loading = Loading {
            ctx: &self.ctx,
            path: &self.config.path,
            on_bad_lines: self.config.on_bad_lines,
            max_rejects: self.config.max_rejects,
            places: &self,
        };
        loading.load(scanning, |scanning| self.plan(scanning), out).await
    }

    fn plan(&self, scanning: Scanning) -> Result<Load> {
        let wanted = Wanted {
            columns: self.config.columns.as_deref().filter(|_| self.config.header != Header::Present(false)),
            dtype: self.config.dtype.as_ref(),
            declared: stated_types(&self.config),
            fields: "dtype` or `parse_dates",
            na_values: self.dialect.na_values.clone(),
            add_filename: self.config.add_filename.as_ref(),
        };
        wanted.plan(scanning)
    }
}

impl RowPlaces for CsvExtractTask {
    fn unit(&self) -> &'static str {
        "line"
    }

    fn shown(&self, piece: &Piece) -> String {
        format!("`{}`", piece.source.name)
    }

    fn numbers(&self, piece: &Piece, rows: &[u64]) -> Result<Vec<u64>> {
        self.opening(&|_| true).lines(&piece.source, rows, &self.options(&|_| Ok(())))
    }
}
