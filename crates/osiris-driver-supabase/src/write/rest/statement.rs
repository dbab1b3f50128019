//! The requests that write rows, and the counts of their responses.

use osiris_core::{Error, Result, Written};
use osiris_http::{Bytes, Document, Page, Repeat, Request, RowPath};

use super::{present, rounding};
use crate::client::rest::table::{self, TableApi};
use crate::config::{OnConflict, Returning, WriteMode, WriterConfig};

const WHAT: &str = "writing rows";
/// The system column of a row version that was locked or replaced: it is zero for a row that was just inserted, and not
/// zero for one that existed before the statement.
const MARK: &str = "xmax";

/// How rows are written.
#[derive(Clone)]
pub(super) struct Statement {
    pub(super) api: TableApi,
    method: WriteMethod,
    /// The columns to write.
    columns: String,
    /// The key columns.
    key: Vec<String>,
    returning: Returning,
    /// Whether the response tells which rows are new.
    marks: bool,
    /// Whether the response has the keys of the rows, as printed by the server.
    keys: bool,
    /// Columns whose values are compared with what was sent.
    compared: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteMethod {
    Insert,
    Merge,
    Ignore,
}

/// The result of a request.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) written: Written,
    /// The keys of the written rows, each as a JSON array, if requested.
    pub(super) keys: Vec<String>,
    /// Rows that were not inserted because their key exists, as reported and not yet checked.
    pub(super) left_out: u64,
}

impl Statement {
    pub(super) fn new(api: TableApi, config: &WriterConfig, columns: &[&str], key: Vec<String>) -> Self {
        let method = match (config.fields().mode, config.conflict.on_conflict) {
            (WriteMode::Upsert, OnConflict::Ignore) => WriteMethod::Ignore,
            (WriteMode::Upsert | WriteMode::Overwrite, _) => WriteMethod::Merge,
            (_, OnConflict::Ignore) => WriteMethod::Ignore,
            _ => WriteMethod::Insert,
        };
        let keys = config.fields().mode == WriteMode::Overwrite;
        let columns = table::name_list(columns.iter().copied());
        // A request that cannot be repeated is awaited, even if the step is cancelled.
        let api = if method == WriteMethod::Insert { api.awaited() } else { api };
        let (returning, marks) = (config.returning, method == WriteMethod::Merge);
        Self { api, method, columns, key, returning, marks, keys, compared: Vec::new() }
    }

    /// The same, and the values of these columns are compared with what was sent. Rows that are skipped because of
    /// their key are not returned: then nothing can be compared.
    #[must_use]
    pub(super) fn comparing(mut self, columns: Vec<String>) -> Self {
        if self.method != WriteMethod::Ignore {
            self.compared = columns;
        }
        self
    }

