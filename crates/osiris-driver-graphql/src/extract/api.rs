//! The pages of a query, for the paging of `osiris-http`.

use osiris_core::{Error, ErrorKind, ExecutionContext, Result};
use osiris_http::HttpClient;
use osiris_http::pages::{NextPage, PagePosition, PageSource, PageSummary, PagedApi, Pager};
use serde_json::Value;

use super::answer::Answer;
use super::plan::ExtractPlan;
use crate::client::request;
use crate::config::{PageStyle, Paging};
use crate::error::is_too_large;

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
    let Some(paging) = &plan.paging else { return PagePosition::single() };
    let position = match paging.style {
        PageStyle::Cursor => PagePosition::cursor(&paging.variable),
        PageStyle::Offset => PagePosition::offset(&paging.variable),
        PageStyle::Page => PagePosition::page(&paging.variable),
    };
    let start = plan.variables.get(&paging.variable).cloned();
    let start = match paging.style {
        PageStyle::Cursor => start,
        PageStyle::Offset | PageStyle::Page => start.filter(Value::is_u64).or(plan.start.map(Value::from)),
    };
    let position = start.iter().fold(position, PagePosition::starting_at);
    let position = paging.size.iter().fold(position, |position, size| position.with_size(&size.variable, size.rows));
    position.with_hint(format!(
        "check that the query passes `${}` to the list that is paged, and `pagination.style`",
        paging.variable
    ))
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
        let summary = PageSummary::new(answer.found.document().row_count(), next);
        Ok(summary.with_items(answer.items(self.plan)).with_total(answer.total(self.plan)))
    }

    fn fingerprint(&self, answer: &Answer) -> Option<u64> {
        Some(answer.found.document().fingerprint())
    }

    fn is_too_large(&self, error: &Error) -> bool {
        is_too_large(error)
    }
}

/// What an answer says of the next page.
fn next(answer: &Answer, plan: &ExtractPlan, paging: &Paging) -> Result<NextPage> {
    let info = answer.page_info(plan, paging)?;
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
