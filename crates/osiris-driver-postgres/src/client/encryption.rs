//! TLS with the server, negotiated here: sqlx would add a given CA to the public ones, and read another from the
//! environment.
//!
//! The request has eight bytes, the response one (<https://www.postgresql.org/docs/current/protocol-flow.html>, "SSL
//! Session Encryption"). A server that cannot start a session sends an error instead.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use osiris_core::{Error, Result};
use osiris_sql::tls::{TlsMode, client_config, refused};
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::ConnectionTarget;
use crate::error::{io_error, server_error};

const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Maximum size of an error sent instead of a response; usually a few hundred bytes.
const MAX_ERROR: usize = 8192;

/// A stream to the server, with or without TLS.
pub(super) enum MaybeTlsStream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl MaybeTlsStream {
    /// The TLS version; `None` without TLS.
    pub(super) fn tls(&self) -> Option<String> {
        let Self::Encrypted(stream) = self else { return None };
        Some(match stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
            other => format!("{other:?}"),
        })
    }
}

/// Negotiates TLS on `stream` according to the connection.
///
/// # Errors
/// When the server does not support TLS, or its certificate is not trusted.
pub(super) async fn negotiate_tls(
    mut stream: TcpStream,
    target: &ConnectionTarget,
    host: &str,
    doing: &str,
) -> Result<MaybeTlsStream> {
    let tls = &target.connection.tls;
    if tls.mode == TlsMode::Disabled {
        return Ok(MaybeTlsStream::Plain(stream));
    }
    let network = |error| io_error(error, doing);
    stream.write_all(&TLS_REQUEST).await.map_err(network)?;
    match stream.read_u8().await.map_err(network)? {
        b'S' => {}
        b'N' if tls.mode == TlsMode::Preferred => return Ok(MaybeTlsStream::Plain(stream)),
        b'N' => return Err(refused("server does not support TLS".into(), doing)),
        b'E' => return Err(error_instead(&mut stream, doing).await),
        _ => return Err(no_postgres(doing)),
    }
    let config = client_config(tls, &target.base_dir)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| refused(error.into(), doing))?;
    let encrypted = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let encrypted = encrypted.map_err(|error| match error.get_ref() {
        Some(inner) if inner.is::<rustls::Error>() => refused(error.into(), doing),
        _ => io_error(error, doing),
    })?;
    Ok(MaybeTlsStream::Encrypted(Box::new(encrypted)))
}

/// The port belongs to another service.
fn no_postgres(doing: &str) -> Error {
    Error::network(format!("{doing}: the server did not answer as a PostgreSQL server does"))
        .with_hint("check `host` and `port`, or those in `dsn`")
        .with_retryable(false)
}

/// The error that the server sends instead of a response: each field is a letter, a text and a zero.
async fn error_instead(stream: &mut TcpStream, doing: &str) -> Error {
    let Ok(length) = stream.read_u32().await else { return no_postgres(doing) };
    let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(4);
    let mut body = vec![0; length.min(MAX_ERROR)];
    if length > MAX_ERROR || stream.read_exact(&mut body).await.is_err() {
        return no_postgres(doing);
    }
    let field = |letter: u8| {
        let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&letter))?;
        Some(String::from_utf8_lossy(found.get(1..)?).into_owned())
    };
    match (field(b'C'), field(b'M')) {
        (Some(state), Some(message)) => server_error(&state, &message, doing),
        _ => no_postgres(doing),
    }
}

impl AsyncRead for MaybeTlsStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for MaybeTlsStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
