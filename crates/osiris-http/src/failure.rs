//! Error responses: from status, headers and the beginning of the body to an [`Error`]. What a status means is decided
//! here; what a vendor's code means is decided by the driver, through [`HttpSettings::with_explain`].
//!
//! [`HttpSettings::with_explain`]: crate::HttpSettings::with_explain

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use osiris_core::{Code, Error, ErrorKind, shorten};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::pace::Usage;

/// The context of an error that holds the server's message.
const SAID: &str = "the server says";

/// The server's message in an error that was made of its response.
pub fn server_message(error: &Error) -> Option<&str> {
    error.context().iter().find(|(key, _)| *key == SAID).map(|(_, said)| said.as_str())
}

/// How a driver explains an error response; `None` leaves it to the status.
pub type Explain = Arc<dyn Fn(&Failure<'_>) -> Option<Explained> + Send + Sync>;

/// The error that a response stands for, and whether the server may have acted on the request.
#[derive(Debug)]
pub struct Explained {
    pub(crate) error: Error,
    pub(crate) processed: bool,
}

impl Explained {
    /// An error after which the server has certainly done nothing: any request may be sent again.
    pub fn not_processed(error: Error) -> Self {
        Self { error, processed: false }
    }
}

impl From<Error> for Explained {
    /// An error after which it is not known what the server has done.
    fn from(error: Error) -> Self {
        Self { error, processed: true }
    }
}

/// A response with a status other than success.
#[derive(Debug)]
pub struct Failure<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) cut: bool,
    pub(crate) wall: SystemTime,
    pub(crate) what: &'a str,
    pub(crate) url: &'a str,
}

impl Failure<'_> {
    /// How many bytes of the body are read.
    pub const BODY_LIMIT: usize = 64 << 10;

    /// What the request is for, as messages name it: `reading rows`.
    pub fn what(&self) -> &str {
        self.what
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        self.headers
    }

    /// One header; `None` when it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The beginning of the body.
    pub fn body(&self) -> &[u8] {
        self.body
    }

    /// Whether the body was longer than [`BODY_LIMIT`](Self::BODY_LIMIT), or ended early.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The body as JSON; `None` when it is truncated or not JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body).ok()
    }

    /// The body as text.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body)
    }

    /// How long the server asks to wait: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), or, where a rate
    /// limit is exceeded, the time at which it resets. `None` for zero and for past dates.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self.headers, self.wall).or_else(|| {
            let reset = self.exhausted().filter_map(|usage| usage.reset).max()?;
            (self.is_rate_limited() && !reset.is_zero()).then_some(reset.min(MAX_RETRY_AFTER))
        })
    }

    /// Whether the request was refused for exceeding a rate limit: 429, or 403 with a wait or with a limit of which nothing
    /// is left, as GitHub answers
    /// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
    pub fn is_rate_limited(&self) -> bool {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::FORBIDDEN => asks_to_wait(self.headers) || self.exhausted().next().is_some(),
            _ => false,
        }
    }

    fn exhausted(&self) -> impl Iterator<Item = Usage> {
        Usage::from_headers(self.headers, self.wall).into_iter().filter(|usage| usage.remaining < 1.0)
    }

    /// Whether a server behind TLS says that it was asked without.
    fn wants_tls(&self) -> bool {
        let says = || self.text().to_ascii_lowercase();
        self.status == StatusCode::BAD_REQUEST
            && self.url.starts_with("http://")
            && ["https server", "https port", "ssl-enabled server"].iter().any(|words| says().contains(words))
    }

    /// The error by the status alone, with the server's message from the body.
    pub fn error(&self) -> Error {
        let status = self.status;
        let reason = status.canonical_reason().unwrap_or("a status without a name");
        let message = format!("{}: the server answered {} {reason}", self.what, status.as_u16());
        let limited = self.is_rate_limited();
        let kind = if limited { ErrorKind::Network } else { kind_of(status) };
        let is_retryable = kind.is_retried_by_default();
        let error = self.error_of(kind, message).with_retryable(is_retryable);
        let error = match self.retry_after() {
            Some(delay) if is_retryable => error.with_retry_after(delay),
            _ => error,
        };
        match hint_for(status) {
            _ if limited => error.with_hint("rate limit exceeded: lower the number of parallel steps, or try later"),
            _ if self.wants_tls() => error.with_hint(USE_HTTPS),
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// An error whose kind the driver knows better, with the context of this response. `Retry-After` counts when errors
    /// of the kind are retried by default.
    pub fn error_of(&self, kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
        let mut error = Error::new(kind, message).with_context("url", self.url).with_context("status", self.status());
        if kind == ErrorKind::Validation {
            error = error.with_code(Code::UnexpectedResponse);
        } else if self.is_rate_limited() {
            error = error.with_code(Code::RateLimited);
        }
        if let Some(said) = self.said() {
            error = error.with_context(SAID, said);
        }
        match self.retry_after() {
            Some(delay) if kind.is_retried_by_default() => error.with_retry_after(delay),
            _ => error,
        }
    }

    /// The server's message, from the members in which most APIs put it.
    fn said(&self) -> Option<String> {
        const MAX_MESSAGE: usize = 300;
        let body = self.json()?;
        let error = body.get("error").filter(|error| error.is_object()).unwrap_or(&body);
        let names = ["message", "detail", "error_description", "error", "title"];
        let text = names.iter().find_map(|name| error.get(name)?.as_str())?;
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(shorten(&line, MAX_MESSAGE).into_owned()).filter(|line| !line.is_empty())
    }
}

/// What a status means for behaviour.
pub(crate) fn kind_of(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        401 | 407 => ErrorKind::Auth,
        403 => ErrorKind::Permission,
        408 | 504 => ErrorKind::Timeout,
        425 | 429 => ErrorKind::Network,
        // Neither of these gets better by waiting.
        501 | 505 => ErrorKind::Validation,
        500..=599 => ErrorKind::Network,
        _ => ErrorKind::Validation,
    }
}

