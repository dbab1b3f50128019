//! The one place that opens an HTTP client: addresses, credentials, TLS, retries. It does not know the queries.

pub(crate) mod introspection;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use osiris_core::{Error, Result, RetryPolicy, Secret};
use osiris_http::{Auth, HttpClient, HttpSettings, Repeat, Request, TlsSettings};
use serde_json::{Map, Value, json};

use crate::config::{AuthType, ConnectionConfig, ExtractorConfig};
use crate::error::explain;

/// What a client is opened for.
#[derive(Debug, Clone)]
pub struct ConnectionTarget<'a> {
    /// The connection.
    pub connection: &'a ConnectionConfig,
    /// Where relative paths start.
    pub base_dir: &'a Path,
    /// How often a request is tried.
    pub retry: RetryPolicy,
    /// How long one request may take.
    pub timeout: Duration,
    /// Whether the pages could be smaller: then a request that is too large for the server is not retried at the same
    /// size.
    pub shrinks: bool,
}

impl<'a> ConnectionTarget<'a> {
    /// For an extraction.
    pub(crate) fn of_step(connection: &'a ConnectionConfig, base_dir: &'a Path, config: &ExtractorConfig) -> Self {
        let retry = RetryPolicy {
            initial_delay: Duration::try_from_secs_f64(config.retry_delay).unwrap_or(Duration::from_secs(1)),
            max_delay: Duration::from_secs(60),
            ..RetryPolicy::times(config.max_retries + 1)
        };
        Self { connection, base_dir, retry, timeout: Duration::from_secs(connection.timeout), shrinks: false }
    }

    /// For requests about the connection itself, which end within `timeout`.
    pub(crate) fn of_connection(connection: &'a ConnectionConfig, retry: RetryPolicy, timeout: Duration) -> Self {
        Self { connection, base_dir: Path::new("."), retry, timeout, shrinks: false }
    }
}

/// Opens a client.
pub type Connect = Arc<dyn Fn(&ConnectionTarget<'_>) -> Result<HttpClient> + Send + Sync>;

/// Opens the clients that the extractor uses by default.
pub fn connect() -> Connect {
    Arc::new(|target| HttpClient::new(settings(target)?))
}

/// The settings of a client for `target`, for callers that change one of them.
///
/// # Errors
/// An address or credentials that cannot be used, a CA file that cannot be read.
pub fn settings(target: &ConnectionTarget<'_>) -> Result<HttpSettings> {
    let connection = target.connection;
    let mut settings = HttpSettings::new(&connection.endpoint)
        .map_err(|error| error.with_context("field", "endpoint"))?
        .with_auth(auth(connection)?)?
        .with_request_timeout(target.timeout)
        .with_connect_timeout(target.timeout.min(Duration::from_secs(10)))
        .with_retry(target.retry.clone())
        .with_tls(tls(target)?);
    for (name, value) in &connection.headers {
        settings = settings.with_secret_header(name, value)?;
    }
    let shrinks = target.shrinks;
    Ok(settings.with_explain(move |failure| explain(failure, shrinks)))
}

fn auth(connection: &ConnectionConfig) -> Result<Auth> {
    let token = || -> Result<Secret> {
        connection.auth_token.clone().ok_or_else(|| Error::auth("the connection has no `auth_token`"))
    };
    Ok(match connection.auth_type {
        AuthType::None => Auth::None,
        AuthType::Bearer => Auth::Bearer(token()?),
        AuthType::Basic => {
            Auth::Basic { user: connection.auth_username.clone().unwrap_or_default(), password: token()? }
        }
        AuthType::ApiKey => Auth::Header { name: connection.auth_header_name.clone(), value: token()? },
    })
}

fn tls(target: &ConnectionTarget<'_>) -> Result<TlsSettings> {
    match (target.connection.validate_ssl, &target.connection.ssl_ca) {
        (false, _) => Ok(TlsSettings::unverified()),
        (true, None) => Ok(TlsSettings::system()),
        (true, Some(path)) => TlsSettings::with_ca_file(&target.base_dir.join(path)),
    }
}

/// The request that sends `query`. Queries only read: it may be sent again.
pub(crate) fn request(
    client: &HttpClient,
    query: &str,
    operation: Option<&str>,
    variables: &Map<String, Value>,
    what: &'static str,
) -> Result<Request> {
    let mut body = json!({"query": query, "variables": variables});
    if let Some(operation) = operation {
        body["operationName"] = json!(operation);
    }
    // The media types of the GraphQL-over-HTTP specification, the newer one preferred.
    let accept = "application/graphql-response+json, application/json;q=0.9";
    let request = Request::post(client.base_url().clone()).json(&body)?.header("accept", accept)?;
    Ok(request.repeat(Repeat::Always).what(what))
}
