//! What a response says about its page and about the next one.

use serde_json::Value;
use url::Url;

/// What a response says about the next page.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NextPage {
    /// Nothing. By cursor or link this page is the last one; by offset or number an empty page is.
    Unknown,
    /// There is none.
    Last,
    /// There is one, found by counting.
    More,
    /// There is one, after this cursor.
    Cursor(Value),
    /// There is one, at this address.
    Link(Url),
}

impl NextPage {
    /// From the cursor of a response; null or an empty string is the end.
    pub fn by_cursor(cursor: Option<&Value>) -> Self {
        match cursor {
            None | Some(Value::Null) => Self::Unknown,
            Some(Value::String(text)) if text.is_empty() => Self::Unknown,
            Some(cursor) => Self::Cursor(cursor.clone()),
        }
    }

    /// From a link to the next page, as [`next_link`](super::next_link) finds it.
    pub fn by_link(link: Option<Url>) -> Self {
        link.map_or(Self::Unknown, Self::Link)
    }
}

/// What the pager needs to know about a page.
#[derive(Debug, Clone)]
pub struct PageSummary {
    pub(super) rows: u64,
    pub(super) items: u64,
    pub(super) next: NextPage,
    pub(super) total: Option<u64>,
    pub(super) count: Option<u64>,
}

impl PageSummary {
    /// A page with `rows` rows.
    pub fn new(rows: usize, next: NextPage) -> Self {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        Self { rows, items: rows, next, total: None, count: None }
    }

    /// How many items of the page the server counts, if not every one of them is a row. Default: the number of rows.
    #[must_use]
    pub fn with_items(mut self, items: u64) -> Self {
        self.items = items;
        self
    }

    /// How many rows all pages have together, for progress.
    #[must_use]
    pub fn with_total(mut self, total: Option<u64>) -> Self {
        self.total = total;
        self
    }

    /// How many items all pages have together, by the server's own count. If fewer come than the first page with a count says, the
    /// extraction fails. Default: `None`.
    #[must_use]
    pub fn with_count(mut self, count: Option<u64>) -> Self {
        self.count = count;
        self
    }
}
