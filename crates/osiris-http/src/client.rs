//! The client: the settings of a connection, its pool of sockets, its pace, and the retry loop around each request.
//! What a response means is for the driver to decide.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use osiris_core::{Code, Error, ExecutionContext, NextTry, Result, RetryPolicy};
use reqwest::redirect;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::{Clock, Jitter, SystemClock, random};
use crate::metrics::{RequestCounts, RequestMetrics};
use crate::pace::{Pace, Permit};
use crate::page::{Page, Streaming};
use crate::request::{Repeat, Request};
use crate::settings::{HttpSettings, USER_AGENT};
use crate::tls::TlsSettings;
use crate::transport::{self, Failed};

/// Waits from this length on are logged as warnings.
const WARN_FROM: Duration = Duration::from_secs(2);
/// How many redirects a bare client follows.
const MOST_REDIRECTS: usize = 10;

/// An HTTP client. Cheap to clone; clones share sockets and pace.
#[derive(Clone)]
pub struct HttpClient {
    pub(crate) http: reqwest::Client,
    pub(crate) settings: Arc<HttpSettings>,
    pub(crate) clock: Arc<dyn Clock>,
    jitter: Jitter,
    pub(crate) pace: Pace,
    pub(crate) meter: Arc<RequestMetrics>,
    pub(crate) cancel: CancellationToken,
    /// Whether a request, once sent, is completed even after a cancellation.
    pub(crate) to_the_end: bool,
}

impl HttpClient {
    /// A client. Its pace is that of every client in this process with the same origin and credentials, or the same
    /// [pace identity](HttpSettings::with_pace_identity).
    ///
    /// # Errors
    /// When the proxy or TLS cannot be set up.
    pub fn new(settings: HttpSettings) -> Result<Self> {
        let http = base_client(&settings.tls, settings.connect_timeout, redirect::Policy::none())?
            .user_agent(settings.user_agent.as_str());
        let http = match &settings.proxy.url {
            None => http.no_proxy(),
            Some(url) => http.proxy(proxy(&settings, url)?),
        };
        let http = http
            .build()
            .map_err(|error| Error::validation("failed to set up the HTTP client").with_source(error.without_url()))?;
        let pace = Pace::shared(settings.identity(), &settings.rate_limit);
        Ok(Self {
            http,
            settings: Arc::new(settings),
            clock: Arc::new(SystemClock),
            jitter: random(),
            pace,
            meter: Arc::default(),
            cancel: CancellationToken::new(),
            to_the_end: false,
        })
    }

