//! One connection for one write. It is strict (nothing is bent to fit), it notices when the other side has gone silent, and
//! when it is dropped in the middle of something the server is told to stop. It knows no table.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row, Value};
use osiris_core::{Error, Result};

use super::answer::{Done, Failure, Warning};
use super::watch::Watch;
use crate::config::MysqlConnection;
use crate::wire;

/// Bytes of a local file in one packet: the server reads no packet longer than its `max_allowed_packet`, whose floor is 1 KiB
/// and whose usual values are megabytes.
const PACKET: usize = 256 << 10;

/// Strictness, and no surprise: 0 is no "next number", a fraction is no whole number, a long text is not cut. Only what every
/// account may set. The casts are for MySQL, where GREATEST and LEAST of a variable and a literal are DECIMAL.
const SET_UP: &str = "SET NAMES utf8mb4, SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,\
     NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', sql_notes = 1, \
     net_write_timeout = CAST(GREATEST(@@net_write_timeout, 60) AS UNSIGNED), \
     lock_wait_timeout = CAST(LEAST(@@lock_wait_timeout, 60) AS UNSIGNED)";

/// What an account may lack the right to set, one statement each: the write does without it.
const WISHES: [&str; 1] = [
    // MySQL: SESSION_VARIABLES_ADMIN. More warnings are kept, so that more rows at fault are found at once.
    "SET SESSION max_error_count = 65535",
];

/// The server as the session sees it.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) local_infile: bool,
    pub(super) max_packet: usize,
    pub(super) folds_case: bool,
}

/// An open connection.
pub(super) struct Session {
    conn: Option<Conn>,
    id: u64,
    facts: Facts,
    connection: MysqlConnection,
    base_dir: PathBuf,
}

