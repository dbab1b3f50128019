//! Pages one behind the other, by key. A page that is shorter than was asked for means nothing: the server has a limit of its own. The
//! end is where no row comes any more.

use osiris_core::{Error, Result};
use osiris_http::{Document, Page, Request, RowPath};

use super::keyset::{self, KeyColumn};
use super::table::{self, TableApi};
use crate::error::sqlstate;
use crate::filter::{Condition, OrderColumn};

/// What is asked for, page by page.
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
    /// On the first page: how many rows there are in all.
    pub(crate) total: Option<u64>,
}

/// The way through the pages.
pub(crate) struct Pager {
    query: Query,
    behind: Option<Condition>,
    /// How many rows have come.
    pub(crate) arrived: u64,
    /// The most rows a page has had: the server's limit is not below it.
    longest: u64,
    page_size: u64,
    begun: bool,
    ended: bool,
}

impl Query {
    /// A query for the columns `names`, which tell rows apart and are never NULL, of every row, sorted by them.
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

    /// The request for up to `rows` rows behind `behind`.
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

    /// How many rows there are, `limit` and `offset` apart.
    pub(crate) async fn count(&self) -> Result<u64> {
        let parameters: Vec<(String, String)> = self.conditions.iter().map(Condition::parameter).collect();
        let request = self.api.request(self.api.from().select(&self.select), "counting rows")?;
        let request = request.query(parameters).query([("limit", "0")]);
        let page = self.api.fetch(&self.api.preferring(request, &["count=exact"])?).await?;
        table::total(&page).ok_or_else(table::uncounted)
    }

    /// How many rows are to come of `total`.
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

    /// The next page; nothing behind the last. The first one comes even without rows.
    pub(crate) async fn next(&mut self) -> Result<Option<Rows>> {
        if self.ended {
            return Ok(None);
        }
        let (rows, total) = if self.begun {
            (self.fetch(&[]).await?, None)
        } else {
            let rows = match self.fetch(&["count=exact"]).await {
                // There are not as many rows as are to be left out.
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

    /// One page. Where the server has no time for it, a smaller one.
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
                    tracing::warn!(rows, "the server had no time for a page: the next one is half as long");
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
        Err(Error::validation(format!("{}: the server's answer is no list of rows", self.query.what))
            .with_context("seen", document.stopped_at())
            .with_hint("check the address: it must be that of a Supabase project, or of PostgREST behind `/rest/v1`"))
    }

    /// Takes note of where the next page begins.
    fn advance(&mut self, document: &Document, total: Option<u64>) -> Result<()> {
        let rows = u64::try_from(document.row_count()).unwrap_or(u64::MAX);
        self.begun = true;
        self.arrived += rows;
        let Some(last) = document.last_row() else {
            self.ended = true;
            return Ok(());
        };
        let values = keyset::values(&self.query.key, &last).ok_or_else(|| {
            Error::validation(format!("{}: a column that rows are sorted by is missing from them", self.query.what))
                .with_hint("the table changed while it was read: run again")
        })?;
        let behind = keyset::behind(&self.query.key, &values);
        if behind.is_none() || behind == self.behind {
            // The same key twice in a row: the same page would come for ever.
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
        Error::validation(format!("{}: a page ends where the one before ended", self.query.what))
            .with_context("sorted by", names.join(", "))
            .with_hint("these columns do not tell rows apart: name others in `key`")
    }
}
