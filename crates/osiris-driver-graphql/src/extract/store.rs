//! The store's side of an extraction: pages are decoded on a thread for blocking work and sent to the store, while the
//! next one is fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use osiris_core::{Code, Error, ExecutionContext, Extracted, Result, TableSink, Unit};
use osiris_http::RowDecoder;
use osiris_http::pages::PageQueue;
use serde_json::Value;

use super::answer::Answer;
use super::columns::Columns;
use super::plan::ExtractPlan;
use crate::config::NullItems;
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
    let mut number = 0;
    let mut columns = Columns::new(plan, out.widening_sender()?);
    let mut decoder = RowDecoder::new(row_options(&plan.selected, plan.flatten));
    let nulls = Arc::new(Nulls::default());
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
        number += 1;
        let is_cut = plan.nested.look_around(answer.found.envelope(), &plan.rows_at);
        // The first page of an object that does not exist is null. A list that has rows elsewhere is not empty.
        if answer.is_null && (number > 1 || is_cut || answer.is_null_among_others(plan)?) {
            return Err(null_list(plan, number));
        }
        if plan.part.is_limited && answer.total(plan)? > Some(answer.items(plan) + plan.part.skipped.unwrap_or(0)) {
            plan.nested.count_own();
        }
        let room = room(plan, decoder.rows());
        if let Some((count, first)) = plan.data_path.null_items(answer.found.envelope(), room) {
            nulls.add(count, first, answer.errors.as_ref().is_some_and(|errors| errors.explain_null(None)));
        }
        let keep = keep(plan, &answer, room, &nulls);
        decoder = decoder.decode_where(answer.found.into_document(), keep).await?;
        nulls.ensure_none(plan, number)?;
        plan.nested.ensure_whole()?;
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
    let withheld = nulls.count.load(Relaxed);
    let extracted = finish(decoder, columns, withheld).await?;
    plan.nested.report(ctx);
    if withheld > 0 {
        tracing::warn!(
            step = ctx.step_id(),
            count = withheld,
            "the server returned null in the place of items: they have no row and are counted as ignored"
        );
    }
    for (name, count, unit) in [(PARTIAL_ERRORS, errors as u64, Unit::Calls), (ITEMS_NULL, withheld, Unit::Rows)] {
        if count > 0 {
            ctx.log_metric(name, count, unit, Value::Null);
        }
    }
    Ok(extracted)
}

/// Items that were null.
#[derive(Debug, Default)]
struct Nulls {
    count: AtomicU64,
    /// The number of the first one in its page, from 1, of those that no error explains; 0 if there is none.
    first: AtomicU64,
}

impl Nulls {
    /// Counts items, the first of which has the number `first` in its page, from 0.
    fn add(&self, count: u64, first: usize, is_explained: bool) {
        self.count.fetch_add(count, Relaxed);
        if !is_explained {
            // One that was found before stays.
            let _ = self.first.compare_exchange(0, first as u64 + 1, Relaxed, Relaxed);
        }
    }

    /// # Errors
    /// There is one in the last page that the step does not permit.
    fn ensure_none(&self, plan: &ExtractPlan, page: u64) -> Result<()> {
        match self.first.load(Relaxed) {
            item @ 1.. if plan.null_items == NullItems::Fail => {
                let below = plan.data_path.below_items().filter(|names| !names.is_empty());
                let lacks = below.map_or_else(String::new, |names| format!(" or has no `{}`", names.join(".")));
                let message = format!("item {item} of page {page} is null{lacks}: it has no row");
                Err(Error::integrity(message).with_code(Code::UnexpectedResponse).with_hint(
                    "select a field that is never null, such as the key; `null_items: skip` leaves such items out and counts them",
                ))
            }
            _ => Ok(()),
        }
    }
}

/// A list that is null although it has other pages: rows are missing, and nobody knows how many.
fn null_list(plan: &ExtractPlan, page: u64) -> Error {
    Error::integrity(format!("page {page} of the rows is null"))
        .with_code(Code::UnexpectedResponse)
        .with_context("data_path", plan.data_path.as_str())
        .with_hint("the server returned no list and no error: request fewer rows at once, or try later")
}

/// How many rows of the next page are wanted, after `stored` ones.
fn room(plan: &ExtractPlan, stored: u64) -> usize {
    let rows = plan.max_rows.map_or(u64::MAX, |max| max.saturating_sub(stored));
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// Which rows of a page are kept: those that are not null, up to `room` of them. What is behind them is not looked at. Runs on the
/// decoder's thread.
fn keep(
    plan: &ExtractPlan,
    answer: &Answer,
    mut room: usize,
    nulls: &Arc<Nulls>,
) -> impl FnMut(usize, &osiris_http::Row<'_>) -> bool + Send + 'static {
    let (nested, nulls, explain_null) = (plan.nested.clone(), Arc::clone(nulls), answer.explain_null(plan));
    move |index, row| {
        if room == 0 {
            return false;
        }
        if row.as_str() == "null" {
            nulls.add(1, index, explain_null(index));
            return false;
        }
        nested.look(row);
        room -= 1;
        true
    }
}

/// Sends the remaining rows, then the columns that no row had.
async fn finish(mut decoder: RowDecoder, mut columns: Columns<'_>, nulls: u64) -> Result<Extracted> {
    if decoder.rows() > 0 {
        while let Some(batch) = decoder.finish()? {
            columns.send(batch).await?;
        }
    }
    columns.finish().await?;
    Ok(Extracted::rows(decoder.rows() + nulls).with_ignored(nulls).with_altered(decoder.altered()))
}
