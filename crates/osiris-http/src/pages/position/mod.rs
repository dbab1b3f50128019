//! The position of an extraction in a list: how it advances, and when the size of a page changes. No I/O.

use osiris_core::{Code, Error, Result};
use serde_json::Value;
use url::Url;

use super::adaptive::AdaptiveSize;
use super::next::{NextPage, PageSummary};
use super::visited::Visited;

/// The next page of a list: by cursor, offset, number or link, and of what size.
#[derive(Debug, Clone)]
pub struct PagePosition {
    at: At,
    /// The name of the parameter that names the page.
    parameter: String,
    size: Option<PageSize>,
    /// Items received so far.
    items: u64,
    /// Items before the position where the extraction begins, if that is known.
    before: Option<u64>,
    /// Whether every page so far had as many items as were requested; `None` before the first one.
    full: Option<bool>,
    hint: Option<String>,
    count_hint: Option<String>,
}

#[derive(Debug, Clone)]
enum At {
    Cursor(Option<Value>, Visited),
    Link(Option<Url>, Visited),
    Offset(u64),
    /// The number of the first page, and that of the current one.
    Page(u64, u64),
    /// There is one page.
    Single,
}

/// The parameter that takes the size of a page, and that size.
#[derive(Debug, Clone)]
struct PageSize {
    parameter: String,
    rows: AdaptiveSize,
}

impl PagePosition {
    /// Each page gives the cursor of the next one, which `parameter` takes. The first page has none.
    pub fn cursor(parameter: &str) -> Self {
        Self::new(parameter, At::Cursor(None, Visited::default()))
    }

    /// `parameter` takes the number of items before the page.
    pub fn offset(parameter: &str) -> Self {
        Self::new(parameter, At::Offset(0))
    }

    /// `parameter` takes the number of the page, from 1 unless [`with_first_page`](Self::with_first_page) says otherwise.
    pub fn page(parameter: &str) -> Self {
        Self::new(parameter, At::Page(1, 1))
    }

    /// Each page gives the address of the next one, such as the `Link` header does.
    pub fn link() -> Self {
        Self::new("Link", At::Link(None, Visited::default()))
    }

    /// There is one page.
    pub fn single() -> Self {
        Self::new("", At::Single)
    }

    fn new(parameter: &str, at: At) -> Self {
        Self {
            at,
            parameter: parameter.to_owned(),
            size: None,
            items: 0,
            before: Some(0),
            full: None,
            hint: None,
            count_hint: None,
        }
    }

    /// The number of the first page, such as 0. Default: 1. Without effect where pages have no numbers.
    #[must_use]
    pub fn with_first_page(mut self, number: u64) -> Self {
        if let At::Page(first, page) = &mut self.at {
            (*first, *page) = (number, number);
        }
        self
    }

    /// Begins at this cursor, offset or page number instead of the first page. A page number below that of the first page says that
    /// pages count from there. A value of the wrong type is ignored.
    #[must_use]
    pub fn starting_at(mut self, start: &Value) -> Self {
        match (&mut self.at, start.as_u64()) {
            (At::Cursor(cursor, _), _) if !start.is_null() => {
                *cursor = Some(start.clone());
                self.before = None;
            }
            (At::Offset(offset), Some(start)) => {
                *offset = start;
                self.before = Some(start);
            }
            (At::Page(first, page), Some(start)) => {
                (*first, *page) = ((*first).min(start), start);
                self.before = (*first == start).then_some(0);
            }
            _ => {}
        }
        self
    }

    /// So many items of the list are left out before the first page besides, such as by another parameter; `None` if their number is
    /// not known. What comes is then compared with the server's count accordingly, or not at all.
    #[must_use]
    pub fn with_skipped(mut self, items: Option<u64>) -> Self {
        self.before = self.before.zip(items).map(|(before, items)| before.saturating_add(items));
        self
    }

    /// How many items came.
    pub(super) fn received(&self) -> u64 {
        self.items
    }

    /// How many items of the list came or lie before the position where the extraction began; `None` if that is not known.
    pub(super) fn reached(&self) -> Option<u64> {
        Some(self.before?.saturating_add(self.items))
    }

