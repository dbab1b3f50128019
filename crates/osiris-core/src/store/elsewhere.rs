//! Rows out of and into a DuckDB database that is not the run's: a file that a driver opens itself. Types are carried by the code of
//! the store, so that they are what they would be there.

use arrow::record_batch::RecordBatch;
use duckdb::Connection;

use super::arrow_scan::{ArrowScan, ROWS, Rows};
use super::interrupt::InterruptOnDrop;
use super::loader::PendingRows;
use super::scan::for_each_batch;
use super::schema::TableSchema;
use super::{panicked, store_error};
use crate::{Error, Result};

/// Runs `work` on a blocking thread with a connection of the driver's own. When the returned future is dropped, the running statement
/// is interrupted, and what `work` returns is dropped on that thread.
///
/// # Errors
/// `work` panicked.
pub async fn interruptible<T, F>(connection: Connection, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(Connection) -> T + Send + 'static,
{
    let (_guard, working) = InterruptOnDrop::new(connection.interrupt_handle());
    let work = move || {
        let _working = working;
        work(connection)
    };
    tokio::task::spawn_blocking(work).await.map_err(panicked)
}

/// Calls `each` with every batch that `sql` returns, as a table of `schema` is scanned, until it says false. Returns whether it had
/// them all. `failed` makes an error of what DuckDB says.
///
/// # Errors
/// What DuckDB says, and what `each` returns.
pub fn read_batches(
    connection: &Connection,
    sql: &str,
    schema: &TableSchema,
    failed: &dyn Fn(duckdb::Error) -> Error,
    each: impl FnMut(RecordBatch) -> Result<bool>,
) -> Result<bool> {
    for_each_batch(connection, sql, &schema.arrow(), failed, each)
}

/// Inserts batches over a connection of the driver's own, many rows to a statement.
pub struct BatchLoader<'a> {
    connection: &'a Connection,
    insert: String,
    pending: PendingRows,
}

impl<'a> BatchLoader<'a> {
    /// What a connection needs before there can be a loader over it, or over its clones.
    ///
    /// # Errors
    /// What DuckDB says.
    pub fn prepare(connection: &Connection) -> Result<()> {
        let failed = |error| store_error(error, "the database could not be prepared for rows");
        connection.register_table_function::<Rows>(ROWS).map_err(failed)
    }

    /// Runs `insert` over the rows: a statement up to its FROM, such as `INSERT INTO t SELECT a, b`.
    pub fn new(connection: &'a Connection, insert: impl Into<String>) -> Self {
        Self { connection, insert: insert.into(), pending: PendingRows::default() }
    }

    /// Takes a batch. All of them have the same schema.
    ///
    /// # Errors
    /// What DuckDB says of the rows.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.pending.push(batch);
        if self.pending.is_full() { self.insert() } else { Ok(()) }
    }

    /// Inserts the last rows.
    ///
    /// # Errors
    /// What DuckDB says of the rows.
    pub fn finish(mut self) -> Result<()> {
        self.insert()
    }

    fn insert(&mut self) -> Result<()> {
        let Some(batch) = self.pending.take()? else { return Ok(()) };
        let rows = ArrowScan::new(batch.schema(), Some(batch));
        let sql = format!("{} FROM {}", self.insert, rows.sql());
        self.connection.execute_batch(&sql).map_err(|error| store_error(error, "rows could not be inserted"))
    }
}
