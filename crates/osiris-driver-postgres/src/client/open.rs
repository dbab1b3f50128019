//! One connection: reached, encrypted, signed in.

use std::time::Duration;

use log::LevelFilter;
use osiris_core::{Error, Result, Secret};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};

use super::backend::Backend;
use super::bridge::{self, KeyProcess, NearEnd};
use super::encryption::{Stream, encrypt};
use super::net;
use super::session::{Idle, rows};
use crate::client::ConnectionTarget;
use crate::config::ServerAddress;
use crate::error::{postgres_error, within};

/// How long a connection may take to say good-bye.
const GOODBYE: Duration = Duration::from_secs(1);
/// How servers list us among their sessions.
const APPLICATION: &str = "osiris";

/// Whether the bytes pass by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Where they need not, they go the straight way.
    Straight,
    /// They do, so that a pooler is recognised.
    Watched,
    /// They do, so that many small writes do not wait for one another.
    Upload,
}

/// A connection that is signed in.
pub(super) struct Opened {
    pub(super) connection: PgConnection,
    /// The process that the server's key names, where it was seen.
    pub(super) key_process: Option<u32>,
    /// The version of TLS.
    pub(super) tls: Option<String>,
    /// The server's process, once asked for.
    pub(super) process: Option<Backend>,
    /// Whether the bytes pass by us.
    bridged: bool,
    /// Watched without need.
    detour: bool,
}

impl Opened {
    /// A connection that may be used; the other way round one that was opened for a look.
    pub(super) fn into_idle(self) -> Result<Idle, PgConnection> {
        if self.detour {
            Err(self.connection)
        } else {
            Ok(Idle { connection: self.connection, process: self.process, bridged: self.bridged })
        }
    }
}

/// Signs in, within the connection's `connect_timeout`.
///
/// # Errors
/// Whatever is in the way, with what to do about it.
pub(super) async fn open(target: &ConnectionTarget, route: Route) -> Result<Opened> {
    let address = &target.connection.address;
    let doing = format!("connecting to {address} as `{}`", address.user);
    let signed_in = within(target.connection.connect_timeout, &doing, sign_in(target, address, route, &doing)).await;
    signed_in.map_err(|error| at(error, target).with_connection_failed())
}

/// The same, with the number of the server's process.
///
/// # Errors
/// As for [`open`].
pub(super) async fn session(target: &ConnectionTarget, route: Route) -> Result<Idle> {
    const DOING: &str = "asking the server for the session's process";
    let mut opened = open(target, route).await?;
    let limit = target.connection.connect_timeout;
    let answer = within(limit, DOING, rows(&mut opened.connection, &Backend::question(), DOING)).await?;
    let process = Backend::of_session(&answer);
    Ok(Idle { connection: opened.connection, process, bridged: opened.bridged })
}

/// Says good-bye to the server.
pub(super) async fn close(connection: PgConnection) {
    let _ = tokio::time::timeout(GOODBYE, connection.close()).await;
}

/// The error with the address it is about.
pub(super) fn at(error: Error, target: &ConnectionTarget) -> Error {
    error.with_context("connection", &target.connection.address)
}

async fn sign_in(target: &ConnectionTarget, address: &ServerAddress, route: Route, doing: &str) -> Result<Opened> {
    let stream = net::connect(&address.host, address.port, doing).await?;
    let peer = stream.peer_addr()?;
    let stream = encrypt(stream, target, &address.host, doing).await?;
    let tls = stream.tls();
    let options = options(address);
    // The environment's options are only left out of what passes by us.
    let needed = tls.is_some() || options.get_options().is_some();
    let (to, key): (NearEnd, Option<KeyProcess>) = if needed || route != Route::Straight {
        let (local, key) = bridge::bridge(stream).await?;
        (local, Some(key))
    } else {
        drop::<Stream>(stream);
        (NearEnd::Port(peer), None)
    };
    let options = to.address(options);
    let connection = options.connect().await.map_err(|error| postgres_error(error, doing))?;
    let bridged = key.is_some();
    let key_process = match key {
        // The server has said that it is ready, and its key comes before: either it is there or never.
        Some(key) => key.await.ok(),
        None => None,
    };
    Ok(Opened { connection, key_process, tls, process: None, bridged, detour: !needed && route == Route::Watched })
}

/// Every setting that sqlx would otherwise take from the environment is given [DRV-004]; `PGOPTIONS` alone cannot be.
fn options(address: &ServerAddress) -> PgConnectOptions {
    let password = address.password.as_ref().map(Secret::expose).unwrap_or_default();
    PgConnectOptions::new_without_pgpass()
        .username(&address.user)
        .password(password)
        .database(&address.database)
        .application_name(APPLICATION)
        .ssl_mode(PgSslMode::Disable)
        .statement_cache_capacity(0)
        // A pooler refuses what it does not know.
        .extra_float_digits(None)
        .log_statements(LevelFilter::Off)
        // A statement that is slow would have a level of its own, at which its text is logged.
        .log_slow_statements(LevelFilter::Off, Duration::MAX)
}
