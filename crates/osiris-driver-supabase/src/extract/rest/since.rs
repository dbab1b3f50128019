//! Incremental reads over REST: the upper bound of the run, its checks, and its ranges.

use chrono::{DateTime, Utc};
use osiris_core::{Error, Result};
use osiris_sql::read::cursor::{Bound, Boundaries, Cursor, SavedCursor};
use serde_json::Value;

use super::{Reading, cursor};
use crate::filter::{Condition, OrderColumn, Reserved, quote_name};

impl Reading<'_> {
    /// Reads the rows at and after the saved cursor value. Returns the state for the next run.
    pub(super) async fn by_cursor(&mut self, format: &str) -> Result<Option<Value>> {
        let Some(cursor) = &self.job.config.cursor else { return Ok(None) };
        cursor::check(cursor, format)?;
        let saved = self.job.state.map(|state| SavedCursor::parse(state, cursor)).transpose()?;
        let bound = self.bound(cursor, saved.as_ref(), format).await?;
        self.counts.skipped = bound.admit(cursor, saved.as_ref(), self.job.id)?;
        let upper = bound.upper();
        let mut boundaries = Boundaries::new(saved.as_ref(), &self.job.ctx.state_files())?;
        for part in cursor.parts(saved.as_ref(), upper) {
            let mut query = self.query.clone();
            query.conditions.extend(cursor::conditions(cursor, format, &part)?);
            self.read(query, boundaries.of(part.role)).await?;
        }
        cursor.next(saved.as_ref(), upper, boundaries)?.map(|next| next.state()).transpose()
    }

    /// The bounds of the cursor column.
    async fn bound(&self, cursor: &Cursor, saved: Option<&SavedCursor>, format: &str) -> Result<Bound> {
        let mut nulls = self.query.clone();
        nulls.conditions.push(Condition::null(&cursor.column, true));
        let nulls = nulls.count().await?;
        let (value, now) = self.greatest(&cursor.column, Condition::null(&cursor.column, false)).await?;
        let is_future = match &value {
            Some(value) => cursor::is_future(value, format, now)?,
            None => false,
        };
        let is_behind = match saved.and_then(SavedCursor::value).filter(|saved| Some(*saved) != value.as_deref()) {
            None => false,
            Some(saved) => {
                let reached = Condition::compare(&cursor.column, "gte", saved);
                self.greatest(&cursor.column, reached).await?.0.is_none()
            }
        };
        let is_infinite = value.as_deref().is_some_and(|value| cursor::is_infinite(value, format));
        Ok(Bound { value, is_infinite, is_future, is_behind, nulls })
    }

    /// The greatest value of a column among the rows that match `condition`, and the server's time.
    async fn greatest(&self, column: &str, condition: Condition) -> Result<(Option<String>, DateTime<Utc>)> {
        let api = &self.query.api;
        let name = quote_name(column, Reserved::No);
        let order = OrderColumn { name: column.to_owned(), descending: true, nulls_first: false };
        let builder = api.from().select(format!("value:{name}")).order(order.query());
        let mut parameters: Vec<_> = self.query.conditions.iter().map(Condition::parameter).collect();
        parameters.push(condition.parameter());
        parameters.push(("limit".to_owned(), "1".to_owned()));
        let request = api.request(builder, "reading the greatest value of the cursor")?.query(parameters);
        let page = api.fetch(&request).await?;
        let now = page.header("date").and_then(|date| httpdate::parse_http_date(date).ok()).map(DateTime::<Utc>::from);
        let now = now.ok_or_else(|| {
            Error::validation("the API did not return its time: the response has no `Date` header")
                .with_hint("a proxy may have removed the header: fix the proxy, or read over the database")
        })?;
        let document = page.document(&osiris_http::RowPath::root())?;
        let row = document.row(0);
        Ok((row.and_then(|row| row.get("value")?.text().map(|text| text.into_owned())), now))
    }
}
