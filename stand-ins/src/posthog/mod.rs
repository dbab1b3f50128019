//! A stand-in for PostHog's query API, for tests, since no real server is available. Its tables are in a run store of
//! its own, where it executes the HogQL of its clients, with the limits, the cache, the authentication and the errors
//! of the real one. It understands the part of HogQL that reads one table by conditions; anything else is refused.
//!
//! Its behaviour, each point checked by a test of the PostHog driver (`tests/it/stand_in.rs` there):
//!
//! * `POST /api/projects/:id/query/` with `{"query": {"kind": "HogQLQuery", "query": ...}, "refresh": ...}`; only
//!   `refresh: force_blocking` is never cached, asynchronous requests are answered 202.
//! * Without a LIMIT 100 rows, with one over 50,000 that many, without a warning. OFFSET is refused.
//! * 401, 403, 404 and 400 as PostHog words them; 429 by rate with `Retry-After`, by concurrency without.
//! * 504 when a query looks at more rows than the execution limit allows.
//! * Timestamps have microseconds; one without a zone is in that of the project.

mod fields;
mod hogql;
mod limits;
mod options;
mod rows;
mod service;
mod tables;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use osiris_core::Result;
use serde_json::{Value, json};

use osiris_testkit::http_server::{HttpServer, Seen};
use service::Shared;

pub use options::PostHogOptions;
pub use rows::{DistinctId, Event, Person, Session, uuid};
pub use trouble::Trouble;

/// A stand-in that runs as long as this value lives. Cheap to clone.
#[derive(Clone)]
pub struct PostHog {
    shared: Arc<Shared>,
    server: Arc<HttpServer>,
}

impl PostHog {
    /// An empty one with default options.
    ///
    /// # Errors
    /// When its store or its server cannot be opened.
    pub fn start() -> Result<Self> {
        Self::with(PostHogOptions::default())
    }

    /// An empty one with these options.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn with(options: PostHogOptions) -> Result<Self> {
        let shared = Arc::new(Shared::new(options)?);
        let handler = Arc::clone(&shared);
        let server = HttpServer::start(move |seen| {
            let shared = Arc::clone(&handler);
            async move { shared.answer(seen).await }
        })?;
        Ok(Self { shared, server: Arc::new(server) })
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The fields of a connection of the PostHog driver to it.
    pub fn connection(&self) -> Value {
        json!({
            "api_key": self.shared.options.key,
            "project_id": self.shared.options.project,
            "region": "self_hosted",
            "custom_base_url": self.url(),
        })
    }

    /// The server, with its requests so far.
    pub fn server(&self) -> &HttpServer {
        &self.server
    }

    /// How many queries it has received, including those it refused.
    pub fn queries(&self) -> u64 {
        self.shared.queries.load(Ordering::Relaxed)
    }

    /// The HogQL it has received, in order.
    pub fn hogql(&self) -> Vec<String> {
        let text = |seen: &Seen| seen.json()["query"]["query"].as_str().map(str::to_owned);
        self.server.requests().iter().filter_map(text).collect()
    }

    /// Adds events.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn insert_events(&self, events: &[Event]) -> Result<()> {
        self.shared.tables.insert(events).await
    }

    /// Adds persons.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn insert_persons(&self, persons: &[Person]) -> Result<()> {
        self.shared.tables.insert(persons).await
    }

    /// Adds sessions.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn insert_sessions(&self, sessions: &[Session]) -> Result<()> {
        self.shared.tables.insert(sessions).await
    }

    /// Adds distinct ids.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn insert_distinct_ids(&self, ids: &[DistinctId]) -> Result<()> {
        self.shared.tables.insert(ids).await
    }

    /// Adds the rows of a SELECT in DuckDB's SQL whose columns are fields of the table: many rows, fast.
    ///
    /// # Errors
    /// When there is no such table or the SQL is not valid.
    pub async fn insert_select(&self, table: &str, select: &str) -> Result<()> {
        self.shared.tables.insert_select(table, select).await
    }

    /// Removes every row of a table.
    ///
    /// # Errors
    /// When there is no such table.
    pub async fn clear(&self, table: &str) -> Result<()> {
        self.shared.tables.clear(table).await
    }

    /// The ids of all events, sorted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn event_ids(&self) -> Result<Vec<String>> {
        self.shared.tables.event_ids().await
    }

    /// What happens to the next queries, in order; `None` for one that succeeds. Later ones succeed.
    pub fn script(&self, trouble: impl IntoIterator<Item = Option<Trouble>>) {
        self.shared.script().trouble = trouble.into_iter().collect();
    }

    /// These events arrive once so many more queries have been answered.
    pub fn arrive_after(&self, queries: u64, events: Vec<Event>) {
        let at = self.queries() + queries;
        self.shared.script().arrivals.push((at, events));
    }

    /// All events that were to arrive later arrive now.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn arrive_now(&self) -> Result<()> {
        self.shared.arrivals(u64::MAX).await
    }

    /// Rows with these ids are counted but never returned.
    pub fn withhold_for_ever(&self, ids: impl IntoIterator<Item = String>) {
        self.shared.script().withheld = ids.into_iter().collect();
    }
}
