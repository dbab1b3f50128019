//! The second client: `mysql_async`, for what sqlx cannot do. It sends local files, returns the server's `info` line
//! and warning count (all needed for loading), and the metadata of result columns (needed for extraction). It connects
//! like `client`: same address, same TLS, same limits. See `docs/decisions/0008-loading-mysql.md`.

use std::path::Path;

use mysql_async::{ClientIdentity, Conn, DriverError, IoError, OptsBuilder, SslOpts};
use osiris_core::{Error, Result, tls};
use osiris_sql::tls::{TlsMode, authorities, client_config};
use osiris_sql::{CONNECT_TIMEOUT, within};

use crate::client::Bridge;
use crate::config::{Address, MysqlConnection};
use crate::error::{io_error, server_error};

const CONTEXT: &str = "connecting";

/// The options of a connection, from its settings only.
///
/// # Errors
/// When a path is not UTF-8, or the system's CA certificates cannot be read.
pub(crate) fn options(connection: &MysqlConnection, base_dir: &Path) -> Result<OptsBuilder> {
    let mut options = OptsBuilder::default()
        .user(Some(connection.user.as_str()))
        .pass(connection.password.as_ref().map(|password| password.expose()))
        .db_name(connection.database.as_deref())
        // For a local server the library would otherwise switch to its socket, bypassing TLS and proxies.
        .prefer_socket(false)
        .client_found_rows(false)
        // The operating system takes whole seconds, at least one.
        .tcp_keepalive(Some(connection.read_timeout.max(std::time::Duration::from_secs(1))));
    options = match &connection.address {
        Address::Tcp { host, port } => options.ip_or_hostname(host.as_str()).tcp_port(*port),
        Address::Socket(path) => {
            let path = base_dir.join(path);
            let path = path.to_str().ok_or_else(|| Error::validation("invalid `socket`: expected a UTF-8 path"))?;
            options.socket(Some(path))
        }
    };
    // The library has no TLS over a socket.
    let is_encrypted = connection.tls.mode != TlsMode::Disabled && matches!(connection.address, Address::Tcp { .. });
    Ok(if is_encrypted { options.ssl_opts(ssl(connection, base_dir)?) } else { options })
}

fn ssl(connection: &MysqlConnection, base_dir: &Path) -> Result<SslOpts> {
    // rustls has one provider per process; an existing one is kept.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let settings = &connection.tls;
    let mut ssl = SslOpts::default()
        .with_danger_accept_invalid_certs(!settings.mode.verifies())
        .with_danger_skip_domain_validation(settings.mode != TlsMode::VerifyFull);
    if settings.mode.verifies() {
        let roots = authorities(settings, base_dir)?.into_iter().map(|root| root.to_vec().into()).collect();
        ssl = ssl.with_root_certs(roots).with_disable_built_in_roots(true);
    }
    let identity = settings.identity.as_ref();
    Ok(ssl.with_client_identity(
        identity.map(|(cert, key)| ClientIdentity::new(base_dir.join(cert).into(), base_dir.join(key).into())),
    ))
}

/// Opens a connection within its connect timeout.
///
/// # Errors
/// When it cannot be opened.
pub(crate) async fn open(connection: &MysqlConnection, base_dir: &Path) -> Result<Conn> {
    let settings = &connection.tls;
    let opened = if settings.ca.is_some() && settings.mode.verifies() && authorities(settings, base_dir)?.is_empty() {
        open_by_bridge(connection, base_dir).await
    } else {
        match open_with(connection, options(connection, base_dir)?).await {
            Err(error) if settings.ca.is_some() && tls::find(&error).is_some_and(tls::is_of_certificate) => {
                open_by_bridge(connection, base_dir).await
            }
            opened => opened,
        }
    };
    opened.map_err(Error::with_connection_failed)
}

/// The same for a server whose own certificate is the trusted one, or that has its name in the subject alone: this library
/// refuses these, so that TLS is negotiated for it. Where it was right, the bridge refuses the server as well.
async fn open_by_bridge(connection: &MysqlConnection, base_dir: &Path) -> Result<Conn> {
    let options = options(connection, base_dir)?;
    let Address::Tcp { host, port } = &connection.address else { return open_with(connection, options).await };
    let bridge = Bridge::new(client_config(&connection.tls, base_dir)?, host, *port).await?;
    let local = bridge.local()?;
    let ssl = SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
    let options = options.ip_or_hostname(local.ip().to_string()).tcp_port(local.port()).ssl_opts(ssl);
    let mut opened = std::pin::pin!(open_with(connection, options));
    // The bridge has the better error.
    tokio::select! {
        biased;
        bridged = bridge.open(CONTEXT) => bridged?,
        opened = &mut opened => return opened,
    }
    opened.await
}

/// The same with other options.
///
/// # Errors
/// As for [`open`].
async fn open_with(connection: &MysqlConnection, options: OptsBuilder) -> Result<Conn> {
    let limit = connection.connect_timeout;
    let opened = within(limit, CONNECT_TIMEOUT, CONTEXT, async { Ok(Conn::new(options.clone()).await) }).await?;
    let refused_tls = matches!(&opened, Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer)));
    let opened = if refused_tls && connection.tls.mode == TlsMode::Preferred {
        within(limit, CONNECT_TIMEOUT, CONTEXT, async { Ok(Conn::new(options.ssl_opts(None)).await) }).await?
    } else {
        opened
    };
    opened.map_err(|error| wire_error(error, CONTEXT))
}

/// Converts an error of this client; server and network errors are classified as usual.
pub(crate) fn wire_error(error: mysql_async::Error, doing: &str) -> Error {
    match error {
        mysql_async::Error::Server(server) => server_error(server.code, &server.state, &server.message, doing),
        mysql_async::Error::Io(IoError::Tls(error)) => osiris_sql::tls::refused(Box::new(error), doing),
        mysql_async::Error::Io(IoError::Io(error)) => io_error(error, doing),
        mysql_async::Error::Driver(
            error @ (DriverError::ConnectionClosed
            | DriverError::PacketOutOfOrder
            | DriverError::UnexpectedPacket { .. }),
        ) => Error::network(format!("{doing}: the connection was lost"))
            .with_source(error)
            .with_hint("check the server's log and the network, then run again"),
        other => Error::unknown(format!("{doing}: the client failed"))
            .with_source(other)
            .with_hint("run again; if it fails again, report a bug"),
    }
}