impl Session {
    /// Opens one and sets it up.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses us.
    pub(super) async fn open(connection: &MysqlConnection, base_dir: &Path) -> Result<Self> {
        let conn = wire::open(connection, base_dir).await?;
        let facts = Facts { local_infile: false, max_packet: 1 << 20, folds_case: false };
        let mut session = Self {
            id: u64::from(conn.id()),
            conn: Some(conn),
            facts,
            connection: connection.clone(),
            base_dir: base_dir.to_path_buf(),
        };
        // What is sent is in memory already: a server that waits for more of it for so long waits in vain.
        let silence = connection.read_timeout.as_secs().saturating_add(1);
        session.run(&format!("{SET_UP}, net_read_timeout = {silence}"), "setting up the session").await?;
        for wish in WISHES {
            match session.attempt(wish, "setting up the session").await {
                Err(Failure::Server { message, .. }) => tracing::debug!(wish, message, "the account may not set this"),
                Err(failure) => return Err(failure.into_error("setting up the session")),
                Ok(_) => {}
            }
        }
        let sql = "SELECT CONNECTION_ID(), @@local_infile, @@max_allowed_packet, @@lower_case_table_names";
        let row = session.rows(sql).await?.pop().unwrap_or_default();
        let number = |index: usize| super::target::cell(&row, index).parse::<u64>().unwrap_or(0);
        session.id = number(0);
        session.facts = Facts {
            local_infile: number(1) != 0,
            max_packet: usize::try_from(number(2)).unwrap_or(usize::MAX),
            folds_case: number(3) != 0,
        };
        Ok(session)
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether names of tables are the same whatever their case.
    pub(super) fn folds_case(&self) -> bool {
        self.facts.folds_case
    }

    /// Runs a statement without rows.
    ///
    /// # Errors
    /// What the server says, or that it is gone.
    pub(super) async fn run(&mut self, sql: &str, doing: &str) -> Result<Done> {
        self.attempt(sql, doing).await.map_err(|failure| failure.into_error(doing))
    }

    /// The same, with the server's own words when it refuses.
    pub(super) async fn attempt(&mut self, sql: &str, doing: &str) -> Result<Done, Failure> {
        self.echo(sql);
        let watch = self.watch(doing);
        let conn = self.conn()?;
        watch.over(conn.query_drop(sql)).await?;
        Ok(Done::of(conn))
    }

    /// Runs a `LOAD DATA LOCAL INFILE` that reads `data`.
    pub(super) async fn load(&mut self, sql: &str, data: Bytes, doing: &str) -> Result<Done, Failure> {
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
    pub(super) async fn execute(&mut self, sql: &str, parameters: Vec<Value>, doing: &str) -> Result<Done, Failure> {
        self.echo(sql);
        let watch = self.watch(doing);
        let conn = self.conn()?;
        watch.over(conn.exec_drop(sql, Params::Positional(parameters))).await?;
        Ok(Done::of(conn))
    }

    /// The rows of a query with a small answer, as text.
    ///
    /// # Errors
    /// What the server says, or that it is gone.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        const DOING: &str = "asking the server about the table";
        self.echo(sql);
        let watch = self.watch(DOING);
        let conn = self.conn().map_err(|failure| failure.into_error(DOING))?;
        let rows: Vec<Row> = watch.over(conn.query(sql)).await.map_err(|failure| failure.into_error(DOING))?;
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(as_text).collect()).collect())
    }

    /// What the last statement was warned of.
    ///
    /// # Errors
    /// When the server is gone.
    pub(super) async fn warnings(&mut self) -> Result<Vec<Warning>> {
        let rows = self.rows("SHOW WARNINGS LIMIT 1000").await?;
        let cell = super::target::cell;
        Ok(rows
            .iter()
            .map(|row| Warning { code: cell(row, 1).parse().unwrap_or(0), message: cell(row, 2).to_owned() })
            .collect())
    }

    /// Says goodbye. A session that is dropped instead is taken to be at work, and is stopped.
    pub(super) async fn close(mut self) {
        let limit = self.connection.connect_timeout;
        if let Some(conn) = self.conn.take()
            && !matches!(tokio::time::timeout(limit, conn.disconnect()).await, Ok(Ok(())))
        {
            tracing::debug!("the connection did not close in order");
        }
    }

    /// Takes back what is not committed, if the server still listens; else it is stopped like one that is dropped.
    pub(super) async fn give_up(mut self) {
        let limit = self.connection.connect_timeout.min(Duration::from_secs(5));
        let Some(conn) = self.conn.as_mut() else { return };
        if matches!(tokio::time::timeout(limit, conn.query_drop("ROLLBACK")).await, Ok(Ok(()))) {
            self.close().await;
        }
    }

    /// Whether the server can still be asked.
    pub(super) fn is_alive(&self) -> bool {
        self.conn.as_ref().is_some_and(|conn| !conn.is_disconnected())
    }

    /// The server's number for it.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Another session to the same server.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(super) async fn again(&self) -> Result<Self> {
        Self::open(&self.connection, &self.base_dir).await
    }

    fn conn(&mut self) -> Result<&mut Conn, Failure> {
        let gone = || Failure::Lost(Error::network("the connection is closed").with_hint("run it again"));
        self.conn.as_mut().ok_or_else(gone)
    }

    fn echo(&self, sql: &str) {
        if self.connection.echo {
            tracing::debug!(sql, "statement");
        }
    }

    fn watch(&self, doing: &str) -> Watch {
        Watch {
            id: self.id,
            connection: self.connection.clone(),
            base_dir: self.base_dir.clone(),
            doing: doing.to_owned(),
        }
    }
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (id, connection, base_dir) = (self.id, self.connection.clone(), self.base_dir.clone());
        runtime.spawn(async move {
            // The server goes on with what it does, and keeps its locks, until it is told.
            let stop = async {
                if let Ok(mut other) = wire::open(&connection, &base_dir).await {
                    let _ = other.query_drop(format!("KILL {id}")).await;
                    let _ = other.disconnect().await;
                }
            };
            let _ = tokio::time::timeout(connection.connect_timeout, stop).await;
            drop(conn);
        });
    }
}
