//! `filesystem.excel_extractor`: copies the cells of a sheet as CSV, then lets DuckDB load them into the step's table.

use std::collections::HashMap;
use std::path::PathBuf;

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, ExecutionContext, Extract, Extracted, Phase, Problem,
    Result, Role, Stdio, Step, TableSink, Unit, metric,
};

use super::EXCEL_FILES;
use super::area::Area;
use super::sheet::{DELIMITER, RowNumbers, SheetOptions, SheetScan};
use super::workbook::Workbook;
use crate::blocking::{StopFlag, blocking};
use crate::checks;
use crate::client::{Location, SourceFile};
use crate::compression::default_most;
use crate::config::{ExcelExtractorConfig, FilesystemConnection, Sheet, SheetHeader};
use crate::csv::{Loading, Piece, RowPlaces, Scanning, Wanted, declared, invalid, kept_rejects};
use crate::objects::fetch;
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Reads Excel workbooks.
#[derive(Clone, Default)]
pub struct ExcelExtractor {
    streams: Streams,
}

impl ExcelExtractor {
    /// An extractor that reads standard input for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
    pub fn with_io(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Component for ExcelExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "filesystem.excel_extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads a sheet of Excel workbooks: one, a directory of them, or a glob",
    )
    .with_connection(ConnectionUse::Optional);

    type Connection = FilesystemConnection;
    type Config = ExcelExtractorConfig;

    fn validate(config: &ExcelExtractorConfig) -> Vec<Problem> {
        let mut problems = declared(config.dtype.as_ref(), None).err().unwrap_or_default();
        problems.extend(checks::path(&config.path));
        problems.extend(checks::named_twice("columns", config.columns.as_deref().unwrap_or_default()));
        problems.extend(checks::max_rejects(config.on_bad_lines, config.max_rejects));
        if config.sheet == Some(Sheet::Number(0)) {
            problems.push(Problem::error("/sheet", "sheets are counted from 1").with_hint("the first is `sheet: 1`"));
        }
        match Area::parse(config.range.as_deref()) {
            Ok(area) => problems.extend(header_problem(config.header, &area)),
            Err(problem) => problems.push(problem),
        }
        problems
    }

    fn stdio(config: &ExcelExtractorConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::INPUT } else { Stdio::NONE }
    }
}

/// The problem with a header that is not in the area.
fn header_problem(header: SheetHeader, area: &Area) -> Option<Problem> {
    match header {
        SheetHeader::Row(0) => {
            Some(Problem::error("/header", "rows are counted from 1").with_hint("the first is `header: 1`"))
        }
        SheetHeader::Row(row) if !(area.top..=area.bottom).contains(&(row - 1)) => {
            Some(Problem::error("/header", format!("row {row} is outside of the range")).with_hint(format!(
                "the range has the rows {} to {}",
                area.top + 1,
                area.bottom + 1
            )))
        }
        SheetHeader::Row(_) | SheetHeader::Present(_) => None,
    }
}

#[async_trait]
impl Extract for ExcelExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let config = step.config();
        ctx.rejects().set_limit(config.max_rejects);
        let dry = if step.dry_run() { DRY_RUN_ROWS } else { u64::MAX };
        let location = Location::new(step.connection(), step.base_dir());
        let scratch = Scratch::new(ctx.store().scratch_dir(), step.id())?;
        let task = ExcelExtractTask {
            downloaded: fetch(&location, &config.path, &EXCEL_FILES, &scratch).await?,
            location,
            limit: Some(config.limit.unwrap_or(u64::MAX).min(dry)).filter(|limit| *limit < u64::MAX),
            config: config.clone(),
            streams: self.streams.clone(),
            scratch,
            ctx: ctx.clone(),
        };
        let (task, scanning, sheets) = blocking(move |stop| task.scan(stop)).await?;
        ctx.log_metric(metric::BYTES_READ, scanning.bytes, Unit::Bytes, serde_json::Value::Null);
        let loading = Loading {
            ctx,
            path: &config.path,
            on_bad_lines: config.on_bad_lines,
            max_rejects: config.max_rejects,
            places: &sheets,
        };
        loading.load(scanning, |scanning| task.wanted(&sheets).plan(scanning), out).await
    }
}

/// The sheets that were read.
struct Sheets {
    /// What each is called in messages and the numbers of its rows, by the path of its copy.
    by_copy: HashMap<PathBuf, (String, RowNumbers)>,
    /// For each column of the first, whether it has no name.
    unnamed: Vec<bool>,
    /// The columns that are read.
    columns: Option<Vec<String>>,
}

