//! Opens one connection: TCP, TLS, authentication.

use std::time::Duration;

use log::LevelFilter;
use osiris_core::{Error, Result, Secret};
use osiris_sql::{CONNECT_TIMEOUT, within};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};

use super::backend::Backend;
use super::encryption::{MaybeTlsStream, negotiate_tls};
use super::net;
use super::proxy::{self, BackendPid, LocalAddress};
use super::session::{Idle, rows};
use crate::client::ConnectionTarget;
use crate::config::ServerAddress;
use crate::error::postgres_error;

/// Time limit for a clean close.
const GOODBYE: Duration = Duration::from_secs(1);
/// The application name shown by the server.
const APPLICATION: &str = "osiris";

/// Whether the connection goes through our proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectPath {
    /// Directly, if possible.
    Direct,
    /// Through the proxy, to detect a pooler.
    Inspected,
    /// Through the proxy, so that small writes do not wait for one another.
    Proxied,
}

/// An authenticated connection.
pub(super) struct Opened {
    pub(super) connection: PgConnection,
    /// The process id of the server's cancellation key, if seen.
    pub(super) key_process: Option<u32>,
    /// The TLS version.
    pub(super) tls: Option<String>,
    /// The server process, once read.
    pub(super) process: Option<Backend>,
    /// Whether the connection goes through our proxy.
    proxied: bool,
    /// Inspected without need.
    detour: bool,
}

impl Opened {
    /// A connection for use, as opposed to one opened for inspection.
    pub(super) fn into_idle(self) -> Result<Idle, PgConnection> {
        if self.detour {
            Err(self.connection)
        } else {
            Ok(Idle { connection: self.connection, process: self.process, proxied: self.proxied })
        }
    }
}

/// Connects and authenticates within the connection's `connect_timeout`.
///
/// # Errors
/// When the connection fails; the hint says what to check.
pub(super) async fn open(target: &ConnectionTarget, route: ConnectPath) -> Result<Opened> {
    let address = &target.connection.address;
    let doing = format!("connecting to {address} as `{}`", address.user);
    let limit = target.connection.connect_timeout;
    let signed_in = within(limit, CONNECT_TIMEOUT, &doing, sign_in(target, address, route, &doing)).await;
    signed_in.map_err(|error| at(error, target).with_connection_failed())
}

/// The same, and reads the server's process id.
///
/// # Errors
/// As for [`open`].
pub(super) async fn session(target: &ConnectionTarget, route: ConnectPath) -> Result<Idle> {
    const CONTEXT: &str = "reading the process id of the session";
    let mut opened = open(target, route).await?;
    let limit = target.connection.connect_timeout;
    let question = Backend::question();
    let asked = rows(&mut opened.connection, &question, CONTEXT);
    let answer = within(limit, CONNECT_TIMEOUT, CONTEXT, asked).await?;
    let process = Backend::of_session(&answer);
    Ok(Idle { connection: opened.connection, process, proxied: opened.proxied })
}

/// Closes the connection cleanly.
pub(super) async fn close(connection: PgConnection) {
    let _ = tokio::time::timeout(GOODBYE, connection.close()).await;
}

/// Adds the address to the error.
pub(super) fn at(error: Error, target: &ConnectionTarget) -> Error {
    error.with_context("address", &target.connection.address)
}

async fn sign_in(
    target: &ConnectionTarget,
    address: &ServerAddress,
    route: ConnectPath,
    doing: &str,
) -> Result<Opened> {
    let stream = net::connect(&address.host, address.port, doing).await?;
    let peer = stream.peer_addr()?;
    let stream = negotiate_tls(stream, target, &address.host, doing).await?;
    let tls = stream.tls();
    let options = options(address);
    // The options of the environment can only be removed in the proxy.
    let needed = tls.is_some() || options.get_options().is_some();
    let (to, key): (LocalAddress, Option<BackendPid>) = if needed || route != ConnectPath::Direct {
        let (local, key) = proxy::start(stream).await?;
        (local, Some(key))
    } else {
        drop::<MaybeTlsStream>(stream);
        (LocalAddress::Port(peer), None)
    };
    let options = to.address(options);
    let connection = options.connect().await.map_err(|error| postgres_error(error, doing))?;
    let proxied = key.is_some();
    let key_process = match key {
        // The server is ready and sends its key before that: the key is known now or never.
        Some(key) => key.await.ok(),
        None => None,
    };
    Ok(Opened {
        connection,
        key_process,
        tls,
        process: None,
        proxied,
        detour: !needed && route == ConnectPath::Inspected,
    })
}

/// Sets everything that sqlx would otherwise read from the environment [DRV-004]; only `PGOPTIONS` cannot be set.
fn options(address: &ServerAddress) -> PgConnectOptions {
    let password = address.password.as_ref().map(Secret::expose).unwrap_or_default();
    PgConnectOptions::new_without_pgpass()
        .username(&address.user)
        .password(password)
        .database(&address.database)
        .application_name(APPLICATION)
        .ssl_mode(PgSslMode::Disable)
        .statement_cache_capacity(0)
        // A pooler rejects unknown parameters.
        .extra_float_digits(None)
        .log_statements(LevelFilter::Off)
        // Slow statements would otherwise be logged with their text at another level.
        .log_slow_statements(LevelFilter::Off, Duration::MAX)
}
