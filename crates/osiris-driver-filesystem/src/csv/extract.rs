//! `filesystem.csv_extractor`: scan every file, then let DuckDB load them into the step's table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use osiris_core::store::{FileIdentity, StoreTransaction};
use osiris_core::{
    Code, Column, ColumnType, Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, Error, ExecutionContext, Extract,
    Extracted, Phase, Problem, Reject, Result, Role, Stdio, Step, TableSink, Unit, metric,
};

use super::CSV_FILES;
use super::dialect::{Dialect, quote_problem};
use super::load::{Load, find_all};
use super::scan::ScanOptions;
use super::source::{Opening, Scanning};
use super::types::DeclaredType;
use crate::blocking::{StopFlag, blocking};
use crate::checks;
use crate::client::{Location, SourceFile, Target};
use crate::config::{
    AddFilename, CsvExtractorConfig, Dtype, FilesystemConnection, Header, Materialize, OnBadLines, ParseDates,
};
use crate::error::is_about_content;
use crate::objects::fetch;
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Rejects collected beyond the limit, for the report.
const KEPT_OVER_LIMIT: u64 = 1000;

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

/// The configured types, by lower-case column name.
fn stated_types(config: &CsvExtractorConfig) -> Result<Vec<(String, DeclaredType)>, Vec<Problem>> {
    let mut stated = Vec::new();
    let mut problems = Vec::new();
    if let Some(Dtype::Columns(columns)) = &config.dtype {
        for (column, name) in columns {
            match DeclaredType::named(format!("/dtype/{column}"), name) {
                Ok(known) => stated.push((column.clone(), known)),
                Err(problem) => problems.push(problem),
            }
        }
    }
    let dates = match &config.parse_dates {
        None | Some(ParseDates::Inferred(_)) => Vec::new(),
        Some(ParseDates::Columns(columns)) => {
            columns.iter().map(|column| (column.clone(), DeclaredType::Dates)).collect()
        }
        Some(ParseDates::Formats(formats)) => {
            formats.iter().map(|(column, format)| (column.clone(), DeclaredType::Format(format.clone()))).collect()
        }
    };
    for (column, date) in dates {
        if stated.iter().any(|(known, _)| known.eq_ignore_ascii_case(&column)) {
            problems.push(
                Problem::error(format!("/parse_dates/{column}"), format!("`{column}` is also in `dtype`"))
                    .with_hint("keep one of them"),
            );
        }
        stated.push((column, date));
    }
    if problems.is_empty() { Ok(stated) } else { Err(problems) }
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
            keep_rejects: self.config.max_rejects.saturating_add(KEPT_OVER_LIMIT),
            names,
            locate: &[],
            on_bytes,
        }
    }

    /// The files to read; standard input is first copied to a file.
    fn files(&self) -> Result<Vec<SourceFile>> {
        match self.location.target(&self.config.path)? {
            Target::Local(path) => self.location.files(&path, &CSV_FILES),
            Target::Stdio => Ok(vec![self.scratch.standard_input(&self.streams, "csv")?]),
            Target::Object(_) => Ok(self.downloaded.clone()),
        }
    }

    /// Loads the scanned files with DuckDB.
    async fn load(self, mut scanning: Scanning, out: &TableSink) -> Result<Extracted> {
        self.push(std::mem::take(&mut scanning.rejects), scanning.rejected).await?;
        let read = scanning.rows + scanning.rejected;
        self.ctx.progress().enter(Phase::Loading);
        self.ctx.progress().expect_rows(scanning.rows);
        let load = Arc::new(self.plan(scanning)?);
        let drop_bad = self.config.on_bad_lines == OnBadLines::Reject && load.checked().next().is_some();
        if drop_bad {
            self.reject_bad_values(&load).await?;
        }
        let select = load.select(drop_bad);
        // Whether a value fits its configured type is for this step to say.
        let in_place = load.scanning.in_place.clone().filter(|_| load.checked().next().is_none());
        let scans = load.scans();
        let create = move |transaction: &mut StoreTransaction<'_>| match in_place {
            Some(files) => transaction.create_file_view_as(&select, files, scans, &|_: &Column| false),
            None => transaction.create_table_as(&select, &|_: &Column| false),
        };
        let loaded = out.call(create).await;
        match loaded {
            Ok(rows) => {
                self.ctx.progress().add_rows(rows);
                Ok(Extracted::rows(read))
            }
            Err(error) if load.checked().next().is_some() && is_about_content(&error) => {
                Err(self.first_bad_value(&load).await?.unwrap_or(error))
            }
            // DuckDB's message would show the line. The scan found no problem in the file.
            Err(error) if error.report().contains("Original Line") => Err(Error::unknown(format!(
                "DuckDB reads `{}` differently than it was scanned",
                self.config.path
            ))
            .with_hint(
                "report this with the first lines of the file; meanwhile `limit` with a large number reads a copy",
            )),
            Err(error) => Err(error),
        }
    }

    fn plan(&self, scanning: Scanning) -> Result<Load> {
        let stated = stated_types(&self.config).map_err(|problems| invalid(&problems))?;
        let names: Vec<String> = stated.iter().map(|(name, _)| name.clone()).collect();
        find_all(&scanning.names, &names, "dtype` or `parse_dates")?;
        let by_name: HashMap<String, DeclaredType> =
            stated.into_iter().map(|(name, stated)| (name.to_lowercase(), stated)).collect();
        let text = matches!(self.config.dtype, Some(Dtype::All(_)));
        let stated = |name: &str| {
            let stated = by_name.get(&name.to_lowercase()).cloned();
            stated.or_else(|| text.then_some(DeclaredType::Type(ColumnType::Varchar)))
        };
        let selected = self.config.columns.as_deref().filter(|_| self.config.header != Header::Present(false));
        let filename = AddFilename::column(self.config.add_filename.as_ref()).map(str::to_owned);
        Load::new(scanning, selected, &stated, self.dialect.na_values.clone(), filename)
    }

    /// Stores rejects; fails if there are too many.
    async fn push(&self, rejects: Vec<Reject>, count: u64) -> Result<()> {
        let kept = rejects.len() as u64;
        self.ctx.rejects().push(rejects).await?;
        if kept == count {
            return Ok(());
        }
        Err(Error::integrity(format!(
            "{count} rows were rejected, but at most {} are allowed",
            self.config.max_rejects
        ))
        .with_code(Code::TooManyRejects)
        .with_hint("`osiris runs rejects` shows them: fix the data or raise `max_rejects`"))
    }

    /// Stores the rows that do not fit a configured type.
    async fn reject_bad_values(&self, load: &Arc<Load>) -> Result<()> {
        for index in 0..load.scanning.pieces.len() {
            let keep = self.config.max_rejects.saturating_add(KEPT_OVER_LIMIT);
            let (mut rejects, count) = self.bad_values(load, index, keep).await?;
            let file = &load.scanning.pieces[index].source.name;
            rejects.iter_mut().for_each(|reject| reject.reason.insert_str(0, &format!("`{file}`: ")));
            self.push(rejects, count).await?;
        }
        Ok(())
    }

    /// The error for the first value that does not fit a configured type.
    async fn first_bad_value(&self, load: &Arc<Load>) -> Result<Option<Error>> {
        for index in 0..load.scanning.pieces.len() {
            let (bad, _) = self.bad_values(load, index, 1).await?;
            if let Some(Reject { row_number: Some(line), column: Some(column), reason, .. }) = bad.into_iter().next() {
                let file = &load.scanning.pieces[index].source.name;
                let error = Error::validation(format!("`{file}`: line {line}, column `{column}`: {reason}"));
                let error = error.with_code(Code::BadLine);
                return Ok(Some(error.with_hint(format!(
                    "fix the value, set another type for `{column}`, or set `on_bad_lines: reject`"
                ))));
            }
        }
        Ok(None)
    }

    /// The first `keep` rows of a file that do not fit a configured type, with their lines, and the number of all of
    /// them.
    async fn bad_values(&self, load: &Arc<Load>, index: usize, keep: u64) -> Result<(Vec<Reject>, u64)> {
        let plan = Arc::clone(load);
        let (bad, count) = self
            .ctx
            .store()
            .call(move |connection| plan.bad_values(connection, &plan.scanning.pieces[index], keep))
            .await?;
        let rows: Vec<u64> = bad.iter().map(|bad| bad.row).collect();
        let lines =
            self.opening(&|_| true).lines(&load.scanning.pieces[index].source, &rows, &self.options(&|_| Ok(())))?;
        let rejects = bad.into_iter().zip(lines).map(|(bad, line)| Reject {
            row_number: Some(line),
            column: Some(bad.column),
            reason: format!("the value is not {}", bad.wanted),
            row: Some(bad.json),
        });
        Ok((rejects.collect(), count))
    }
}

fn invalid(problems: &[Problem]) -> Error {
    osiris_core::problem::ensure_none(problems, "the configuration")
        .err()
        .unwrap_or_else(|| Error::validation("the configuration is not valid"))
}
