//! One range, page by page: each page begins after the last row of the one before. Only an empty page is the end: a
//! short page may have been cut by the server.

use std::sync::Arc;

use osiris_core::{Code, Error, Result};
use osiris_http::pages::PageSource;

use super::bounds::QueryBounds;
use super::page::{Page, PageRow};
use super::plan::ExtractPlan;
use crate::client::{Answer, AnswerColumn, Client};
use crate::config::Timestamp;
use crate::error::is_too_large;
use crate::query::{Filter, From, Key, Range, Source, To};

/// Reads one range.
pub(super) struct RangePager {
    client: Client,
    source: Source,
    filter: Filter,
    range: Range,
    bounds: Arc<QueryBounds>,
    /// Whether the end of the range was reached.
    ended: bool,
    columns: Vec<AnswerColumn>,
}

impl RangePager {
    pub(super) fn new(client: Client, plan: &ExtractPlan, range: Range, bounds: Arc<QueryBounds>) -> Self {
        let (source, filter) = (plan.source, plan.filter.clone());
        Self { client, source, filter, range, bounds, ended: false, columns: Vec::new() }
    }

    /// The columns of the last response, even of one without rows.
    pub(super) fn columns(&self) -> &[AnswerColumn] {
        &self.columns
    }

    /// Where the next query ends: with the range or before it.
    fn window_end(&self) -> To {
        match (self.range.from.time(), self.range.to.time()) {
            (Some(from), Some(to)) => self.bounds.end(from, to).map_or_else(|| self.range.to.clone(), To::Before),
            _ => self.range.to.clone(),
        }
    }

    /// Goes on after the window that ends at `to`.
    fn next_window(&mut self, to: To) {
        match to {
            To::Before(end) if To::Before(end) != self.range.to => {
                self.range.from = From::At(end);
                self.bounds.window_read();
            }
            _ => self.ended = true,
        }
    }

    fn page(&mut self, answer: Answer) -> Result<Page> {
        let rows = self.rows(&answer)?;
        if let Some(last) = rows.last() {
            self.check_progress(&last.key)?;
            self.range.from = From::After(last.key.clone());
        }
        self.columns.clone_from(&answer.columns);
        Ok(Page { document: answer.document, columns: answer.columns, rows })
    }

    fn rows(&self, answer: &Answer) -> Result<Vec<PageRow>> {
        let id = answer.position(self.source.id)?;
        let time = self.source.time.map(|name| answer.position(name)).transpose()?;
        let version = self.source.version.and_then(|name| answer.position(name).ok());
        let row = |row: osiris_http::Row<'_>| {
            let text = |column: usize| row.at(column).and_then(|cell| cell.text().map(|text| text.into_owned()));
            let time = match time {
                None => None,
                Some(column) => Some(text(column).and_then(|text| Timestamp::parse(&text)).ok_or_else(no_key)?),
            };
            let key = Key { time, id: text(id).ok_or_else(no_key)? };
            Ok(PageRow { key, version: version.and_then(text) })
        };
        answer.document.rows().map(row).collect()
    }

    /// Rejects a page that ends where the one before did: it would be fetched for ever.
    fn check_progress(&self, last: &Key) -> Result<()> {
        let stuck = match &self.range.from {
            From::Start => false,
            From::At(at) => last.time.is_some_and(|time| time < *at),
            From::After(before) => before == last || last.time < before.time,
        };
        if !stuck {
            return Ok(());
        }
        Err(Error::integrity("pagination loop: PostHog returned a page that ends where the one before it did")
            .with_code(Code::UnexpectedResponse)
            .with_hint("nothing was stored: run it again, and report it to PostHog if it persists"))
    }
}

impl PageSource for RangePager {
    type Page = Page;

    /// The next page that has rows; `None` at the end of the range.
    async fn next_page(&mut self) -> Result<Option<Page>> {
        while !self.ended {
            let to = self.window_end();
            let limit = self.bounds.page();
            let asked = Range { from: self.range.from.clone(), to: to.clone() };
            let hogql = self.source.page(&asked, &self.filter, limit);
            match self.client.query(&hogql, "reading rows").await {
                Ok(answer) if answer.rows() == 0 => {
                    self.columns = answer.columns;
                    self.next_window(to);
                }
                Ok(answer) => {
                    self.bounds.page_read();
                    return self.page(answer).map(Some);
                }
                Err(error) if is_too_large(&error) && self.bounds.shrink(limit, asked.from.time(), to.time()) => {
                    tracing::debug!(
                        page = self.bounds.page(),
                        "query stopped by PostHog: retrying with a smaller page or range"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

fn no_key() -> Error {
    Error::validation("PostHog returned a row without an id or without a valid timestamp")
        .with_hint("report it with the version of PostHog")
}
