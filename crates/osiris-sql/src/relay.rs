//! Passes bytes on between a client library and a server, for drivers whose library cannot use a stream of theirs.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Size of the copy buffer in bytes.
const BUFFER: usize = 128 << 10;

/// Passes everything on in both directions until one side closes. The other is closed at once then: a server in the
/// middle of a statement must not be waited for. `watch` sees what the server sends.
pub async fn relay(
    (from_client, to_client): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (from_server, to_server): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    watch: impl FnMut(&[u8]),
) {
    tokio::select! {
        () = pass(from_client, to_server, |_| {}) => {}
        () = pass(from_server, to_client, watch) => {}
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut watch: impl FnMut(&[u8])) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(read) = from.read(&mut buffer).await {
        watch(&buffer[..read]);
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    // The other side may already be closed.
    let _ = to.shutdown().await;
}
