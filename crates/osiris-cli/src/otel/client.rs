//! The way to the collector: the HTTP client of the drivers, with its certificates, proxies and limits.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use osiris::core::{RetryPolicy, Secret};
use osiris::http;
use tokio::runtime::Handle;

/// Headers that the client makes itself.
const OWN_HEADERS: [&str; 4] = ["content-length", "content-type", "host", "user-agent"];

/// Sends on a runtime of its own: exporters call it from threads without one.
#[derive(Clone)]
pub(super) struct CollectorClient {
    runtime: Handle,
    limit: Duration,
    problem: Arc<Mutex<Option<String>>>,
}

impl CollectorClient {
    pub(super) fn new(runtime: Handle, limit: Duration) -> Self {
        Self { runtime, limit, problem: Arc::default() }
    }

    /// What went wrong first.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, problem: &osiris::Error) {
        let mut first = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| problem.message().to_owned());
    }
}

impl fmt::Debug for CollectorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectorClient")
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(post(request, self.limit)).await?;
        sent.inspect_err(|error| self.keep(error)).map_err(Into::into)
    }
}

/// Posts it once. An answer other than success is an error.
async fn post(request: Request<Bytes>, limit: Duration) -> osiris::Result<Response<Bytes>> {
    let mut settings = http::HttpSettings::new(&request.uri().to_string())?;
    for (name, value) in request.headers() {
        // Variables set headers, keys of services among them.
        if let (false, Ok(value)) = (OWN_HEADERS.contains(&name.as_str()), value.to_str()) {
            settings = settings.with_secret_header(name.as_str(), &Secret::new(value))?;
        }
    }
    let settings = settings
        .with_retry(RetryPolicy::never())
        .with_connect_timeout(limit)
        .with_request_timeout(limit)
        .with_total_timeout(limit)
        .with_response_limit(1 << 20);
    let content_type = request.headers().get("content-type").and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("application/json").to_owned();
    let client = http::HttpClient::new(settings)?;
    let to_send = http::Request::post(client.base_url().clone())
        .body(&content_type, request.into_body())?
        .what("the collector of OpenTelemetry");
    let page = client.fetch(&to_send).await?;
    Ok(Response::new(page.body().clone()))
}
