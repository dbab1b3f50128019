//! Handles requests: authentication, rate limits, the response, and faults.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use osiris_core::Result;
use serde_json::{Value, json};

use super::hogql::{Translated, translate};
use super::limits::Limits;
use super::options::PostHogOptions;
use super::rows::Event;
use super::tables::Tables;
use super::trouble::{self, Trouble};
use osiris_testkit::RateLimit;
use osiris_testkit::http_server::{Reply, Seen};

/// Rows of a response to a query without a limit.
const DEFAULT_ROWS: u64 = 100;
/// The most rows of a response.
const MAX_ROWS: u64 = 50_000;

pub(super) struct Shared {
    pub(super) options: PostHogOptions,
    pub(super) tables: Tables,
    limits: Limits,
    pub(super) queries: AtomicU64,
    script: Mutex<Script>,
}

/// The faults and events to come.
#[derive(Default)]
pub(super) struct Script {
    pub(super) trouble: VecDeque<Option<Trouble>>,
    pub(super) arrivals: Vec<(u64, Vec<Event>)>,
    pub(super) withheld: Vec<String>,
    cache: HashMap<String, String>,
    last: String,
}

impl Shared {
    pub(super) fn new(options: PostHogOptions) -> Result<Self> {
        let limits = Limits::new(options.windows.clone());
        Ok(Self { options, tables: Tables::new()?, limits, queries: AtomicU64::new(0), script: Mutex::default() })
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response to a request.
    pub(super) async fn answer(&self, seen: Seen) -> Reply {
        if seen.method() != "POST" || !seen.path().starts_with("/api/projects/") || !seen.path().ends_with("/query/") {
            return trouble::web_page();
        }
        if let Some(refused) = self.refused(&seen) {
            return refused;
        }
        if let Err(wait) = self.limits.ask() {
            return trouble::throttled(wait.as_secs().max(1));
        }
        let Some(_running) = self.limits.run() else { return trouble::too_many_at_once() };
        if let Some(Err(wait)) = self.options.limit.as_ref().map(RateLimit::admit) {
            return trouble::throttled(wait.as_secs());
        }
        let reply = match self.query(&seen.json()).await {
            Ok(reply) => reply,
            Err(error) => trouble::error(500, "server_error", "error", &error.report()),
        };
        let headers = self.options.limit.as_ref().map(RateLimit::headers).unwrap_or_default();
        headers.iter().fold(reply, |reply, (name, value)| reply.header(name.trim_start_matches("x-"), value))
    }

    /// Authentication, then the project.
    fn refused(&self, seen: &Seen) -> Option<Reply> {
        let unauthorized = |code: &str, detail: &str| Some(trouble::error(401, "authentication_error", code, detail));
        let key = match seen.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
            None => return unauthorized("not_authenticated", "Authentication credentials were not provided."),
            Some(key) => key,
        };
        if key == "phx_without_scope" {
            let detail = "API key missing required scope 'query:read'";
            return Some(trouble::error(403, "authentication_error", "permission_denied", detail));
        }
        if key != self.options.key {
            let detail = "Personal API key found in request Authorization header is invalid.";
            return unauthorized("authentication_failed", detail);
        }
        let project = seen.path().split('/').nth(3).unwrap_or_default();
        (project != self.options.project.to_string())
            .then(|| trouble::error(404, "invalid_request", "not_found", "Project not found."))
    }

    async fn query(&self, request: &Value) -> Result<Reply> {
        let number = self.queries.fetch_add(1, Ordering::Relaxed);
        self.arrivals(number).await?;
        let trouble = self.script().trouble.pop_front().flatten();
        if let Some(reply) = trouble.as_ref().and_then(Trouble::reply) {
            return Ok(reply);
        }
        let refresh = request["refresh"].as_str().unwrap_or("blocking");
        if refresh.contains("async") {
            return Ok(trouble::put_off());
        }
        let Some(hogql) = request["query"]["query"].as_str().filter(|_| request["query"]["kind"] == "HogQLQuery")
        else {
            return Ok(trouble::error(400, "validation_error", "invalid_input", "A HogQLQuery is expected."));
        };
        if refresh != "force_blocking"
            && let Some(cached) = self.script().cache.get(hogql)
        {
            return Ok(json_reply(cached.replace("\"is_cached\":false", "\"is_cached\":true")));
        }
        let query = match translate(hogql, self.options.offset) {
            Ok(query) => query,
            Err(refused) => return Ok(trouble::error(400, "validation_error", refused.code, &refused.detail)),
        };
        if self.takes_too_long(&query).await? {
            return Ok(trouble::took_too_long());
        }
        let body = self.execute(&query, hogql, trouble.as_ref()).await?;
        self.script().cache.insert(hogql.to_owned(), body.clone());
        Ok(match trouble {
            Some(trouble) => trouble.spoil(&body, json_reply),
            None => json_reply(body),
        })
    }

    /// Inserts the events that are due.
    pub(super) async fn arrivals(&self, number: u64) -> Result<()> {
        let due: Vec<(u64, Vec<Event>)> = {
            let mut script = self.script();
            let (due, later) = std::mem::take(&mut script.arrivals).into_iter().partition(|(at, _)| *at <= number);
            script.arrivals = later;
            due
        };
        for (_, events) in due {
            self.tables.insert(&events).await?;
        }
        Ok(())
    }

    async fn takes_too_long(&self, query: &Translated) -> Result<bool> {
        let asked = query.limit.unwrap_or(DEFAULT_ROWS);
        if query.is_rows && self.options.largest_page.is_some_and(|largest| asked > largest) {
            return Ok(true);
        }
        match self.options.execution_limit {
            Some(limit) => Ok(self.tables.scanned(query).await? > limit),
            None => Ok(false),
        }
    }

    async fn execute(&self, query: &Translated, hogql: &str, trouble: Option<&Trouble>) -> Result<String> {
        let limit = query.limit.unwrap_or(DEFAULT_ROWS).min(MAX_ROWS);
        let withheld = self.script().withheld.clone();
        let mut rows = self.tables.rows(query, limit + 1, &withheld, self.options.offset).await?;
        let has_more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        if let (Some(Trouble::Withhold(count)), true) = (trouble, query.is_rows) {
            let middle = rows.len() / 2;
            let count = (*count).min(rows.len().saturating_sub(middle + 1));
            rows.drain(middle..middle + count);
        }
        let names: Vec<&str> = query.columns.iter().map(|column| column.name.as_str()).collect();
        let types: Vec<[&str; 2]> =
            query.columns.iter().map(|column| [column.name.as_str(), column.clickhouse.as_str()]).collect();
        let is_cached = trouble == Some(&Trouble::Cached);
        let rest = json!({
            "columns": names, "types": types, "hasMore": has_more, "limit": limit, "offset": 0, "is_cached": is_cached,
            "error": null, "hogql": hogql, "query_status": null, "timezone": "UTC",
        });
        let rest = rest.to_string();
        let body = format!("{{\"results\":[{}],{}", rows.join(","), &rest[1..]);
        let mut script = self.script();
        let last = std::mem::replace(&mut script.last, body.clone());
        Ok(if trouble == Some(&Trouble::Repeat) && !last.is_empty() { last } else { body })
    }
}

fn json_reply(body: String) -> Reply {
    Reply::new(200).header("content-type", "application/json").body(body)
}
