//! A loopback proxy that lets sqlx use a stream of ours. sqlx opens its sockets itself, so it gets a private Unix
//! socket (a loopback port where there are none) that accepts a single connection, whose bytes are forwarded to the
//! server.
//!
//! sqlx leaves Nagle's algorithm on: on a TCP socket of its own the end of every COPY would wait for the server's
//! delayed acknowledgement of the data before it. A Unix socket has neither.
//!
//! The proxy does two more things: it removes what the environment (`PGOPTIONS`) made sqlx add to the start-up message
//! [DRV-004], and reads the cancellation key of the server. Behind a pooler it is not that of the server
//! process, which reveals a pooler on any port.

use std::net::{Ipv4Addr, SocketAddr};

use osiris_core::Result;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::encryption::MaybeTlsStream;

/// The port number in the name of the socket.
#[cfg(unix)]
const SOCKET_NUMBER: u16 = 5432;
/// Maximum size of a start-up message, as in the server; usually it has a few hundred bytes.
const MAX_START_UP: usize = 10_000;
/// Maximum size of the server's messages until it is ready.
const MAX_GREETING: usize = 64 << 10;

/// The process id of the server's cancellation key, once seen.
pub(super) type BackendPid = oneshot::Receiver<u32>;

/// The local address of the proxy.
pub(super) enum LocalAddress {
    Port(SocketAddr),
    /// A private directory with a socket of the name that clients expect. Removed on drop, which does not
    /// affect an open connection.
    #[cfg(unix)]
    Directory(tempfile::TempDir),
}

impl LocalAddress {
    /// The options with this as the server address.
    pub(super) fn address(&self, options: PgConnectOptions) -> PgConnectOptions {
        match self {
            Self::Port(address) => options.host(&address.ip().to_string()).port(address.port()),
            #[cfg(unix)]
            Self::Directory(directory) => options.socket(directory.path()).port(SOCKET_NUMBER),
        }
    }
}

/// Forwards bytes between a local socket and `server` in a separate task, until one of them closes.
pub(super) async fn start(server: MaybeTlsStream) -> Result<(LocalAddress, BackendPid)> {
    let (seen, key) = oneshot::channel();
    #[cfg(unix)]
    if let Some((directory, listener)) = private_socket() {
        tokio::spawn(async move {
            let Ok((client, _)) = listener.accept().await else { return };
            drop(listener);
            // Any failure closes both ends, which the client notices.
            let _ = relay(client, server, seen).await;
        });
        return Ok((LocalAddress::Directory(directory), key));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let local = listener.local_addr()?;
    tokio::spawn(async move {
        let Ok((client, _)) = listener.accept().await else { return };
        drop(listener);
        if client.set_nodelay(true).is_ok() {
            let _ = relay(client, server, seen).await;
        }
    });
    Ok((LocalAddress::Port(local), key))
}

/// A socket in a directory that only this user can enter; `None` where that is impossible, such as below a path that is
/// too long.
#[cfg(unix)]
fn private_socket() -> Option<(tempfile::TempDir, tokio::net::UnixListener)> {
    let directory = tempfile::Builder::new().prefix("osiris-pg-").tempdir().ok()?;
    let listener = tokio::net::UnixListener::bind(directory.path().join(format!(".s.PGSQL.{SOCKET_NUMBER}"))).ok()?;
    Some((directory, listener))
}

async fn relay(
    client: impl AsyncRead + AsyncWrite,
    server: MaybeTlsStream,
    seen: oneshot::Sender<u32>,
) -> std::io::Result<()> {
    let (mut from_client, to_client) = tokio::io::split(client);
    let (from_server, mut to_server) = tokio::io::split(server);
    let start_up = start_up(&mut from_client).await?;
    to_server.write_all(&start_up).await?;
    to_server.flush().await?;
    let mut greeting = StartupReader::new(seen);
    osiris_sql::relay((from_client, to_client), (from_server, to_server), |bytes| greeting.watch(bytes)).await;
    Ok(())
}

/// The client's first message without `options`: a length, the protocol, zero-terminated names and values, a zero.
async fn start_up(client: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = client.read_u32().await?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(9..=MAX_START_UP).contains(&length) {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut rest = vec![0; length - 4];
    client.read_exact(&mut rest).await?;
    Ok(without_options(&rest))
}

fn without_options(rest: &[u8]) -> Vec<u8> {
    let (protocol, parameters) = rest.split_at(4);
    let mut message = vec![0; 4];
    message.extend_from_slice(protocol);
    let mut texts = parameters.split(|byte| *byte == 0);
    while let (Some(name @ [_, ..]), Some(value)) = (texts.next(), texts.next()) {
        if name == b"options" {
            continue;
        }
        for text in [name, value] {
            message.extend_from_slice(text);
            message.push(0);
        }
    }
    message.push(0);
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    message[..4].copy_from_slice(&length.to_be_bytes());
    message
}

/// Reads the server's messages until it is ready for statements.
struct StartupReader {
    bytes: Vec<u8>,
    seen: Option<oneshot::Sender<u32>>,
}

impl StartupReader {
    fn new(seen: oneshot::Sender<u32>) -> Self {
        Self { bytes: Vec::new(), seen: Some(seen) }
    }

    fn watch(&mut self, bytes: &[u8]) {
        if self.seen.is_none() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        while let Some((&[kind, a, b, c, d], rest)) = self.bytes.split_first_chunk::<5>() {
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX).saturating_sub(4);
            // Ready, an error, or not PostgreSQL: no key follows.
            if matches!(kind, b'Z' | b'E') || length > MAX_GREETING {
                return self.end();
            }
            if rest.len() < length {
                return;
            }
            if let (b'K', Some(&process)) = (kind, rest.first_chunk::<4>()) {
                if let Some(seen) = self.seen.take() {
                    // Nobody waits for it after a failed authentication.
                    let _ = seen.send(u32::from_be_bytes(process));
                }
                return self.end();
            }
            self.bytes.drain(..5 + length);
        }
    }

    fn end(&mut self) {
        self.seen = None;
        self.bytes = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_adds_is_taken_out() {
        let rest = b"\x00\x03\x00\x00user\0u\0options\0-c search_path=x\0database\0\0\0";
        let message = without_options(rest);
        assert_eq!(&message[4..], b"\x00\x03\x00\x00user\0u\0database\0\0\0");
        assert_eq!(u32::from_be_bytes(message[..4].try_into().unwrap()) as usize, message.len());
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn the_key_is_seen_however_the_bytes_arrive() {
        let greeting = [
            message(b'R', &[0, 0, 0, 0]),
            message(b'S', b"server_version\x0015\0"),
            message(b'K', &[0, 0, 1, 2, 9, 9, 9, 9]),
            message(b'Z', b"I"),
        ]
        .concat();
        for size in [1, 3, 7, 1000] {
            let (sender, mut receiver) = oneshot::channel();
            let mut watch = StartupReader::new(sender);
            greeting.chunks(size).for_each(|chunk| watch.watch(chunk));
            assert_eq!(receiver.try_recv().unwrap(), 258, "{size}");
            assert!(watch.bytes.is_empty());
        }
    }

    #[test]
    fn without_a_key_nothing_is_waited_for() {
        for greeting in [message(b'E', b"SFATAL\0\0"), message(b'Z', b"I"), message(b'H', &[0; 5])] {
            let (sender, mut receiver) = oneshot::channel();
            let mut watch = StartupReader::new(sender);
            watch.watch(&greeting);
            watch.watch(&message(b'Z', b"I"));
            assert!(receiver.try_recv().is_err());
            assert!(watch.seen.is_none());
        }
    }
}
