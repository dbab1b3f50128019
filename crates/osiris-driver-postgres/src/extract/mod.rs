//! Reads a statement or a table with binary COPY from one snapshot, over one or more sessions.

mod cast;
mod component;
mod cursor;
mod describe;
mod late;
mod listing;
mod partition;
mod reader;
mod since;
mod snapshot;
mod source;
mod volatile;

use std::sync::Arc;
use std::time::Duration;

use osiris_core::{DRY_RUN_ROWS, Error, ExecutionContext, Extracted, Result, TableSink, Unit, metric};
use osiris_sql::batch::schema;
use osiris_sql::read::cursor::Cursor;
use osiris_sql::read::source::SelectSource;
use osiris_sql::read::{Counts, StatementReader as _, WaitLimits, read_ranges};
use serde_json::Value;

pub use self::component::PostgresExtractor;
use self::describe::describe;
use self::reader::{Reader, ReaderSession};
use self::snapshot::Snapshot;
pub use self::source::{SourceSql, TableSql};
use crate::client::{Client, Session, literal, quote};
use crate::config::Policies;
use crate::types::decode::{SourceColumn, plan};

/// Default number of ranges.
const PARTITIONS: usize = 4;

/// What one extraction reads, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExtractTask<'a> {
    /// The source.
    pub source: SourceSql<'a>,
    /// The id of the step, for messages.
    pub step_id: &'a str,
    /// The state of the last run.
    pub state: Option<&'a Value>,
    /// Whether to read only a sample.
    pub dry_run: bool,
    /// Time limit for the first row. Default: the connection's `timeout`.
    pub timeout: Option<f64>,
    /// Statement timeout on the server. Default: no limit.
    pub statement_timeout: Option<f64>,
    /// Maximum rows per batch. Default: 10,000.
    pub batch_size: usize,
    /// The column by which several sessions read ranges in parallel.
    pub partition_by: Option<&'a str>,
    /// Number of ranges. Default: 4.
    pub partitions: Option<usize>,
    /// The cursor of an incremental extraction.
    pub cursor: Option<&'a Cursor>,
    /// How to handle types without an exact counterpart.
    pub policies: Policies,
}

impl<'a> ExtractTask<'a> {
    /// Reads all of `source` over one session.
    pub fn new(step_id: &'a str, source: SourceSql<'a>) -> Self {
        Self {
            source,
            step_id,
            state: None,
            dry_run: false,
            timeout: None,
            statement_timeout: None,
            batch_size: 10_000,
            partition_by: None,
            partitions: None,
            cursor: None,
            policies: Policies::default(),
        }
    }
}

/// Runs the task.
///
/// # Errors
/// When not all rows could be read.
pub async fn extract(
    client: &Client,
    task: &ExtractTask<'_>,
    out: &TableSink,
    ctx: &ExecutionContext,
) -> Result<Extracted> {
    let connection = client.target().connection();
    let (source, calls) = task.source.checked(client.info().standard_conforming_strings)?;
    let limits = WaitLimits {
        first_row: seconds(task.timeout)?.unwrap_or(connection.timeout),
        idle: connection.timeout,
        idle_field: "timeout",
    };
    let snapshot = Snapshot { statement_timeout: seconds(task.statement_timeout)?, exported: None };
    let mut session = client.acquire().await?;
    snapshot.begin(&mut session).await?;
    limits.first("checking the functions of the query", volatile::refuse(&mut session, &calls)).await?;
    let sql = source.select(None, None);
    if !source.is_query() {
        let reading = listing::read(&mut session, &sql, out, task.dry_run);
        let rows = limits.first("reading the result", reading).await?;
        snapshot::end(session).await?;
        return Ok(Extracted::rows(rows));
    }
    let columns = limits.first("reading the columns", describe(&mut session, &sql)).await?;
    let plans: Arc<[_]> = plan(&columns, &task.policies)?.into();
    let printed: Vec<&str> = plans.iter().filter(|plan| !plan.decoder.is_binary()).map(|plan| plan.name()).collect();
    if !printed.is_empty() {
        tracing::info!(columns = ?printed, "columns of types that the run store does not have are read as text, as the server prints them");
    }
    let estimated = limits.first("estimating the number of rows", rows_of_table(&source, task, &mut session)).await?;
    if let Some(rows) = estimated {
        ctx.progress().estimate_rows(source.rows_of(rows));
    }
    let sender = out.sender(schema(&plans)).await?;
    let reader = Reader { plans, sender, batch_rows: task.batch_size, limits };
    let extraction = Extraction { client, task, source, snapshot, columns, reader };
    let extracted = match (task.partition_by, task.cursor) {
        (Some(column), _) if !task.dry_run => extraction.partitions(session, column).await?.extracted(),
        (_, Some(cursor)) => extraction.since(session, cursor, ctx).await?,
        _ => extraction.whole(session).await?.extracted(),
    };
    ctx.log_metric(metric::BYTES_READ, ctx.progress().bytes(), Unit::Bytes, Value::Null);
    Ok(extracted)
}

