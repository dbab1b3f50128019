//! Opens one connection: TCP, TLS, authentication, session settings.

use std::time::Duration;

use log::LevelFilter;
use osiris_core::{Result, Secret};
use osiris_sql::tls::{TlsMode, client_config};
use osiris_sql::{CONNECT_TIMEOUT, within};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{ConnectOptions, MySqlConnection};

use super::proxy::Bridge;
use super::session::{execute, rows};
use super::{Identity, Target};
use crate::config::Address;
use crate::error::mysql_error;

/// Session settings that are the same for every server. The sql_mode is the server's, since it decides how a user's
/// query is parsed; a slow run store must not time out the session, but an abandoned session must end.
const SESSION_SETUP: &str = "SET NAMES utf8mb4, time_zone = '+00:00', autocommit = 1, net_write_timeout = 3600, \
                      net_read_timeout = 3600, wait_timeout = 900";

/// Opens a connection and identifies its session, within the connection's `connect_timeout`.
///
/// # Errors
/// When the connection fails; the hint says what to check.
pub(super) async fn open(target: &Target) -> Result<(MySqlConnection, Identity)> {
    let doing = target.doing();
    let opened = within(target.connection.connect_timeout, CONNECT_TIMEOUT, &doing, async {
        let mut connection = signed_in(target, &doing).await?;
        execute(&mut connection, SESSION_SETUP, &doing).await?;
        let identity = identity(&mut connection, &doing).await?;
        Ok((connection, identity))
    });
    opened.await.map_err(|error| error.with_connection_failed().with_context("address", &target.connection.address))
}

async fn identity(connection: &mut MySqlConnection, doing: &str) -> Result<Identity> {
    let server = rows(connection, Identity::SERVER, doing).await?;
    let uptime = rows(connection, Identity::UPTIME, doing).await?;
    let session = rows(connection, Identity::SESSION, doing).await?;
    Ok(Identity::of(&server, &uptime, &session))
}

/// Kills another connection of the same account. A session that is not certainly ours is left
/// alone: behind a load balancer this may be another server.
pub(super) async fn kill(target: &Target, session: &Identity) -> Result<()> {
    const CONTEXT: &str = "ending the statement on the server";
    within(target.connection.connect_timeout, CONNECT_TIMEOUT, CONTEXT, async {
        let mut connection = signed_in(target, &target.doing()).await?;
        let here = identity(&mut connection, CONTEXT).await?;
        if session.is_of_same_server(&here) && !rows(&mut connection, &session.find(), CONTEXT).await?.is_empty() {
            execute(&mut connection, &session.kill(), CONTEXT).await?;
        }
        Ok(())
    })
    .await
}

async fn signed_in(target: &Target, doing: &str) -> Result<MySqlConnection> {
    let options = options(target);
    let mysql = |error| mysql_error(error, doing);
    let connection = &target.connection;
    match (&connection.tls.ca, &connection.address) {
        (Some(_), Address::Tcp { host, port }) => {
            let config = client_config(&connection.tls, &target.base_dir)?;
            let bridge = Bridge::new(config, host, *port).await?;
            let local = bridge.local()?;
            let options = options.host(&local.ip().to_string()).port(local.port()).ssl_mode(MySqlSslMode::Required);
            let mut sign_in = std::pin::pin!(options.connect());
            // The proxy has the better error: sqlx only sees its end closed.
            tokio::select! {
                biased;
                bridged = bridge.open(doing) => bridged?,
                signed_in = &mut sign_in => return signed_in.map_err(mysql),
            }
            sign_in.await.map_err(mysql)
        }
        _ => options.connect().await.map_err(mysql),
    }
}

fn options(target: &Target) -> MySqlConnectOptions {
    let connection = &target.connection;
    let mut options = MySqlConnectOptions::new()
        .username(&connection.user)
        .charset("utf8mb4")
        // The session settings are set in one statement.
        .set_names(false)
        .timezone(None)
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .statement_cache_capacity(0)
        .ssl_mode(match connection.tls.mode {
            TlsMode::Disabled => MySqlSslMode::Disabled,
            TlsMode::Preferred => MySqlSslMode::Preferred,
            TlsMode::Required => MySqlSslMode::Required,
            TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
            TlsMode::VerifyFull => MySqlSslMode::VerifyIdentity,
        })
        .log_statements(if connection.echo { LevelFilter::Debug } else { LevelFilter::Off })
        // Slow statements would otherwise be logged with their text at another level.
        .log_slow_statements(LevelFilter::Off, Duration::MAX);
    options = match &connection.address {
        Address::Tcp { host, port } => options.host(host).port(*port),
        Address::Socket(path) => options.socket(path),
    };
    if let Some(database) = &connection.database {
        options = options.database(database);
    }
    if let Some(password) = connection.password.as_ref().map(Secret::expose).filter(|password| !password.is_empty()) {
        options = options.password(password);
    }
    if let Some((certificate, key)) = &connection.tls.identity {
        options = options.ssl_client_cert(target.base_dir.join(certificate)).ssl_client_key(target.base_dir.join(key));
    }
    options
}
