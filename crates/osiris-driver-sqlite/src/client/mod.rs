//! A connection to a database file: opened as configured, and interrupted when its work is dropped. It knows no
//! statement of the extractor's or the writer's.

mod quote;
mod value;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use osiris_core::{Error, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, SqlSafeStr as _, Statement as _};

pub(crate) use quote::{literal, quote};
pub(crate) use value::{Value, values};

use crate::config::ConnectionConfig;
use crate::error::sqlite_error;

/// Virtual machine instructions between two looks at whether the work was dropped.
const INSTRUCTIONS: i32 = 10_000;

/// How a component gets its client.
pub type Connect = Arc<dyn Fn(Target) -> BoxFuture<'static, Result<Client>> + Send + Sync>;

/// The default client.
pub fn connect() -> Connect {
    Arc::new(|target| Box::pin(async move { Client::open(&target).await }))
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    /// A dry run of a writer: a file that would be created is an empty database in memory.
    Check,
    Write,
    /// The question for what a writer has done: nothing is created.
    Ask,
}

/// A database file, and what it is opened for.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
    create: bool,
    read_only: bool,
    busy_timeout: Duration,
}

impl Target {
    /// The file of `connection`; a relative path starts at `base`.
    pub(crate) fn new(connection: &ConnectionConfig, base: &Path, access: Access) -> Self {
        Self {
            path: base.join(&connection.path),
            access,
            create: connection.create_if_missing,
            read_only: connection.read_only,
            busy_timeout: connection.busy_timeout(),
        }
    }

    fn options(&self) -> Result<SqliteConnectOptions> {
        let path = self.path.display();
        if self.read_only && self.access != Access::Read {
            return Err(Error::permission(format!("the connection to `{path}` is read-only"))
                .with_hint("remove `read_only` from the connection, or use another one"));
        }
        let options = SqliteConnectOptions::new().busy_timeout(self.busy_timeout).disable_statement_logging();
        if self.path.is_dir() {
            return Err(Error::validation(format!("`{path}` is a directory")).with_hint("set `path` to a file"));
        }
        match (self.path.exists(), self.access) {
            (true, Access::Write | Access::Ask) => Ok(options.filename(&self.path)),
            (true, Access::Read | Access::Check) => Ok(options.filename(&self.path).read_only(true)),
            (false, Access::Write) if self.create => {
                self.path.parent().map(std::fs::create_dir_all).transpose()?;
                Ok(options.filename(&self.path).create_if_missing(true))
            }
            (false, Access::Check) if self.create => Ok(options),
            (false, _) => Err(Error::validation(format!("there is no file `{path}`"))
                .with_hint("check `path`; for a writer, `create_if_missing: true` in the connection creates the file")),
        }
    }
}

/// An open database file. When it is dropped its statement is interrupted and its transaction rolled back.
pub struct Client {
    // Dropped first: its thread ends when the statement that it runs does.
    interrupt: InterruptOnDrop,
    connection: SqliteConnection,
}

/// Ends the running statement when it is dropped.
struct InterruptOnDrop(Arc<AtomicBool>);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Client {
    /// Opens the file and reads its header.
    ///
    /// # Errors
    /// A file that is missing, cannot be read, or is not a SQLite database.
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        Self::try_open(target).await.map_err(Error::with_connection_failed)
    }

    async fn try_open(target: &Target) -> Result<Self> {
        let doing = format!("opening `{}`", target.path.display());
        let failed = |error| sqlite_error(error, &doing);
        let mut connection = target.options()?.connect().await.map_err(failed)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let interrupt = InterruptOnDrop(Arc::clone(&stopped));
        let mut handle = connection.lock_handle().await.map_err(failed)?;
        handle.set_progress_handler(INSTRUCTIONS, move || !stopped.load(Ordering::Relaxed));
        drop(handle);
        let mut client = Self { interrupt, connection };
        client.rows("SELECT count(*) FROM sqlite_schema", &doing).await?;
        Ok(client)
    }

    /// The connection, for statements with arguments or many rows.
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Runs statements. Returns how many rows the last INSERT, UPDATE or DELETE changed.
    pub(crate) async fn run(&mut self, sql: &str, doing: &str) -> Result<u64> {
        self.attempt(sql).await.map_err(|error| sqlite_error(error, doing))
    }

    /// The same with the error as sqlx has it.
    pub(crate) async fn attempt(&mut self, sql: &str) -> sqlx::Result<u64> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        self.connection.execute(query).await.map(|result| result.rows_affected())
    }

    /// The rows of a small answer, as text.
    pub(crate) async fn rows(&mut self, sql: &str, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        let query = sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(false);
        let rows = self.connection.fetch_all(query).await.map_err(|error| sqlite_error(error, doing))?;
        let text = |value: Value<'_>| {
            value.text().ok_or_else(|| {
                Error::validation(format!("{doing}: a text is not UTF-8")).with_hint("correct it, or read it as BLOB")
            })
        };
        rows.iter().map(|row| values(row).map(|value| value?.map(text).transpose()).collect()).collect()
    }

    /// The first row of a small answer, as text.
    pub(crate) async fn row(&mut self, sql: &str, doing: &str) -> Result<Vec<Option<String>>> {
        Ok(self.rows(sql, doing).await?.into_iter().next().unwrap_or_default())
    }

    /// One number.
    pub(crate) async fn number(&mut self, sql: &str, doing: &str) -> Result<u64> {
        let row = self.row(sql, doing).await?;
        let number = row.into_iter().next().flatten().and_then(|text| text.parse().ok());
        number.ok_or_else(|| Error::unknown(format!("{doing}: a number was expected")))
    }

    /// The names of the columns of a query.
    pub(crate) async fn names(&mut self, sql: &str, doing: &str) -> Result<Vec<String>> {
        let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
        let statement = self.connection.prepare(sql).await.map_err(|error| sqlite_error(error, doing))?;
        Ok(statement.columns().iter().map(|column| sqlx::Column::name(column).to_owned()).collect())
    }

    /// Begins a transaction that sees the file as it is now, whatever is written meanwhile.
    pub(crate) async fn begin_snapshot(&mut self) -> Result<()> {
        const DOING: &str = "beginning the snapshot";
        self.run("BEGIN", DOING).await?;
        // The first read takes the snapshot, not BEGIN.
        self.rows("SELECT count(*) FROM sqlite_schema", DOING).await.map(|_| ())
    }

    /// Closes the file.
    pub(crate) async fn close(self) {
        let Self { interrupt, connection } = self;
        // All has been committed or rolled back: an error here changes nothing.
        let _ = connection.close().await;
        drop(interrupt);
    }
}
