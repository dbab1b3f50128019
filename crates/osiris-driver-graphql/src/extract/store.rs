//! The store's side of an extraction: pages are decoded on a thread for blocking work and sent to the store, while the
//! next one is fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use osiris_core::{ExecutionContext, Extracted, Result, TableSink, Unit};
use osiris_http::RowDecoder;
use osiris_http::pages::PageQueue;
use serde_json::Value;

use super::answer::Answer;
use super::columns::Columns;
use super::plan::ExtractPlan;
use crate::types::row_options;

/// Errors in responses with data, which were accepted.
const PARTIAL_ERRORS: &str = "partial_errors";
/// Items that were null, which are not rows.
const ITEMS_NULL: &str = "items_null";

/// Rows are sent to the store at least this often, so that a slow source shows progress.
const MAX_SILENCE: Duration = Duration::from_secs(1);

/// Stores pages until there are no more.
pub(super) async fn pages(
    plan: &ExtractPlan,
    mut queue: PageQueue<Answer>,
    out: &TableSink,
    ctx: &ExecutionContext,
) -> Result<Extracted> {
    let mut columns = Columns::new(plan, out.widening_sender()?);
    let mut decoder = RowDecoder::new(row_options(&plan.selected, plan.flatten));
    let nulls = Arc::new(AtomicU64::new(0));
    let (mut errors, mut sent) = (0, Instant::now());
    while let Some(answer) = queue.next().await {
        if let Some(partial) = &answer.errors {
            errors += partial.count();
            tracing::warn!(
                step = ctx.step_id(),
                count = partial.count(),
                first = partial.first(),
                "the response has errors besides its data"
            );
        }
        plan.nested.look_around(answer.found.envelope());
        let keep = keep(plan, decoder.rows(), &nulls);
        decoder = decoder.decode_where(answer.found.into_document(), keep).await?;
        plan.nested.ensure_whole(plan.nested_pages)?;
        while let Some(batch) = decoder.next_batch() {
            columns.send(batch).await?;
            sent = Instant::now();
        }
        if sent.elapsed() >= MAX_SILENCE
            && let Some(batch) = decoder.take_batch()?
        {
            columns.send(batch).await?;
            sent = Instant::now();
        }
    }
    let extracted = finish(decoder, columns).await?;
    plan.nested.report(ctx);
    let withheld = nulls.load(Relaxed);
    if withheld > 0 {
        tracing::warn!(
            step = ctx.step_id(),
            count = withheld,
            "the server returned null in the place of items: they are deleted or may not be seen, and are no rows"
        );
    }
    for (name, count, unit) in [(PARTIAL_ERRORS, errors as u64, Unit::Calls), (ITEMS_NULL, withheld, Unit::Rows)] {
        if count > 0 {
            ctx.log_metric(name, count, unit, Value::Null);
        }
    }
    Ok(extracted)
}

/// Which rows of a page are kept: those that are not null, up to `max_rows`. Runs on the decoder's thread.
fn keep(
    plan: &ExtractPlan,
    stored: u64,
    nulls: &Arc<AtomicU64>,
) -> impl FnMut(usize, &osiris_http::Row<'_>) -> bool + Send + 'static {
    let (nested, nulls) = (plan.nested.clone(), Arc::clone(nulls));
    let mut room = plan.max_rows.map_or(u64::MAX, |max| max.saturating_sub(stored));
    move |_, row| {
        if row.as_str() == "null" {
            nulls.fetch_add(1, Relaxed);
            return false;
        }
        nested.look(row);
        let fits = room > 0;
        room = room.saturating_sub(1);
        fits
    }
}

/// Sends the remaining rows, then the columns that no row had.
async fn finish(mut decoder: RowDecoder, mut columns: Columns<'_>) -> Result<Extracted> {
    if decoder.rows() > 0 {
        while let Some(batch) = decoder.finish()? {
            columns.send(batch).await?;
        }
    }
    columns.finish().await?;
    Ok(Extracted::rows(decoder.rows()).with_altered(decoder.altered()))
}
