//! A real PostgREST before a PostgreSQL of the test's. It notices new tables when it is told: see [`Postgrest::reload`].

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use osiris_core::{Error, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::guardian::Guardian;
use super::postgres::{self, Postgres};
use super::template::services_dir;
use crate::skipped::is_skipped;

/// A program of one's own.
const PROGRAM: &str = "OSIRIS_TEST_POSTGREST_PROGRAM";
/// The version that the facts of the tests are those of; `cargo xtask test-drivers --services required` fetches it.
const VERSION: &str = "12.0.2";
const PATIENCE: Duration = Duration::from_secs(60);

/// How it is started.
#[derive(Debug, Clone, Default)]
pub struct PostgrestOptions {
    settings: Vec<(String, String)>,
}

impl PostgrestOptions {
    /// The schema `public`, at most 1000 rows, four connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// A setting by its name in the manual: `("db-pool", "1")`.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((format!("PGRST_{}", name.to_ascii_uppercase().replace('-', "_")), value.to_owned()));
        self
    }

    /// At most so many rows in one answer.
    #[must_use]
    pub fn with_max_rows(self, rows: u32) -> Self {
        self.with_setting("db-max-rows", &rows.to_string())
    }

    /// These schemas, separated by commas; the first one is meant where none is named.
    #[must_use]
    pub fn with_schemas(self, schemas: &str) -> Self {
        self.with_setting("db-schemas", schemas)
    }
}

/// A PostgREST. Ends when dropped, or with the process.
pub struct Postgrest {
    guardian: Guardian,
    directory: PathBuf,
    command: Vec<String>,
    address: SocketAddr,
    ready_at: SocketAddr,
    admin: PgConnectOptions,
}

impl Postgrest {
    /// The secret that the tokens of its clients are signed with (HMAC with SHA-256).
    pub const JWT_SECRET: &str = "a secret of at least thirty-two letters, for tests";

    /// One with the default options. `None` when tests that need it are left out.
    ///
    /// # Errors
    /// When the program is not there or does not start.
    pub async fn start(server: &Postgres) -> Result<Option<Self>> {
        Self::start_with(server, PostgrestOptions::new()).await
    }

