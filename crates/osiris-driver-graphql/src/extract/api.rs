//! The pages of a query, for the paging of `osiris-http`.

use std::collections::HashSet;

use osiris_core::{Error, ErrorKind, ExecutionContext, Result};
use osiris_http::HttpClient;
use osiris_http::pages::{PagePosition, PageSource, PageSummary, PagedApi, Pager};
use serde_json::Value;

use super::answer::Answer;
use super::plan::ExtractPlan;
use crate::client::request;
use crate::config::PageStyle;
use crate::error::{is_too_large, largest_page};

/// A query at an endpoint.
pub(super) struct QueryApi<'a> {
    plan: &'a ExtractPlan,
    client: HttpClient,
}

/// The pages of an extraction.
pub(super) struct QueryPages<'a>(Pager<'a, QueryApi<'a>>);

impl<'a> QueryPages<'a> {
    pub(super) fn new(plan: &'a ExtractPlan, client: HttpClient, ctx: &'a ExecutionContext) -> Self {
        let max_pages = plan.paging.as_ref().and_then(|paging| paging.max_pages);
        let pager = Pager::new(QueryApi { plan, client }, position(plan), ctx);
        Self(pager.with_max_pages(max_pages).with_sample(plan.max_rows.is_some()))
    }
}

impl PageSource for QueryPages<'_> {
    type Page = Answer;

    async fn next_page(&mut self) -> Result<Option<Answer>> {
        self.0.next_page().await.map_err(advised)
    }
}

/// Where to begin, and what an error about it hints at.
fn position(plan: &ExtractPlan) -> PagePosition {
    let position = start(plan).with_skipped(plan.part.skipped);
    count_hint(plan).into_iter().fold(position, PagePosition::with_count_hint)
}

/// What to do where fewer rows came than the server counts, if the pages are as they should be.
fn count_hint(plan: &ExtractPlan) -> Option<String> {
    let total = plan.total.as_ref()?;
    let leave_out = match (total.is_named, total.names.last()?) {
        (true, _) => "do not set `pagination.total`".to_owned(),
        (false, name) => format!("do not select `{name}`"),
    };
    let moves = match plan.paging.as_ref().map(|paging| paging.style) {
        Some(PageStyle::Offset | PageStyle::Page) => {
            "run it again if rows were deleted meanwhile, which moves the others; "
        }
        Some(PageStyle::Cursor) | None => "",
    };
    Some(format!("{moves}or {leave_out}, if it counts something else"))
}

/// Where to begin: where `variables` says, or else the variable's default in the query.
fn start(plan: &ExtractPlan) -> PagePosition {
    let Some(paging) = &plan.paging else {
        let hint = "set `pagination` to read all pages; or give the list a limit in the query, such as `first`";
        return PagePosition::single().with_hint(hint);
    };
    let position = match paging.style {
        PageStyle::Cursor => PagePosition::cursor(&paging.variable),
        PageStyle::Offset => PagePosition::offset(&paging.variable),
        PageStyle::Page => PagePosition::page(&paging.variable).with_first_page(paging.first_page),
    };
    let start = plan.variables.get(&paging.variable).cloned();
    let start = match paging.style {
        PageStyle::Cursor => start,
        PageStyle::Offset | PageStyle::Page => start.filter(Value::is_u64).or(plan.start.map(Value::from)),
    };
    let position = start.iter().fold(position, PagePosition::starting_at);
    let position = paging.size.iter().fold(position, |position, size| position.with_size(&size.variable, size.rows));
    let fields = match paging.style {
        PageStyle::Cursor | PageStyle::Offset => "`pagination.style`",
        PageStyle::Page => "`pagination.style` and `pagination.first_page`",
    };
    let variable = &paging.variable;
    position.with_hint(format!("check that the query passes `${variable}` to the list that is paged, and {fields}"))
}

impl PagedApi for QueryApi<'_> {
    type Page = Answer;

    async fn fetch(&self, position: &PagePosition) -> Result<Answer> {
        let mut variables = self.plan.variables.clone();
        variables.extend(position.parameters().map(|(name, value)| (name.to_owned(), value)));
        let (text, operation) = (&self.plan.text, self.plan.operation.as_deref());
        let request = request(&self.client, text, operation, &variables, "reading a page")?;
        let answer = self.client.fetch_as(&request, |page| Answer::read(self.plan, page)).await?;
        if let Some(usage) = answer.usage() {
            self.client.pace().observe(&usage);
        }
        Ok(answer)
    }

    fn summary(&self, answer: &Answer) -> Result<PageSummary> {
        let (next, total) = (answer.next(self.plan)?, answer.total(self.plan)?);
        // A limit in the query is the user's own.
        let is_count = self.plan.total.as_ref().is_some_and(|total| total.is_count) && !self.plan.part.is_limited;
        let summary = PageSummary::new(answer.found.document().row_count(), next).with_items(answer.items(self.plan));
        Ok(summary.with_total(total).with_count(total.filter(|_| is_count)))
    }

    fn fingerprint(&self, answer: &Answer) -> Option<u64> {
        Some(answer.found.document().fingerprint())
    }

    /// A single row differs from no other, so that it says nothing.
    fn has_distinct_rows(&self, answer: &Answer) -> bool {
        let document = answer.found.document();
        let texts: HashSet<&str> = document.rows().map(|row| row.as_str()).collect();
        texts.len() > 1 && texts.len() == document.row_count()
    }

    fn is_too_large(&self, error: &Error) -> bool {
        is_too_large(error)
    }

    fn largest_page(&self, error: &Error) -> Option<u64> {
        largest_page(error)
    }
}

/// Adds a hint to an error that has none.
fn advised(error: Error) -> Error {
    let hint = match (error.hint(), error.kind()) {
        (Some(_), _) => return error,
        (None, ErrorKind::Network) => "the server or the network failed: try later, or raise `max_retries`",
        (None, ErrorKind::Timeout) => "set a smaller `pagination.page_size`, or raise `timeout` of the connection",
        (None, _) => "check `endpoint` of the connection, and the query",
    };
    error.with_hint(hint)
}
