//! The one place that talks to PostHog: sends a query and reads the response. It does not know which queries there are,
//! nor where their rows go.

use std::sync::Arc;

use osiris_core::{Error, ExecutionContext, Result, RetryPolicy};
use osiris_http::{Auth, Document, HttpClient, HttpSettings, Page, RateLimit, Repeat, Request, RowPath};
use serde_json::{Value, json};

use crate::config::{ConnectionConfig, Region};
use crate::error::explain;

/// Makes an HTTP client from the settings of a connection. Tests use another one [DRV-027].
pub type Connect = Arc<dyn Fn(HttpSettings) -> Result<HttpClient> + Send + Sync>;

/// The default HTTP client.
pub(crate) fn connect() -> Connect {
    Arc::new(HttpClient::new)
}

/// A client for the queries of a project. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    http: HttpClient,
    path: String,
}

impl Client {
    /// A client for the project of a connection, no faster than `per_minute` requests.
    pub(crate) fn open(connect: &Connect, connection: &ConnectionConfig, per_minute: Option<u32>) -> Result<Self> {
        let settings = settings(connection, per_minute)?;
        let path = format!("api/projects/{}/query/", connection.project_id.as_str());
        Ok(Self { http: connect(settings)?, path })
    }

    /// A client without retries, for a check of the connection.
    pub(crate) fn open_once(connect: &Connect, connection: &ConnectionConfig) -> Result<Self> {
        let settings = settings(connection, None)?.with_retry(RetryPolicy::never());
        let path = format!("api/projects/{}/query/", connection.project_id.as_str());
        Ok(Self { http: connect(settings)?, path })
    }

    /// The same client for a step: cancelled with it, and its requests counted.
    pub(crate) fn for_step(&self, ctx: &ExecutionContext) -> Self {
        Self { http: self.http.for_step(ctx), path: self.path.clone() }
    }

    /// Sends a query. `what` is for messages: `reading events`.
    pub(crate) async fn query(&self, hogql: &str, what: &'static str) -> Result<Answer> {
        let body = json!({
            "query": {"kind": "HogQLQuery", "query": hogql},
            // A cached response may lack the latest rows.
            "refresh": "force_blocking",
            "name": "osiris",
        });
        let request = Request::post(self.http.url(&self.path)?).json(&body)?.repeat(Repeat::Always).what(what);
        self.http.fetch_as(&request, read).await
    }
}

fn settings(connection: &ConnectionConfig, per_minute: Option<u32>) -> Result<HttpSettings> {
    let (project, region) = (connection.project_id.as_str().to_owned(), connection.region);
    let settings = HttpSettings::new(&connection.base_url)?
        .with_auth(Auth::Bearer(connection.api_key.clone()))?
        .with_request_timeout(connection.timeout)
        .with_rate_limit(rate_limit(region, per_minute))
        // The limits are those of the team, whichever of its keys is used.
        .with_pace_identity(format!("posthog project {project}"));
    Ok(settings.with_explain(move |failure| explain(failure, &project, region.name())))
}

/// The limits of PostHog Cloud for a team (<https://posthog.com/docs/api#rate-limiting>); a self-hosted PostHog has
/// none.
fn rate_limit(region: Region, per_minute: Option<u32>) -> RateLimit {
    let limit = RateLimit::new().concurrent(3);
    let cloud = match region {
        Region::SelfHosted => limit,
        Region::Us | Region::Eu => limit.per_minute(240).per_hour(2400),
    };
    match per_minute {
        Some(requests) => cloud.per_minute(requests),
        None => cloud,
    }
}

/// The rows of a response, and their columns.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) document: Document,
    pub(crate) columns: Vec<AnswerColumn>,
}

/// A column of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnswerColumn {
    pub(crate) name: String,
    /// ClickHouse's type; empty when PostHog does not say.
    pub(crate) clickhouse: String,
}

impl Answer {
    pub(crate) fn rows(&self) -> usize {
        self.document.row_count()
    }

    /// The position of a column.
    pub(crate) fn position(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            Error::validation(format!("PostHog's response has no column `{name}`"))
                .with_context("its columns", names.join(", "))
                .with_hint("this PostHog may be too old or too new for this driver: report it")
        })
    }

    /// A number in the first row.
    pub(crate) fn number(&self, column: usize) -> Result<u64> {
        let row = self.document.row(0);
        let cell = row.as_ref().and_then(|row| row.at(column));
        let number = cell.and_then(|cell| cell.text().and_then(|text| text.parse().ok()));
        number.ok_or_else(|| {
            Error::validation("PostHog's response to a count is not a number")
                .with_hint("report it with the version of PostHog")
        })
    }
}

/// Reads a response. Failures that a later try may overcome are network errors.
fn read(page: &Page) -> Result<Answer> {
    let document = page.document(&RowPath::names(["results"]))?;
    let envelope = document.envelope();
    if page.status() == 202 || (!document.matched() && envelope["query_status"].is_object()) {
        return Err(Error::network("PostHog queued the query instead of answering it")
            .with_hint("try later: the server is busy"));
    }
    if !document.matched() {
        return Err(Error::validation("PostHog's response has no `results`")
            .with_context("seen", document.stopped_at())
            .with_hint("check the address: `custom_base_url` must be that of a PostHog, without a path"));
    }
    if envelope["is_cached"] == Value::Bool(true) {
        return Err(
            Error::network("PostHog answered from its cache, which lacks the latest rows").with_hint("try later")
        );
    }
    let columns = columns(envelope);
    Ok(Answer { columns, document })
}

/// The columns, with their types where they are given: as `[name, type]` or as the type alone.
fn columns(envelope: &Value) -> Vec<AnswerColumn> {
    let types = envelope["types"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = envelope["columns"].as_array().map(Vec::as_slice).unwrap_or_default();
    let column = |(index, name): (usize, &Value)| {
        let native = types.get(index).map(|given| if given.is_array() { &given[1] } else { given });
        AnswerColumn {
            name: name.as_str().unwrap_or_default().to_owned(),
            clickhouse: native.and_then(Value::as_str).unwrap_or_default().to_owned(),
        }
    };
    names.iter().enumerate().map(column).collect()
}
