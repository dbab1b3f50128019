//! A PostgreSQL of the test's own, or the one that `OSIRIS_TEST_POSTGRES_URL` names.

mod home;
mod launch;
mod sql;

use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use osiris_core::{Error, Result};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use self::home::PASSWORD;
use super::guardian::Guardian;
use super::pgbouncer::{PgBouncer, PoolMode};
use crate::skipped::is_skipped;

pub(super) use home::{Home, run_as};
pub use launch::PostgresOptions;
pub(super) use sql::failed;

/// A server of one's own, as `postgres://user:password@host:port/database`.
const OVERRIDE: &str = "OSIRIS_TEST_POSTGRES_URL";
/// The mode of a PgBouncer that the connections to servers of the test's own go through: `session` or `transaction`.
const POOLER: &str = "OSIRIS_TEST_POSTGRES_POOLER";
/// How many sessions that pooler has.
const POOLED: u32 = 20;
/// How long a server may take to start on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a database for the test. Ends when dropped, or with the process.
pub struct Postgres {
    /// Ends before the server.
    pooler: Option<PgBouncer>,
    admin: PgConnectOptions,
    connection: Value,
    database: String,
    own: Option<Own>,
}

/// What there is besides when the server is the test's own.
struct Own {
    guardian: Guardian,
    directory: PathBuf,
    address: SocketAddr,
    command: Vec<String>,
}

impl Postgres {
    /// The server that the variable names, with a new database in it; else one of the test's own. `None` when tests that need
    /// it are left out: the test must then return.
    ///
    /// # Errors
    /// When the programs are not there, or the server does not start.
    pub async fn start() -> Result<Option<Self>> {
        match external() {
            _ if skipped() => Ok(None),
            Some(url) => Self::at(&url.to_string_lossy()).await.map(Some),
            None => Self::start_with(PostgresOptions::new()).await,
        }
    }

