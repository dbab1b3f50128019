//! Reads a table over REST: page by page by key, verified by the server's count, in constant memory.
//!
//! Each request has its own snapshot: rows that change their position in the order while they are read may be read
//! twice or not at all. The count detects it; the direct channel reads one snapshot.

mod cursor;
mod output;
mod plan;
mod selected;
mod since;
mod values;

use osiris_core::{DRY_RUN_ROWS, Error, ExecutionContext, Extracted, Result, TableSink, Unit, event, metric};
use osiris_sql::read::cursor::{Boundary, RowDigest};
use serde_json::{Value, json};

use crate::client::Client;
use crate::client::rest::openapi::Description;
use crate::client::rest::pager::{Pager, Query, Rows};
use crate::client::rest::table::TableApi;
use crate::config::{ExtractorConfig, Verify};
use output::Output;
use plan::Plan;

/// Pages queued between the network and the run store, besides the one being decoded.
const PAGES_IN_FLIGHT: usize = 1;

/// The context of a read.
pub(super) struct RestExtractTask<'a> {
    pub(super) config: &'a ExtractorConfig,
    pub(super) table: &'a str,
    pub(super) id: &'a str,
    pub(super) state: Option<&'a Value>,
    pub(super) dry_run: bool,
    pub(super) ctx: &'a ExecutionContext,
}

/// Reads the table of the step.
///
/// # Errors
/// When not every row could be read once.
pub(super) async fn extract(client: &Client, job: &RestExtractTask<'_>, out: &TableSink) -> Result<Extracted> {
    let config = job.config;
    for (field, is_set) in [("query", config.query.is_some()), ("partition_by", config.partition_by.is_some())] {
        if is_set {
            return Err(Error::validation(format!("`{field}` needs the database, but this step reads over REST"))
                .with_hint("set `dsn` (or `pg_host` and so on) in the connection, and remove `channel`"));
        }
    }
    let rest = client.rest()?.with_retries(config.retries)?.for_step(job.ctx);
    let api = TableApi::new(rest, config.schema(&client.target().connection), job.table)?;
    let description = Description::read(api.rest(), api.schema()).await?;
    let plan = Plan::new(config, api, &description)?;
    let output = Output::new(out.widening_sender()?, &plan.columns, config.policies.infinity);
    let mut reading = Reading { job, query: plan.query, output, counts: Counts::default() };
    let state = match &config.cursor {
        _ if job.dry_run => {
            reading.glimpse().await?;
            None
        }
        None => {
            let query = reading.query.clone();
            reading.read(query, None).await?;
            None
        }
        Some(_) => {
            let format = config.cursor.as_ref().and_then(|cursor| {
                description.table(job.table)?.column(&cursor.column).map(|column| column.format.clone())
            });
            reading.by_cursor(&format.unwrap_or_default()).await?
        }
    };
    let counts = reading.counts;
    let altered = reading.output.finish().await?;
    job.ctx.log_metric(metric::PAGES_FETCHED, counts.pages, Unit::Calls, Value::Null);
    let extracted = Extracted::rows(counts.read)
        .with_deduplicated(counts.deduplicated)
        .with_altered(altered)
        .with_skipped(counts.skipped);
    Ok(match state {
        Some(state) => extracted.with_state(state),
        None => extracted,
    })
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    read: u64,
    deduplicated: u64,
    skipped: u64,
    pages: u64,
}

struct Reading<'a> {
    job: &'a RestExtractTask<'a>,
    query: Query,
    output: Output,
    counts: Counts,
}

impl Reading<'_> {
    /// A dry run: the first rows.
    async fn glimpse(&mut self) -> Result<()> {
        let mut query = self.query.clone();
        query.limit = Some(query.limit.unwrap_or(u64::MAX).min(DRY_RUN_ROWS));
        query.page_size = query.page_size.min(DRY_RUN_ROWS);
        if let Some(rows) = Pager::new(query).next().await? {
            self.take(rows, None).await?;
        }
        Ok(())
    }

    /// Reads and verifies every row of `query`. Rows in `boundary` are skipped.
    async fn read(&mut self, query: Query, mut boundary: Option<&mut Boundary>) -> Result<()> {
        let mut pager = Pager::new(query.clone());
        let (pages, mut queue) = tokio::sync::mpsc::channel(PAGES_IN_FLIGHT);
        let fetch = async {
            // Owned by this half only: dropping it closes the queue for the other one.
            let pages = pages;
            while let Some(rows) = pager.next().await? {
                if pages.send(rows).await.is_err() {
                    break;
                }
            }
            Result::<u64>::Ok(pager.arrived)
        };
        let mut total = None;
        let take = async {
            while let Some(rows) = queue.recv().await {
                if let Some(all) = rows.total {
                    total = Some(all);
                    self.job.ctx.progress().expect_rows(query.expected(all));
                }
                self.take(rows, boundary.as_deref_mut()).await?;
            }
            Ok(())
        };
        let (arrived, ()) = tokio::try_join!(fetch, take)?;
        match total {
            Some(total) if self.job.config.verify == Verify::Counts => verify(&query, total, arrived).await,
            _ => Ok(()),
        }
    }

    async fn take(&mut self, rows: Rows, boundary: Option<&mut Boundary>) -> Result<()> {
        let count = u64::try_from(rows.document.row_count()).unwrap_or(u64::MAX);
        let keep: Vec<bool> = match boundary {
            None => Vec::new(),
            Some(boundary) => rows
                .document
                .rows()
                .map(|row| {
                    let mut digest = RowDigest::default();
                    digest.add(Some(row.as_str().as_bytes()));
                    boundary.note(digest)
                })
                .collect::<Result<_>>()?,
        };
        let left_out = keep.iter().filter(|keep| !**keep).count();
        self.counts.pages += 1;
        self.job.ctx.log_event(event::EXTRACTION_PAGE, json!({"page": self.counts.pages, "rows": count}));
        self.counts.read += count;
        self.counts.deduplicated += u64::try_from(left_out).unwrap_or(0);
        self.output.push(rows.document, keep).await
    }
}

/// Compares the rows received with the server's count. For a table that is written to meanwhile any number between the
/// two counts is accepted.
async fn verify(query: &Query, total: u64, arrived: u64) -> Result<()> {
    let expected = query.expected(total);
    if arrived == expected {
        return Ok(());
    }
    let now = query.expected(query.count().await?);
    if (expected.min(now)..=expected.max(now)).contains(&arrived) {
        tracing::info!(arrived, before = expected, after = now, "the table changed while it was read");
        return Ok(());
    }
    Err(Error::integrity(format!(
        "the server counted {expected} rows ({now} afterwards), but {arrived} arrived"
    ))
    .with_hint("if `key` is set, check that its columns are unique; else the table was altered while it was read: run again, or \
                read it over the database"))
}