/// What to do where a port that speaks TLS was asked without.
pub(crate) const USE_HTTPS: &str = "the port may expect TLS: use `https://`, or another port";

fn hint_for(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        401 => "check the key or token of the connection: it may be wrong, expired or for another environment",
        403 => "the credentials lack a permission: grant it, or use a key that has it",
        404 => "check the address, and the names in it",
        407 => "the proxy requires credentials: check those of the proxy in the connection",
        413 => "the request is too large for the server: set a smaller page or batch size",
        414 => "the URL is too long: request less at once",
        _ => return None,
    })
}

/// The longest wait: a hundred years, which can still be added to the current time.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Whether there is a valid `Retry-After`, if only of no time.
fn asks_to_wait(headers: &HeaderMap) -> bool {
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::trim);
    text.is_some_and(|text| {
        text.parse::<f64>().is_ok_and(|seconds| seconds >= 0.0) || httpdate::parse_http_date(text).is_ok()
    })
}

/// The wait that `Retry-After` asks for, if any.
pub(crate) fn retry_after(headers: &HeaderMap, wall: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = match text.parse::<f64>() {
        // A number that is too large for a duration still asks for a wait.
        Ok(seconds) if seconds.is_finite() && seconds > MAX_RETRY_AFTER.as_secs_f64() => MAX_RETRY_AFTER,
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(wall).ok()?,
    };
    (!delay.is_zero()).then_some(delay.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure<'a>(status: u16, headers: &'a HeaderMap, body: &'a [u8]) -> Failure<'a> {
        let status = StatusCode::from_u16(status).unwrap();
        let (what, url) = ("reading rows", "https://api.example.com/rows");
        Failure { status, headers, body, cut: false, wall: SystemTime::UNIX_EPOCH, what, url }
    }

    fn retry_after_of(text: &str) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        failure(429, &headers, b"").retry_after()
    }

    #[test]
    fn every_status_has_its_kind_and_only_passing_ones_are_retried() {
        let headers = HeaderMap::new();
        for (status, kind, retried) in [
            (400, ErrorKind::Validation, false),
            (401, ErrorKind::Auth, false),
            (403, ErrorKind::Permission, false),
            (404, ErrorKind::Validation, false),
            (407, ErrorKind::Auth, false),
            (408, ErrorKind::Timeout, true),
            (409, ErrorKind::Validation, false),
            (422, ErrorKind::Validation, false),
            (429, ErrorKind::Network, true),
            (500, ErrorKind::Network, true),
            (501, ErrorKind::Validation, false),
            (503, ErrorKind::Network, true),
            (504, ErrorKind::Timeout, true),
        ] {
            let error = failure(status, &headers, b"").error();
            assert_eq!((error.kind(), error.is_retryable()), (kind, retried), "{status}");
        }
        let code = |status| failure(status, &headers, b"").error().code();
        assert_eq!((code(404), code(429)), (Code::UnexpectedResponse, Code::RateLimited));
        assert_eq!((code(401), code(503)), (Code::AuthenticationFailed, Code::NetworkFailed));
    }

    #[test]
    fn a_403_is_a_rate_limit_where_the_headers_say_so_and_a_permission_otherwise() {
        let at = |headers: &[(&'static str, &str)]| -> (ErrorKind, Option<Duration>, bool) {
            let pairs = headers
                .iter()
                .map(|(name, value)| (reqwest::header::HeaderName::from_static(name), value.parse().unwrap()));
            let headers = pairs.collect();
            let error = failure(403, &headers, b"").error();
            assert_eq!(error.is_retryable(), error.kind() == ErrorKind::Network);
            let hinted = error.hint().is_some_and(|hint| hint.contains("rate limit exceeded"));
            (error.kind(), error.retry_after(), hinted)
        };
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(at(&[("retry-after", "2")]), (ErrorKind::Network, seconds(2), true));
        assert_eq!(at(&[("retry-after", "0")]), (ErrorKind::Network, None, true));
        let primary = [("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")];
        assert_eq!(at(&primary), (ErrorKind::Network, seconds(30), true));
        let left = [("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "30")];
        for permission in [&[][..], &left, &[("retry-after", "soon")]] {
            assert_eq!(at(permission), (ErrorKind::Permission, None, false), "{permission:?}");
        }
    }

    #[test]
    fn a_server_behind_tls_that_was_asked_without_is_named_as_that() {
        let headers = HeaderMap::new();
        for body in
            ["Client sent an HTTP request to an HTTPS server.", "<p>The plain HTTP request was sent to HTTPS port"]
        {
            let mut failure = failure(400, &headers, body.as_bytes());
            assert!(!failure.error().hint().is_some_and(|hint| hint.contains("https://")), "it was asked with TLS");
            failure.url = "http://api.example.com:443/rows";
            assert_eq!(failure.error().hint(), Some(USE_HTTPS), "{body}");
        }
    }

    #[test]
    fn the_server_may_ask_for_a_wait_in_seconds_or_by_date() {
        assert_eq!(retry_after_of("60"), Some(Duration::from_secs(60)));
        assert_eq!(retry_after_of("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(retry_after_of("Thu, 01 Jan 1970 00:02:00 GMT"), Some(Duration::from_secs(120)));
        for nothing in ["0", "-1", "soon", "inf", "Wed, 31 Dec 1969 23:59:59 GMT"] {
            assert_eq!(retry_after_of(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_message_of_the_server_is_context_of_the_error() {
        let headers = HeaderMap::new();
        let body = br#"{"error": {"code": 7, "message": "no such\n field"}}"#;
        let error = failure(400, &headers, body).error();
        assert_eq!(error.message(), "reading rows: the server answered 400 Bad Request");
        assert!(error.report().contains("the server says: no such field"), "{error:?}");
        assert_eq!(server_message(&error), Some("no such field"));
        assert_eq!(server_message(&failure(400, &headers, b"").error()), None);
    }

    #[test]
    fn a_wait_does_not_make_an_error_retryable_whose_kind_is_not() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, "5".parse().unwrap())]);
        let failure = failure(500, &headers, b"");
        assert!(!failure.error_of(ErrorKind::Validation, "same key twice").is_retryable());
        assert_eq!(failure.error().retry_after(), Some(Duration::from_secs(5)));
    }
}
