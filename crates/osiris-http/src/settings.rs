//! The settings of a connection: address, credentials, time limits, retries. Holds secrets, shows none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use osiris_core::{Error, Redactor, Result, RetryPolicy, Secret};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest, Sha256};
use url::Url;

use crate::failure::{Explain, Explained, Failure};
use crate::pace::RateLimit;
use crate::request::header;
use crate::tls::TlsSettings;

/// The default `User-Agent`.
pub(crate) const USER_AGENT: &str = concat!("osiris/", env!("CARGO_PKG_VERSION"));

/// How requests are authenticated.
#[derive(Debug, Clone)]
pub enum Auth {
    /// No authentication.
    None,
    /// `Authorization: Bearer <token>`.
    Bearer(Secret),
    /// `Authorization: Basic <user:password>`.
    Basic {
        /// The user, who may not contain a colon.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A header of this name, such as `X-API-Key`.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: Secret,
    },
}

/// The HTTP proxy. The environment (`HTTPS_PROXY` and the like) is never read [DRV-004].
#[derive(Debug, Clone, Default)]
pub struct ProxySettings {
    pub(crate) url: Option<Url>,
    pub(crate) credentials: Option<(String, Secret)>,
    pub(crate) exceptions: Vec<String>,
}

impl ProxySettings {
    /// No proxy. The default.
    pub fn none() -> Self {
        Self::default()
    }

    /// Through the HTTP proxy at `url`.
    ///
    /// # Errors
    /// When it is not an http or https URL, or contains credentials.
    pub fn through(url: &str) -> Result<Self> {
        Ok(Self { url: Some(http_url(url, "proxy")?), ..Self::default() })
    }

    /// The proxy's user and password.
    #[must_use]
    pub fn with_credentials(mut self, user: impl Into<String>, password: Secret) -> Self {
        self.credentials = Some((user.into(), password));
        self
    }

    /// Hosts that are reached without it: names (with their subdomains), addresses, networks such as `10.0.0.0/8`.
    #[must_use]
    pub fn with_exceptions(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.exceptions = hosts.into_iter().collect();
        self
    }
}

/// The settings of an [`HttpClient`](crate::HttpClient).
#[derive(Clone)]
pub struct HttpSettings {
    pub(crate) base: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) redactor: Redactor,
    pub(crate) user_agent: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) retry: RetryPolicy,
    pub(crate) longest_wait: Duration,
    pub(crate) response_limit: u64,
    pub(crate) proxy: ProxySettings,
    pub(crate) tls: TlsSettings,
    pub(crate) rate_limit: RateLimit,
    pub(crate) pace_identity: Option<String>,
    pub(crate) explain: Option<Explain>,
}

impl HttpSettings {
    /// Settings with every default. Credentials and headers go to the origin of `base_url` (scheme, host and port) and to no
    /// other.
    ///
    /// # Errors
    /// When it is not an http or https URL, or contains credentials.
    pub fn new(base_url: &str) -> Result<Self> {
        Ok(Self {
            base: http_url(base_url, "the address")?,
            headers: HeaderMap::new(),
            redactor: Redactor::default(),
            user_agent: USER_AGENT.to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            total_timeout: None,
            retry: RetryPolicy::times(5),
            longest_wait: Duration::from_secs(300),
            response_limit: 256 << 20,
            proxy: ProxySettings::none(),
            tls: TlsSettings::system(),
            rate_limit: RateLimit::new(),
            pace_identity: None,
            explain: None,
        })
    }

    /// Sets the authentication.
    ///
    /// # Errors
    /// When a credential contains characters that HTTP does not allow, such as a line break at its end.
    pub fn with_auth(self, auth: Auth) -> Result<Self> {
        match auth {
            Auth::None => Ok(self),
            Auth::Bearer(token) => {
                let value = Secret::new(format!("Bearer {}", token.expose()));
                self.knowing(&token).with_secret_header(AUTHORIZATION.as_str(), &value)
            }
            Auth::Basic { user, password } => {
                if user.contains(':') {
                    return Err(Error::validation("the user of HTTP basic authentication contains a colon"));
                }
                let pair = Secret::new(STANDARD.encode(format!("{user}:{}", password.expose())));
                let value = Secret::new(format!("Basic {}", pair.expose()));
                self.knowing(&password).knowing(&pair).with_secret_header(AUTHORIZATION.as_str(), &value)
            }
            Auth::Header { name, value } => self.with_secret_header(&name, &value),
        }
    }

