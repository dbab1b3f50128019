//! A pgbouncer before a PostgreSQL, with TLS where the server has it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osiris_core::{Error, Result};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};

use super::Postgres;
use super::guardian::Guardian;
use super::postgres::{Home, changed, of_supabase, run_as};
use crate::skipped::is_skipped;

/// A program of one's own.
const PROGRAM: &str = "OSIRIS_TEST_PGBOUNCER_PROGRAM";
/// The accounts whose passwords it knows.
const USERS: &str = "users.txt";
const PATIENCE: Duration = Duration::from_secs(30);

/// When a client gives its session back to the others: <https://www.pgbouncer.org/features.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// At the end of its connection.
    Session,
    /// At the end of each transaction.
    Transaction,
    /// At the end of each statement: it has no transactions.
    Statement,
}

impl PoolMode {
    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        }
    }

    /// The mode of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Session, Self::Transaction, Self::Statement].into_iter().find(|mode| mode.name() == name)
    }
}

/// A pooler. Ends when dropped, or with the process.
pub struct PgBouncer {
    guardian: Guardian,
    directory: PathBuf,
    connection: Value,
}

impl PgBouncer {
    /// A pooler in transaction mode before `server`, with two sessions behind it. `None` when tests that need it are left out.
    ///
    /// # Errors
    /// When the program is not there or does not start.
    pub async fn start(server: &Postgres) -> Result<Option<Self>> {
        Self::start_in(PoolMode::Transaction, server).await
    }

    /// The same in another mode.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn start_in(mode: PoolMode, server: &Postgres) -> Result<Option<Self>> {
        Self::with_sessions(2, mode, server).await
    }

    /// The same with so many sessions.
    pub(super) async fn with_sessions(sessions: u32, mode: PoolMode, server: &Postgres) -> Result<Option<Self>> {
        if skipped() {
            return Ok(None);
        }
        let home = Home::find()?;
        let directory =
            home.make(&format!("run-pgbouncer-{}-{}", std::process::id(), crate::fault::refused_port()?))?;
        let port = crate::fault::refused_port()?;
        let connection = server.connection_with(json!({"host": Ipv4Addr::LOCALHOST, "port": port}));
        let text = |name: &str| connection[name].as_str().unwrap_or_default().to_owned();
        let (user, password, database) = (text("user"), text("password"), text("database"));
        // The file doubles quotes, the settings do not take the password at all.
        let users = format!("\"{user}\" \"{}\"\n", password.replace('"', "\"\""));
        fs::write(directory.join(USERS), users)?;
        let settings = directory.join("pgbouncer.ini");
        fs::write(&settings, ini(&directory, port, sessions, mode, server)?)?;
        home.give(&directory)?;
        let mut command: Vec<String> =
            run_as(home.user).into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
        command.extend([program().display().to_string(), settings.display().to_string()]);
        let guardian = Guardian::start(&directory, &command, &directory.join("log"))?;
        let pooler = Self { guardian, directory, connection };
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .username(&user)
            .password(&password)
            .database(&database)
            .extra_float_digits(None)
            .ssl_mode(PgSslMode::Disable)
            .disable_statement_logging();
        pooler.ready(&options).await?;
        Ok(Some(pooler))
    }

    async fn ready(&self, options: &PgConnectOptions) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match options.connect().await {
                Ok(connection) => return connection.close().await.map_err(|error| failed(error, self)),
                Err(error) if Instant::now() > deadline => return Err(failed(error, self)),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// The fields of a connection through it.
    pub fn connection(&self) -> Value {
        self.connection.clone()
    }

    /// The same with other fields: `null` takes one out.
    pub fn connection_with(&self, fields: Value) -> Value {
        changed(self.connection(), fields)
    }

    /// The fields of a Supabase connection through it.
    pub fn supabase_connection(&self) -> Value {
        of_supabase(&self.connection)
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.guardian.end("kill");
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Its settings; copies the certificate that they name. Roles that the file does not list are looked up in the server.
fn ini(directory: &Path, port: u16, sessions: u32, mode: PoolMode, server: &Postgres) -> Result<String> {
    let address = server.address()?;
    let path = |name: &str| directory.join(name).display().to_string();
    let mut ini = format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = scram-sha-256\nauth_file = {}\nauth_user = {}\npool_mode = {}\ndefault_pool_size = {sessions}\n\
         max_client_conn = 100\n",
        address.ip(),
        address.port(),
        path(USERS),
        server.connection()["user"].as_str().unwrap_or_default(),
        mode.name(),
    );
    // What a pooler of a user does between two clients; in the other modes nothing is done.
    if mode == PoolMode::Session {
        ini.push_str("server_reset_query = DISCARD ALL\n");
    }
    let certificate = server.directory().filter(|directory| directory.join("server.pem").exists());
    if let Some(from) = certificate {
        for name in ["server.pem", "server.key"] {
            fs::copy(from.join(name), directory.join(name))?;
        }
        ini.push_str(&format!(
            "client_tls_sslmode = allow\nclient_tls_cert_file = {}\nclient_tls_key_file = {}\n",
            path("server.pem"),
            path("server.key")
        ));
    }
    Ok(ini)
}

fn failed(error: sqlx::Error, pooler: &PgBouncer) -> Error {
    Error::unknown("the pooler does not answer")
        .with_hint("install pgbouncer (the package `pgbouncer`)")
        .with_context("log", pooler.log())
        .with_source(error)
}

/// The program: the one that the variable names, or one on the PATH or where only root's PATH leads.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os(PROGRAM).filter(|path| !path.is_empty()) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    places.map(|place| place.join("pgbouncer")).find(|program| program.is_file()).unwrap_or_else(|| "pgbouncer".into())
}

/// Says so where tests are left out.
#[expect(clippy::print_stdout, reason = "a test that is left out must be seen")]
fn skipped() -> bool {
    let skipped = is_skipped("pgbouncer") || is_skipped("postgres");
    if skipped {
        println!("SKIPPED: this test needs the service `pgbouncer`");
    }
    skipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pooler_passes_statements_on() {
        let Some(server) = Postgres::start().await.unwrap() else { return };
        let Some(pooler) = PgBouncer::start(&server).await.unwrap() else { return };
        assert_eq!(pooler.connection()["user"], server.connection()["user"]);
        assert!(pooler.log().contains("listening on 127.0.0.1"), "{}", pooler.log());
    }
}
