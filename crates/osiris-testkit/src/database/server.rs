//! The servers, as the tests of any database see them.

use std::net::SocketAddr;
use std::path::PathBuf;

use osiris_core::{Error, Result};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, MySqlConnection, PgConnection};

use crate::services::{Brand, MysqlOptions, MysqlServer, Postgres, PostgresOptions};

/// A server of the test's own.
pub trait DatabaseServer: Sized + Send + Sync + 'static {
    /// How it is started.
    type Options: Default + Send;
    /// A connection that is not the driver's.
    type Session: Send + 'static;

    /// The query for the sessions of the driver that are open.
    const SESSIONS: &'static str;
    /// The query for the tables of users.
    const TABLES: &'static str;

    /// Options of a server without TLS.
    fn without_tls() -> Self::Options;

    /// Options of a server whose certificate is for these names.
    fn certified_for(names: &[&str]) -> Self::Options;

    /// Options of a server whose certificate is for these names, and signed itself as an authority does.
    fn self_signed(names: &[&str]) -> Self::Options;

    /// Options of a server that keeps what it has committed when it is killed.
    fn durable() -> Self::Options;

    /// One of the test's own, or a database of its own at a server that somebody else has started. `None` when tests that need it
    /// are left out: the test must then return.
    fn start() -> impl Future<Output = Result<Option<Self>>> + Send;

    /// One of the test's own, started like this. `None` as for [`start`](Self::start).
    fn start_with(options: Self::Options) -> impl Future<Output = Result<Option<Self>>> + Send;

    /// The fields of a connection by which it is found at another address.
    fn at(host: &str, port: u16) -> Value;

    /// The fields of a connection that waits for about a second.
    fn impatient() -> Value;

    /// What gives the numbers from 1 to `last` in a FROM, as `i`.
    fn numbers(last: u64) -> String;

    /// The fields of a connection, changed by these.
    fn connection_with(&self, fields: Value) -> Value;

    /// The name of its database.
    fn database(&self) -> &str;

    /// Its address.
    fn address(&self) -> Result<SocketAddr>;

    /// The certificate of its authority.
    fn ca(&self) -> Option<PathBuf>;

    /// Runs statements, separated by semicolons.
    fn execute(&self, sql: &str) -> impl Future<Output = Result<()>> + Send;

    /// The rows of a query, as text.
    fn rows(&self, sql: &str) -> impl Future<Output = Result<Vec<Vec<Option<String>>>>> + Send;

    /// A connection of an administrator.
    fn session(&self) -> impl Future<Output = Result<Self::Session>> + Send;

    /// Runs statements over it, separated by semicolons.
    fn run(session: &mut Self::Session, sql: &str) -> impl Future<Output = Result<()>> + Send;

    /// Lets the account of the driver see the open transactions of others.
    fn show_transactions(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// `kill -9`.
    fn kill(&mut self) -> Result<()>;

    /// Starts it again over its data.
    fn restart(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// What it has said.
    fn log(&self) -> String;
}

/// What both servers have under the same names.
macro_rules! same {
    () => {
        fn connection_with(&self, fields: Value) -> Value {
            self.connection_with(fields)
        }

        fn database(&self) -> &str {
            self.database()
        }

        fn address(&self) -> Result<SocketAddr> {
            self.address()
        }

        fn ca(&self) -> Option<PathBuf> {
            self.ca()
        }

        async fn execute(&self, sql: &str) -> Result<()> {
            self.execute(sql).await
        }

        async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
            self.rows(sql).await
        }

        fn kill(&mut self) -> Result<()> {
            self.kill()
        }

        async fn restart(&mut self) -> Result<()> {
            self.restart().await
        }

        fn log(&self) -> String {
            self.log()
        }

        async fn session(&self) -> Result<Self::Session> {
            self.connect().await
        }

        async fn run(session: &mut Self::Session, sql: &str) -> Result<()> {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(session).await;
            done.map(drop).map_err(|error| Error::unknown(format!("the statement failed: {error}")))
        }

        async fn start() -> Result<Option<Self>> {
            Self::start().await
        }

        async fn start_with(options: Self::Options) -> Result<Option<Self>> {
            Self::start_with(options).await
        }
    };
}

impl<B: Brand> DatabaseServer for MysqlServer<B> {
    type Options = MysqlOptions;
    type Session = MySqlConnection;

    const SESSIONS: &'static str = "SELECT ID, COMMAND, INFO FROM information_schema.PROCESSLIST \
        WHERE ID <> CONNECTION_ID() AND USER NOT IN ('system user', 'event_scheduler')";
    const TABLES: &'static str = "SHOW TABLES";

    fn without_tls() -> MysqlOptions {
        MysqlOptions::new().without_tls()
    }

    fn certified_for(names: &[&str]) -> MysqlOptions {
        MysqlOptions::new().with_certificate_for(names)
    }

    fn self_signed(names: &[&str]) -> MysqlOptions {
        MysqlOptions::new().self_signed(names)
    }

    fn durable() -> MysqlOptions {
        MysqlOptions::new().with_setting("innodb-flush-log-at-trx-commit", "1")
    }

    fn at(host: &str, port: u16) -> Value {
        json!({"host": host, "port": port})
    }

    fn impatient() -> Value {
        json!({"read_timeout": 1, "connect_timeout": 1})
    }

    fn numbers(last: u64) -> String {
        // Neither server has all of: tables of numbers, deep recursion by default.
        format!(
            "JSON_TABLE(CONCAT('[', REPEAT('0,', {}), '0]'), '$[*]' COLUMNS (i FOR ORDINALITY)) numbers",
            last.saturating_sub(1)
        )
    }

    async fn show_transactions(&self) -> Result<()> {
        self.execute(&format!("GRANT PROCESS ON *.* TO {}", self.account())).await
    }

    same!();
}

impl DatabaseServer for Postgres {
    type Options = PostgresOptions;
    type Session = PgConnection;

    const SESSIONS: &'static str =
        "SELECT pid::text, state, wait_event, query FROM pg_stat_activity WHERE application_name LIKE 'osiris%'";
    const TABLES: &'static str = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN \
        ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)";

    fn without_tls() -> PostgresOptions {
        PostgresOptions::new().without_tls()
    }

    fn certified_for(names: &[&str]) -> PostgresOptions {
        PostgresOptions::new().with_certificate_for(names)
    }

    fn self_signed(names: &[&str]) -> PostgresOptions {
        PostgresOptions::new().self_signed(names)
    }

    fn durable() -> PostgresOptions {
        PostgresOptions::new().with_setting("synchronous_commit", "on")
    }

    fn at(host: &str, port: u16) -> Value {
        json!({"host": host, "port": port})
    }

    fn impatient() -> Value {
        json!({"timeout": 1, "connect_timeout": 2})
    }

    fn numbers(last: u64) -> String {
        format!("generate_series(1, {last}) numbers(i)")
    }

    same!();
}
