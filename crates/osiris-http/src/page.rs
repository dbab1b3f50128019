//! Successful responses: a complete one, and one that is still being received.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use osiris_core::rows::{Document, RowPath};
use osiris_core::{Code, Error, Result};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::coding::{Decoding, ensure_supported, too_large};
use crate::metrics::RequestMetrics;
use crate::pace::Permit;
use crate::transport;

/// A complete response.
#[derive(Debug, Clone)]
pub struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) body: Bytes,
}

impl Page {
    /// The status code, always one of success.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// One header; `None` when it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Its URL, after redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The body, decompressed.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body)
            .map_err(|error| Error::validation("the response is not valid UTF-8").with_source(error))
    }

    /// The body as JSON. Numbers in a [`serde_json::Value`] may lose digits: rows are read with [`document`](Self::document).
    ///
    /// # Errors
    /// Truncated JSON is a network error, which is retryable. Anything else that is not the expected JSON is a
    /// validation error.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        self.expect_json()?;
        serde_json::from_slice(&self.body).map_err(|error| {
            if error.is_eof() {
                return Error::network("the response ended early").with_source(error);
            }
            Error::validation("the response is not the expected JSON")
                .with_code(Code::UnexpectedResponse)
                .with_source(error)
        })
    }

    /// The body as rows and the envelope around them.
    ///
    /// # Errors
    /// As for [`json`](Self::json).
    pub fn document(&self, path: &RowPath) -> Result<Document> {
        self.expect_json()?;
        Document::parse(self.body.clone(), path)
    }

    /// Names the usual mistakes: an empty response, a web page.
    fn expect_json(&self) -> Result<()> {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let start = self.body.trim_ascii_start();
        if start.is_empty() {
            return Err(Error::validation("the response is empty: expected JSON")
                .with_code(Code::UnexpectedResponse)
                .with_context("status", self.status())
                .with_hint("check the address: it may be that of another service"));
        }
        if start.first() == Some(&b'<') {
            return Err(Error::validation("the response is a web page: expected JSON")
                .with_code(Code::UnexpectedResponse)
                .with_context("content type", kind)
                .with_hint("check the address: it may be that of a website, a login page or a proxy"));
        }
        Ok(())
    }
}

/// A response whose body is still being received.
#[derive(Debug)]
pub struct Streaming {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

impl Streaming {
    /// The status code, always one of success.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// One header; `None` when it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next chunk, decompressed; `None` at the end.
    ///
    /// # Errors
    /// A network error when the connection is lost, a timeout when no data arrives within the request timeout, a
    /// validation error when the body is larger than the response limit, a cancellation.
    ///
    /// # Cancel safety
    /// No chunk is lost.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.body.chunk().await
    }
}

/// The body of a response, with its limits.
pub(crate) struct Body {
    pub(crate) response: reqwest::Response,
    /// For a body that is compressed.
    pub(crate) decoding: Option<Decoding>,
    pub(crate) what: String,
    pub(crate) limit: u64,
    pub(crate) received: u64,
    pub(crate) idle: Duration,
    pub(crate) meter: Arc<RequestMetrics>,
    pub(crate) cancel: CancellationToken,
    pub(crate) _permit: Option<Permit>,
}

impl Body {
    /// That nothing is left compressed.
    ///
    /// # Errors
    /// When it is, in a coding that the request did not accept.
    pub(crate) fn ensure_readable(&self) -> Result<()> {
        ensure_supported(self.response.headers(), &self.what)
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let received = self.receive().await?;
            let is_over = received.is_none();
            let room = self.limit.saturating_sub(self.received);
            let chunk = match (&mut self.decoding, received) {
                (None, received) => received,
                (Some(decoding), received) => {
                    let decoded = match received {
                        Some(received) => decoding.read(&received, room),
                        None => decoding.end(room),
                    };
                    let decoded = decoded.map_err(|unreadable| unreadable.error(&self.what, self.limit))?;
                    Some(decoded).filter(|decoded| !decoded.is_empty())
                }
            };
            if let Some(chunk) = &chunk {
                self.count(chunk.len())?;
            }
            if is_over || chunk.is_some() {
                return Ok(chunk);
            }
        }
    }

    /// The next piece as it was sent.
    async fn receive(&mut self) -> Result<Option<Bytes>> {
        let next = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(Error::cancelled("cancelled while reading a response")),
            next = tokio::time::timeout(self.idle, self.response.chunk()) => next,
        };
        let Ok(next) = next else {
            return Err(Error::timeout(format!("{}: no data received for {} ms", self.what, self.idle.as_millis())));
        };
        next.map_err(|error| transport::failed(error, &self.what, true).error)
    }

    fn count(&mut self, bytes: usize) -> Result<()> {
        self.meter.received(bytes);
        self.received += bytes as u64;
        if self.received > self.limit {
            return Err(too_large(&self.what, self.limit));
        }
        Ok(())
    }

    /// The complete body.
    pub(crate) async fn whole(mut self) -> Result<Bytes> {
        let mut first = None;
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            match first.take() {
                None if whole.is_empty() => first = Some(chunk),
                None => whole.extend_from_slice(&chunk),
                Some(start) => {
                    let length = self.response.content_length().and_then(|length| usize::try_from(length).ok());
                    whole.reserve(length.unwrap_or_default().min(64 << 20).max(2 * chunk.len()));
                    whole.extend_from_slice(&start);
                    whole.extend_from_slice(&chunk);
                }
            }
        }
        Ok(first.unwrap_or_else(|| whole.into()))
    }

    /// The first `max` bytes, and whether the body was longer or ended early.
    pub(crate) async fn beginning(mut self, max: usize) -> (Vec<u8>, bool) {
        // The request has failed already: its explanation is not worth the time of an attempt.
        self.idle = (self.idle / 2).min(Duration::from_secs(5));
        let mut body = Vec::new();
        loop {
            match self.chunk().await {
                Ok(Some(chunk)) => {
                    let room = max - body.len();
                    body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        return (body, true);
                    }
                }
                Ok(None) => return (body, false),
                Err(_) => return (body, true),
            }
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("received", &self.received).finish_non_exhaustive()
    }
}
