//! The pages of a query, for the paging of `osiris-http`.

use osiris_core::{Error, ErrorKind, ExecutionContext, Result};
use osiris_http::HttpClient;
use osiris_http::pages::{NextPage, PagePosition, PageSource, PageSummary, PagedApi, Pager};
use serde_json::Value;

use super::answer::Answer;
use super::plan::{CursorPath, ExtractPlan};
use crate::client::request;
use crate::config::{PageStyle, Paging};
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

/// Where to begin: where `variables` says, or else the variable's default in the query.
fn position(plan: &ExtractPlan) -> PagePosition {
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
        let next = match &self.plan.paging {
            Some(paging) => next(answer, self.plan, paging)?,
            None => NextPage::Last,
        };
        let total = answer.total(self.plan)?;
        // A limit in the query is the user's own.
        let is_count = self.plan.total.as_ref().is_some_and(|total| total.is_count) && !self.plan.is_limited;
        let summary = PageSummary::new(answer.found.document().row_count(), next).with_items(answer.items(self.plan));
        Ok(summary.with_total(total).with_count(total.filter(|_| is_count)))
    }

    fn fingerprint(&self, answer: &Answer) -> Option<u64> {
        Some(answer.found.document().fingerprint())
    }

    fn is_too_large(&self, error: &Error) -> bool {
        is_too_large(error)
    }

    fn largest_page(&self, error: &Error) -> Option<u64> {
        largest_page(error)
    }
}

/// What an answer says of the next page.
fn next(answer: &Answer, plan: &ExtractPlan, paging: &Paging) -> Result<NextPage> {
    let info = answer.page_info(plan, paging)?;
    if let Some(path) = &plan.cursor_path {
        return by_last_item(answer, plan, path, info.has_next);
    }
    Ok(match (info.has_next, paging.style) {
        (Some(false), _) => NextPage::Last,
        (Some(true), PageStyle::Offset | PageStyle::Page) => NextPage::More,
        (None, PageStyle::Offset | PageStyle::Page) => NextPage::Unknown,
        (has_next, PageStyle::Cursor) => match NextPage::by_cursor(info.cursor.as_ref()) {
            NextPage::Unknown if has_next == Some(true) => return Err(no_cursor(&info.seen)),
            next => next,
        },
    })
}

/// What an answer says of the next page where its cursor is in the last item: an empty page is the end.
fn by_last_item(answer: &Answer, plan: &ExtractPlan, path: &CursorPath, has_next: Option<bool>) -> Result<NextPage> {
    if has_next == Some(false) || (has_next.is_none() && answer.items(plan) == 0) {
        return Ok(NextPage::Last);
    }
    match NextPage::by_cursor(answer.last_cursor(plan, path).as_ref()) {
        NextPage::Unknown => {
            let message = format!("`{}` is not in the response, so the next page cannot be found", path.written());
            Err(Error::validation(message).with_hint("set `pagination.cursor_path` to a field that every item has"))
        }
        next => Ok(next),
    }
}

fn no_cursor(seen: &str) -> Error {
    Error::validation(format!("the server reports another page, but returned no cursor for it: {seen}")).with_hint(
        "select the cursor, `pageInfo { hasNextPage endCursor }`, or name its field: `pagination.cursor_field`",
    )
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
