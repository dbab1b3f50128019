//! What an answer says of itself and of the page behind it.

use serde_json::Value;
use url::Url;

/// What an answer says of the next page.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NextPage {
    /// Nothing. By cursor or link this page is the last one; by offset or number an empty page is.
    Unknown,
    /// There is none.
    Last,
    /// There is one, found by counting.
    More,
    /// There is one, behind this cursor.
    Cursor(Value),
    /// There is one, at this address.
    Link(Url),
}

impl NextPage {
    /// By the cursor of an answer, where null or an empty text stands for the end.
    pub fn by_cursor(cursor: Option<&Value>) -> Self {
        match cursor {
            None | Some(Value::Null) => Self::Unknown,
            Some(Value::String(text)) if text.is_empty() => Self::Unknown,
            Some(cursor) => Self::Cursor(cursor.clone()),
        }
    }

    /// By a link to the next page, as [`next_link`](super::next_link) finds it.
    pub fn by_link(link: Option<Url>) -> Self {
        link.map_or(Self::Unknown, Self::Link)
    }
}

/// What the pager has to know of a page.
#[derive(Debug, Clone)]
pub struct PageSummary {
    pub(super) rows: u64,
    pub(super) items: u64,
    pub(super) next: NextPage,
    pub(super) total: Option<u64>,
}

impl PageSummary {
    /// A page of so many rows.
    pub fn new(rows: usize, next: NextPage) -> Self {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        Self { rows, items: rows, next, total: None }
    }

    /// How many items the server counts, where not every one of them is a row. Default: as many as rows.
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
}