    /// A server of the test's own, started like this. `None` as for [`start`](Self::start), and when the variable names a
    /// server and this machine has no program to start another.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn start_with(options: PostgresOptions) -> Result<Option<Self>> {
        if skipped() || (external().is_some() && !home::is_installed()) {
            return Ok(None);
        }
        let home = Home::find()?;
        let prepared = home.prepared()?;
        let directory = home.make(&unique("run-postgres"))?;
        home.copy(&prepared, &directory.join("data"))?;
        let mut refused = None;
        // The port may be taken between finding and using it.
        for _ in 0..5 {
            let address = SocketAddr::new(options.address(), crate::fault::refused_port()?);
            let command = launch::command(&home, &directory, address.port(), &options)?;
            match Self::run(directory.clone(), address, command).await {
                Ok(mut server) => {
                    server.pool().await?;
                    return Ok(Some(server));
                }
                Err(error) => refused = Some(error),
            }
        }
        let _ = fs::remove_dir_all(directory);
        Err(refused.unwrap_or_else(|| Error::unknown("no port was found for the server")))
    }

    async fn run(directory: PathBuf, address: SocketAddr, command: Vec<String>) -> Result<Self> {
        let guardian = Guardian::start(&directory, &command, &directory.join("log"))?;
        let admin = PgConnectOptions::new_without_pgpass()
            .host(&address.ip().to_string())
            .port(address.port())
            .username("postgres")
            .password(PASSWORD)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable);
        let connection = json!({
            "host": address.ip(),
            "port": address.port(),
            "user": "postgres",
            "password": PASSWORD,
            "database": "postgres",
        });
        let mut own = Own { guardian, directory, address, command };
        if let Err(error) = own.ready(&quiet(admin.clone())).await {
            let _ = own.guardian.end("kill");
            // The directory is for the next try.
            std::mem::forget(own);
            return Err(error);
        }
        Ok(Self { pooler: None, admin: quiet(admin), connection, database: "postgres".to_owned(), own: Some(own) })
    }

    /// Puts the pooler that the variable names before it. What the tests do themselves does not go through it.
    async fn pool(&mut self) -> Result<()> {
        let Some(mode) = std::env::var_os(POOLER).filter(|mode| !mode.is_empty()) else { return Ok(()) };
        let mode = mode.to_str().and_then(PoolMode::of).ok_or_else(|| {
            Error::validation(format!("{POOLER} is no mode")).with_hint("write session or transaction")
        })?;
        if let Some(pooler) = PgBouncer::with_sessions(POOLED, mode, self).await? {
            self.connection = pooler.connection();
            self.pooler = Some(pooler);
        }
        Ok(())
    }

    async fn at(url: &str) -> Result<Self> {
        let broken = |error: sqlx::Error| Error::validation(format!("{OVERRIDE} is no URL")).with_source(error);
        let options = quiet(url.parse::<PgConnectOptions>().map_err(broken)?);
        let database = unique("osiris_test").replace('-', "_");
        let url = options.to_url_lossy();
        let password = url.password().map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned());
        let connection = json!({
            "host": options.get_host(),
            "port": options.get_port(),
            "user": options.get_username(),
            "password": password.unwrap_or_default(),
            "database": database,
        });
        let mut server =
            Self { pooler: None, admin: options.clone(), connection, database: database.clone(), own: None };
        server.execute(&format!("CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0")).await?;
        server.admin = options.database(&database);
        Ok(server)
    }

    /// What it has said, for one of the test's own.
    pub fn log(&self) -> String {
        self.own.as_ref().map(Own::log).unwrap_or_default()
    }

    /// The fields of a connection to its database, with the account of the tests, which may do everything.
    pub fn connection(&self) -> Value {
        self.connection.clone()
    }

    /// The same with other fields: `null` takes one out.
    pub fn connection_with(&self, fields: Value) -> Value {
        changed(self.connection(), fields)
    }

    /// The fields of a Supabase connection to its database.
    pub fn supabase_connection(&self) -> Value {
        of_supabase(&self.connection)
    }

    /// The same with other fields: `null` takes one out.
    pub fn supabase_connection_with(&self, fields: Value) -> Value {
        changed(self.supabase_connection(), fields)
    }

    /// The address in one line, with the account of the tests.
    pub fn dsn(&self) -> String {
        let part = |name: &str| {
            let text = self.connection[name].as_str().unwrap_or_default();
            utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
        };
        let host = self.connection["host"].as_str().unwrap_or_default();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = &self.connection["port"];
        format!("postgresql://{}:{}@{host}:{port}/{}", part("user"), part("password"), part("database"))
    }

    /// The name of its database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Its address.
    ///
    /// # Errors
    /// When it is not the test's own and its name cannot be looked up.
    pub fn address(&self) -> Result<SocketAddr> {
        match &self.own {
            Some(own) => Ok(own.address),
            None => (self.admin.get_host(), self.admin.get_port())
                .to_socket_addrs()?
                .next()
                .ok_or_else(|| Error::validation("the server has no address")),
        }
    }

    /// Whether it is the test's own, and may be killed.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The certificate of its authority, for servers of the test's own with TLS.
    pub fn ca(&self) -> Option<PathBuf> {
        self.own.as_ref().map(|own| own.directory.join("ca.pem")).filter(|path| path.exists())
    }

    /// Where it keeps its data, for one of the test's own.
    pub fn directory(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.directory.as_path())
    }

    /// `kill -9`, as a crash would: nothing is flushed. Its data stay.
    ///
    /// # Errors
    /// When it is not the test's own.
    pub fn kill(&mut self) -> Result<()> {
        self.own()?.guardian.end("kill")
    }

    /// Ends it in good order, whoever is connected. Its data stay.
    ///
    /// # Errors
    /// When it is not the test's own.
    pub fn stop(&mut self) -> Result<()> {
        self.own()?.guardian.end("interrupt")
    }

    /// Starts it again at the same port, over its data, and waits until it answers.
    ///
    /// # Errors
    /// When it is not the test's own or does not start.
    pub async fn restart(&mut self) -> Result<()> {
        let admin = self.admin.clone();
        self.own()?.restart(&admin).await
    }

    fn own(&mut self) -> Result<&mut Own> {
        self.own.as_mut().ok_or_else(|| {
            Error::validation("this server is not the test's own").with_hint("start one with `Postgres::start_with`")
        })
    }
}

