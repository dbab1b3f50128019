//! An answer, and what is wrong with it.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::Value;
use tokio::time::Sleep;

/// How long what was sent may take to leave before the connection is cut.
const FLUSH: Duration = Duration::from_millis(30);
/// Bodies are sent in pieces of this size.
const PIECE: usize = 16 << 10;

/// What a [`HttpServer`](super::HttpServer) answers.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
    delay: Duration,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    CutAfter(usize),
    StallAfter(usize),
    HangUp,
}

impl Reply {
    /// An answer without a body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), delay: Duration::ZERO, end: End::Whole }
    }

    /// JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status).header(CONTENT_TYPE.as_str(), "application/json").body(body.to_string())
    }

    /// Plain text.
    pub fn text(status: u16, body: &str) -> Self {
        Self::new(status).header(CONTENT_TYPE.as_str(), "text/plain; charset=utf-8").body(body.to_owned())
    }

    /// Closes the connection without an answer.
    pub fn hang_up() -> Self {
        Self { end: End::HangUp, ..Self::new(200) }
    }

    /// The body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before it is sent.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Closes the connection after so many bytes of the body, which was announced whole.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.end = End::CutAfter(bytes);
        self
    }

    /// Sends nothing more after so many bytes of the body, and leaves the connection open.
    #[must_use]
    pub fn stall_after(mut self, bytes: usize) -> Self {
        self.end = End::StallAfter(bytes);
        self
    }

    /// The body so far, compressed with gzip.
    #[must_use]
    pub fn gzip(self) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let written = encoder.write_all(&self.body).and_then(|()| encoder.finish());
        self.encoded("gzip", written.unwrap_or_default())
    }

    /// A body that is compressed already, in this coding.
    #[must_use]
    pub fn encoded(self, coding: &str, body: impl Into<Bytes>) -> Self {
        self.header(CONTENT_ENCODING.as_str(), coding).body(body)
    }

    /// The answer for hyper; nothing for one that is never sent.
    pub(super) async fn into_response(self) -> Option<hyper::Response<Script>> {
        tokio::time::sleep(self.delay).await;
        let length = self.body.len();
        let (most, end) = match self.end {
            End::HangUp => return None,
            End::Whole => (length, self.end),
            End::CutAfter(bytes) | End::StallAfter(bytes) => (bytes.min(length), self.end),
        };
        let mut response = hyper::Response::builder().status(self.status).header(CONTENT_LENGTH, length);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let pieces = (0..most).step_by(PIECE).map(|start| self.body.slice(start..most.min(start + PIECE))).collect();
        response.body(Script { pieces, end, flushed: None }).ok()
    }
}

/// A body in pieces, with its end.
pub(super) struct Script {
    pieces: VecDeque<Bytes>,
    end: End,
    /// Runs before the connection is cut, so that what was sent is on its way.
    flushed: Option<Pin<Box<Sleep>>>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match (self.pieces.pop_front(), self.end) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, End::StallAfter(_)) => Poll::Pending,
            (None, End::CutAfter(_)) => {
                let flushed = self.flushed.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSH)));
                flushed.as_mut().poll(context).map(|()| Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
            }
            (None, _) => Poll::Ready(None),
        }
    }
}