    /// The same client on another clock, with a pace of its own on that clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.pace = Pace::new(&self.settings.rate_limit, Arc::clone(&clock));
        self.clock = clock;
        self
    }

    /// The same client with another source of jitter for the delays between attempts.
    #[must_use]
    pub fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same client at another pace.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The same client for a step: its requests end when the step is cancelled, and their counts are reported as
    /// metrics of the step, once, when the last clone is dropped.
    #[must_use]
    pub fn for_step(&self, ctx: &ExecutionContext) -> Self {
        Self { meter: Arc::new(RequestMetrics::of(ctx)), cancel: ctx.cancel().clone(), ..self.clone() }
    }

    /// The same client, whose requests are completed once they are sent: for requests whose outcome must be known. A
    /// cancellation still ends the waits before and between attempts.
    #[must_use]
    pub fn to_the_end(&self) -> Self {
        Self { to_the_end: true, ..self.clone() }
    }

    /// The URL of `path`, which may have a query, below the base URL. A full URL, such as a server's link to the next
    /// page, is used as it is.
    ///
    /// # Errors
    /// When the result is not a URL.
    pub fn url(&self, path: &str) -> Result<Url> {
        let full = path.starts_with("http://") || path.starts_with("https://");
        let joined = if full {
            Url::parse(path)
        } else {
            let base = self.settings.base.as_str().split(['?', '#']).next().unwrap_or_default();
            Url::parse(&format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/')))
        };
        joined.map_err(|error| {
            Error::validation("invalid URL: the path of the request does not fit the base URL").with_source(error)
        })
    }

    /// The base URL as it was given.
    pub fn base_url(&self) -> &Url {
        &self.settings.base
    }

    /// The pace of its requests.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The counts of its requests so far.
    pub fn counts(&self) -> RequestCounts {
        self.meter.usage()
    }

    /// Sends a request and reads the complete response. A response that ends early counts as a failed attempt.
    ///
    /// # Errors
    /// The error of the last attempt. A status other than success is an error.
    ///
    /// # Cancel safety
    /// If dropped, the request is abandoned; the server may have acted on it.
    pub async fn fetch(&self, request: &Request) -> Result<Page> {
        self.fetch_as(request, |page| Ok(page.clone())).await
    }

    /// Like [`fetch`](Self::fetch), with `read` applied to the response. When `read` returns a retryable error, the
    /// request is sent again: for truncated JSON, and for servers that say "too many requests" with status 200.
    ///
    /// # Errors
    /// As for [`fetch`](Self::fetch), and those of `read`.
    pub async fn fetch_as<T>(&self, request: &Request, read: impl Fn(&Page) -> Result<T> + Send + Sync) -> Result<T> {
        let read = &read;
        self.repeated(request, |permit, limit| async move {
            let _permit = permit;
            let answered = AtomicBool::new(false);
            let page = within(limit, request, &answered, self.page(request, &answered)).await?;
            self.pace.accepted();
            read(&page).map_err(Failed::maybe_processed)
        })
        .await
    }

    /// Sends a request and returns the response as soon as its headers have arrived. Failures after that are not
    /// retried.
    ///
    /// # Errors
    /// As for [`fetch`](Self::fetch).
    pub async fn open(&self, request: &Request) -> Result<Streaming> {
        self.repeated(request, |permit, limit| async move {
            let mut body = within(limit, request, &AtomicBool::new(false), self.exchange(request)).await?;
            self.pace.accepted();
            body._permit = Some(permit);
            let (status, headers) = (body.response.status(), std::mem::take(body.response.headers_mut()));
            Ok(Streaming { status, headers, body })
        })
        .await
    }

    async fn page(&self, request: &Request, answered: &AtomicBool) -> Result<Page, Failed> {
        let mut body = self.exchange(request).await?;
        answered.store(true, Relaxed);
        let (status, url) = (body.response.status(), body.response.url().clone());
        let headers = std::mem::take(body.response.headers_mut());
        let body = body.whole().await.map_err(Failed::maybe_processed)?;
        Ok(Page { status, headers, url, body })
    }

    /// Makes attempts until one succeeds or no other is allowed.
    async fn repeated<T, F, A>(&self, request: &Request, attempt: F) -> Result<T>
    where
        F: Fn(Permit, Duration) -> A,
        A: Future<Output = Result<T, Failed>>,
    {
        let started = self.clock.now();
        let (mut number, mut failing_since) = (1, None);
        loop {
            let failed = match self.one(request, started, &attempt).await {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            if failed.throttled {
                self.pace.refused(failed.error.retry_after());
            } else if let Some(delay) = failed.error.retry_after() {
                self.pace.pause(delay.min(self.settings.longest_wait));
            }
            let since = *failing_since.get_or_insert_with(|| self.clock.now());
            let delay = match self.delay_after(number, request, &failed, (started, since)) {
                Ok(delay) => delay,
                Err(give_up) => return Err(self.last(request, failed, give_up, since)),
            };
            let error = failed.error;
            tracing::debug!(
                url = &*self.settings.redactor.scrub(&crate::request::shown(&request.url)),
                attempt = number,
                ?delay,
                kind = error.kind().as_str(),
                status = error.context().iter().find(|(key, _)| *key == "status").map(|(_, value)| value.as_str()),
                "a request will be sent again"
            );
            if delay >= WARN_FROM {
                let error = self.settings.redactor.scrub(error.message());
                tracing::warn!(attempt = number, %error, "sending the request again in {:.1} s", delay.as_secs_f64());
            }
            self.meter.repeated();
            if error.retry_after().is_some() || failed.throttled {
                self.meter.waited(delay);
            }
            self.cancellable(request, self.clock.sleep(delay)).await?;
            number += 1;
        }
    }

    /// One attempt, after the pace has admitted it.
    async fn one<T, F, A>(&self, request: &Request, started: Instant, attempt: &F) -> Result<T, Failed>
    where
        F: Fn(Permit, Duration) -> A,
        A: Future<Output = Result<T, Failed>>,
    {
        let own = request.timeout.unwrap_or(self.settings.request_timeout);
        let longest = self.settings.longest_wait.min(self.left(started).unwrap_or(Duration::MAX));
        let admitted =
            self.cancellable(request, self.pace.admit(request.cost, longest)).await.map_err(Failed::not_processed)?;
        let permit = admitted.map_err(|wait| {
            let message = format!("{}: the rate limit resets in {} s", request.what, wait.as_secs());
            let hint = "try later, or lower the number of parallel steps";
            Failed::not_processed(
                Error::network(message).with_code(Code::RateLimited).with_hint(hint).with_retry_after(wait),
            )
        })?;
        self.meter.waited(permit.waited);
        let limit = own.min(self.left(started).unwrap_or(Duration::MAX));
        if self.to_the_end {
            return attempt(permit, limit).await;
        }
        match self.cancellable(request, attempt(permit, limit)).await {
            Ok(result) => result,
            Err(cancelled) => Err(Failed::maybe_processed(cancelled)),
        }
    }

    /// What is left of the total timeout.
    fn left(&self, started: Instant) -> Option<Duration> {
        let elapsed = self.clock.now().saturating_duration_since(started);
        self.settings.total_timeout.map(|total| total.saturating_sub(elapsed))
    }

    fn policy(&self) -> RetryPolicy {
        RetryPolicy { longest_wait: self.settings.longest_wait, ..self.settings.retry.clone() }
    }

    /// How long to wait before the next attempt of a request that was `started` and has been failing `since`, or why there is none.
    fn delay_after(
        &self,
        number: u32,
        request: &Request,
        failed: &Failed,
        (started, since): (Instant, Instant),
    ) -> Result<Duration, GiveUp> {
        if failed.processed && request.repeat == Repeat::IfNotProcessed {
            return Err(GiveUp::AsItIs);
        }
        let failing_for = self.clock.now().saturating_duration_since(since);
        let delay = match self.policy().next_try(number, failing_for, &failed.error, (self.jitter)()) {
            NextTry::After(delay) => delay,
            NextTry::Never => return Err(GiveUp::AsItIs),
            NextTry::TooFarAway(wait) => return Err(GiveUp::TooFarAway(wait)),
        };
        if self.left(started).is_some_and(|left| left <= delay) {
            return Err(GiveUp::Because("the total timeout leaves no time for another try"));
        }
        Ok(delay)
    }

    /// The error to return: with what was tried, and without any secret.
    fn last(&self, request: &Request, failed: Failed, why: GiveUp, since: Instant) -> Error {
        let failing_for = self.clock.now().saturating_duration_since(since);
        let mut error = failed.error.with_retried_for(failing_for);
        error = match why {
            GiveUp::AsItIs => error,
            GiveUp::Because(why) => error.with_context("not tried again", why),
            GiveUp::TooFarAway(wait) => self.policy().explained(error, wait, self.clock.wall()),
        };
        let ambiguous = failed.processed && request.repeat == Repeat::IfNotProcessed && error.is_retryable();
        if ambiguous {
            error = error.with_retryable(false).with_context(
                "outcome",
                "unknown: the server may have processed the request, so it was not sent again",
            );
        }
        error.redacted(&self.settings.redactor)
    }

    async fn cancellable<T>(&self, request: &Request, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::cancelled(format!("{}: cancelled", request.what))),
            done = work => Ok(done),
        }
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The client of this crate without its retries, pacing and limits, for a library that brings those itself: with the
/// TLS of `tls`, no proxy, and `idle` as the longest time without a byte. With `redirects` up to ten are followed, but none
/// from `https` to `http`.
///
/// # Errors
/// When TLS cannot be set up.
pub fn bare_client(tls: &TlsSettings, connect: Duration, idle: Duration, redirects: bool) -> Result<reqwest::Client> {
    let follow = |attempt: redirect::Attempt<'_>| {
        let was_encrypted = attempt.previous().iter().any(|url| url.scheme() == "https");
        if attempt.previous().len() > MOST_REDIRECTS || (was_encrypted && attempt.url().scheme() != "https") {
            attempt.stop()
        } else {
            attempt.follow()
        }
    };
    let policy = if redirects { redirect::Policy::custom(follow) } else { redirect::Policy::none() };
    let built = base_client(tls, connect, policy)?.user_agent(USER_AGENT).no_proxy().read_timeout(idle).build();
    built.map_err(|error| Error::validation("failed to set up the HTTP client").with_source(error.without_url()))
}

