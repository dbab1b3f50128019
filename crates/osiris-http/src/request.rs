//! A request, with what the client must know to send it more than once. It holds no credentials: those are in the
//! settings.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use osiris_core::{Error, Result};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use url::Url;

/// When a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// After any failure that a later try may overcome: sending it twice does what sending it once does.
    Always,
    /// Only when the server certainly did nothing: no connection was made, or it answered 429. After any other failure
    /// the error says that the outcome is not known, and is not retryable.
    IfNotProcessed,
}

/// A request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    pub(crate) repeat: Repeat,
    pub(crate) cost: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) what: Cow<'static, str>,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident => $method:ident),* $(,)?) => {
        $($(#[$doc])*
        pub fn $name(url: Url) -> Self {
            Self::new(Method::$method, url)
        })*
    };
}

impl Request {
    /// A request without a body. GET, HEAD, PUT and DELETE may be repeated always (RFC 9110, section 9.2.2), others
    /// [`IfNotProcessed`](Repeat::IfNotProcessed).
    pub fn new(method: Method, url: Url) -> Self {
        let repeat = if method.is_idempotent() { Repeat::Always } else { Repeat::IfNotProcessed };
        let what = Cow::Borrowed("the request");
        Self { method, url, headers: HeaderMap::new(), body: None, repeat, cost: 1, timeout: None, what }
    }

    methods! {
        /// A GET.
        get => GET,
        /// A HEAD.
        head => HEAD,
        /// A POST.
        post => POST,
        /// A PUT.
        put => PUT,
        /// A PATCH.
        patch => PATCH,
        /// A DELETE.
        delete => DELETE,
    }

    /// Adds a header, or replaces it.
    ///
    /// # Errors
    /// When the name or the value is not allowed in HTTP.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        let (name, value) = header(name, value)?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Adds parameters to the query of the URL, encoded.
    #[must_use]
    pub fn query<K: AsRef<str>, V: AsRef<str>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut pairs = pairs.into_iter().peekable();
        if pairs.peek().is_some() {
            self.url.query_pairs_mut().extend_pairs(pairs);
        }
        self
    }

    /// Sends `body` as JSON.
    ///
    /// # Errors
    /// When it cannot be serialized.
    pub fn json(self, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::validation("failed to serialize the request body").with_source(error))?;
        self.body("application/json", body.into())
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// When the content type is not allowed in a header.
    pub fn body(mut self, content_type: &str, body: Bytes) -> Result<Self> {
        let (name, value) = header(CONTENT_TYPE.as_str(), content_type)?;
        self.headers.insert(name, value);
        self.body = Some(body);
        Ok(self)
    }

    /// Says when it may be sent again. A POST that only reads may be repeated always.
    #[must_use]
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// How much of the rate limit it uses. Default 1.
    #[must_use]
    pub fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// How long one attempt may take, instead of the settings' time.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// What it is for, for messages: `reading events`. Never a secret or a cell value.
    #[must_use]
    pub fn what(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.what = what.into();
        self
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

/// A header as HTTP allows it; the message never shows the value.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|error| Error::validation(format!("`{name}` is not a valid header name")).with_source(error))?;
    let value = HeaderValue::from_str(value).map_err(|_| {
        Error::validation(format!("the value of the header `{name}` contains characters that HTTP does not allow"))
            .with_hint("line breaks and control characters are not allowed; look for one at the end of the value")
    })?;
    Ok((parsed, value))
}

/// A URL as it may be shown: without user, password, query and fragment.
pub(crate) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}
