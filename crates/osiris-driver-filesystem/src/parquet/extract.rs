//! `filesystem.parquet_extractor`: reads the footers, then loads the files with DuckDB.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use osiris_core::store::{FileIdentity, SqlExpression, StoreTransaction, quote, quote_text};
use osiris_core::{
    Column, ColumnType, Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, Error, ExecutionContext, Extract,
    Extracted, Problem, Result, Role, Stdio, Step, TableSink, Unit, metric,
};

use super::PARQUET_FILES;
use super::columns::{FileColumn, of_files};
use super::footer::{self, Footer};
use super::narrow;
use super::partition::Partitions;
use crate::blocking::{StopFlag, blocking};
use crate::checks;
use crate::client::{Location, SourceFile, Target};
use crate::config::{FilesystemConnection, Materialize, ParquetExtractorConfig};
use crate::csv::{DeclaredType, find_all, unique};
use crate::error::io_error;
use crate::objects::fetch;
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Reads Parquet files.
#[derive(Clone, Default)]
pub struct ParquetExtractor {
    streams: Streams,
}

impl ParquetExtractor {
    /// An extractor that reads standard input for the path `-`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other streams.
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
        problems.extend(checks::path(&config.path));
        if let Some(Err(error)) = config.filter.as_deref().map(SqlExpression::parse) {
            problems.push(Problem::from_sql("/filter", &error));
        }
        problems.extend(stated_types(config).err().unwrap_or_default());
        problems
    }

    fn files(config: &ParquetExtractorConfig, connection: &FilesystemConnection, base: &Path) -> Vec<PathBuf> {
        Location::new(connection, base).readable(&config.path, &PARQUET_FILES)
    }

    fn stdio(config: &ParquetExtractorConfig, _: &FilesystemConnection) -> Stdio {
        if Location::is_stdio(&config.path) { Stdio::INPUT } else { Stdio::NONE }
    }
}

/// The configured types, by lower-case column name.
fn stated_types(config: &ParquetExtractorConfig) -> Result<BTreeMap<String, ColumnType>, Vec<Problem>> {
    let (mut types, mut problems) = (BTreeMap::new(), Vec::new());
    for (column, name) in config.dtype.iter().flatten() {
        match DeclaredType::named(format!("/dtype/{column}"), name) {
            Ok(DeclaredType::Type(stated)) => drop(types.insert(column.to_lowercase(), stated)),
            Ok(_) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(types) } else { Err(problems) }
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
        let wanted = Wanted::new(&config)?;
        let path = config.path.clone();
        let store = ctx.store().clone();
        let downloaded = fetch(&location, &path, &PARQUET_FILES, &scratch).await?;
        // The scratch directory must outlive the load.
        let (mut sources, wanted, scratch) = blocking(move |stop| {
            let reaches = |file: &Path| store.reaches(file);
            let sources = Sources::find(&location, &path, (&streams, downloaded), &reaches, &scratch, stop)?;
            Ok((sources.narrowed(&wanted, &scratch, stop)?, wanted, scratch))
        })
        .await?;
        // Copies in the scratch directory are gone when this step ends.
        let is_repeatable = filter.as_ref().is_none_or(SqlExpression::is_repeatable);
        if config.materialize == Materialize::Table
            || !is_repeatable
            || sources.files.iter().any(|file| step.is_written(&file.path))
        {
            sources.in_place = None;
        }
        ctx.progress().expect_bytes(sources.bytes);
        ctx.progress().expect_rows(limit.map_or(sources.rows, |limit| limit.min(sources.rows)));
        let bytes = sources.bytes;
        let load = Load { config, filter, limit, sources, wanted };
        let (read, stored) = out.call(move |transaction| load.run(transaction)).await?;
        drop(scratch);
        ctx.progress().add_bytes(bytes);
        ctx.progress().add_rows(stored);
        ctx.log_metric(metric::BYTES_READ, bytes, Unit::Bytes, serde_json::Value::Null);
        Ok(Extracted::rows(read))
    }
}

/// The columns to read and their types.
struct Wanted {
    /// None: all.
    columns: Option<Vec<String>>,
    /// The condition, in lower case.
    filter: String,
    types: BTreeMap<String, ColumnType>,
}

impl Wanted {
    fn new(config: &ParquetExtractorConfig) -> Result<Self> {
        let types = stated_types(config).map_err(|problems| {
            osiris_core::problem::ensure_none(&problems, "the configuration")
                .err()
                .unwrap_or_else(|| Error::validation("the configuration is not valid"))
        })?;
        let columns = config.columns.as_ref();
        Ok(Self {
            columns: columns.map(|columns| columns.iter().map(|name| name.to_lowercase()).collect()),
            filter: config.filter.as_deref().unwrap_or_default().to_lowercase(),
            types,
        })
    }