/// About how many rows a table has, by the server's statistics, where all of them are read. It is a number for the
/// screen: without it the rows are read all the same. An error would end the transaction, hence the savepoint.
async fn rows_of_table(source: &SelectSource, task: &ExtractTask<'_>, session: &mut Session) -> Result<Option<u64>> {
    const CONTEXT: &str = "estimating the number of rows";
    let Some(table) = source.whole_table().filter(|_| !task.dry_run && task.cursor.is_none()) else { return Ok(None) };
    // -1: not known yet.
    let sql = format!(
        "SAVEPOINT osiris_estimate; SELECT c.reltuples::pg_catalog.int8 FROM pg_catalog.pg_class c \
         WHERE c.oid = pg_catalog.to_regclass({}) AND c.reltuples > 0; RELEASE SAVEPOINT osiris_estimate",
        literal(table)
    );
    match session.rows(&sql, CONTEXT).await {
        Ok(rows) => Ok(rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok())),
        Err(error) if error.is_connection_failed() => Err(error),
        Err(error) => {
            tracing::debug!(error = error.message(), "the number of rows is not estimated");
            let undo = "ROLLBACK TO SAVEPOINT osiris_estimate; RELEASE SAVEPOINT osiris_estimate";
            session.execute(undo, CONTEXT).await?;
            Ok(None)
        }
    }
}

fn seconds(configured: Option<f64>) -> Result<Option<Duration>> {
    configured.map(Duration::try_from_secs_f64).transpose().map_err(|error| {
        Error::validation("invalid time limit: expected seconds, from 0.001 to 86400").with_source(error)
    })
}

/// An extraction with planned columns.
struct Extraction<'a> {
    client: &'a Client,
    task: &'a ExtractTask<'a>,
    source: SelectSource,
    snapshot: Snapshot,
    columns: Vec<SourceColumn>,
    reader: Reader,
}

impl Extraction<'_> {
    /// The server's description of one column of the source, which need not be among those that are read.
    async fn column(&self, session: &mut Session, name: &str) -> Result<SourceColumn> {
        let columns = describe(session, &self.source.aggregate(&quote(name), None)).await?;
        columns.into_iter().next().ok_or_else(|| Error::unknown("a list of one column has none"))
    }

    /// Maximum number of rows that this run reads.
    fn most(&self) -> Option<u64> {
        self.task.dry_run.then_some(DRY_RUN_ROWS)
    }

    /// Reads one statement over one session.
    async fn whole(&self, mut session: Session) -> Result<Counts> {
        // A dry run does not read ranges, but checks that they are possible.
        if let Some(name) = self.task.partition_by {
            partition::kind(&self.column(&mut session, name).await?)?;
        }
        let counts = self.reader.read(&mut session, self.source.select(None, self.most()), None).await?;
        snapshot::end(session).await?;
        Ok(counts)
    }

    /// Reads the rows in ranges over several sessions.
    async fn partitions(&self, mut session: Session, name: &str) -> Result<Counts> {
        let count = self.task.partitions.unwrap_or(PARTITIONS);
        let kind = partition::kind(&self.column(&mut session, name).await?)?;
        let bounds = partition::bounds(&self.source, name, kind);
        const CONTEXT: &str = "computing the ranges";
        let limits = &self.reader.limits;
        let bounds = limits.first(CONTEXT, session.rows(&bounds, CONTEXT)).await?;
        let conditions = kind.conditions(&quote(name), bounds.first(), count, partition::split_point);
        let wanted = count.min(conditions.len());
        let sessions = partition::sessions(self.client, session, &self.snapshot, wanted, limits.first_row).await?;
        let sessions = sessions.into_iter().map(|session| ReaderSession::new(session, &self.reader)).collect();
        // As long as the first session is open, the table definitions cannot change: they end together.
        let keep = |session: ReaderSession| async { Ok(session) };
        let (counts, sessions) = read_ranges(sessions, &self.source, &conditions, None, keep).await?;
        for ReaderSession { session, .. } in sessions {
            snapshot::end(session).await?;
        }
        Ok(counts)
    }
}
