//! Reads pages by key. A short page is not the last one: the server has its own limit. The
//! last page is empty.

use osiris_core::{Error, Result};
use osiris_http::{Document, Page, Request, RowPath};

use super::keyset::{self, KeyColumn};
use super::table::{self, TableApi};
use crate::error::sqlstate;
use crate::filter::{Condition, OrderColumn};

/// A paged query.
#[derive(Clone)]
pub(crate) struct Query {
    pub(crate) api: TableApi,
    pub(crate) select: String,
    pub(crate) key: Vec<KeyColumn>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) page_size: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
    /// For messages: `reading rows`.
    pub(crate) what: &'static str,
}

/// A page of rows.
pub(crate) struct Rows {
    pub(crate) document: Document,
    /// On the first page: the total number of rows.
    pub(crate) total: Option<u64>,
}

/// The state of reading pages.
pub(crate) struct Pager {
    query: Query,
    behind: Option<Condition>,
    /// Rows received.
    pub(crate) arrived: u64,
    /// The largest page so far, a lower bound of the server's limit.
    longest: u64,
    page_size: u64,
    begun: bool,
    ended: bool,
}

impl Query {
    /// A query for the columns `names` of every row, which are unique and never NULL, sorted by them.
    pub(crate) fn of_keys(api: TableApi, names: &[String], page_size: u64, what: &'static str) -> Self {
        let select = table::name_list(names.iter().map(String::as_str));
        let key = names.iter().map(|name| KeyColumn {
            order: OrderColumn::ascending(name),
            member: name.clone(),
            nullable: false,
        });
        let key = key.collect();
        Self { api, select, key, conditions: Vec::new(), page_size, limit: None, offset: 0, what }
    }

    /// The request for up to `rows` rows after `behind`.
    fn request(&self, behind: Option<&Condition>, rows: u64, offset: u64) -> Result<Request> {
        let order: Vec<String> = self.key.iter().map(|column| column.order.query()).collect();
        let builder = self.api.from().select(&self.select).order(order.join(","));
        let mut parameters: Vec<(String, String)> =
            self.conditions.iter().chain(behind).map(Condition::parameter).collect();
        parameters.push(("limit".to_owned(), rows.to_string()));
        if offset > 0 {
            parameters.push(("offset".to_owned(), offset.to_string()));
        }
        Ok(self.api.request(builder, self.what)?.query(parameters))
    }

    /// The number of rows, without `limit` and `offset`.
    pub(crate) async fn count(&self) -> Result<u64> {
        let parameters: Vec<(String, String)> = self.conditions.iter().map(Condition::parameter).collect();
        let request = self.api.request(self.api.from().select(&self.select), "counting rows")?;
        let request = request.query(parameters).query([("limit", "0")]);
        let page = self.api.fetch(&self.api.preferring(request, &["count=exact"])?).await?;
        table::total(&page).ok_or_else(table::uncounted)
    }

    /// The expected number of rows out of `total`.
    pub(crate) fn expected(&self, total: u64) -> u64 {
        total.saturating_sub(self.offset).min(self.limit.unwrap_or(u64::MAX))
    }
}

impl Pager {
    pub(crate) fn new(query: Query) -> Self {
        let page_size = query.page_size.max(1);
        let ended = query.limit == Some(0);
        Self { query, behind: None, arrived: 0, longest: 0, page_size, begun: false, ended }
    }

    /// The next page; `None` after the last. The first one is returned even without rows.
    pub(crate) async fn next(&mut self) -> Result<Option<Rows>> {
        if self.ended {
            return Ok(None);
        }
        let (rows, total) = if self.begun {
            (self.fetch(&[]).await?, None)
        } else {
            let rows = match self.fetch(&["count=exact"]).await {
                // There are fewer rows than `offset`.
                Err(error) if sqlstate(&error) == Some("PGRST103") => {
                    self.ended = true;
                    return Ok(None);
                }
                other => other?,
            };
            let total = table::total(&rows).ok_or_else(table::uncounted)?;
            (rows, Some(total))
        };
        let document = self.document(&rows)?;
        self.advance(&document, total)?;
        Ok(Some(Rows { document, total }))
    }

    /// Reads one page, or a smaller one after a statement timeout.
    async fn fetch(&mut self, preferences: &[&str]) -> Result<Page> {
        loop {
            let left = self.query.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.arrived));
            let rows = self.page_size.min(left);
            let offset = if self.begun { 0 } else { self.query.offset };
            let request = self.query.request(self.behind.as_ref(), rows, offset)?;
            let request =
                if preferences.is_empty() { request } else { self.query.api.preferring(request, preferences)? };
            match self.query.api.fetch(&request).await {
                Err(error) if rows > 1 && sqlstate(&error) == Some("57014") => {
                    self.page_size = (rows / 2).max(1);
                    tracing::warn!(rows, "statement timeout while reading a page: retrying with half the rows");
                }
                other => return other,
            }
        }
    }

    fn document(&self, page: &Page) -> Result<Document> {
        let document = page.document(&RowPath::root())?;
        if document.matched() {
            return Ok(document);
        }
        Err(Error::validation(format!("{}: the response is not a list of rows", self.query.what))
            .with_context("seen", document.stopped_at())
            .with_hint("check the address: it must be of a Supabase project, or of PostgREST behind `/rest/v1`"))
    }

    /// Records where the next page begins.
    fn advance(&mut self, document: &Document, total: Option<u64>) -> Result<()> {
        let rows = u64::try_from(document.row_count()).unwrap_or(u64::MAX);
        self.begun = true;
        self.arrived += rows;
        let Some(last) = document.last_row() else {
            self.ended = true;
            return Ok(());
        };
        let values = keyset::values(&self.query.key, &last).ok_or_else(|| {
            Error::validation(format!("{}: the rows lack a column that they are sorted by", self.query.what))
                .with_hint("the table was altered while it was read: run again")
        })?;
        let behind = keyset::behind(&self.query.key, &values);
        if behind.is_none() || behind == self.behind {
            // The same key twice in a row: the same page would be read forever.
            self.ended = behind.is_none();
            if !self.ended {
                return Err(self.stuck());
            }
        }
        self.behind = behind;
        let full = total.is_some_and(|total| self.query.offset.saturating_add(rows) >= total);
        let short = rows < self.longest && rows < self.page_size;
        let enough = self.query.limit.is_some_and(|limit| self.arrived >= limit);
        self.ended = self.ended || full || short || enough;
        self.longest = self.longest.max(rows);
        Ok(())
    }

    fn stuck(&self) -> Error {
        let names: Vec<&str> = self.query.key.iter().map(|column| column.order.name.as_str()).collect();
        Error::validation(format!(
            "{}: pagination loop: a page ends at the same row as the one before",
            self.query.what
        ))
        .with_context("sorted by", names.join(", "))
        .with_hint("these columns are not unique: name others in `key`")
    }
}