    /// Whether the column `name` has to be read: it is selected, or may be in the condition.
    fn has(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.columns.as_ref().is_none_or(|columns| columns.contains(&name)) || self.filter.contains(&name)
    }
}

/// The files to read.
struct Sources {
    files: Vec<SourceFile>,
    partitions: Partitions,
    /// The footer of the first file, with the columns of all files.
    footer: Footer,
    /// The names of its columns, unique.
    names: Vec<String>,
    /// Whether the names had to be made unique: DuckDB takes the columns of several files by name.
    renamed: bool,
    has_int96: bool,
    rows: u64,
    bytes: u64,
    /// The files as they were before they were looked at, if every one is read where it lies.
    in_place: Option<Vec<FileIdentity>>,
}

impl Sources {
    fn find(
        location: &Location,
        path: &str,
        (streams, downloaded): (&Streams, Vec<SourceFile>),
        reaches: &dyn Fn(&Path) -> bool,
        scratch: &Scratch,
        stop: &StopFlag,
    ) -> Result<Self> {
        let mut in_place = Some(Vec::new());
        let mut files = match location.target(path)? {
            Target::Local(local) => location.files(&local, &PARQUET_FILES)?,
            Target::Stdio => {
                in_place = None;
                vec![scratch.standard_input(streams, "parquet")?]
            }
            Target::Object(_) => {
                in_place = None;
                downloaded
            }
        };
        let partitions = Partitions::of(&files)?;
        let mut first: Option<(String, Footer)> = None;
        let (mut rows, mut has_int96) = (0, false);
        for file in &mut files {
            stop.check()?;
            let identity =
                FileIdentity::of(&file.path).map_err(|error| io_error("cannot be read", &file.name, error))?;
            let footer = footer::read(&file.path, &file.name)?;
            rows += footer.rows;
            has_int96 |= footer.has_int96;
            match &first {
                None => first = Some((file.name.clone(), footer)),
                Some((name, first)) => first.compare(name, &footer, &file.name)?,
            }
            if reaches(&file.path) {
                in_place.iter_mut().for_each(|files| files.push(identity.clone()));
            } else {
                file.path = bring(file, scratch)?;
                in_place = None;
            }
        }
        let bytes = files.iter().map(|file| file.size).sum();
        let (name, footer) = first.ok_or_else(|| Error::unknown("there is no file to read"))?;
        let roots: Vec<&str> = footer.roots.iter().map(String::as_str).collect();
        let (names, renamed) = unique(&roots);
        if renamed {
            tracing::warn!(file = name, columns = ?names, "the file has empty or duplicate column names: renamed to be unique");
        }
        Ok(Self { files, partitions, footer, names, renamed, has_int96, rows, bytes, in_place })
    }

    /// Replaces files in which DuckDB would read a column wrongly by copies.
    fn narrowed(mut self, wanted: &Wanted, scratch: &Scratch, stop: &StopFlag) -> Result<Self> {
        let footer = &self.footer;
        let decimals = footer.wide_decimals.iter().filter(|wide| wide.scale_fits()).map(|wide| wide.root);
        let mut misread = decimals.chain(footer.cut_times.iter().copied());
        if !footer.has_bson && !misread.any(|root| wanted.has(&self.names[root])) {
            return Ok(self);
        }
        for file in &mut self.files {
            stop.check()?;
            let here = scratch.place(&file.partitions, "parquet", &file.name)?;
            narrow::copy(&file.path, &file.name, &here)?;
            file.path = here;
        }
        self.in_place = None;
        Ok(self)
    }
}

/// Makes a file accessible to the run store, such as one that was written since the run began: with a link, else
/// a copy. Its partitions are read from its directory names.
fn bring(file: &SourceFile, scratch: &Scratch) -> Result<PathBuf> {
    let failed = |error| io_error("could not be copied to the scratch directory", &file.name, error);
    let here = scratch.place(&file.partitions, "parquet", &file.name)?;
    std::fs::hard_link(&file.path, &here).or_else(|_| std::fs::copy(&file.path, &here).map(drop)).map_err(failed)?;
    Ok(here)
}

/// One load.
struct Load {
    config: ParquetExtractorConfig,
    filter: Option<SqlExpression>,
    limit: Option<u64>,
    sources: Sources,
    wanted: Wanted,
}

impl Load {
    /// Creates the table. Returns the rows of the source and those that arrived.
    fn run(&self, transaction: &mut StoreTransaction<'_>) -> Result<(u64, u64)> {
        let select = self.select(transaction)?;
        let no_instant = |_: &Column| false;
        let stored = match &self.sources.in_place {
            Some(files) => transaction.create_file_view_as(&select, files.clone(), Vec::new(), &no_instant)?,
            None => transaction.create_table_as(&select, &no_instant)?,
        };
        let read = match (&self.filter, self.limit) {
            // Only DuckDB knows which rows match the condition.
            (Some(_), _) => stored,
            (None, limit) => limit.map_or(self.sources.rows, |limit| limit.min(self.sources.rows)),
        };
        Ok((read, stored))
    }

