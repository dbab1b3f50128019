//! One attempt on the wire: request out, redirects followed, status judged. Credentials go to the base origin and nowhere else.

use std::sync::Arc;
use std::time::Instant;

use osiris_core::Error;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::client::{HttpClient, transport_failed};
use crate::coding::{ACCEPTED, Decoding};
use crate::failure::{Explained, Failure};
use crate::pace::Usage;
use crate::page::Body;
use crate::request::{Request, shown};
use crate::settings::trusted;
use crate::transport::Failed;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

impl HttpClient {
    /// Sends the request and follows redirects. A status other than success is an error.
    pub(crate) async fn exchange(&self, request: &Request) -> Result<Body, Failed> {
        let mut current = request.clone();
        for _ in 0..=MAX_REDIRECTS {
            let body = self.send(&current).await?;
            let status = body.response.status();
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                if !status.is_success() {
                    return Err(self.failure(&current, body).await);
                }
                return body.ensure_readable().map_err(Failed::maybe_processed).map(|()| body);
            }
            let Some(target) = target(&current, &body) else { return Err(self.failure(&current, body).await) };
            redirect(&self.settings.base, &mut current, status, target).map_err(Failed::maybe_processed)?;
        }
        Err(Failed::maybe_processed(
            Error::validation(format!("{}: more than {MAX_REDIRECTS} redirects", request.what))
                .with_context("url", shown(&current.url))
                .with_hint("set the address that answers without a redirect"),
        ))
    }

    async fn send(&self, request: &Request) -> Result<Body, Failed> {
        let mut headers = self.settings.headers_for(&request.url);
        headers.extend(request.headers.clone());
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(ACCEPTED));
        let mut outgoing = self.http.request(request.method.clone(), request.url.clone()).headers(headers);
        if let Some(body) = &request.body {
            outgoing = outgoing.body(body.clone());
        }
        self.meter.sent();
        let started = Instant::now();
        let mut response = outgoing.send().await.map_err(|error| transport_failed(error, request, &request.url))?;
        tracing::debug!(
            method = request.method.as_str(),
            url = &*self.settings.redactor.scrub(&shown(&request.url)),
            status = response.status().as_u16(),
            milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
        for usage in Usage::from_headers(response.headers(), self.clock.wall()) {
            self.pace.observe(&usage);
        }
        Ok(Body {
            decoding: Decoding::of(response.headers_mut()),
            response,
            what: request.what.to_string(),
            limit: self.settings.response_limit,
            received: 0,
            idle: request.timeout.unwrap_or(self.settings.request_timeout),
            meter: Arc::clone(&self.meter),
            cancel: if self.to_the_end { CancellationToken::new() } else { self.cancel.clone() },
            _permit: None,
        })
    }

    /// The error of a response: as the driver explains it, otherwise by its status.
    async fn failure(&self, request: &Request, body: Body) -> Failed {
        let (status, headers) = (body.response.status(), body.response.headers().clone());
        let url = shown(&request.url);
        let (body, cut) = body.beginning(Failure::BODY_LIMIT).await;
        let wall = self.clock.wall();
        let failure = Failure { status, headers: &headers, body: &body, cut, wall, what: &request.what, url: &url };
        let throttled = failure.is_rate_limited();
        // Drivers take 403 for a missing permission.
        let explain = self.settings.explain.as_ref().filter(|_| !(throttled && status == StatusCode::FORBIDDEN));
        let explained = explain.and_then(|explain| explain(&failure));
        let Explained { error, processed } = explained.unwrap_or_else(|| failure.error().into());
        Failed { processed: processed && !throttled, throttled, error }
    }
}

/// The target of a redirect.
fn target(request: &Request, body: &Body) -> Option<Url> {
    let location = body.response.headers().get(LOCATION)?.to_str().ok()?;
    request.url.join(location).ok()
}

/// Applies a redirect to `request`, if that is safe.
fn redirect(base: &Url, request: &mut Request, status: StatusCode, target: Url) -> osiris_core::Result<()> {
    let refused = |why: &str| {
        Error::validation(format!("{}: refused the redirect: {why}", request.what))
            .with_context("url", shown(&request.url))
            .with_context("target", shown(&target))
            .with_context("status", status.as_u16())
            .with_hint("if that is intended, set the new address")
    };
    if !matches!(target.scheme(), "http" | "https") {
        return Err(refused("it is not HTTP"));
    }
    if request.url.scheme() == "https" && target.scheme() == "http" {
        return Err(refused("it is not encrypted"));
    }
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let keeps_method = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    if !reads && !keeps_method {
        return Err(refused("it drops the body of the request"));
    }
    if !trusted(base, &target) {
        if !reads {
            return Err(refused("it sends data to another host"));
        }
        // A header that the driver has set may be a credential.
        request.headers.retain_only_content();
    }
    request.url = target;
    Ok(())
}

/// Removes every header that may be a credential.
trait RetainContent {
    fn retain_only_content(&mut self);
}

impl RetainContent for reqwest::header::HeaderMap {
    fn retain_only_content(&mut self) {
        let kept = [CONTENT_TYPE, CONTENT_LENGTH, reqwest::header::ACCEPT].map(|name| {
            let value = self.get(&name).cloned();
            (name, value)
        });
        *self = kept.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    }
}
