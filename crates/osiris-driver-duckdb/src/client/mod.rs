//! A connection to a database file: opened as configured, and interrupted when its work is dropped. It knows no
//! statement of the extractor's or the writer's.

mod in_process;
mod open;
mod room;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use duckdb::types::Value;
use duckdb::{Connection, Row};
use osiris_core::store::{AtWork, interruptible, quote};
use osiris_core::{Error, ExecutionContext, Result};

use self::in_process::Hold;
use self::room::Room;
use crate::config::ConnectionConfig;
use crate::error::file_error;

/// What opens a client.
type Opening = Pin<Box<dyn Future<Output = Result<Client>> + Send>>;

/// How a component gets its client.
pub type Connect = Arc<dyn Fn(Target) -> Opening + Send + Sync>;

/// The default client.
pub fn connect() -> Connect {
    Arc::new(|target| Box::pin(Client::open(target)))
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
pub struct Target {
    pub(crate) path: PathBuf,
    access: Access,
    create: bool,
    read_only: bool,
    busy_timeout: Duration,
    room: Room,
    at_work: Option<AtWork>,
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
            room: Room::default(),
            at_work: None,
        }
    }

    /// As a part of a run, which waits until the file is closed.
    pub(crate) fn of_run(mut self, ctx: &ExecutionContext) -> Self {
        self.room = Room::of_run(ctx.store());
        self.at_work = Some(ctx.store().at_work());
        self
    }
}

/// The path by which a file is known, however it is spelt. One that is not there is found by its directory.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    let missing = || {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        Some(directory.unwrap_or(Path::new(".")).canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(missing).unwrap_or_else(|| path.to_path_buf())
}

/// An open database file. When it is dropped its statement is interrupted and its transaction rolled back.
pub struct Client {
    held: Option<Held>,
    catalog: String,
}

/// A connection with what has to outlive it.
struct Held {
    // Dropped first.
    connection: Connection,
    hold: Option<Hold>,
    at_work: Option<AtWork>,
}

impl Client {
    /// Opens the file.
    ///
    /// # Errors
    /// A file that is missing, cannot be read, is not a DuckDB database, or that another program has open.
    pub(crate) async fn open(target: Target) -> Result<Self> {
        Self::try_open(target).await.map_err(Error::with_connection_failed)
    }

    async fn try_open(target: Target) -> Result<Self> {
        let held = open::open(target).await?;
        let mut client = Self { held: Some(held), catalog: String::new() };
        let row = client.row("SELECT current_database()", "opening the file").await?;
        client.catalog = row.into_iter().next().flatten().unwrap_or_default();
        Ok(client)
    }

    /// The name that DuckDB has for the file.
    pub(crate) fn catalog(&self) -> &str {
        &self.catalog
    }

    /// A table of the file, whatever else has its name.
    pub(crate) fn table(&self, schema: &str, table: &str) -> String {
        format!("{}.{}.{}", quote(&self.catalog), quote(schema), quote(table))
    }

    /// Runs `work` with the connection on a blocking thread. When the returned future is dropped, the running statement is
    /// interrupted, and the client is of no use any more.
    ///
    /// # Errors
    /// What `work` returns.
    pub(crate) async fn call<T, F>(&mut self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let Some(Held { connection, hold, at_work }) = self.held.take() else {
            return Err(Error::cancelled("the connection to the file was given up"));
        };
        let work = move |connection: Connection| {
            let result = work(&connection);
            (Held { connection, hold, at_work }, result)
        };
        let (held, result) = interruptible(connection, work).await?;
        self.held = Some(held);
        result
    }

    /// Runs statements.
    pub(crate) async fn run(&mut self, sql: impl Into<String>, doing: &'static str) -> Result<()> {
        let sql = sql.into();
        self.call(move |connection| connection.execute_batch(&sql).map_err(|error| file_error(error, doing))).await
    }

    /// Runs one statement. Returns how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: impl Into<String>, doing: &'static str) -> Result<u64> {
        let sql = sql.into();
        let work =
            move |connection: &Connection| connection.execute(&sql, []).map_err(|error| file_error(error, doing));
        Ok(self.call(work).await? as u64)
    }

    /// The rows of a small answer, as text.
    pub(crate) async fn rows(&mut self, sql: impl Into<String>, doing: &str) -> Result<Vec<Vec<Option<String>>>> {
        let (sql, doing) = (sql.into(), doing.to_owned());
        let work = move |connection: &Connection| {
            let failed = |error| file_error(error, &doing);
            let mut statement = connection.prepare(&sql).map_err(failed)?;
            let mut found = statement.query([]).map_err(failed)?;
            let mut rows = Vec::new();
            while let Some(row) = found.next().map_err(failed)? {
                rows.push(texts(row).map_err(failed)?);
            }
            Ok(rows)
        };
        self.call(work).await
    }

    /// The first row of a small answer, as text.
    pub(crate) async fn row(&mut self, sql: impl Into<String>, doing: &str) -> Result<Vec<Option<String>>> {
        Ok(self.rows(sql, doing).await?.into_iter().next().unwrap_or_default())
    }

    /// One number.
    pub(crate) async fn number(&mut self, sql: impl Into<String>, doing: &str) -> Result<u64> {
        let row = self.row(sql, doing).await?;
        let number = row.into_iter().next().flatten().and_then(|text| text.parse().ok());
        number.ok_or_else(|| Error::unknown(format!("{doing}: a number was expected")))
    }

    /// Begins a transaction that sees the file as it is now, whatever is written meanwhile.
    pub(crate) async fn begin_snapshot(&mut self) -> Result<()> {
        self.run("BEGIN TRANSACTION READ ONLY", "beginning the snapshot").await
    }

    /// Closes the file.
    pub(crate) async fn close(mut self) {
        let held = self.held.take();
        // A writer moves its log into the file, which may take a while.
        let _ = tokio::task::spawn_blocking(move || drop(held)).await;
    }
}

/// The values of a row: texts, numbers and truth values, as other databases print them.
fn texts(row: &Row<'_>) -> duckdb::Result<Vec<Option<String>>> {
    let text = |index| {
        Ok(match row.get::<_, Value>(index)? {
            Value::Null => None,
            Value::Boolean(value) => Some(if value { "t" } else { "f" }.to_owned()),
            Value::Text(text) => Some(text),
            Value::Int(value) => Some(value.to_string()),
            Value::BigInt(value) => Some(value.to_string()),
            Value::UBigInt(value) => Some(value.to_string()),
            Value::HugeInt(value) => Some(value.to_string()),
            _ => return Err(duckdb::Error::InvalidColumnIndex(index)),
        })
    };
    (0..row.as_ref().column_count()).map(text).collect()
}