    /// `parameter` takes the size of a page: `rows`, or fewer if the server finds that too many.
    #[must_use]
    pub fn with_size(mut self, parameter: &str, rows: u64) -> Self {
        self.size = Some(PageSize { parameter: parameter.to_owned(), rows: AdaptiveSize::new(rows) });
        self
    }

    /// The hint of pagination errors. Default: to check that the server uses the parameter.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What else to do where fewer items came than the server counts, after the other hint. Default: nothing.
    #[must_use]
    pub fn with_count_hint(mut self, hint: impl Into<String>) -> Self {
        self.count_hint = Some(hint.into());
        self
    }

    /// The parameters of the page's request: cursor, offset or number, and the size.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, Value)> {
        let value = match &self.at {
            At::Cursor(cursor, _) => cursor.clone(),
            At::Offset(offset) => Some(Value::from(*offset)),
            At::Page(_, page) => Some(Value::from(*page)),
            At::Link(..) | At::Single => None,
        };
        let value = value.map(|value| (self.parameter.as_str(), value));
        // The link to a page contains the size.
        let size = self.size.as_ref().filter(|_| self.url().is_none());
        value.into_iter().chain(size.map(|size| (size.parameter.as_str(), Value::from(size.rows.current()))))
    }

    /// The same as text, for [`Request::query`](crate::Request::query).
    pub fn query(&self) -> impl Iterator<Item = (&str, String)> {
        self.parameters().map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    }

    /// The URL of the page, if the last one linked to it.
    pub fn url(&self) -> Option<&Url> {
        if let At::Link(url, _) = &self.at { url.as_ref() } else { None }
    }

    /// The requested size of the page, in rows.
    pub fn page_size(&self) -> Option<u64> {
        self.size.as_ref().map(|size| size.rows.current())
    }

    /// Whether a page is found by counting: a server that ignores the parameter would send the same one for ever.
    pub(super) fn counts(&self) -> bool {
        matches!(self.at, At::Offset(_) | At::Page(..))
    }

    /// Halves the size of the page. `false` if that is not possible without losing rows.
    pub fn shrink(&mut self) -> bool {
        let half = self.page_size().unwrap_or_default() / 2;
        self.resize(half)
    }

    /// Requests no more than `rows` rows at once from now on, the most that the server allows. `false` if no more are requested anyway,
    /// and if it is not possible without losing rows.
    pub fn shrink_to(&mut self, rows: u64) -> bool {
        let is_less = self.page_size().is_some_and(|size| rows < size);
        if !is_less || !self.resize(rows) {
            return false;
        }
        if let Some(size) = &mut self.size {
            size.rows.cap(rows);
        }
        true
    }

    /// Makes the page as large as possible, with no more than `most` rows.
    fn resize(&mut self, most: u64) -> bool {
        // The link to a page has its size, which is up to the server.
        if most == 0 || self.url().is_some() {
            return false;
        }
        let Some(size) = &mut self.size else { return false };
        let rows = size.rows.current();
        let At::Page(first, page) = &mut self.at else {
            size.rows.shrink_to(rows, most);
            return true;
        };
        // Page 3 of 100 rows is page 5 of 50: only a divisor has a page that begins at the same row.
        let Some(smaller) = (1..=most).rev().find(|smaller| rows.is_multiple_of(*smaller)) else { return false };
        let before = *page - *first;
        if before > 0 && self.full != Some(true) {
            return false;
        }
        *page = *first + before * (rows / smaller);
        size.rows.shrink_to(rows, smaller);
        true
    }

    /// Lets pages grow again, if the next one then begins at the same row.
    fn grow(&mut self) {
        let Some(size) = &mut self.size else { return };
        let rows = size.rows.current();
        let Some(larger) = size.rows.succeed_with() else { return };
        if let At::Page(first, page) = &mut self.at {
            let before = (*page - *first) * rows;
            if self.full != Some(true) || !before.is_multiple_of(larger) {
                return;
            }
            *page = *first + before / larger;
        }
        size.rows.grow_to(larger);
    }

    /// Advances to the next page; `false` if this one was the last.
    ///
    /// # Errors
    /// A cursor that is repeated or missing, an empty page that is not the last.
    pub fn advance(&mut self, page: &PageSummary) -> Result<bool> {
        self.items += page.items;
        let full = self.page_size() == Some(page.items);
        self.full = Some(full && self.full != Some(false));
        let more = match &mut self.at {
            At::Single => false,
            At::Cursor(current, visited) => match &page.next {
                NextPage::Cursor(next) => {
                    let (last, text) = (current.as_ref().map(Value::to_string), next.to_string());
                    visited.insert(last.as_deref());
                    if !visited.is_new(&text) {
                        return Err(self.repeated("cursor"));
                    }
                    *current = Some(next.clone());
                    true
                }
                other => self.ends(other, "cursor")?,
            },
            At::Link(current, visited) => match &page.next {
                NextPage::Link(next) => {
                    visited.insert(current.as_ref().map(Url::as_str));
                    if !visited.is_new(next.as_str()) {
                        return Err(self.repeated("link"));
                    }
                    *current = Some(next.clone());
                    true
                }
                other => self.ends(other, "link")?,
            },
            At::Offset(_) | At::Page(..) => self.count_on(page)?,
        };
        if more {
            self.grow();
        }
        Ok(more)
    }

    /// A page without a cursor or a link is the last one, unless it says that there is another.
    fn ends(&self, next: &NextPage, what: &str) -> Result<bool> {
        if matches!(next, NextPage::Unknown | NextPage::Last) {
            return Ok(false);
        }
        Err(Error::validation(format!("the server reports another page, but returned no {what} for it")))
    }

    fn count_on(&mut self, page: &PageSummary) -> Result<bool> {
        match (&page.next, page.items) {
            (NextPage::Last, _) | (NextPage::Unknown, 0) => return Ok(false),
            (_, 0) => return Err(self.empty()),
            _ => {}
        }
        match &mut self.at {
            At::Offset(offset) => *offset += page.items,
            At::Page(_, number) => *number += 1,
            At::Cursor(..) | At::Link(..) | At::Single => {}
        }
        Ok(true)
    }

    fn repeated(&self, what: &str) -> Error {
        let rows = self.items;
        self.looping(format!("pagination loop: the server returned the {what} after row {rows} again"))
    }

    fn empty(&self) -> Error {
        let rows = self.items;
        self.hinted(unexpected(format!("the server reports more pages after row {rows}, but returned an empty page")))
    }

    /// The error of a list that ended before the server's count of it.
    pub(super) fn incomplete(&self, count: u64, pages: u64) -> Error {
        let (rows, page) = (self.items, if pages == 1 { "page" } else { "pages" });
        let error = Error::integrity(format!("the server counts {count} rows, but returned {rows} in {pages} {page}"));
        let error = self.hinted(error);
        let hints: Vec<&str> = error.hint().into_iter().chain(self.count_hint.as_deref()).collect();
        let hint = hints.join("; ");
        if hint.is_empty() { error } else { error.with_hint(hint) }
    }

    /// The error of a page that is identical to the one before it.
    pub(super) fn identical(&self, number: u64) -> Error {
        let error = self.looping(format!("page {number} is identical to page {}", number - 1));
        let hint = error.hint().map(|hint| format!("{hint}; if it does, select a field that identifies each row"));
        hint.into_iter().fold(error, Error::with_hint)
    }

    /// The error of a list that would never end.
    fn looping(&self, message: String) -> Error {
        let error = self.hinted(unexpected(message));
        if error.hint().is_some() { error } else { error.with_hint("check that the server moves on") }
    }

    fn hinted(&self, error: Error) -> Error {
        match (&self.hint, &self.at) {
            (Some(hint), _) => error.with_hint(hint.clone()),
            (None, At::Link(..)) => error,
            (None, _) => error.with_hint(format!("check that the server uses the parameter `{}`", self.parameter)),
        }
    }
}

/// The error of a page that is not the one that was requested.
fn unexpected(message: String) -> Error {
    Error::integrity(message).with_code(Code::UnexpectedResponse)
}

#[cfg(test)]
mod tests;
