//! The loop over the pages of an API.

use osiris_core::{Error, ExecutionContext, Result, Unit, event, metric};
use serde_json::{Value, json};

use super::next::PageSummary;
use super::position::PagePosition;
use super::read_ahead::PageSource;

/// So many pages by cursor or link that are identical to the one before, in a row, are those of a server that does not move on,
/// even where nothing identifies the rows.
const MOST_IDENTICAL: u64 = 100;

/// How the pages of an API are requested, and what each says about the next one.
pub trait PagedApi: Send + Sync {
    /// A page, as it is stored.
    type Page: Send + Sync;

    /// Fetches the page at `position`.
    ///
    /// # Errors
    /// When the page cannot be fetched.
    fn fetch(&self, position: &PagePosition) -> impl Future<Output = Result<Self::Page>> + Send;

    /// How many rows a page has, and what it says about the next one.
    ///
    /// # Errors
    /// When it does not say what it should about the next one.
    fn summary(&self, page: &Self::Page) -> Result<PageSummary>;

    /// A hash that distinguishes a page with rows from the one before it. A server that ignores the parameter returns the
    /// same page for ever, by cursor or link perhaps with a new one each time: it is an error if there is a hash, and by
    /// cursor or link if the rows [are distinct](Self::has_distinct_rows) or 100 pages were the same. Default: `None`.
    fn fingerprint(&self, page: &Self::Page) -> Option<u64> {
        let _ = page;
        None
    }

    /// Whether the rows of a page differ from each other. Where they do not, nothing identifies them, and another page of
    /// the list may well be identical. It is asked only about a page that is. Default: yes.
    fn has_distinct_rows(&self, page: &Self::Page) -> bool {
        let _ = page;
        true
    }

    /// Whether a smaller page may succeed where this error stopped a larger one. Default: no.
    fn is_too_large(&self, error: &Error) -> bool {
        let _ = error;
        false
    }

    /// How many rows the server allows at once, where this error says so: then the page is requested again in that size, and none is
    /// larger later. Default: `None`.
    fn largest_page(&self, error: &Error) -> Option<u64> {
        let _ = error;
        None
    }
}

/// Fetches the pages of an API one after the other, and logs each of them. Where the server counts the items
/// ([`PageSummary::with_count`]), fewer than it counted at first are an error, unless a page limit ended the extraction, or the first
/// page, requested once more, counts fewer now. With offsets and page numbers they are an error even then: rows that are deleted move
/// those behind them, which no page has.
pub struct Pager<'a, A> {
    api: A,
    /// The position of the first page.
    start: PagePosition,
    position: PagePosition,
    max_pages: Option<u64>,
    is_sample: bool,
    ctx: &'a ExecutionContext,
    pages: u64,
    fingerprint: Option<u64>,
    /// How many pages in a row were identical to the one before.
    identical: u64,
    count: Option<Count>,
    ended: bool,
}

/// The server's count of all items.
#[derive(Debug, Clone, Copy)]
struct Count {
    /// On the first page that has it. Later it says little: a source grows, and a page behind the last one may count 0, or what is left.
    first: u64,
    largest: u64,
}

impl<'a, A: PagedApi> Pager<'a, A> {
    /// Every page from `position` on.
    pub fn new(api: A, position: PagePosition, ctx: &'a ExecutionContext) -> Self {
        Self {
            api,
            start: position.clone(),
            position,
            max_pages: None,
            is_sample: false,
            ctx,
            pages: 0,
            fingerprint: None,
            identical: 0,
            count: None,
            ended: false,
        }
    }

    /// At most `max_pages` pages. When there are more, a warning is logged.
    #[must_use]
    pub fn with_max_pages(mut self, max_pages: Option<u64>) -> Self {
        self.max_pages = max_pages;
        self
    }

    /// Only the first page if `is_sample`: for a dry run.
    #[must_use]
    pub fn with_sample(mut self, is_sample: bool) -> Self {
        self.is_sample = is_sample;
        self
    }

    fn report(&mut self, page: &PageSummary) {
        self.count(page);
        self.ctx.log_event(event::EXTRACTION_PAGE, json!({"page": self.pages, "rows": page.rows}));
        if let Some(total) = page.total {
            self.ctx.progress().expect_rows(total);
        }
    }

