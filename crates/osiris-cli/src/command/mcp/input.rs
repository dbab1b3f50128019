//! The standard input, which says when it has ended: whoever reads it may still be waiting for answers then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use osiris::core::CancellationToken;
use tokio::io::{AsyncRead, ReadBuf};

/// Cancels a token at the end of what it reads.
pub(super) struct Input<R> {
    inner: R,
    ended: CancellationToken,
}

impl<R> Input<R> {
    pub(super) fn new(inner: R, ended: CancellationToken) -> Self {
        Self { inner, ended }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Input<R> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut this.inner).poll_read(context, buffer);
        let has_ended = match &read {
            Poll::Ready(Ok(())) => room > 0 && buffer.filled().len() == before,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if has_ended {
            this.ended.cancel();
        }
        read
    }
}
