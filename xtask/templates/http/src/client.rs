//! The one place that talks to the API: its requests and their responses. It does not know where rows go.

use std::sync::Arc;
use std::time::Duration;

use osiris_core::{Error, ExecutionContext, Result, RetryPolicy};
use osiris_http::pages::{NextPage, PagePosition, PageSummary, PagedApi};
use osiris_http::{Auth, Document, HttpClient, HttpSettings, Request, RowPath};
use serde::Deserialize;

use crate::config::ConnectionConfig;
use crate::error::{explain, is_too_large};

/// Makes an HTTP client from the settings of a connection. Tests use another one [DRV-027].
pub type Connect = Arc<dyn Fn(HttpSettings) -> Result<HttpClient> + Send + Sync>;

/// The default HTTP client.
pub(crate) fn connect() -> Connect {
    Arc::new(HttpClient::new)
}

/// A client of the API. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client(HttpClient);

/// A resource, as the API lists it.
#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) fields: Vec<ListedField>,
}

/// A field of a resource.
#[derive(Debug, Deserialize)]
pub(crate) struct ListedField {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) native: String,
}

impl Client {
    /// A client of a connection, with its time limit for one request.
    pub(crate) fn open(connect: &Connect, connection: &ConnectionConfig) -> Result<Self> {
        Ok(Self(connect(settings(connection)?.with_request_timeout(connection.timeout()))?))
    }

    /// A client without retries, for a check that must end within `limit`.
    pub(crate) fn open_once(connect: &Connect, connection: &ConnectionConfig, limit: Duration) -> Result<Self> {
        Ok(Self(connect(settings(connection)?.with_total_timeout(limit).with_retry(RetryPolicy::never()))?))
    }

    /// The same client for a step: cancelled with it, and its requests counted.
    pub(crate) fn for_step(&self, ctx: &ExecutionContext) -> Self {
        Self(self.0.for_step(ctx))
    }

    /// Every resource.
    pub(crate) async fn resources(&self) -> Result<Vec<Listed>> {
        #[derive(Deserialize)]
        struct Answer {
            data: Vec<Listed>,
        }
        let request = Request::get(self.0.url("resources")?).what("listing resources");
        let answer: Answer = self.0.fetch_as(&request, |page| page.json()).await?;
        Ok(answer.data)
    }
}

fn settings(connection: &ConnectionConfig) -> Result<HttpSettings> {
    let settings = HttpSettings::new(&connection.url).map_err(|error| error.with_context("field", "url"))?;
    Ok(settings.with_auth(Auth::Bearer(connection.api_key.clone()))?.with_explain(explain))
}

/// The pages of one resource.
pub(crate) struct ResourcePages {
    pub(crate) client: Client,
    pub(crate) resource: String,
}

impl PagedApi for ResourcePages {
    type Page = Document;

    async fn fetch(&self, position: &PagePosition) -> Result<Document> {
        let http = &self.client.0;
        let url = http.url(&format!("resources/{}", self.resource))?;
        let request = Request::get(url).query(position.query()).what("reading rows");
        let rows = RowPath::names(["data"]);
        let document = http.fetch_as(&request, |page| page.document(&rows)).await?;
        if document.matched() {
            return Ok(document);
        }
        Err(Error::validation(format!("the response has no rows: {}", document.stopped_at()))
            .with_hint("check `url` of the connection"))
    }

    fn summary(&self, page: &Document) -> Result<PageSummary> {
        let next = NextPage::by_cursor(page.envelope().get("next_cursor"));
        Ok(PageSummary::new(page.row_count(), next).with_total(page.envelope()["total"].as_u64()))
    }

    fn is_too_large(&self, error: &Error) -> bool {
        is_too_large(error)
    }
}