impl RowPlaces for Sheets {
    fn unit(&self) -> &'static str {
        "row"
    }

    fn shown(&self, piece: &Piece) -> String {
        self.by_copy.get(&piece.path).map_or_else(|| format!("`{}`", piece.source.name), |(place, _)| place.clone())
    }

    fn numbers(&self, piece: &Piece, rows: &[u64]) -> Result<Vec<u64>> {
        let number = |row: &u64| self.by_copy.get(&piece.path).map_or(*row, |(_, numbers)| numbers.of(*row));
        Ok(rows.iter().map(number).collect())
    }
}

/// One extraction, with its scratch directory.
struct ExcelExtractTask {
    config: ExcelExtractorConfig,
    location: Location,
    /// The files of a store, in the scratch directory.
    downloaded: Vec<SourceFile>,
    limit: Option<u64>,
    streams: Streams,
    scratch: Scratch,
    ctx: ExecutionContext,
}

impl ExcelExtractTask {
    /// Copies the sheet of every file, until `stop` is set.
    fn scan(self, stop: &StopFlag) -> Result<(Self, Scanning, Sheets)> {
        let files = self.files()?;
        self.ctx.progress().enter(Phase::InferringTypes);
        self.ctx.progress().expect_bytes(files.iter().map(|file| file.size).sum());
        let mut scanning = Scanning::default();
        let mut sheets = Sheets { by_copy: HashMap::new(), unnamed: Vec::new(), columns: None };
        for file in files {
            let left = self.limit.map(|limit| limit - scanning.rows);
            if left == Some(0) && !scanning.pieces.is_empty() {
                break;
            }
            self.sheet(file, left, &mut scanning, &mut sheets, stop)?;
        }
        if self.config.columns.is_none() {
            let has_value = scanning.profiles.iter().map(|profile| !profile.is_empty());
            let columns = scanning.names.iter().zip(has_value).zip(&sheets.unnamed);
            let columns = columns.filter(|((_, has_value), unnamed)| *has_value || !**unnamed);
            sheets.columns = Some(columns.map(|((name, _), _)| name.clone()).collect());
        } else if self.config.header != SheetHeader::Present(false) {
            sheets.columns.clone_from(&self.config.columns);
        }
        Ok((self, scanning, sheets))
    }

    /// Copies the sheet of a file.
    fn sheet(
        &self,
        file: SourceFile,
        limit: Option<u64>,
        scanning: &mut Scanning,
        sheets: &mut Sheets,
        stop: &StopFlag,
    ) -> Result<()> {
        let area = Area::parse(self.config.range.as_deref()).map_err(|problem| invalid(&[problem]))?;
        let options = SheetOptions {
            area,
            header: self.config.header,
            columns: self.config.columns.as_deref(),
            na_values: &self.config.na_values,
            on_bad_lines: self.config.on_bad_lines,
            keep_rejects: kept_rejects(self.config.max_rejects),
            limit,
        };
        let most = self.config.max_uncompressed_bytes.unwrap_or_else(|| default_most(file.size));
        let on_bytes = |bytes| self.ctx.progress().add_bytes(bytes);
        let mut workbook = Workbook::open(&file, most, &on_bytes, stop)?;
        let name = workbook.sheet(self.config.sheet.as_ref())?;
        let (place, path) = (format!("`{}`, sheet `{name}`", file.name), self.scratch.path("csv"));
        let mut scan = SheetScan::new(&options, place.clone(), &path)?;
        workbook.cells(&name, |row, column, value| {
            stop.check()?;
            scan.cell(row, column, value)
        })?;
        let done = scan.finish()?;
        drop(workbook);
        if scanning.pieces.is_empty() {
            sheets.unnamed = done.unnamed;
        }
        sheets.by_copy.insert(path.clone(), (place, done.numbers));
        scanning.add(file, done.scanned, Some(path), DELIMITER)
    }

    /// The files to read; standard input is first copied to a file.
    fn files(&self) -> Result<Vec<SourceFile>> {
        self.scratch.sources(&self.location, &self.config.path, &EXCEL_FILES, &self.streams, &self.downloaded)
    }

    /// How the copies become columns.
    fn wanted<'a>(&'a self, sheets: &'a Sheets) -> Wanted<'a> {
        Wanted {
            columns: sheets.columns.as_deref(),
            dtype: self.config.dtype.as_ref(),
            declared: declared(self.config.dtype.as_ref(), None),
            fields: "dtype",
            na_values: self.config.na_values.clone(),
            add_filename: self.config.add_filename.as_ref(),
        }
    }
}
