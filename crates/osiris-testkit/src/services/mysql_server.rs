//! A MariaDB or MySQL of the test's own, or the one that a variable such as `OSIRIS_TEST_MYSQL_URL` names.
//!
//! Drivers sign in with an ordinary account that has all rights on one database and none beyond it; statements of the test itself
//! come from an administrator.

use std::ffi::OsString;
use std::fs;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use osiris_core::{Error, Result};
use serde_json::{Value, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, MySqlConnection, Row};

use super::brand::{self, Brand, MariadbBrand, MysqlBrand};
use super::guardian::Guardian;
use super::launch::{ADMIN, MysqlOptions, PASSWORD, USER, command};
use super::template;
use crate::skipped::is_skipped;

/// How long a server may take to start on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a database for the test. Ends when dropped, or with the process.
pub struct MysqlServer<B: Brand> {
    admin: MySqlConnectOptions,
    connection: Value,
    database: String,
    own: Option<Own>,
    brand: PhantomData<B>,
}

/// A MariaDB.
pub type Mariadb = MysqlServer<MariadbBrand>;

/// A genuine MySQL.
pub type Mysql = MysqlServer<MysqlBrand>;

/// What there is besides when the server is the test's own.
struct Own {
    guardian: Guardian,
    directory: PathBuf,
    port: u16,
    command: Vec<String>,
}

impl<B: Brand> MysqlServer<B> {
    /// The name of the service.
    pub const SERVICE: &'static str = B::SERVICE;
    /// Whether it is MariaDB: a test that is about one server alone asks.
    pub const IS_MARIADB: bool = B::IS_MARIADB;

    /// The server that the variable names, with a new database in it; else one of the test's own. `None` when tests that need
    /// it are left out: the test must then return.
    ///
    /// # Errors
    /// When the programs are not there, or the server does not start.
    pub async fn start() -> Result<Option<Self>> {
        match external::<B>() {
            _ if skipped::<B>() => Ok(None),
            Some(url) => Self::at(&url.to_string_lossy()).await.map(Some),
            None => Self::start_with(MysqlOptions::new()).await,
        }
    }

