//! `sqlite.extractor`: a query or a table into the store, in one snapshot.

mod cursor;
mod describe;
mod reader;
mod since;

use async_trait::async_trait;
use osiris_core::{
    Code, Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, Error, ExecutionContext, Extract, Extracted, Feature,
    Problem, Result, ResumeFrom, Role, Step, TableSink, Unit, metric,
};
use osiris_sql::guard::{ReadingStatement, SqlDialect};
use osiris_sql::read::Counts;
use osiris_sql::read::source::SelectSource;
use serde_json::Value;

use self::describe::describe;
use self::reader::Reader;
use crate::client::{Access, Client, Connect, Target, connect, literal, quote};
use crate::config::{ConnectionConfig, ExtractorConfig};
use crate::rowid;

/// Reads a query or a table.
pub struct SqliteExtractor {
    connect: Connect,
}

impl SqliteExtractor {
    /// The extractor with the default client.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// The extractor with clients that `connect` opens.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for SqliteExtractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for SqliteExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "sqlite.extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads a table or a query of a SQLite database",
    )
    .with_connection(ConnectionUse::Required)
    .with_features(&[Feature::Incremental, Feature::Streams]);
    type Connection = ConnectionConfig;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        config.problems()
    }

    fn streams(_: &ExtractorConfig, _: &ConnectionConfig) -> bool {
        true
    }

    fn resume_from(_: &ExtractorConfig, _: &ConnectionConfig) -> ResumeFrom {
        ResumeFrom::Source
    }
}

#[async_trait]
impl Extract for SqliteExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let target = Target::new(step.connection(), step.base_dir(), Access::Read);
        let mut client = (self.connect)(target).await?;
        let extracted = extract(&mut client, step, out, ctx).await;
        client.close().await;
        ctx.log_metric(metric::BYTES_READ, ctx.progress().bytes(), Unit::Bytes, Value::Null);
        extracted
    }
}

async fn extract(
    client: &mut Client,
    step: &Step<'_, SqliteExtractor>,
    out: &TableSink,
    ctx: &ExecutionContext,
) -> Result<Extracted> {
    let config = step.config();
    let source = source(config)?;
    let stop_after = step.dry_run().then_some(DRY_RUN_ROWS);
    client.begin_snapshot().await?;
    require_columns(client, config).await?;
    let plans = describe(client, &source.select(None, stop_after)).await?;
    if let Some(rows) = rows_of_table(client, &source, step).await {
        ctx.progress().estimate_rows(source.rows_of(rows));
    }
    let reader = Reader::open(out, plans, config.read.batch_size).await?;
    match &config.read.cursor {
        Some(cursor) => since::read(client, &source, &reader, cursor, step, ctx).await,
        None => reader.read(client, source.select(None, stop_after), None).await.map(Counts::extracted),
    }
}

/// About how many rows a table has, as ANALYZE has found, where all of them are read.
async fn rows_of_table(client: &mut Client, source: &SelectSource, step: &Step<'_, SqliteExtractor>) -> Option<u64> {
    let read = &step.config().read;
    let table = read.table.as_ref().filter(|_| source.whole_table().is_some())?;
    if step.dry_run() || read.cursor.is_some() {
        return None;
    }
    // The first number is that of the rows. There is no such table in a file that was never analyzed.
    let sql =
        format!("SELECT max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = {} COLLATE NOCASE", literal(table));
    let rows = client.rows(&sql, "estimating the number of rows").await.ok()?;
    rows.first()?.first()?.as_deref()?.parse().ok()
}

/// Checks that the table has the columns that are named.
async fn require_columns(client: &mut Client, config: &ExtractorConfig) -> Result<()> {
    let (Some(table), Some(columns)) = (&config.read.table, &config.read.columns) else { return Ok(()) };
    let sql = format!("SELECT name FROM pragma_table_xinfo({}) ORDER BY cid", literal(table));
    let names: Vec<String> = client.rows(&sql, "describing the table").await?.into_iter().flatten().flatten().collect();
    let known = || names.iter().map(String::as_str).chain(rowid::NAMES);
    match columns.iter().find(|column| !known().any(|name| name.eq_ignore_ascii_case(column))) {
        Some(column) if !names.is_empty() => {
            Err(Error::validation(format!("table `{table}` has no column `{column}`"))
                .with_code(Code::ColumnNotFound)
                .with_hint(format!("its columns: {}", names.join(", "))))
        }
        _ => Ok(()),
    }
}

/// What is read, checked as a whole.
fn source(config: &ExtractorConfig) -> Result<SelectSource> {
    let source = match (&config.query, &config.read.table) {
        (Some(query), _) => SelectSource::query(ReadingStatement::parse(query, SqlDialect::Sqlite)?.text()),
        (None, Some(table)) => {
            let table = quote(table);
            // With its table: a name in quotes that is no column is a text to SQLite.
            config.read.source(table.clone(), |name| format!("{table}.{}", quote(name)))
        }
        (None, None) => {
            return Err(Error::validation("there is nothing to read").with_hint("set `table` or `query`"));
        }
    };
    ReadingStatement::parse(&source.select(None, None), SqlDialect::Sqlite)?;
    Ok(source)
}