    /// Whether sending it twice has the same result as once.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method != WriteMethod::Insert
    }

    /// The same without requesting which rows are new, for views and partitioned tables, which cannot tell.
    pub(super) fn without_marks(&self) -> Self {
        Self { marks: false, ..self.clone() }
    }

    /// The same without requesting optional values, for keys that can write but not read.
    pub(super) fn blind(&self) -> Self {
        Self { marks: false, compared: Vec::new(), ..self.clone() }
    }

    pub(super) fn asks_for_marks(&self) -> bool {
        self.marks
    }

    fn request(&self, body: Bytes) -> Result<Request> {
        let mut builder = match self.method {
            WriteMethod::Merge => self.api.from().upsert(""),
            WriteMethod::Insert | WriteMethod::Ignore => self.api.from().insert(""),
        };
        if self.method != WriteMethod::Insert {
            builder = builder.on_conflict(table::name_list(self.key.iter().map(String::as_str)));
        }
        let returned = self.returned();
        if !returned.is_empty() {
            builder = builder.select(returned.join(","));
        }
        let request = self.api.request(builder, WHAT)?.query([("columns", &self.columns)]);
        let preferences = self.preferences();
        let repeat = if self.is_repeatable() { Repeat::Always } else { Repeat::IfNotProcessed };
        table::with_rows(self.api.preferring(request, &preferences)?, body, repeat)
    }

    /// The preferences of the request and its response; not configurable.
    fn preferences(&self) -> Vec<&'static str> {
        let representation = !self.returned().is_empty() || self.returning == Returning::Representation;
        let returning = if representation { "return=representation" } else { "return=minimal" };
        let mut preferences = vec![returning, "count=exact"];
        preferences.extend(self.resolution());
        preferences
    }

    fn resolution(&self) -> Option<&'static str> {
        match self.method {
            WriteMethod::Insert => None,
            WriteMethod::Merge => Some("resolution=merge-duplicates"),
            WriteMethod::Ignore => Some("resolution=ignore-duplicates"),
        }
    }

    fn returned(&self) -> Vec<String> {
        let names = self.key.iter().filter(|_| self.keys).map(String::as_str);
        let compared = self.compared.iter().filter(|name| !(self.keys && self.key.contains(name))).map(String::as_str);
        let mut returned: Vec<String> = names.chain(compared).map(|name| table::name_list([name])).collect();
        if self.marks {
            returned.push(MARK.to_owned());
        }
        returned
    }

    /// Sends rows, or none to check whether the server accepts rows.
    ///
    /// # Errors
    /// When the request fails, or the server did not apply its preferences.
    pub(super) async fn send(&self, body: Bytes, rows: u64) -> Result<Done> {
        let page = self.api.fetch(&self.request(body.clone())?).await?;
        table::ensure_applied(&page, &self.preferences(), WHAT)?;
        let returned = if self.returned().is_empty() { None } else { Some(page.document(&RowPath::root())?) };
        let mut done = self.read(&page, returned.as_ref(), rows)?;
        if done.left_out > 0 {
            done.written.ignored = self.ignored(&body, done.written.inserted).await?;
        }
        match returned {
            Some(returned) => rounding::verify(&self.compared, &body, &returned).map(|()| done),
            None => Ok(done),
        }
    }

    /// The number of rows of a request that were skipped because their key exists: the keys are looked up in the table.
    async fn ignored(&self, body: &Bytes, inserted: u64) -> Result<u64> {
        let found = present::rows(&self.api, &self.key, body).await?;
        found.checked_sub(inserted).ok_or_else(|| {
            Error::integrity(format!("{WHAT}: the API counted {inserted} new rows, but the table has {found} of them"))
                .with_hint("check whether another client changes the table, and whether the key can read all of its rows, then run again")
        })
    }

    fn read(&self, page: &Page, returned: Option<&Document>, rows: u64) -> Result<Done> {
        let mut done = Done::default();
        if let Some(document) = returned.filter(|_| self.marks || self.keys) {
            for row in document.rows() {
                let is_new = row.get(MARK).is_some_and(|mark| mark.text().as_deref() == Some("0"));
                let counter = if is_new { &mut done.written.inserted } else { &mut done.written.updated };
                *counter += 1;
                if self.keys {
                    let values: Option<Vec<&str>> = self.key.iter().map(|name| Some(row.get(name)?.raw())).collect();
                    let values = values.ok_or_else(|| {
                        Error::validation(format!("{WHAT}: the response lacks a key column"))
                            .with_hint("the table was altered while it was written: run again")
                    })?;
                    done.keys.push(format!("[{}]", values.join(",")));
                }
            }
            return Ok(done);
        }
        // A success without a row count is not enough.
        let counted = table::total(page).ok_or_else(table::uncounted)?;
        match self.method {
            WriteMethod::Insert => done.written.inserted = counted,
            WriteMethod::Merge => done.written.updated = counted,
            WriteMethod::Ignore => {
                done.written.inserted = counted;
                done.left_out = rows.saturating_sub(counted);
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use osiris_core::{ConfigSchema, ErrorKind};
    use osiris_testkit::http_server::{HttpServer, Reply};
    use serde_json::{Value, json};

    use super::*;
    use crate::client::{Client, Target};

    /// One row to a server that answers so.
    async fn sent(config: Value, reply: Reply) -> Result<Done> {
        let server = HttpServer::start(move |_| std::future::ready(reply.clone()))?;
        let connection = ConfigSchema::parse(&json!({"url": server.url(), "key": "k"})).unwrap();
        let rest = Client::prepare(Target::new(&connection, Path::new(".")))?.rest()?.with_retries(Some(0))?;
        let config: WriterConfig = serde_json::from_value(config).unwrap();
        let key = config.fields().key.to_vec();
        let statement = Statement::new(TableApi::new(rest, "public", "t")?, &config, &["id"], key);
        statement.without_marks().send(Bytes::from_static(b"[{\"id\":1}]"), 1).await
    }

    #[tokio::test]
    async fn s49_an_answer_without_a_count_is_an_error() {
        let error = sent(json!({"table": "t"}), Reply::new(201)).await.unwrap_err();
        assert!(error.report().contains("did not return the number of rows"), "{error:?}");
        let counted = Reply::new(201).header("content-range", "*/1");
        assert_eq!(sent(json!({"table": "t"}), counted).await.unwrap().written.inserted, 1);
    }

    #[tokio::test]
    async fn s47_what_the_server_did_is_compared_with_what_was_asked() {
        let upsert = json!({"table": "t", "mode": "upsert", "key": "id"});
        for (config, applied, told) in [
            (json!({"table": "t"}), "tx=rollback", "without a request"),
            (json!({"table": "t"}), "resolution=merge-duplicates", "without a request"),
            (json!({"table": "t"}), "return=minimal, count=planned", "requested `count=exact`"),
            (upsert.clone(), "resolution=ignore-duplicates", "requested `resolution=merge-duplicates`"),
            (upsert.clone(), "return=minimal", "did not apply `resolution=merge-duplicates`"),
        ] {
            let reply = Reply::new(201).header("content-range", "*/1").header("preference-applied", applied);
            let error = sent(config, reply).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Validation);
            assert!(error.message().contains(told), "{applied}: {error:?}");
        }
        let all = "resolution=merge-duplicates, return=minimal, count=exact";
        let reply = Reply::new(201).header("content-range", "*/1").header("preference-applied", all);
        assert_eq!(sent(upsert, reply).await.unwrap().written.updated, 1);
    }
}
