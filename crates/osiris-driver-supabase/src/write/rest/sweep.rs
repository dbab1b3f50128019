//! The second half of an overwrite: deletes the rows whose keys were not written, in pages. The key of a row is printed
//! by the server both times, in the same format, so that no row that was just written is taken for an old one. A row
//! that another client inserts between the last request of the first half and the list of keys is taken for an old one
//! and deleted: over REST the table cannot be locked.

use osiris_core::{Error, ExecutionContext, Result, TableRef};
use osiris_http::{Repeat, Row};

use super::keys::{KeySink, Sorted, forget};
use super::present;
use crate::client::rest::MAX_URL;
use crate::client::rest::pager::{Pager, Query};
use crate::client::rest::table::{TableApi, ensure_applied, total, uncounted};
use crate::filter::Condition;

const DELETING: &str = "deleting old rows";
const WRITTEN: &str = "keys written";
const PRESENT: &str = "keys present";
/// Keys per page.
const PAGE: u64 = 10_000;
/// Maximum keys deleted per request.
const MAX_KEYS: usize = 500;
/// Maximum length of a URL without the keys; and the maximum length of an encoded character.
const ADDRESS: usize = 1000;

/// Where the keys of the written rows go.
pub(super) async fn keys_written(ctx: &ExecutionContext) -> Result<KeySink> {
    KeySink::open(ctx, WRITTEN).await
}

/// Deletes all rows except those of `written`. Returns their number.
///
/// # Errors
/// When not all of them could be deleted; running again continues.
pub(super) async fn sweep(api: &TableApi, key: &[String], written: KeySink, ctx: &ExecutionContext) -> Result<u64> {
    let swept = async {
        let written = written.finish().await?;
        let present = present(api, key, ctx).await?;
        delete_others(api, key, &written, &present, ctx).await
    };
    let deleted = swept.await;
    forget(ctx, &[WRITTEN, PRESENT]).await;
    deleted
}

/// The keys of all rows in the table.
async fn present(api: &TableApi, key: &[String], ctx: &ExecutionContext) -> Result<TableRef> {
    let mut sink = KeySink::open(ctx, PRESENT).await?;
    let mut pager = Pager::new(Query::of_keys(api.clone(), key, PAGE, "reading the keys of old rows"));
    while let Some(rows) = pager.next().await? {
        let texts = rows.document.rows().map(|row| {
            let values: Vec<&str> = key.iter().filter_map(|name| row.get(name).map(|cell| cell.raw())).collect();
            format!("[{}]", values.join(","))
        });
        sink.push(texts.collect()).await?;
    }
    sink.finish().await
}

/// Merges the two sorted tables.
async fn delete_others(
    api: &TableApi,
    key: &[String],
    written: &TableRef,
    present: &TableRef,
    ctx: &ExecutionContext,
) -> Result<u64> {
    let (mut kept, mut there) = (Sorted::open(ctx, written).await?, Sorted::open(ctx, present).await?);
    let mut page = Page::new(key);
    let (mut keep, mut deleted) = (kept.next().await?, 0);
    while let Some(found) = there.next().await? {
        while keep.as_ref().is_some_and(|keep| *keep < found) {
            keep = kept.next().await?;
        }
        if keep.as_ref() == Some(&found) {
            continue;
        }
        if !page.takes(&found) {
            deleted += page.delete(api).await?;
        }
        page.push(&found);
    }
    Ok(deleted + page.delete(api).await?)
}

/// Keys that are read or deleted together, as many as fit in a URL.
pub(super) struct Page<'a> {
    key: &'a [String],
    /// The values of each row's key.
    rows: Vec<Vec<String>>,
    bytes: usize,
}

impl<'a> Page<'a> {
    pub(super) fn new(key: &'a [String]) -> Self {
        Self { key, rows: Vec::new(), bytes: ADDRESS }
    }

    /// The length of a key in a URL, where a character may take three.
    fn length(&self, text: &str) -> usize {
        let names: usize = self.key.iter().map(|name| 3 * name.len() + 20).sum();
        let names = if self.key.len() > 1 { names } else { 6 };
        let plain = text.bytes().filter(u8::is_ascii_alphanumeric).count();
        names + plain + 3 * (text.len() - plain)
    }

    pub(super) fn takes(&self, text: &str) -> bool {
        self.rows.is_empty() || (self.rows.len() < MAX_KEYS && self.bytes + self.length(text) < MAX_URL)
    }

    pub(super) fn push(&mut self, text: &str) {
        self.bytes += self.length(text);
        let row = Row::new(text);
        let values = (0..self.key.len())
            .map(|index| row.at(index).and_then(|cell| cell.text().map(|text| text.into_owned())).unwrap_or_default());
        self.rows.push(values.collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Deletes the rows with these keys and checks that none are left.
    pub(super) fn condition(&mut self) -> Condition {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = ADDRESS;
        if let [name] = self.key {
            return Condition::any_of(name, rows.into_iter().flatten().collect());
        }
        let row = |values: Vec<String>| {
            let parts = self.key.iter().zip(values).map(|(name, value)| Condition::compare(name, "eq", value));
            Condition::All(parts.collect())
        };
        Condition::Any(rows.into_iter().map(row).collect())
    }

    /// Deletes the rows with these keys. Idempotent.
    async fn delete(&mut self, api: &TableApi) -> Result<u64> {
        if self.rows.is_empty() {
            return Ok(0);
        }
        let rows = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
        let condition = self.condition();
        let request = api.request(api.from().delete(), DELETING)?.query([condition.parameter()]);
        let preferences = ["return=minimal", "count=exact"];
        let request = api.preferring(request, &preferences)?.repeat(Repeat::Always);
        let answer = api.fetch(&request).await?;
        ensure_applied(&answer, &preferences, DELETING)?;
        // A repeated request deletes nothing: the check is which keys are gone.
        if total(&answer).ok_or_else(uncounted)? != rows {
            let left = present::counted(api, self.key, &condition).await?;
            if left > 0 {
                return Err(Error::permission(format!("{DELETING}: {left} of {rows} rows were not deleted")).with_hint(
                    "row level security may prevent the key from deleting them: add a policy, or use the service key",
                ));
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_or_several_columns_become_one_condition() {
        let one = ["id".to_owned()];
        let mut page = Page::new(&one);
        page.push(r#"["a,\"b"]"#);
        page.push("[12345678901234567890]");
        assert_eq!(
            page.condition().parameter(),
            ("id".to_owned(), r#"in.("a,\"b","12345678901234567890")"#.to_owned())
        );
        let two = ["a".to_owned(), "b c".to_owned()];
        let mut page = Page::new(&two);
        page.push(r#"[1,"x"]"#);
        page.push(r#"[2,"y"]"#);
        assert_eq!(
            page.condition().parameter(),
            ("or".to_owned(), r#"(and(a.eq."1","b c".eq."x"),and(a.eq."2","b c".eq."y"))"#.to_owned())
        );
    }

    #[test]
    fn a_page_ends_before_its_address_is_too_long() {
        let one = ["id".to_owned()];
        let mut page = Page::new(&one);
        let key = format!("[\"{}\"]", "ů".repeat(300));
        let mut taken = 0;
        while page.takes(&key) {
            page.push(&key);
            taken += 1;
        }
        let condition = page.condition().parameter().1;
        let encoded: usize = condition.bytes().map(|byte| if byte.is_ascii_alphanumeric() { 1 } else { 3 }).sum();
        assert!(taken > 1 && encoded < MAX_URL, "{taken} keys, {encoded} bytes");
    }
}