    /// Adds a header that is a credential.
    ///
    /// # Errors
    /// As for [`with_auth`](Self::with_auth).
    pub fn with_secret_header(mut self, name: &str, value: &Secret) -> Result<Self> {
        let (name, mut header) = header(name, value.expose())?;
        header.set_sensitive(true);
        self.headers.insert(name, header);
        Ok(self.knowing(value))
    }

    /// Adds a header to every request to the base origin.
    ///
    /// # Errors
    /// When the name or the value is not allowed in HTTP.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self> {
        let (name, value) = header(name, value)?;
        self.headers.insert(name, value);
        Ok(self)
    }

    fn knowing(mut self, secret: &Secret) -> Self {
        self.redactor.add(secret.expose());
        self
    }

    /// The `User-Agent`. Default `osiris/<version>`.
    #[must_use]
    pub fn with_user_agent(mut self, agent: impl Into<String>) -> Self {
        self.user_agent = agent.into();
        self
    }

    /// How long making a connection may take, TLS included. Default 10 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long one attempt may take, the whole body included. Default 60 s.
    #[must_use]
    pub fn with_request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// How long all attempts at one request may take, waits included. Default: no limit.
    #[must_use]
    pub fn with_total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = Some(limit);
        self
    }

    /// How often a request is tried. Default 5 times, 1 s to 30 s apart.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The longest wait that a server may ask for. A wait that is longer than this, and longer than the longest delay
    /// between two tries, is an error at once. Default 5 minutes.
    #[must_use]
    pub fn with_longest_wait(mut self, limit: Duration) -> Self {
        self.longest_wait = limit;
        self
    }

    /// The largest response, in bytes after decompression. Default 256 MiB. Of an error response at most
    /// [`Failure::BODY_LIMIT`] are read.
    #[must_use]
    pub fn with_response_limit(mut self, bytes: u64) -> Self {
        self.response_limit = bytes;
        self
    }

    /// The HTTP proxy. Default: none.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxySettings) -> Self {
        if let Some((_, password)) = &proxy.credentials {
            self.redactor.add(password.expose());
        }
        self.proxy = proxy;
        self
    }

    /// How the server's certificate is verified. Default: by the operating system's certificate authorities.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsSettings) -> Self {
        self.tls = tls;
        self
    }

    /// Rate limits that are known in advance. Default: none.
    #[must_use]
    pub fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = limit;
        self
    }

    /// The identity that the server's limit applies to, such as `posthog project 42`. Default: the credentials.
    #[must_use]
    pub fn with_pace_identity(mut self, identity: impl Into<String>) -> Self {
        self.pace_identity = Some(identity.into());
        self
    }

    /// How error responses of this vendor are explained; `None` leaves a response to its status.
    #[must_use]
    pub fn with_explain(mut self, explain: impl Fn(&Failure<'_>) -> Option<Explained> + Send + Sync + 'static) -> Self {
        self.explain = Some(Arc::new(explain));
        self
    }

    /// The identity of a pace: a hash, which does not reveal the credentials.
    pub(crate) fn identity(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.base.origin().ascii_serialization());
        match &self.pace_identity {
            Some(identity) => hash.update(identity),
            None => {
                for value in self.headers.values().filter(|value| value.is_sensitive()) {
                    hash.update([0]);
                    hash.update(value.as_bytes());
                }
            }
        }
        hash.finalize().into()
    }

    /// The headers for a request to `url`.
    pub(crate) fn headers_for(&self, url: &Url) -> HeaderMap {
        if trusted(&self.base, url) { self.headers.clone() } else { HeaderMap::new() }
    }
}

impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings").field("base", &crate::request::shown(&self.base)).finish_non_exhaustive()
    }
}

/// Whether the credentials for `base` may go to `url`: the same origin, or the same host with TLS instead of without.
pub(crate) fn trusted(base: &Url, url: &Url) -> bool {
    let upgraded = base.scheme() == "http" && url.scheme() == "https" && base.port().is_none() && url.port().is_none();
    base.origin() == url.origin() || (upgraded && base.host() == url.host())
}

fn http_url(text: &str, what: &'static str) -> Result<Url> {
    // The text itself is not shown: it may hold a password.
    let url = Url::parse(text).map_err(|error| {
        Error::validation(format!("{what} is not a URL"))
            .with_source(error)
            .with_hint("expected a full URL such as `https://api.example.com`")
    })?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Error::validation(format!("{what} is not an http or https URL"))
            .with_hint("expected a full URL such as `https://api.example.com`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::validation(format!("{what} contains a user or a password"))
            .with_hint("set credentials in their own fields, which are kept secret"));
    }
    Ok(url)
}
