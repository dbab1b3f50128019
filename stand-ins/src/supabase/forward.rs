//! One request to a server on loopback, and its response.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper_util::rt::TokioIo;
use osiris_core::{Error, Result};
use tokio::net::TcpStream;

/// A response.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

/// Sends one request over a connection of its own.
///
/// # Errors
/// When there is no response.
pub(super) async fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: Bytes,
) -> Result<Answer> {
    let failed = |error: hyper::Error| Error::network("the test's server does not answer").with_source(error);
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let driving = tokio::spawn(connection);
    let mut request = hyper::Request::builder().method(method).uri(path).header(HOST, to.to_string());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(body))
        .map_err(|error| Error::validation("the request cannot be passed on").with_source(error))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(failed)?.to_bytes();
    driving.abort();
    let kept = |name: &str| ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|own| own == name);
    let headers = head
        .headers
        .iter()
        .filter(|(name, _)| kept(name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    Ok(Answer { status: head.status.as_u16(), headers, body })
}
