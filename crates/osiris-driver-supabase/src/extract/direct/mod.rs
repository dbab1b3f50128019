//! The direct channel: a statement or a table by binary COPY, out of one snapshot, over one connection or several.

mod cast;
mod cursor;
mod describe;
mod late;
mod listing;
mod partition;
mod reader;
mod since;
mod source;
mod view;
mod volatile;

use std::sync::Arc;
use std::time::Duration;

use osiris_core::{DRY_RUN_ROWS, Error, ExecutionContext, Extracted, Result, Step, TableSink, Unit, metric};
use serde_json::Value;

use self::describe::describe;
use self::reader::{Counts, Limits, Reader};
use self::source::Source;
use self::view::View;
use super::SupabaseExtractor;
use crate::client::Direct;
use crate::client::postgres::{Session, quote};
use crate::error::within;
use crate::types::decode::{Policies, SourceColumn, plan, schema};

/// Ranges, where a step names none.
const PARTITIONS: usize = 4;

/// Reads what the step asks for.
///
/// # Errors
/// Whatever kept it from reading all rows.
pub(super) async fn extract(
    direct: &Direct,
    step: &Step<'_, SupabaseExtractor>,
    out: &TableSink,
    ctx: &ExecutionContext,
) -> Result<Extracted> {
    let config = step.config();
    let source = Source::new(config, direct.facts().standard_conforming_strings)?;
    let limits = Limits {
        first_row: seconds(config.timeout)?.unwrap_or(step.connection().timeout),
        idle: step.connection().timeout,
    };
    let view = View { statement_timeout: seconds(config.statement_timeout)?, snapshot: None };
    let mut session = direct.acquire().await?;
    view.begin(&mut session).await?;
    within(limits.first_row, "looking at the functions of the query", volatile::refuse(&mut session, source.calls()))
        .await?;
    let sql = source.select(None, None);
    if !source.is_query() {
        let reading = listing::read(&mut session, &sql, out, step.dry_run());
        let counts = within(limits.first_row, "reading the answer", reading).await?;
        view::end(session).await?;
        return Ok(Extracted::rows(counts.read));
    }
    let columns = within(limits.first_row, "asking for the columns", describe(&mut session, &sql)).await?;
    let plans: Arc<[_]> = plan(&columns, &Policies::from(config))?.into();
    let printed: Vec<&str> = plans.iter().filter(|plan| !plan.is_binary()).map(|plan| plan.name.as_str()).collect();
    if !printed.is_empty() {
        tracing::info!(columns = ?printed, "columns of types that the store does not have are read as the server prints them");
    }
    let sender = out.sender(schema(&plans)).await?;
    let reader = Reader { plans, sender, batch_rows: config.batch_size, limits };
    let read = Read { direct, step, source, view, reader };
    let extracted = match (&config.partition_by, &config.cursor) {
        (Some(column), _) if !step.dry_run() => read.partitions(session, column).await?.extracted(),
        (_, Some(cursor)) => read.since(session, cursor, ctx).await?,
        _ => read.whole(session).await?.extracted(),
    };
    ctx.log_metric(metric::BYTES_READ, ctx.progress().bytes(), Unit::Bytes, Value::Null);
    Ok(extracted)
}

fn seconds(configured: Option<f64>) -> Result<Option<Duration>> {
    configured
        .map(Duration::try_from_secs_f64)
        .transpose()
        .map_err(|error| Error::validation("a limit in the configuration is no length of time").with_source(error))
}

/// One extraction, its columns known.
struct Read<'a> {
    direct: &'a Direct,
    step: &'a Step<'a, SupabaseExtractor>,
    source: Source,
    view: View,
    reader: Reader,
}

impl Read<'_> {
    /// The first two fields of a small answer, which may take as long as a first row may.
    async fn ask(&self, session: &mut Session, sql: &str, doing: &str) -> Result<(Option<String>, Option<String>)> {
        let rows = within(self.reader.limits.first_row, doing, session.rows(sql, doing)).await?;
        let mut fields = rows.into_iter().next().unwrap_or_default().into_iter();
        Ok((fields.next().flatten(), fields.next().flatten()))
    }

    /// How the server describes one column of the source, which need not be among those that are read.
    async fn column(&self, session: &mut Session, name: &str) -> Result<SourceColumn> {
        let columns = describe(session, &self.source.aggregate(&quote(name), None)).await?;
        columns.into_iter().next().ok_or_else(|| Error::unknown("a list of one column has none"))
    }

    /// The most rows that this run reads.
    fn most(&self) -> Option<u64> {
        self.step.dry_run().then_some(DRY_RUN_ROWS)
    }

    /// One statement over one session.
    async fn whole(&self, mut session: Session) -> Result<Counts> {
        // In a dry run ranges are not read, but they must be possible.
        if let Some(name) = &self.step.config().partition_by {
            partition::kind(&self.column(&mut session, name).await?)?;
        }
        let counts = self.reader.read(&mut session, &self.source.select(None, self.most()), None).await?;
        view::end(session).await?;
        Ok(counts)
    }

    /// The rows in ranges, over several sessions.
    async fn partitions(&self, mut session: Session, name: &str) -> Result<Counts> {
        let count = self.step.config().partitions.unwrap_or(PARTITIONS);
        let kind = partition::kind(&self.column(&mut session, name).await?)?;
        let bounds = partition::bounds(&self.source, name, kind);
        let (least, greatest) = self.ask(&mut session, &bounds, "looking for the ranges").await?;
        let conditions = partition::ranges(name, kind, least.as_deref(), greatest.as_deref(), count);
        let wanted = count.min(conditions.len());
        let limit = self.reader.limits.first_row;
        let sessions = partition::sessions(self.direct, session, &self.view, wanted, limit).await?;
        partition::read(sessions, &self.source, conditions, &self.reader).await
    }
}
