//! The REST API: URL, key and schema of requests. The requests are built elsewhere.

mod key;
pub(crate) mod keyset;
pub(crate) mod openapi;
pub(crate) mod pager;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use osiris_core::{ExecutionContext, Result, RetryPolicy};
use osiris_http::{Auth, HttpClient, HttpSettings, Method, Request, TlsSettings};

pub(crate) use key::ApiKey;

use super::Target;
use crate::error::rest_error;

/// The longest URL that proxies and servers accept, in bytes.
pub(crate) const MAX_URL: usize = 8000;

/// Minimum number of retries by default.
const RETRIES: u32 = 3;

/// The REST API of a project. Cheap to clone; clones share connections and rate limits.
#[derive(Clone)]
pub(crate) struct Rest {
    http: HttpClient,
    settings: HttpSettings,
    key: ApiKey,
    /// The number of retries of steps that set none.
    retries: Option<u32>,
}

impl Rest {
    /// The API of the connection; `None` if it has none. No I/O, except for reading certificates.
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub(super) fn new(target: &Target) -> Result<Option<Self>> {
        let connection = &target.connection;
        let Some(address) = &connection.rest else { return Ok(None) };
        let key = ApiKey::new(&address.key);
        let base = format!("{}/rest/v1", address.url.as_str().trim_end_matches('/'));
        let mut settings = HttpSettings::new(&base)?
            .with_secret_header("apikey", key.secret())?
            .with_connect_timeout(connection.connect_timeout)
            .with_request_timeout(connection.timeout)
            .with_explain(rest_error);
        if key.is_token() {
            settings = settings.with_auth(Auth::Bearer(key.secret().clone()))?;
        }
        if let Some(ca) = &connection.tls.ca {
            settings = settings.with_tls(TlsSettings::with_ca_file(&target.base_dir.join(ca))?);
        }
        if target.once {
            settings = settings.with_retry(RetryPolicy::never());
        }
        let http = HttpClient::new(settings.clone())?;
        Ok(Some(Self { http, settings, key, retries: connection.retries }))
    }

    /// The same with this number of retries for each request; by default that of the connection, else enough to survive
    /// the restart of a server.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub(crate) fn with_retries(mut self, retries: Option<u32>) -> Result<Self> {
        let retry = match retries.or(self.retries) {
            Some(retries) => RetryPolicy::times(retries.saturating_add(1)),
            None => RetryPolicy { max_attempts: RETRIES + 1, ..RetryPolicy::default() },
        };
        self.settings = self.settings.with_retry(retry);
        self.http = HttpClient::new(self.settings.clone())?;
        Ok(self)
    }

    /// The same for a step: cancelled with it, and counted in its metrics.
    pub(crate) fn for_step(&self, ctx: &ExecutionContext) -> Self {
        Self { http: self.http.for_step(ctx), ..self.clone() }
    }

    /// The same with requests that are not cancelled once they are sent.
    pub(crate) fn to_the_end(&self) -> Self {
        Self { http: self.http.to_the_end(), ..self.clone() }
    }

    /// The client. Its base is `{url}/rest/v1`.
    pub(crate) fn http(&self) -> &HttpClient {
        &self.http
    }

    /// The key.
    pub(crate) fn key(&self) -> &ApiKey {
        &self.key
    }

    /// A request for `schema`, with a path and query below `/rest/v1`.
    ///
    /// # Errors
    /// When the request is invalid.
    pub(crate) fn request(&self, method: Method, schema: &str, path: &str) -> Result<Request> {
        let reads = matches!(method, Method::GET | Method::HEAD);
        let header = if reads { "Accept-Profile" } else { "Content-Profile" };
        Request::new(method, self.http.url(path)?).header(header, schema)
    }
}
