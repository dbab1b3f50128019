//! The requests that write rows: what each asks for, and what its answer counts.

use osiris_core::{Error, Result, Written};
use osiris_http::{Bytes, Document, Page, Repeat, Request, RowPath};

use super::{present, rounding};
use crate::client::rest::table::{self, TableApi};
use crate::config::{OnConflict, Returning, WriteMode, WriterConfig};

const WHAT: &str = "writing rows";
/// PostgreSQL's mark on a row version that somebody has locked or replaced: on a row that was just inserted it is zero, on one that was
/// there before the statement it is not.
const MARK: &str = "xmax";

/// How rows are written.
#[derive(Clone)]
pub(super) struct Statement {
    pub(super) api: TableApi,
    way: Way,
    /// The columns that are written.
    columns: String,
    /// The columns that tell rows apart.
    key: Vec<String>,
    returning: Returning,
    /// Whether the answer says of each row if it is new.
    marks: bool,
    /// Whether the answer has the keys of the rows, as the server prints them.
    keys: bool,
    /// Columns whose values are compared with what was sent.
    compared: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Insert,
    Merge,
    Ignore,
}

/// What became of the rows of a request.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) written: Written,
    /// The keys of the rows that are there now, each as a JSON array, where they were asked for.
    pub(super) keys: Vec<String>,
    /// Rows that were not inserted, since their key is said to be there: nobody has looked yet.
    pub(super) left_out: u64,
}

impl Statement {
    pub(super) fn new(api: TableApi, config: &WriterConfig, columns: &[&str], key: Vec<String>) -> Self {
        let way = match (config.mode(), config.on_conflict) {
            (WriteMode::Upsert, OnConflict::Ignore) => Way::Ignore,
            (WriteMode::Upsert | WriteMode::Overwrite, _) => Way::Merge,
            (_, OnConflict::Ignore) => Way::Ignore,
            _ => Way::Insert,
        };
        let keys = config.mode() == WriteMode::Overwrite;
        let columns = table::name_list(columns.iter().copied());
        // A request that cannot be repeated is waited for, whatever the step does meanwhile.
        let api = if way == Way::Insert { api.awaited() } else { api };
        let (returning, marks) = (config.returning, way == Way::Merge);
        Self { api, way, columns, key, returning, marks, keys, compared: Vec::new() }
    }

    /// The same, and the values of these columns are compared with what was sent. Rows that are left out for their key do not
    /// come back: then nothing can be compared.
    #[must_use]
    pub(super) fn comparing(mut self, columns: Vec<String>) -> Self {
        if self.way != Way::Ignore {
            self.compared = columns;
        }
        self
    }

    /// Whether sending it twice does what sending it once does.
    pub(super) fn is_repeatable(&self) -> bool {
        self.way != Way::Insert
    }

    /// The same without asking which rows are new, for tables that cannot tell: views, and partitioned tables.
    pub(super) fn without_marks(&self) -> Self {
        Self { marks: false, ..self.clone() }
    }

    /// The same without asking for anything back that can be done without, for keys that may write and not read.
    pub(super) fn blind(&self) -> Self {
        Self { marks: false, compared: Vec::new(), ..self.clone() }
    }

    pub(super) fn asks_for_marks(&self) -> bool {
        self.marks
    }

    fn request(&self, body: Bytes) -> Result<Request> {
        let mut builder = match self.way {
            Way::Merge => self.api.from().upsert(""),
            Way::Insert | Way::Ignore => self.api.from().insert(""),
        };
        if self.way != Way::Insert {
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

    /// All that decides what the request does and what its answer tells; users have no say in it.
    fn preferences(&self) -> Vec<&'static str> {
        let representation = !self.returned().is_empty() || self.returning == Returning::Representation;
        let returning = if representation { "return=representation" } else { "return=minimal" };
        let mut preferences = vec![returning, "count=exact"];
        preferences.extend(self.resolution());
        preferences
    }

    fn resolution(&self) -> Option<&'static str> {
        match self.way {
            Way::Insert => None,
            Way::Merge => Some("resolution=merge-duplicates"),
            Way::Ignore => Some("resolution=ignore-duplicates"),
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

    /// Sends rows, or none to see whether the server would take any.
    ///
    /// # Errors
    /// What became of it; a server that does not do what it was asked.
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

    /// How many rows of a request were left out for a key that is there, of which none is new: the table is asked for the keys.
    async fn ignored(&self, body: &Bytes, inserted: u64) -> Result<u64> {
        let found = present::rows(&self.api, &self.key, body).await?;
        found.checked_sub(inserted).ok_or_else(|| {
            Error::integrity(format!("{WHAT}: the API counts {inserted} new rows, and the table has {found} of them"))
                .with_hint("somebody else changes the table, or the key may not read all of its rows: look at both, then run again")
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
                        Error::validation(format!("{WHAT}: the answer lacks a key column"))
                            .with_hint("the table changed while it was written: run again")
                    })?;
                    done.keys.push(format!("[{}]", values.join(",")));
                }
            }
            return Ok(done);
        }
        // A success alone does not say how many rows it was.
        let counted = table::total(page).ok_or_else(table::uncounted)?;
        match self.way {
            Way::Insert => done.written.inserted = counted,
            Way::Merge => done.written.updated = counted,
            Way::Ignore => {
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
        let key = config.key_names().to_vec();
        let statement = Statement::new(TableApi::new(rest, "public", "t")?, &config, &["id"], key);
        statement.without_marks().send(Bytes::from_static(b"[{\"id\":1}]"), 1).await
    }

    #[tokio::test]
    async fn s49_an_answer_without_a_count_is_an_error() {
        let error = sent(json!({"table": "t"}), Reply::new(201)).await.unwrap_err();
        assert!(error.report().contains("how many rows"), "{error:?}");
        let counted = Reply::new(201).header("content-range", "*/1");
        assert_eq!(sent(json!({"table": "t"}), counted).await.unwrap().written.inserted, 1);
    }

    #[tokio::test]
    async fn s47_what_the_server_did_is_compared_with_what_was_asked() {
        let upsert = json!({"table": "t", "mode": "upsert", "key": "id"});
        for (config, applied, told) in [
            (json!({"table": "t"}), "tx=rollback", "without being asked"),
            (json!({"table": "t"}), "resolution=merge-duplicates", "without being asked"),
            (json!({"table": "t"}), "return=minimal, count=planned", "asked for `count=exact`"),
            (upsert.clone(), "resolution=ignore-duplicates", "asked for `resolution=merge-duplicates`"),
            (upsert.clone(), "return=minimal", "does not do `resolution=merge-duplicates`"),
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