    fn count(&mut self, page: &PageSummary) {
        let Some(count) = page.count else { return };
        let known = self.count.get_or_insert(Count { first: count, largest: count });
        known.largest = known.largest.max(count);
    }

    /// Whether fewer items came than `count`.
    fn is_short_of(&self, count: u64) -> bool {
        self.position.reached().is_some_and(|reached| reached < count)
    }

    /// Compares what came with the server's count, after the last page.
    async fn ensure_complete(&mut self) -> Result<()> {
        let Some(count) = self.count.filter(|_| !self.is_sample) else { return Ok(()) };
        let items = self.position.received();
        if items > count.largest {
            let (step, counted) = (self.ctx.step_id(), count.largest);
            tracing::warn!(step, items, counted, "more rows came than the server counts: some may have come twice");
        }
        if self.is_short_of(count.first) && !self.were_deleted().await? {
            return Err(self.position.incomplete(count.first, self.pages));
        }
        Ok(())
    }

    /// Whether the rows that are missing were deleted while they were read: then the first page, requested once more, counts no more
    /// than came.
    async fn were_deleted(&self) -> Result<bool> {
        if self.position.counts() {
            return Ok(false);
        }
        let page = fetch(&self.api, &mut self.start.clone(), 1, self.ctx).await?;
        let count = self.api.summary(&page)?.count;
        Ok(count.is_some_and(|count| !self.is_short_of(count)))
    }

    /// Rejects a page that is identical to the one before: the pages would never end. By cursor or link it may be another page of
    /// rows that nothing identifies, and the last one may be like any other.
    fn check_identical(&mut self, page: &A::Page, rows: u64, is_last: bool) -> Result<()> {
        let fingerprint = if rows == 0 { None } else { self.api.fingerprint(page) };
        let before = std::mem::replace(&mut self.fingerprint, fingerprint);
        if before.is_none() || before != fingerprint {
            self.identical = 0;
            return Ok(());
        }
        self.identical += 1;
        let is_stuck = || self.identical >= MOST_IDENTICAL || self.api.has_distinct_rows(page);
        let is_same_page = self.position.counts() || (!is_last && is_stuck());
        if is_same_page { Err(self.position.identical(self.pages)) } else { Ok(()) }
    }

    /// Whether no further page is fetched.
    fn is_at_limit(&self) -> bool {
        let at_limit = self.max_pages.is_some_and(|max_pages| self.pages >= max_pages);
        if at_limit && !self.is_sample {
            let step = self.ctx.step_id();
            tracing::warn!(
                step,
                pages = self.pages,
                "stopped at the page limit (`max_pages`): the server has more pages"
            );
        }
        at_limit || self.is_sample
    }
}

/// One page. A page that is too large for the server is requested again: in the size that the server allows, or at half the size.
async fn fetch<A: PagedApi>(
    api: &A,
    position: &mut PagePosition,
    number: u64,
    ctx: &ExecutionContext,
) -> Result<A::Page> {
    loop {
        let error = match api.fetch(position).await {
            Ok(page) => return Ok(page),
            Err(error) => error,
        };
        let is_smaller = match api.largest_page(&error) {
            Some(rows) if position.page_size().is_none_or(|size| rows <= size) => position.shrink_to(rows),
            // A number above the size of the page is about something else.
            _ => api.is_too_large(&error) && position.shrink(),
        };
        if !is_smaller {
            return Err(error.with_context("page", number));
        }
        let page_size = position.page_size();
        tracing::warn!(
            step = ctx.step_id(),
            error = error.message(),
            page_size,
            "page too large: retrying with a smaller page"
        );
    }
}

impl<A: PagedApi> PageSource for Pager<'_, A> {
    type Page = A::Page;

    async fn next_page(&mut self) -> Result<Option<A::Page>> {
        if self.ended {
            return Ok(None);
        }
        let page = fetch(&self.api, &mut self.position, self.pages + 1, self.ctx).await?;
        self.pages += 1;
        let summary = self.api.summary(&page)?;
        self.report(&summary);
        let is_last = !self.position.advance(&summary)?;
        self.check_identical(&page, summary.rows, is_last)?;
        if is_last {
            self.ensure_complete().await?;
        }
        self.ended = is_last || self.is_at_limit();
        if self.ended {
            self.ctx.log_metric(metric::PAGES_FETCHED, self.pages, Unit::Calls, Value::Null);
        }
        Ok(Some(page))
    }
}
