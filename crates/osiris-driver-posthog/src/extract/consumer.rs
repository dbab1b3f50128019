//! Stores pages: new rows go to the table, known ones are counted, and every segment is verified when it is full.

use std::collections::HashSet;
use std::sync::Arc;

use osiris_core::{ExecutionContext, Result, event};
use osiris_http::pages::{PageQueue, PageSource as _};
use serde_json::json;

use super::bounds::QueryBounds;
use super::ident::Ident;
use super::output::Output;
use super::page::Page;
use super::pager::RangePager;
use super::plan::ExtractPlan;
use super::seen_keys::SeenKeys;
use super::verify::{RowKey, Segment, Verifier};
use crate::client::{AnswerColumn, Client};
use crate::query::{From, Range, To};

/// After so many rows a segment is verified, which bounds the memory of its ids.
const SEGMENT_ROWS: usize = 100_000;

/// Stores pages, and verifies that no row is missing.
pub(super) struct PageConsumer<'a> {
    verifier: Verifier,
    reader: RangeReader<'a>,
    output: Output,
    seen: SeenKeys,
    segment: OpenSegment,
    /// The whole range, as counted before the first page.
    total: Option<u64>,
    counts: Counts,
    ctx: &'a ExecutionContext,
}

/// What is needed to read a range once more.
struct RangeReader<'a> {
    client: Client,
    plan: &'a ExtractPlan,
    bounds: Arc<QueryBounds>,
}

/// The rows since the last verification.
struct OpenSegment {
    from: From,
    read: HashSet<Ident>,
    row_keys: Vec<RowKey>,
}

/// The counts of an extraction, and what the next run needs.
pub(super) struct Summary {
    pub(super) read: u64,
    pub(super) deduplicated: u64,
    pub(super) altered: u64,
    pub(super) pages: u64,
    pub(super) seen: SeenKeys,
}

#[derive(Default)]
struct Counts {
    read: u64,
    deduplicated: u64,
    pages: u64,
}

impl<'a> PageConsumer<'a> {
    pub(super) fn new(
        client: Client,
        plan: &'a ExtractPlan,
        output: Output,
        bounds: Arc<QueryBounds>,
        total: Option<u64>,
        ctx: &'a ExecutionContext,
    ) -> Result<Self> {
        Ok(Self {
            verifier: Verifier::new(client.clone(), plan),
            reader: RangeReader { client, plan, bounds },
            output,
            seen: plan.seen()?,
            segment: OpenSegment::new(plan.range.from.clone()),
            total,
            counts: Counts::default(),
            ctx,
        })
    }

    /// Stores every page of the queue.
    pub(super) async fn consume(&mut self, mut queue: PageQueue<Page>) -> Result<()> {
        while let Some(page) = queue.next().await {
            self.store_and_verify(page).await?;
        }
        Ok(())
    }

    async fn store_and_verify(&mut self, page: Page) -> Result<()> {
        let last = page.rows.last().map(|row| row.key.clone());
        self.store(page).await?;
        if let (true, Some(last)) = (self.segment.read.len() >= SEGMENT_ROWS, last) {
            self.verify(To::Through(last.clone()), From::After(last)).await?;
        }
        Ok(())
    }

    /// Verifies the last segment and sends the remaining rows.
    pub(super) async fn finish(mut self, columns: &[AnswerColumn]) -> Result<Summary> {
        let to = self.reader.plan.range.to.clone();
        self.verify(to, From::Start).await?;
        self.output.declare(columns);
        let altered = self.output.finish().await?;
        let Counts { read, deduplicated, pages } = self.counts;
        Ok(Summary { read, deduplicated, altered, pages, seen: self.seen })
    }

    /// Stores the new rows of a page.
    async fn store(&mut self, page: Page) -> Result<()> {
        self.counts.pages += 1;
        self.counts.read += page.rows.len() as u64;
        let fields = json!({"page": self.counts.pages, "rows": page.rows.len()});
        self.ctx.log_event(event::EXTRACTION_PAGE, fields);
        let mut keep = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            let ident = Ident::of(&row.key.id);
            let is_new = self.segment.read.insert(ident.clone());
            if is_new {
                self.segment.row_keys.push((row.key.time, ident));
            }
            keep.push(is_new && !self.seen.note(row, self.reader.plan.lookback)?);
        }
        let left_out = keep.iter().filter(|keep| !**keep).count();
        self.counts.deduplicated += left_out as u64;
        if left_out == 0 {
            keep.clear();
        }
        self.output.push(&page.columns, page.document, keep).await?;
        self.expect();
        Ok(())
    }

    /// Updates the expected total of the progress: without duplicates, and never less than the rows so far.
    fn expect(&self) {
        let Some(total) = self.total else { return };
        let expected = total.saturating_sub(self.counts.deduplicated);
        self.ctx.progress().expect_rows(expected.max(self.ctx.progress().rows()));
    }

    /// Compares the segment that ends at `to` with PostHog's own count, reads it again if they differ, and begins the
    /// next one.
    async fn verify(&mut self, to: To, next: From) -> Result<()> {
        let range = Range { from: self.segment.from.clone(), to };
        let read = self.segment.read.len() as u64;
        let counted = self.verifier.count(&range).await?;
        if counted != read {
            tracing::warn!(counted, read, "PostHog's count differs from the rows it returned: reading them again");
            self.reread(range).await?;
        }
        self.segment = OpenSegment::new(next);
        Ok(())
    }

    /// Reads a range again in halves, until PostHog counts as many rows as it returns.
    async fn reread(&mut self, range: Range) -> Result<()> {
        let row_keys = std::mem::take(&mut self.segment.row_keys);
        let mut segments = vec![Segment::new(range, row_keys)];
        while let Some(segment) = segments.pop() {
            for half in segment.halves() {
                let row_keys = self.read_again(&half).await?;
                let counted = self.verifier.count(&half).await?;
                segments.extend(segment.next(half, row_keys, counted)?);
            }
        }
        Ok(())
    }

    /// Reads a range once more, and stores the new rows. Returns the keys of all its rows.
    async fn read_again(&mut self, range: &Range) -> Result<Vec<RowKey>> {
        let RangeReader { client, plan, bounds } = &self.reader;
        let mut pager = RangePager::new(client.clone(), plan, range.clone(), Arc::clone(bounds));
        let mut distinct = HashSet::new();
        let mut row_keys = Vec::new();
        while let Some(page) = pager.next_page().await? {
            for row in &page.rows {
                let ident = Ident::of(&row.key.id);
                if distinct.insert(ident.clone()) {
                    row_keys.push((row.key.time, ident));
                }
            }
            self.store(page).await?;
        }
        Ok(row_keys)
    }
}

impl OpenSegment {
    fn new(from: From) -> Self {
        Self { from, read: HashSet::new(), row_keys: Vec::new() }
    }
}
