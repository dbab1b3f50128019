//! `duckdb.extractor`: a query or a table of a database file into the store, in one snapshot.

mod reader;
mod since;

use async_trait::async_trait;
use osiris_core::store::SelectStatement;
use osiris_core::store::{quote, quote_text};
use osiris_core::{
    Code, Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, Error, ExecutionContext, Extract, Extracted, Feature,
    Problem, Result, ResumeFrom, Role, Step, TableSink, Unit, metric,
};
use osiris_sql::read::Counts;
use osiris_sql::read::source::SelectSource;
use serde_json::Value;

use self::reader::Reader;
use crate::client::{Access, Client, Connect, Target, connect};
use crate::config::{ConnectionConfig, ExtractorConfig};
use crate::types::ReadPlan;

const DESCRIBING: &str = "describing the columns";

/// Reads a query or a table.
pub struct DuckdbExtractor {
    connect: Connect,
}

impl DuckdbExtractor {
    /// The extractor with the default client.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// The extractor with clients that `connect` opens.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for DuckdbExtractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for DuckdbExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "duckdb.extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads a table or a query of a DuckDB database file",
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
impl Extract for DuckdbExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let target = Target::new(step.connection(), step.base_dir(), Access::Read).of_run(ctx);
        let mut client = (self.connect)(target).await?;
        let extracted = extract(&mut client, step, out, ctx).await;
        client.close().await;
        ctx.log_metric(metric::BYTES_READ, ctx.progress().bytes(), Unit::Bytes, Value::Null);
        extracted
    }
}

async fn extract(
    client: &mut Client,
    step: &Step<'_, DuckdbExtractor>,
    out: &TableSink,
    ctx: &ExecutionContext,
) -> Result<Extracted> {
    let config = step.config();
    let source = source(client, config)?;
    let stop_after = step.dry_run().then_some(DRY_RUN_ROWS);
    client.begin_snapshot().await?;
    require_columns(client, config).await?;
    let plan = describe(client, &source.select(None, stop_after)).await?;
    let reader = Reader::open(out, plan, config.read.batch_size).await?;
    match &config.read.cursor {
        Some(cursor) => since::read(client, &source, &reader, cursor, step, ctx).await,
        None => {
            let select = source.select(None, stop_after);
            // What a query returns need not be the same each time; the rows of a table in a snapshot are.
            let rows = match source.whole_table() {
                Some(_) => Some(reader.count(client, &select).await?),
                None => None,
            };
            if let Some(rows) = rows {
                ctx.progress().estimate_rows(rows);
            }
            let counts = reader.read(client, select, None).await?;
            Ok(rows.map_or_else(|| Counts::extracted(counts), Extracted::rows))
        }
    }
}

/// The columns of `select` with their types.
async fn describe(client: &mut Client, select: &str) -> Result<ReadPlan> {
    let rows = client.rows(format!("DESCRIBE {select}"), DESCRIBING).await?;
    let columns = rows.into_iter().map(|row| {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        (fields.next().unwrap_or_default(), fields.next().unwrap_or_default())
    });
    ReadPlan::new(&columns.collect::<Vec<_>>())
}

/// Checks that the table is there, with the columns that are named.
async fn require_columns(client: &mut Client, config: &ExtractorConfig) -> Result<()> {
    let (Some(table), Some(columns)) = (&config.read.table, &config.read.columns) else { return Ok(()) };
    let sql = format!(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = {} AND lower(schema_name) = lower({}) \
         AND lower(table_name) = lower({}) ORDER BY column_index",
        quote_text(client.catalog()),
        quote_text(config.schema()),
        quote_text(table)
    );
    let names: Vec<String> = client.rows(sql, DESCRIBING).await?.into_iter().flatten().flatten().collect();
    let is_known = |column: &str| column == "rowid" || names.iter().any(|name| name.eq_ignore_ascii_case(column));
    match columns.iter().find(|column| !is_known(column)) {
        Some(column) if !names.is_empty() => {
            Err(Error::validation(format!("table `{table}` has no column `{column}`"))
                .with_code(Code::ColumnNotFound)
                .with_hint(format!("its columns: {}", names.join(", "))))
        }
        _ => Ok(()),
    }
}

/// What is read, checked as a whole.
fn source(client: &Client, config: &ExtractorConfig) -> Result<SelectSource> {
    match (&config.query, &config.read.table) {
        (Some(query), _) => {
            let checked = SelectStatement::parse(query)?;
            // DuckDB takes a last semicolon, which must not stand inside of a statement of ours.
            let text = checked.text().trim().trim_end_matches(';');
            Ok(SelectSource::query(text))
        }
        (None, Some(table)) => {
            if let Some(problem) = config.problems().into_iter().next() {
                return Err(Error::validation(problem.message).with_code(problem.code));
            }
            Ok(config.read.source(client.table(config.schema(), table), quote))
        }
        (None, None) => Err(Error::validation("there is nothing to read").with_hint("set `table` or `query`")),
    }
}
