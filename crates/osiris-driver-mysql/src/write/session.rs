//! The session of a write. It is strict (values are not adjusted), it detects an unresponsive server, and
//! when it is dropped during a statement it is killed on the server. The server ends it when it is idle
//! for too long. It knows no table.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row, Value};
use osiris_core::{Error, Result};

use super::answer::{Done, StatementError, Warning};
use super::ending::{self, Cleanup};
use super::watch::Watch;
use crate::client::Identity;
use crate::config::MysqlConnection;
use crate::wire;

/// Bytes of a local file per packet: the server reads no packet longer than its `max_allowed_packet`, whose minimum is
/// 1 KiB and which is usually several megabytes.
const PACKET: usize = 256 << 10;

/// Strict mode: 0 is not the "next number", fractions are not rounded, long text is not truncated. Only settings that
/// every account may change. The casts are for MySQL, where GREATEST and LEAST of a variable and a literal are DECIMAL.
const SESSION_SETUP: &str = "SET NAMES utf8mb4, SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,\
     NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', sql_notes = 1, \
     net_write_timeout = CAST(GREATEST(@@net_write_timeout, 60) AS UNSIGNED), \
     lock_wait_timeout = CAST(LEAST(@@lock_wait_timeout, 60) AS UNSIGNED)";

/// How long the server keeps an idle session, with its locks and its transaction, in seconds.
pub(super) const SILENCE: u64 = 300;
/// Keepalive interval for a session that waits for something else.
pub(super) const PULSE: Duration = Duration::from_secs(60);

const SETUP_CONTEXT: &str = "configuring the session";

/// Optional settings that an account may lack the privilege to set, one statement each.
const OPTIONAL_SETTINGS: [&str; 1] = [
    // MySQL: SESSION_VARIABLES_ADMIN. Keeps more warnings, so that more failing rows are found at once.
    "SET SESSION max_error_count = 65535",
];

/// Information about the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Capabilities {
    pub(super) local_infile: bool,
    pub(super) max_packet: usize,
    pub(super) folds_case: bool,
    pub(super) mariadb: bool,
    /// MySQL: global privileges may have exceptions.
    pub(super) partial_revokes: bool,
    /// MySQL: tables without a primary key cannot be created.
    pub(super) wants_primary_keys: bool,
}

/// An open connection.
pub(super) struct Session {
    conn: Option<Conn>,
    identity: Identity,
    facts: Capabilities,
    cleanup: Option<Cleanup>,
    connection: MysqlConnection,
    base_dir: PathBuf,
}

impl Session {
    /// Opens a session and configures it.
    ///
    /// # Errors
    /// When the connection fails.
    pub(super) async fn open(connection: &MysqlConnection, base_dir: &Path) -> Result<Self> {
        let conn = wire::open(connection, base_dir).await?;
        let mut session = Self {
            identity: Identity::default(),
            conn: Some(conn),
            facts: Capabilities::default(),
            cleanup: None,
            connection: connection.clone(),
            base_dir: base_dir.to_path_buf(),
        };
        // The data is already in memory, so a longer wait for it is pointless.
        let silence = connection.write_limit().0.as_secs().saturating_add(1);
        let set_up = format!("{SESSION_SETUP}, net_read_timeout = {silence}, wait_timeout = {SILENCE}");
        session.run(&set_up, SETUP_CONTEXT).await?;
        for wish in OPTIONAL_SETTINGS {
            match session.attempt(wish, SETUP_CONTEXT).await {
                Err(StatementError::Server { message, .. }) => {
                    tracing::debug!(wish, message, "the account lacks the privilege to set this")
                }
                Err(failure) => return Err(failure.into_error(SETUP_CONTEXT)),
                Ok(_) => {}
            }
        }
        session.identity = session.who().await?;
        session.facts = session.facts_of_server().await?;
        Ok(session)
    }

    /// The identity of the session.
    async fn who(&mut self) -> Result<Identity> {
        let watch = self.watch(SETUP_CONTEXT);
        let conn = self.conn().map_err(|failure| failure.into_error(SETUP_CONTEXT))?;
        watch.over(ending::identity(conn)).await.map_err(|failure| failure.into_error(SETUP_CONTEXT))
    }

    async fn facts_of_server(&mut self) -> Result<Capabilities> {
        let sql = "SELECT VERSION(), @@local_infile, @@max_allowed_packet, @@lower_case_table_names, @@version_comment";
        let row = self.rows(sql).await?.pop().unwrap_or_default();
        let number = |index: usize| super::target::cell(&row, index).parse::<u64>().unwrap_or(0);
        let sql = "SHOW VARIABLES WHERE Variable_name IN ('partial_revokes', 'sql_require_primary_key')";
        let switches = self.rows(sql).await?;
        let is_on = |name: &str| {
            let cell = super::target::cell;
            switches.iter().any(|row| cell(row, 0) == name && matches!(cell(row, 1), "ON" | "1"))
        };
        Ok(Capabilities {
            local_infile: number(1) != 0,
            max_packet: usize::try_from(number(2)).unwrap_or(usize::MAX),
            folds_case: number(3) != 0,
            mariadb: [0, 4].iter().any(|&index| super::target::cell(&row, index).contains("MariaDB")),
            partial_revokes: is_on("partial_revokes"),
            wants_primary_keys: is_on("sql_require_primary_key"),
        })
    }

    pub(super) fn facts(&self) -> &Capabilities {
        &self.facts
    }

