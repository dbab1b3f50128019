//! Faults of responses, for tests.

use std::time::Duration;

use serde_json::{Value, json};

use osiris_testkit::http_server::Reply;

/// What happens to one query. Any fault but [`Withhold`](Self::Withhold) is overcome by sending the query again.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// 429 because of too many requests, with so many seconds in `Retry-After`.
    Throttled(u64),
    /// 429 because of too many queries at once: no `Retry-After`.
    TooManyAtOnce,
    /// This status, without a body.
    Status(u16),
    /// The right response, later.
    Slow(Duration),
    /// The connection closes after so many bytes of the right response.
    Cut(usize),
    /// The right response up to this byte, as if it were complete.
    Truncated(usize),
    /// The connection closes without a response.
    HangUp,
    /// A web page with status 200, as proxies and login pages have it.
    Html,
    /// Status 500 with a body of so many bytes.
    HugeError(usize),
    /// 504: the query took too long.
    TookTooLong,
    /// 202: the query is queued, whatever was requested.
    PutOff,
    /// A successful response from the cache, whatever was requested.
    Cached,
    /// A redirect to this address.
    Redirect(String),
    /// So many rows in the middle of the response are missing, without any sign of it.
    Withhold(usize),
    /// The response to the query before, once more.
    Repeat,
}

/// An error as PostHog words it.
pub(super) fn error(status: u16, kind: &str, code: &str, detail: &str) -> Reply {
    Reply::json(status, &json!({"type": kind, "code": code, "detail": detail, "attr": Value::Null}))
}

pub(super) fn throttled(seconds: u64) -> Reply {
    let detail = format!("Request was throttled. Expected available in {seconds} seconds.");
    error(429, "throttled_error", "throttled", &detail).header("retry-after", &seconds.to_string())
}

pub(super) fn too_many_at_once() -> Reply {
    error(429, "throttled_error", "throttled", "Too many queries are running at once. Please try again in a moment.")
}

pub(super) fn took_too_long() -> Reply {
    let detail = "Query has hit the max execution time before completing. See our docs for how to improve your query \
                  performance. You may need to materialize.";
    error(504, "server_error", "error", detail)
}

pub(super) fn put_off() -> Reply {
    Reply::json(202, &json!({"query_status": {"id": "1", "complete": false, "error": false, "results": null}}))
}

pub(super) fn web_page() -> Reply {
    Reply::new(200)
        .header("content-type", "text/html; charset=utf-8")
        .body("<!DOCTYPE html><html><title>PostHog</title></html>")
}

impl Trouble {
    /// The response, if it does not depend on the right one.
    pub(super) fn reply(&self) -> Option<Reply> {
        Some(match self {
            Self::Throttled(seconds) => throttled(*seconds),
            Self::TooManyAtOnce => too_many_at_once(),
            Self::Status(status) => Reply::new(*status),
            Self::HangUp => Reply::hang_up(),
            Self::Html => web_page(),
            Self::HugeError(bytes) => Reply::new(500).header("content-type", "text/plain").body("x".repeat(*bytes)),
            Self::TookTooLong => took_too_long(),
            Self::PutOff => put_off(),
            Self::Redirect(address) => Reply::new(307).header("location", address),
            _ => return None,
        })
    }

    /// The right response with this fault.
    pub(super) fn spoil(&self, body: &str, reply: impl Fn(String) -> Reply) -> Reply {
        match self {
            Self::Slow(delay) => reply(body.to_owned()).after(*delay),
            Self::Cut(bytes) => reply(body.to_owned()).cut_after((*bytes).min(body.len().saturating_sub(1))),
            Self::Truncated(bytes) => {
                let mut end = (*bytes).min(body.len().saturating_sub(1));
                while !body.is_char_boundary(end) {
                    end -= 1;
                }
                reply(body[..end].to_owned())
            }
            _ => reply(body.to_owned()),
        }
    }

    /// A fault that a retry overcomes, for tests with random faults: `kind` is below `KINDS`.
    pub fn passing(kind: usize) -> Self {
        match kind % Self::KINDS {
            0 => Self::Status(500),
            1 => Self::Status(503),
            2 => Self::HangUp,
            3 => Self::Cut(40),
            4 => Self::Truncated(90),
            5 => Self::TooManyAtOnce,
            6 => Self::TookTooLong,
            7 => Self::Withhold(1),
            8 => Self::Cached,
            _ => Self::PutOff,
        }
    }

    /// How many kinds of [passing](Self::passing) faults there are.
    pub const KINDS: usize = 10;
}
