//! A page as it goes from the network to the store.

use osiris_http::Document;

use crate::client::AnswerColumn;
use crate::query::Key;

/// Rows and their keys.
pub(super) struct Page {
    pub(super) document: Document,
    pub(super) columns: Vec<AnswerColumn>,
    pub(super) rows: Vec<PageRow>,
}

/// What is known about a row before it is decoded.
#[derive(Debug)]
pub(super) struct PageRow {
    pub(super) key: Key,
    /// See [`Source::version`](crate::query::Source).
    pub(super) version: Option<String>,
}