    fn select(&self, transaction: &StoreTransaction<'_>) -> Result<String> {
        let own = self.own_columns(transaction)?;
        let partitions = self.sources.partitions.columns.iter().map(|column| &column.name);
        let names: Vec<String> = own.iter().map(|column| &column.name).chain(partitions).cloned().collect();
        let selected = match &self.config.columns {
            None => "*".to_owned(),
            Some(columns) => {
                let places = find_all(&names, columns, "columns")?;
                places.into_iter().map(|place| quote(&names[place])).collect::<Vec<_>>().join(", ")
            }
        };
        let stated: Vec<String> = self.config.dtype.iter().flatten().map(|(name, _)| name.clone()).collect();
        find_all(&names, &stated, "dtype")?;
        let all = self.all_columns(transaction, &own)?;
        let mut select = format!("SELECT {selected} FROM (SELECT {all} FROM {})", self.read(true));
        if let Some(filter) = &self.filter {
            select.push_str(&format!(" WHERE {}", filter.sql()));
            transaction.describe(&select).map_err(|error| {
                Error::validation("`filter` is not a condition on the columns of the file")
                    .with_source(error)
                    .with_hint("write SQL such as `year >= 2020 AND country = 'CZ'`")
            })?;
        }
        if let Some(limit) = self.limit {
            select.push_str(&format!(" LIMIT {limit}"));
        }
        Ok(select)
    }

    /// The columns of the files, without those with the name of a partition.
    fn own_columns(&self, transaction: &StoreTransaction<'_>) -> Result<Vec<FileColumn>> {
        let first = &self.sources.files[..1];
        let describe = |int96: &str| {
            transaction
                .describe(&format!("SELECT * FROM {}", read_files(first, &format!("hive_partitioning = false{int96}"))))
        };
        let plain = describe("")?;
        let in_parts = if self.sources.has_int96 { describe(INT96_IN_PARTS)? } else { plain.clone() };
        let mut own = of_files(&self.sources.footer, &self.sources.names, plain, in_parts);
        let partitions = &self.sources.partitions.columns;
        own.retain(|column| !partitions.iter().any(|partition| partition.name.eq_ignore_ascii_case(&column.name)));
        Ok(own)
    }

    /// The wanted ones of the files' own columns, then the partitions, both by name.
    fn all_columns(&self, transaction: &StoreTransaction<'_>, own: &[FileColumn]) -> Result<String> {
        let from = self.read(false);
        let mut columns = Vec::new();
        for column in own.iter().filter(|column| self.wanted.has(&column.name)) {
            columns.push(column.expression(transaction, &from, self.wanted.types.get(&column.name.to_lowercase()))?);
        }
        columns.extend(self.sources.partitions.expressions(transaction, &self.wanted.types)?);
        Ok(columns.join(", "))
    }

    /// The FROM clause for all files, with or without the partitions.
    fn read(&self, with_partitions: bool) -> String {
        let partitions = &self.sources.partitions;
        let mut options = if partitions.is_empty() || !with_partitions {
            "hive_partitioning = false".to_owned()
        } else {
            let types = partitions.columns.iter().map(|column| format!("{}: VARCHAR", quote_text(&column.raw_name)));
            format!("hive_partitioning = true, hive_types = {{{}}}", types.collect::<Vec<_>>().join(", "))
        };
        if self.sources.has_int96 {
            options.push_str(INT96_IN_PARTS);
        }
        let files = &self.sources.files;
        if !self.sources.renamed || files.len() == 1 {
            return read_files(files, &options);
        }
        let each = files.chunks(1).map(|file| format!("SELECT * FROM {}", read_files(file, &options)));
        format!("({})", each.collect::<Vec<_>>().join(" UNION ALL "))
    }
}

/// An INT96 as a STRUCT of DATE and TIME_NS; DuckDB would truncate it to microseconds.
const INT96_IN_PARTS: &str = ", int96_as = 'struct'";

/// Other programs leave NaN out of the statistics of a file: a condition would lose its rows if DuckDB did not know. No name
/// is a pattern: the run store cannot access such files, which are read from the scratch directory.
fn read_files(files: &[SourceFile], options: &str) -> String {
    let files: Vec<String> = files.iter().map(|file| quote_text(&file.path.display().to_string())).collect();
    format!("read_parquet([{}], can_have_nan = true, {options})", files.join(", "))
}