    /// One with these options, before `server`, which gets the roles of a Supabase project.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn start_with(server: &Postgres, options: PostgrestOptions) -> Result<Option<Self>> {
        if skipped() {
            return Ok(None);
        }
        let program = program()?;
        server.supabase_roles().await?;
        let mut refused = None;
        // A port may be taken between finding and using it.
        for _ in 0..5 {
            let port = crate::fault::refused_port()?;
            let admin_port = crate::fault::refused_port()?;
            let directory = services_dir()?.join(format!("run-postgrest-{}-{port}", std::process::id()));
            fs::create_dir_all(&directory)?;
            let command = command(&program, server, port, admin_port, &options)?;
            let postgrest = Self {
                guardian: Guardian::start(&directory, &command, &directory.join("log"))?,
                directory,
                command,
                address: (Ipv4Addr::LOCALHOST, port).into(),
                ready_at: (Ipv4Addr::LOCALHOST, admin_port).into(),
                admin: server.admin().clone(),
            };
            match postgrest.ready().await {
                Ok(()) => return Ok(Some(postgrest)),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| Error::unknown("no port was found for PostgREST")))
    }

    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if is_ready(self.ready_at).await.unwrap_or(false) {
                return Ok(());
            }
            let log = self.log();
            if Instant::now() > deadline || log.contains("resource busy") {
                return Err(Error::unknown("PostgREST does not get ready").with_context("log", log));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its version, such as `12.0.2`.
    ///
    /// # Errors
    /// When the program does not say.
    pub fn version(&self) -> Result<String> {
        let program = self.command.last().map(String::as_str).unwrap_or_default();
        let said = String::from_utf8_lossy(&std::process::Command::new(program).arg("--version").output()?.stdout)
            .trim()
            .to_owned();
        Ok(said.rsplit(' ').next().unwrap_or_default().to_owned())
    }

    /// Its own address, without the gateway.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has it look at the database's schema again, and waits until it has.
    ///
    /// # Errors
    /// When it does not.
    pub async fn reload(&self) -> Result<()> {
        let loaded = || self.log().matches("Schema cache loaded").count();
        let before = loaded();
        let mut connection = self.admin.connect().await.map_err(postgres::failed)?;
        sqlx::raw_sql("NOTIFY pgrst, 'reload schema'").execute(&mut connection).await.map_err(postgres::failed)?;
        connection.close().await.map_err(postgres::failed)?;
        let deadline = Instant::now() + PATIENCE;
        while loaded() <= before {
            if Instant::now() > deadline {
                return Err(Error::unknown("PostgREST does not reload").with_context("log", self.log()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Ends it.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn kill(&mut self) -> Result<()> {
        self.guardian.end("kill")
    }

    /// Starts it again at the same port.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.guardian.end("kill")?;
        self.guardian = Guardian::start(&self.directory, &self.command, &self.directory.join("log"))?;
        self.ready().await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How to connect to the database before which it stands, as its administrator.
    pub fn admin(&self) -> &PgConnectOptions {
        &self.admin
    }
}

impl Drop for Postgrest {
    fn drop(&mut self) {
        let _ = self.guardian.end("kill");
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Whether its admin server says that it can answer: <https://docs.postgrest.org/en/v12/references/admin_server.html>
async fn is_ready(admin: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    Ok(head.ends_with(b" 200"))
}

fn command(
    program: &std::path::Path,
    server: &Postgres,
    port: u16,
    admin_port: u16,
    options: &PostgrestOptions,
) -> Result<Vec<String>> {
    let (address, database) = (server.address()?, server.database());
    let mut settings = vec![
        ("PGRST_DB_URI".to_owned(), format!("postgresql://authenticator:authpw@{address}/{database}")),
        ("PGRST_DB_SCHEMAS".to_owned(), "public".to_owned()),
        ("PGRST_DB_ANON_ROLE".to_owned(), "anon".to_owned()),
        ("PGRST_JWT_SECRET".to_owned(), Postgrest::JWT_SECRET.to_owned()),
        ("PGRST_DB_MAX_ROWS".to_owned(), "1000".to_owned()),
        ("PGRST_DB_POOL".to_owned(), "4".to_owned()),
        ("PGRST_SERVER_HOST".to_owned(), "127.0.0.1".to_owned()),
        ("PGRST_SERVER_PORT".to_owned(), port.to_string()),
        ("PGRST_ADMIN_SERVER_PORT".to_owned(), admin_port.to_string()),
    ];
    settings.extend(options.settings.iter().cloned());
    let mut command = vec!["env".to_owned()];
    command.extend(settings.into_iter().map(|(name, value)| format!("{name}={value}")));
    command.push(program.display().to_string());
    Ok(command)
}

/// The program: the one that the variable names, the one that was fetched, or one on the PATH.
fn program() -> Result<PathBuf> {
    let named = std::env::var_os(PROGRAM).filter(|path| !path.is_empty()).map(PathBuf::from);
    let fetched = services_dir()?.join(format!("postgrest-{VERSION}/postgrest"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).map(|place| place.join("postgrest"));
    named.into_iter().chain([fetched]).chain(places).find(|program| program.is_file()).ok_or_else(|| {
        Error::unknown("the program `postgrest` is not there").with_hint(format!(
            "`cargo xtask test-drivers --driver supabase --services required` fetches it, or set {PROGRAM} to its path"
        ))
    })
}

/// Says so where tests are left out.
#[expect(clippy::print_stdout, reason = "a test that is left out must be seen")]
fn skipped() -> bool {
    let skipped = is_skipped("postgrest") || is_skipped("postgres");
    if skipped {
        println!("SKIPPED: this test needs the service `postgrest`");
    }
    skipped
}