    /// A server of the test's own, started like this. `None` as for [`start`](Self::start), and when the variable names a
    /// server and this machine has no program to start another.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn start_with(options: MysqlOptions) -> Result<Option<Self>> {
        let services = template::services_dir()?;
        let program = B::program(&services);
        if skipped::<B>() || (external::<B>().is_some() && program.is_none()) {
            return Ok(None);
        }
        let program = program.ok_or_else(|| {
            Error::unknown(format!("the program of `{}` is not there", B::SERVICE)).with_hint(B::advice())
        })?;
        let user = (fs::metadata(&services)?.uid() == 0).then_some("--user=root");
        let prepared = brand::prepared::<B>(&services, &program, user)?;
        let mut refused = None;
        // The port may be taken between finding and using it.
        for _ in 0..5 {
            // One that did not start has taken its directory with it.
            let directory = services.join(unique("run"));
            template::copy(&prepared, &directory.join("data"))?;
            let port = crate::fault::refused_port()?;
            let command = command::<B>(&directory, port, &program, user, &options)?;
            match Self::run(directory, port, command).await {
                Ok(server) => return Ok(Some(server)),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| Error::unknown("no port was found for the server")))
    }

    async fn run(directory: PathBuf, port: u16, command: Vec<String>) -> Result<Self> {
        let guardian = Guardian::start(&directory, &command, &directory.join("log"))?;
        let admin = MySqlConnectOptions::new()
            .host("127.0.0.1")
            .port(port)
            .username(ADMIN)
            .password(PASSWORD)
            .database("test")
            .ssl_mode(MySqlSslMode::Disabled);
        let connection =
            json!({"host": "127.0.0.1", "port": port, "user": USER, "password": PASSWORD, "database": "test"});
        let own = Some(Own { guardian, directory, port, command });
        let server = Self { admin: quiet(admin), connection, database: "test".to_owned(), own, brand: PhantomData };
        server.ready().await?;
        Ok(server)
    }

    async fn at(url: &str) -> Result<Self> {
        let broken = |error: sqlx::Error| Error::validation(format!("{} is no URL", B::OVERRIDE)).with_source(error);
        let options = quiet(url.parse::<MySqlConnectOptions>().map_err(broken)?);
        let database = unique("osiris_test");
        let mut server = Self {
            admin: options.clone(),
            connection: Value::Null,
            database: database.clone(),
            own: None,
            brand: PhantomData,
        };
        // The account has the name of its database.
        server
            .execute(&format!(
                "CREATE DATABASE {database} CHARACTER SET utf8mb4; \
                 CREATE USER {database}@'%' IDENTIFIED BY '{}'; GRANT ALL ON {database}.* TO {database}@'%'",
                PASSWORD.replace('\'', "''")
            ))
            .await?;
        server.connection = json!({
            "host": options.get_host(),
            "port": options.get_port(),
            "user": database,
            "password": PASSWORD,
            "database": database,
        });
        server.admin = options.database(&database);
        Ok(server)
    }

    /// Waits until it answers: this one, not another test's that has got the port.
    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let waits_for = match self.value("SELECT @@datadir").await {
                Ok(found) if self.answers_from(found.as_deref()) => return Ok(()),
                Ok(_) => Error::unknown("another server has taken the port"),
                Err(error) => error,
            };
            // A server that has ended, for want of the port, will not answer any more.
            if Instant::now() > deadline || self.log().contains("Aborting") {
                return Err(waits_for.with_context("log", self.log()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn answers_from(&self, data_directory: Option<&str>) -> bool {
        let own = self.own.as_ref().map(|own| own.directory.join("data"));
        own.is_none_or(|own| data_directory.is_some_and(|found| Path::new(found) == own))
    }

    /// What it has said, for one of the test's own.
    pub fn log(&self) -> String {
        let log = self.own.as_ref().map(|own| fs::read_to_string(own.directory.join("log")));
        log.and_then(|log| log.ok()).unwrap_or_default()
    }

    /// The fields of a connection to its database, with an account that may do everything there and nothing elsewhere.
    pub fn connection(&self) -> Value {
        self.connection.clone()
    }

    /// The same with other fields: `null` takes one out.
    pub fn connection_with(&self, fields: Value) -> Value {
        let mut connection = self.connection.clone();
        if let (Value::Object(all), Value::Object(fields)) = (&mut connection, fields) {
            all.extend(fields);
            all.retain(|_, value| !value.is_null());
        }
        connection
    }

    /// The ordinary account as the server writes it in a GRANT.
    pub fn account(&self) -> String {
        let user = self.connection["user"].as_str().unwrap_or_default();
        format!("'{user}'@'%'")
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
            Some(own) => Ok((Ipv4Addr::LOCALHOST, own.port).into()),
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

    /// Where the server keeps its data, for one of the test's own.
    pub fn directory(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.directory.as_path())
    }

    /// A connection that is not the driver's, of an administrator.
    ///
    /// # Errors
    /// What the server says.
    pub async fn connect(&self) -> Result<MySqlConnection> {
        self.admin.connect().await.map_err(failed)
    }

    /// The same as another account, without a database.
    ///
    /// # Errors
    /// What the server says.
    pub async fn connect_as(&self, user: &str, password: &str) -> Result<MySqlConnection> {
        let options = quiet(MySqlConnectOptions::new().host(self.admin.get_host()).port(self.admin.get_port()));
        options.username(user).password(password).connect().await.map_err(failed)
    }

    /// Runs statements, separated by semicolons.
    ///
    /// # Errors
    /// What the server says.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }

    /// The rows of a query, as text. What is no text shows its bytes in hexadecimal after `0x`.
    ///
    /// # Errors
    /// What the server says.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let mut connection = self.connect().await?;
        let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.map_err(failed)?;
        connection.close().await.map_err(failed)?;
        found
            .iter()
            .map(|row| (0..row.len()).map(|index| row.try_get_unchecked(index).map(text).map_err(failed)).collect())
            .collect()
    }

    /// The first field of the first row, or nothing.
    ///
    /// # Errors
    /// What the server says.
    pub async fn value(&self, sql: &str) -> Result<Option<String>> {
        Ok(self.rows(sql).await?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    /// `kill -9`, as a crash would: nothing is flushed. Its data stay.
    ///
    /// # Errors
    /// When it is not the test's own.
    pub fn kill(&mut self) -> Result<()> {
        self.own()?.guardian.end("kill")
    }

    /// Ends it in good order. Its data stay.
    ///
    /// # Errors
    /// When it is not the test's own.
    pub fn stop(&mut self) -> Result<()> {
        self.own()?.guardian.end("stop")
    }

    /// Starts it again at the same port, over its data, and waits until it answers.
    ///
    /// # Errors
    /// When it is not the test's own or does not start.
    pub async fn restart(&mut self) -> Result<()> {
        let own = self.own()?;
        own.guardian.end("kill")?;
        own.guardian = Guardian::start(&own.directory, &own.command, &own.directory.join("log"))?;
        self.ready().await
    }

    fn own(&mut self) -> Result<&mut Own> {
        self.own.as_mut().ok_or_else(|| {
            Error::validation("this server is not the test's own").with_hint("start one with `start_with`")
        })
    }
}

impl<B: Brand> Drop for MysqlServer<B> {
    fn drop(&mut self) {
        if self.own.is_some() {
            return;
        }
        let (admin, database) = (self.admin.clone(), self.database.clone());
        // A thread of its own: this may be dropped inside a runtime.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| {
                runtime.block_on(async {
                    let mut connection = admin.connect().await?;
                    let sql = format!("DROP DATABASE IF EXISTS {database}; DROP USER IF EXISTS {database}@'%'");
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await
                })
            })
        });
        let _ = dropping.join();
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Nothing more is needed of it: the fastest end is the best.
        let _ = self.guardian.end("kill");
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn external<B: Brand>() -> Option<OsString> {
    std::env::var_os(B::OVERRIDE).filter(|url| !url.is_empty())
}

/// Says so where tests are left out.
#[expect(clippy::print_stdout, reason = "a test that is left out must be seen")]
fn skipped<B: Brand>() -> bool {
    let skipped = is_skipped(B::SERVICE);
    if skipped {
        println!("SKIPPED: this test needs the service `{}`", B::SERVICE);
    }
    skipped
}

fn quiet(options: MySqlConnectOptions) -> MySqlConnectOptions {
    options.disable_statement_logging().statement_cache_capacity(0)
}

fn failed(error: sqlx::Error) -> Error {
    Error::unknown(format!("the test's server: {error}")).with_source(error)
}

fn text(value: Option<Vec<u8>>) -> Option<String> {
    value.map(|bytes| {
        String::from_utf8(bytes).unwrap_or_else(|error| {
            let hex: String = error.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("0x{hex}")
        })
    })
}

/// Unlike any other of this machine's processes.
fn unique(prefix: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mariadb_starts_dies_and_comes_back_with_its_data() {
        starts_dies_and_comes_back::<MariadbBrand>().await;
    }

    #[tokio::test]
    async fn a_mysql_starts_dies_and_comes_back_with_its_data() {
        starts_dies_and_comes_back::<MysqlBrand>().await;
    }

    async fn starts_dies_and_comes_back<B: Brand>() {
        let Some(mut server) = MysqlServer::<B>::start_with(MysqlOptions::new()).await.unwrap() else { return };
        server.execute("CREATE TABLE t (a INT); INSERT INTO t VALUES (7)").await.unwrap();
        server.kill().unwrap();
        assert!(server.connect().await.is_err());
        server.restart().await.unwrap();
        assert_eq!(server.value("SELECT a FROM t").await.unwrap().as_deref(), Some("7"));
        let directory = server.directory().unwrap().to_owned();
        drop(server);
        assert!(!directory.exists());
    }

    /// Tells the second process to start a server and wait.
    const SECOND: &str = "OSIRIS_TEST_SERVER_OF_A_DYING_PROCESS";

    #[tokio::test]
    async fn a_server_ends_with_the_process_that_is_killed() {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};
        if let Some(report) = std::env::var_os(SECOND) {
            let server = Mariadb::start_with(MysqlOptions::new()).await.unwrap().unwrap();
            let directory = server.directory().unwrap().display().to_string();
            fs::write(report, format!("{}\n{directory}\n", server.address().unwrap())).unwrap();
            println!("ready");
            std::thread::sleep(Duration::from_secs(600));
            return;
        }
        if is_skipped("mariadb") {
            return;
        }
        let report = tempfile::NamedTempFile::new().unwrap();
        let mut second = Command::new(std::env::current_exe().unwrap())
            .args(["a_server_ends_with_the_process_that_is_killed", "--nocapture"])
            .env(SECOND, report.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(second.stdout.take().unwrap());
        assert!(said.lines().any(|line| line.unwrap().contains("ready")));
        second.kill().unwrap();
        second.wait().unwrap();
        let report = fs::read_to_string(report.path()).unwrap();
        let (address, directory) = report.trim().split_once('\n').unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(address).is_ok() || Path::new(directory).exists() {
            assert!(Instant::now() < deadline, "the server outlives its test");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