impl Own {
    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Waits until it answers: this one, not another test's that has got the port.
    async fn ready(&self, admin: &PgConnectOptions) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let own = self.directory.join("data");
        loop {
            let waits_for = match sql::value(admin, "SHOW data_directory").await {
                Ok(found) if found.as_deref().is_some_and(|found| Path::new(found) == own) => return Ok(()),
                Ok(_) => Error::unknown("another server has taken the port"),
                Err(error) => error,
            };
            let log = self.log();
            // A server that has ended, for want of the port or because its predecessor's processes still end, will not answer.
            let signs = [
                "could not create any TCP/IP sockets",
                "FATAL:  could not create shared memory segment",
                "FATAL:  pre-existing shared memory",
                "FATAL:  lock file",
            ];
            let ended = signs.iter().any(|sign| log.contains(sign));
            if Instant::now() > deadline || ended {
                return Err(waits_for.with_context("log", log));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn restart(&mut self, admin: &PgConnectOptions) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.guardian.end("kill")?;
            self.guardian = Guardian::start(&self.directory, &self.command, &self.directory.join("log"))?;
            match self.ready(admin).await {
                Err(_) if Instant::now() < deadline => {}
                ended => return ended,
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.own.is_none() {
            sql::drop_database(self.admin.clone(), self.database.clone());
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Nothing more is needed of it: the fastest end is the best.
        let _ = self.guardian.end("kill");
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A connection with other fields: `null` takes one out.
pub(super) fn changed(mut connection: Value, fields: Value) -> Value {
    if let (Value::Object(all), Value::Object(fields)) = (&mut connection, fields) {
        all.extend(fields);
        all.retain(|_, value| !value.is_null());
    }
    connection
}

/// The fields of a connection by the names that Supabase's have.
pub(super) fn of_supabase(connection: &Value) -> Value {
    let fields = connection.as_object().into_iter().flatten();
    fields.map(|(name, value)| (format!("pg_{name}"), value.clone())).collect::<Map<_, _>>().into()
}

fn external() -> Option<OsString> {
    std::env::var_os(OVERRIDE).filter(|url| !url.is_empty())
}

/// Says so where tests are left out.
#[expect(clippy::print_stdout, reason = "a test that is left out must be seen")]
fn skipped() -> bool {
    let skipped = is_skipped("postgres");
    if skipped {
        println!("SKIPPED: this test needs the service `postgres`");
    }
    skipped
}

fn quiet(options: PgConnectOptions) -> PgConnectOptions {
    options.disable_statement_logging().statement_cache_capacity(0)
}

/// Unlike any other of this machine's processes.
fn unique(prefix: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_starts_dies_and_comes_back_with_what_was_committed() {
        let Some(mut server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
        server.execute("CREATE TABLE t (a INT); INSERT INTO t VALUES (7)").await.unwrap();
        let held = server.connect().await.unwrap();
        server.kill().unwrap();
        assert!(server.connect().await.is_err());
        server.restart().await.unwrap();
        assert_eq!(server.value("SELECT a FROM t").await.unwrap().as_deref(), Some("7"));
        drop(held);
        server.stop().unwrap();
        server.restart().await.unwrap();
        let directory = server.directory().unwrap().to_owned();
        drop(server);
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn a_server_may_have_an_address_of_the_other_family_alone() {
        let options = PostgresOptions::new().listening_on_ipv6_only();
        let Some(server) = Postgres::start_with(options).await.unwrap() else { return };
        assert!(server.address().unwrap().is_ipv6());
        assert_eq!(server.value("SELECT 1").await.unwrap().as_deref(), Some("1"));
        assert!(std::net::TcpStream::connect(("127.0.0.1", server.address().unwrap().port())).is_err());
    }
}