fn base_client(tls: &TlsSettings, connect: Duration, policy: redirect::Policy) -> Result<reqwest::ClientBuilder> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls.client_config()?)
        .redirect(policy)
        .connect_timeout(connect)
        .tcp_keepalive(Duration::from_secs(60))
        .referer(false))
}

enum GiveUp {
    AsItIs,
    Because(&'static str),
    TooFarAway(Duration),
}

/// Limits the time of an attempt. When no byte has come back by then, the connection counts as failed.
async fn within<T>(
    limit: Duration,
    request: &Request,
    answered: &AtomicBool,
    work: impl Future<Output = Result<T, Failed>>,
) -> Result<T, Failed> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let (what, millis) = (&request.what, limit.as_millis());
        let error = if answered.load(Relaxed) {
            Error::timeout(format!("{what}: no complete response within {millis} ms"))
                .with_hint("request fewer rows at once, or raise `timeout`")
        } else {
            Error::timeout(format!("{what}: no response within {millis} ms"))
                .with_hint("check the server and the network; raise `timeout` if the server is slow")
                .with_connection_failed()
        };
        Err(Failed::maybe_processed(error))
    })
}

fn proxy(settings: &HttpSettings, url: &Url) -> Result<reqwest::Proxy> {
    let proxy = reqwest::Proxy::all(url.clone())
        .map_err(|error| Error::validation("invalid proxy address").with_source(error.without_url()))?;
    let proxy = match &settings.proxy.credentials {
        Some((user, password)) => proxy.basic_auth(user, password.expose()),
        None => proxy,
    };
    Ok(proxy.no_proxy(reqwest::NoProxy::from_string(&settings.proxy.exceptions.join(","))))
}

/// A transport error with the URL of the request as context.
pub(crate) fn transport_failed(error: reqwest::Error, request: &Request, url: &Url) -> Failed {
    let failed = transport::failed(error, &request.what, url.scheme() == "https");
    Failed { error: failed.error.with_context("url", crate::request::shown(url)), ..failed }
}
