//! Looks up rows in the table by key, for what the response to a write does not report.

use osiris_core::Result;
use osiris_http::{Bytes, Document, RowPath};

use super::sweep::Page;
use crate::client::rest::table::{TableApi, name_list, total, uncounted};
use crate::filter::Condition;

const WHAT: &str = "looking up rows by key";

/// The number of rows of the table with a key in `body`, an array of rows. A key with a NULL matches none.
///
/// # Errors
/// When the table cannot be read.
pub(super) async fn rows(api: &TableApi, key: &[String], body: &Bytes) -> Result<u64> {
    let document = Document::parse(body.clone(), &RowPath::root())?;
    let mut page = Page::new(key);
    let mut found = 0;
    for row in document.rows() {
        let values: Option<Vec<&str>> =
            key.iter().map(|name| row.get(name).filter(|cell| !cell.is_null()).map(|cell| cell.raw())).collect();
        let Some(values) = values else { continue };
        let text = format!("[{}]", values.join(","));
        if !page.takes(&text) {
            found += count(api, key, &mut page).await?;
        }
        page.push(&text);
    }
    Ok(found + count(api, key, &mut page).await?)
}

async fn count(api: &TableApi, key: &[String], page: &mut Page<'_>) -> Result<u64> {
    if page.is_empty() {
        return Ok(0);
    }
    counted(api, key, &page.condition()).await
}

/// The number of rows of the table that match `condition`.
///
/// # Errors
/// When the table cannot be read.
pub(super) async fn counted(api: &TableApi, key: &[String], condition: &Condition) -> Result<u64> {
    let builder = api.from().select(name_list(key.iter().map(String::as_str)));
    let request = api.request(builder, WHAT)?.query([condition.parameter()]).query([("limit", "0")]);
    let answer = api.fetch(&api.preferring(request, &["count=exact"])?).await?;
    total(&answer).ok_or_else(uncounted)
}