    /// Whether table names are case-insensitive.
    pub(super) fn folds_case(&self) -> bool {
        self.facts.folds_case
    }

    /// Runs a statement without results.
    ///
    /// # Errors
    /// When the server returns an error, or the connection is lost.
    pub(super) async fn run(&mut self, sql: &str, doing: &str) -> Result<Done> {
        self.attempt(sql, doing).await.map_err(|failure| failure.into_error(doing))
    }

    /// The same, with the server's error.
    pub(super) async fn attempt(&mut self, sql: &str, doing: &str) -> Result<Done, StatementError> {
        self.echo(sql);
        let watch = self.watch(doing);
        let conn = self.conn()?;
        watch.over(conn.query_drop(sql)).await?;
        Ok(Done::of(conn))
    }

    /// Runs a `LOAD DATA LOCAL INFILE` that reads `data`.
    pub(super) async fn load(&mut self, sql: &str, data: Bytes, doing: &str) -> Result<Done, StatementError> {
        self.echo(sql);
        let watch = self.watch(doing);
        let conn = self.conn()?;
        conn.set_infile_handler(async move {
            let packets =
                (0..data.len()).step_by(PACKET).map(move |at| Ok(data.slice(at..data.len().min(at + PACKET))));
            Ok(futures::stream::iter(packets).boxed())
        });
        watch.over(conn.query_drop(sql)).await?;
        Ok(Done::of(conn))
    }

    /// Runs a statement with parameters.
    pub(super) async fn execute(
        &mut self,
        sql: &str,
        parameters: Vec<Value>,
        doing: &str,
    ) -> Result<Done, StatementError> {
        self.echo(sql);
        let watch = self.watch(doing);
        let conn = self.conn()?;
        watch.over(conn.exec_drop(sql, Params::Positional(parameters))).await?;
        Ok(Done::of(conn))
    }

    /// The rows of a query with a small result, as text.
    ///
    /// # Errors
    /// When the server returns an error, or the connection is lost.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        const CONTEXT: &str = "reading the definition of the table";
        self.echo(sql);
        let watch = self.watch(CONTEXT);
        let conn = self.conn().map_err(|failure| failure.into_error(CONTEXT))?;
        let rows: Vec<Row> = watch.over(conn.query(sql)).await.map_err(|failure| failure.into_error(CONTEXT))?;
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(ending::as_text).collect()).collect())
    }

    /// The warnings of the last statement.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn warnings(&mut self) -> Result<Vec<Warning>> {
        let rows = self.rows("SHOW WARNINGS LIMIT 1000").await?;
        let cell = super::target::cell;
        Ok(rows
            .iter()
            .map(|row| Warning { code: cell(row, 1).parse().unwrap_or(0), message: cell(row, 2).to_owned() })
            .collect())
    }

    /// Waits for something other than the server, with keepalives.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = pin!(work);
        loop {
            match tokio::time::timeout(PULSE, &mut work).await {
                Ok(value) => return Ok(value),
                Err(_) => self.run("DO 0", "waiting for rows").await.map(drop)?,
            }
        }
    }

    /// The cleanup to run on the server if this session is dropped during its work.
    pub(super) fn set_cleanup(&mut self, cleanup: Option<Cleanup>) {
        self.cleanup = cleanup;
    }

    /// Closes the session cleanly. A dropped session is assumed to be busy and is killed.
    pub(super) async fn close(mut self) {
        let limit = self.connection.connect_timeout;
        if let Some(conn) = self.conn.take()
            && !matches!(tokio::time::timeout(limit, conn.disconnect()).await, Ok(Ok(())))
        {
            tracing::debug!("the connection was not closed cleanly");
        }
    }

    /// Rolls back and removes what was created, if the connection is usable; else it is killed like one that is
    /// dropped.
    pub(super) async fn give_up(mut self) {
        let limit = self.connection.connect_timeout.min(Duration::from_secs(5));
        let sql = self.cleanup.as_ref().map(|cleanup| cleanup.sql.clone());
        let Some(conn) = self.conn.as_mut() else { return };
        let work = async {
            conn.query_drop("ROLLBACK").await?;
            match sql {
                Some(sql) => conn.query_drop(sql).await,
                None => Ok(()),
            }
        };
        if matches!(tokio::time::timeout(limit, work).await, Ok(Ok(()))) {
            self.close().await;
        }
    }

    /// Whether the connection is usable.
    pub(super) fn is_alive(&self) -> bool {
        self.conn.as_ref().is_some_and(|conn| !conn.is_disconnected())
    }

    /// The identity of the session.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Opens another session to the same server.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(super) async fn again(&self) -> Result<Self> {
        Self::open(&self.connection, &self.base_dir).await
    }

    fn conn(&mut self) -> Result<&mut Conn, StatementError> {
        let gone = || StatementError::Lost(Error::network("the connection is closed").with_hint("run it again"));
        self.conn.as_mut().ok_or_else(gone)
    }

    fn echo(&self, sql: &str) {
        if self.connection.echo {
            tracing::debug!(sql, "statement");
        }
    }

    fn watch(&self, doing: &str) -> Watch {
        Watch {
            identity: self.identity.clone(),
            connection: self.connection.clone(),
            base_dir: self.base_dir.clone(),
            doing: doing.to_owned(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            let (connection, base_dir) = (self.connection.clone(), self.base_dir.clone());
            ending::end(conn, self.identity.clone(), connection, base_dir, self.cleanup.take());
        }
    }
}
