//! TLS to a server whose certificate must be signed by the user's CA.
//!
//! sqlx adds a given CA to the public ones and cannot exclude these: then any certificate that a public authority has
//! ever issued would pass `verify-ca`. So for a connection with a custom CA this module negotiates TLS with the server
//! itself, and forwards the bytes to sqlx through a loopback socket that accepts a single connection. sqlx also uses
//! TLS on it, with a throw-away certificate: so sqlx knows that the connection is encrypted and authenticates as usual,
//! and no packet of the protocol is changed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use osiris_core::{Error, Result};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::error::io_error;

/// The address for sqlx.
pub(crate) struct Bridge {
    listener: TcpListener,
    config: ClientConfig,
    host: String,
    port: u16,
}

/// CLIENT_SSL of the server's capabilities.
const CAN_TLS: u16 = 0x0800;
/// An SSLRequest, header included.
const TLS_REQUEST: usize = 36;
/// Maximum size of a greeting; usually about 100 bytes.
const MAX_GREETING: usize = 4096;

impl Bridge {
    pub(crate) async fn new(config: ClientConfig, host: &str, port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { listener, config, host: host.to_owned(), port })
    }

    /// The loopback port.
    pub(crate) fn local(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Connects both ends, then forwards bytes in a separate task until one of them closes.
    pub(crate) async fn open(self, doing: &str) -> Result<()> {
        let network = |error| io_error(error, doing);
        let mut server = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(network)?;
        server.set_nodelay(true).map_err(network)?;
        let greeting = packet(&mut server, doing).await?;
        let (mut local, _) = self.listener.accept().await?;
        drop(self.listener);
        local.set_nodelay(true)?;
        local.write_all(&greeting).await?;
        // sqlx reports an error packet instead of a greeting, such as "too many connections".
        if greeting.get(4) == Some(&0xff) {
            return Ok(local.shutdown().await?);
        }
        if !offers_tls(&greeting) {
            return Err(osiris_sql::tls::refused("server does not support TLS".into(), doing));
        }
        let mut request = [0; TLS_REQUEST];
        local.read_exact(&mut request).await?;
        server.write_all(&request).await.map_err(network)?;
        let name = ServerName::try_from(self.host).map_err(|error| osiris_sql::tls::refused(error.into(), doing))?;
        let outside = TlsConnector::from(Arc::new(self.config)).connect(name, server).await.map_err(network)?;
        let inside = TlsAcceptor::from(Arc::new(occasional()?)).accept(local).await?;
        tokio::spawn(osiris_sql::relay(tokio::io::split(inside), tokio::io::split(outside), |_| {}));
        Ok(())
    }
}

/// The server's first packet, with its header.
async fn packet(server: &mut TcpStream, doing: &str) -> Result<Vec<u8>> {
    let mut packet = vec![0; 4];
    server.read_exact(&mut packet).await.map_err(|error| io_error(error, doing))?;
    let length = usize::from(packet[0]) | usize::from(packet[1]) << 8 | usize::from(packet[2]) << 16;
    if length > MAX_GREETING {
        return Err(Error::network(format!("{doing}: the server did not answer as a MySQL server does"))
            .with_hint("check `host` and `port`"));
    }
    packet.resize(4 + length, 0);
    server.read_exact(&mut packet[4..]).await.map_err(|error| io_error(error, doing))?;
    Ok(packet)
}

/// Protocol version 10: the lower capabilities follow the version's text, the connection id, eight bytes of nonce and a
/// zero.
fn offers_tls(greeting: &[u8]) -> bool {
    let Some(version) = greeting.get(5..) else { return false };
    let Some(end) = version.iter().position(|byte| *byte == 0) else { return false };
    let at = end + 1 + 4 + 8 + 1;
    match version.get(at..at + 2) {
        Some(&[low, high]) => u16::from_le_bytes([low, high]) & CAN_TLS != 0,
        _ => false,
    }
}

/// An unverified certificate for the loopback connection between this module and sqlx.
fn occasional() -> Result<ServerConfig> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::unknown("failed to create the certificate of the loopback connection").with_source(error)
    };
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| failed(error.into()))?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der()));
    ServerConfig::builder_with_provider(osiris_sql::tls::provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![pair.cert.der().clone()], key))
        .map_err(|error| failed(error.into()))
}
