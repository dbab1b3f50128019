//! The loop over the pages of an API.

use osiris_core::{Error, ExecutionContext, Result, Unit, event, metric};
use serde_json::{Value, json};

use super::next::PageSummary;
use super::position::PagePosition;
use super::read_ahead::PageSource;

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

    /// A hash that distinguishes a page with rows from the one before it. It is used where pages are counted, by offset
    /// or number: a server that ignores the parameter returns the same page for ever, which is an error if there is a
    /// hash. Default: `None`.
    fn fingerprint(&self, page: &Self::Page) -> Option<u64> {
        let _ = page;
        None
    }

    /// Whether a smaller page may succeed where this error stopped a larger one. Default: no.
    fn is_too_large(&self, error: &Error) -> bool {
        let _ = error;
        false
    }
}

/// Fetches the pages of an API one after the other, and logs each of them. Where the server counts the items
/// ([`PageSummary::with_count`]), fewer than that are an error, unless a page limit ended the extraction.
pub struct Pager<'a, A> {
    api: A,
    position: PagePosition,
    max_pages: Option<u64>,
    is_sample: bool,
    ctx: &'a ExecutionContext,
    pages: u64,
    fingerprint: Option<u64>,
    /// The smallest of the server's counts: a source may grow while it is read.
    count: Option<u64>,
    ended: bool,
}

impl<'a, A: PagedApi> Pager<'a, A> {
    /// Every page from `position` on.
    pub fn new(api: A, position: PagePosition, ctx: &'a ExecutionContext) -> Self {
        Self {
            api,
            position,
            max_pages: None,
            is_sample: false,
            ctx,
            pages: 0,
            fingerprint: None,
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

    /// One page. A page that is too large for the server is requested again at half the size.
    async fn fetch(&mut self) -> Result<A::Page> {
        loop {
            let error = match self.api.fetch(&self.position).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            if !self.api.is_too_large(&error) || !self.position.shrink() {
                return Err(error.with_context("page", self.pages + 1));
            }
            let page_size = self.position.page_size();
            tracing::warn!(
                step = self.ctx.step_id(),
                error = error.message(),
                page_size,
                "page too large: retrying with a smaller page"
            );
        }
    }

    fn report(&mut self, page: &PageSummary) {
        self.count_again(page);
        self.ctx.log_event(event::EXTRACTION_PAGE, json!({"page": self.pages, "rows": page.rows}));
        if let Some(total) = page.total {
            self.ctx.progress().expect_rows(total);
        }
    }

    fn count_again(&mut self, page: &PageSummary) {
        self.count = self.count.into_iter().chain(page.count).min();
    }

    /// How many items the server counts, if fewer came.
    fn missing_of(&self) -> Option<u64> {
        let reached = self.position.reached()?;
        self.count.filter(|count| reached < *count && !self.is_sample)
    }

    /// Compares what came with the server's count, after the last page. Rows may have been deleted since the last count, so that
    /// the page is requested once more for a new one.
    async fn ensure_complete(&mut self) -> Result<()> {
        if self.missing_of().is_none() {
            return Ok(());
        }
        let page = self.fetch().await?;
        let summary = self.api.summary(&page)?;
        self.count_again(&summary);
        match self.missing_of() {
            Some(count) => Err(self.position.incomplete(count, self.pages)),
            None => Ok(()),
        }
    }

    /// Rejects a page that is identical to the one before: the pages would never end.
    fn check_identical(&mut self, page: &A::Page, rows: u64) -> Result<()> {
        if rows == 0 || !self.position.counts() {
            return Ok(());
        }
        let fingerprint = self.api.fingerprint(page);
        let before = std::mem::replace(&mut self.fingerprint, fingerprint);
        if before.is_some() && before == fingerprint { Err(self.position.identical(self.pages)) } else { Ok(()) }
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

impl<A: PagedApi> PageSource for Pager<'_, A> {
    type Page = A::Page;

    async fn next_page(&mut self) -> Result<Option<A::Page>> {
        if self.ended {
            return Ok(None);
        }
        let page = self.fetch().await?;
        self.pages += 1;
        let summary = self.api.summary(&page)?;
        self.report(&summary);
        self.check_identical(&page, summary.rows)?;
        let is_last = !self.position.advance(&summary)?;
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
