//! The reject tables: one table per step, outside of the step's own transaction, so that rejects survive its failure.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use duckdb::Connection;
use serde::{Deserialize, Serialize};

use super::transaction::atomic;
use super::{Store, quote, quote_text, store_error};
use crate::{Code, Error, Redactor, Result, Telemetry};

/// How many rejects are kept for the report once the limit is passed.
const KEPT_OVER_LIMIT: u64 = 1000;

/// A row that the source, a cast, an assertion or the destination rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reject {
    /// Its number in the source, from 1, if known.
    pub row_number: Option<u64>,
    /// The column that caused the rejection, if there is one.
    pub column: Option<String>,
    /// The reason.
    pub reason: String,
    /// The row: as JSON, or as the text of the line.
    pub row: Option<String>,
}

/// Rejected rows that have a reason in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RejectReason {
    /// How many rows.
    pub rows: u64,
    /// The number of the first of them, if known.
    pub first_row: Option<u64>,
    /// The column, if there is one.
    pub column: Option<String>,
    /// The reason.
    pub reason: String,
}

/// The rejects of one step. `max_rejects` (default 0) decides whether the step fails.
#[derive(Clone)]
pub struct RejectTable {
    store: Store,
    /// Knows the secrets that a reason may not show.
    telemetry: Telemetry,
    state: Arc<State>,
}

struct State {
    step: String,
    count: AtomicU64,
    noted: AtomicU64,
    limit: AtomicU64,
    /// Whether the table is that of this attempt: it may be of an earlier one, or of the run that is resumed.
    is_own: Mutex<bool>,
}

impl State {
    fn is_own(&self) -> MutexGuard<'_, bool> {
        self.is_own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RejectTable {
    pub(crate) fn new(store: Store, telemetry: Telemetry, step: &str) -> Self {
        let state = State {
            step: step.to_owned(),
            count: AtomicU64::new(0),
            noted: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            is_own: Mutex::default(),
        };
        Self { store, telemetry, state: Arc::new(state) }
    }

    /// How many rejects the step may have: its `max_rejects`. Default 0.
    pub fn set_limit(&self, limit: u64) {
        self.state.limit.store(limit, SeqCst);
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.state.count.load(SeqCst)
    }

    /// Whether there is nothing to export: neither rejects nor notes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.state.noted.load(SeqCst) == 0
    }

    /// Saves rows for the user, such as those that violate an assertion, without counting them as rejected.
    ///
    /// # Errors
    /// A failing store.
    pub async fn note(&self, rows: Vec<Reject>) -> Result<()> {
        let added = rows.len() as u64;
        self.insert(rows).await?;
        self.state.noted.fetch_add(added, SeqCst);
        Ok(())
    }

    /// Saves rejects. Up to 1,000 are accepted beyond the limit, for the report.
    ///
    /// # Errors
    /// An integrity error when there are so many that continuing is pointless, or a failing store.
    pub async fn push(&self, rejects: Vec<Reject>) -> Result<()> {
        let added = rejects.len() as u64;
        self.insert(rejects).await?;
        let count = self.state.count.fetch_add(added, SeqCst) + added;
        let limit = self.state.limit.load(SeqCst);
        if count > limit && count >= limit.saturating_add(KEPT_OVER_LIMIT) { Err(self.over_limit()) } else { Ok(()) }
    }

    /// Keeps all of them or none, in a table that takes the place of one that is left.
    async fn insert(&self, rejects: Vec<Reject>) -> Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        let (table, redactor, state) = (self.table(), self.telemetry.redactor(), Arc::clone(&self.state));
        let keep = move |connection: &Connection| {
            // Held until the rows are there: who drops this future may begin again meanwhile.
            let mut is_own = state.is_own();
            if !*is_own {
                create(connection, &table)?;
                *is_own = true;
            }
            atomic(connection, || insert(connection, &table, &rejects, &redactor))
        };
        self.store.call(keep).await
    }

    /// Checks the limit, once the step has done its work and before anything of it is committed.
    ///
    /// # Errors
    /// An integrity error when there are more rejects than the limit allows.
    pub fn enforce_limit(&self) -> Result<()> {
        if self.len() > self.state.limit.load(SeqCst) { Err(self.over_limit()) } else { Ok(()) }
    }

    fn over_limit(&self) -> Error {
        let (count, limit) = (self.len(), self.state.limit.load(SeqCst));
        let rows = if count == 1 { "row was" } else { "rows were" };
        Error::integrity(format!("{count} {rows} rejected, at most {limit} are allowed"))
            .with_code(Code::TooManyRejects)
            .with_hint("`osiris runs rejects` shows them: fix the data or raise `max_rejects`")
    }

    /// Forgets the rejects of an earlier attempt. There may be some that were not counted: the next ones replace the table.
    pub(crate) fn clear(&self) {
        *self.state.is_own() = false;
        self.state.count.store(0, SeqCst);
        self.state.noted.store(0, SeqCst);
    }

    /// Writes the rejects as a Parquet file, in a directory that the store may write to.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn export(&self, path: &Path) -> Result<()> {
        let sql = format!(
            "COPY {} TO {} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)",
            self.table(),
            quote_text(&path.display().to_string())
        );
        // DuckDB writes to an existing file: it is created first, since a new one would be readable by everybody.
        crate::private::create(path)?;
        self.store
            .call(move |connection| {
                connection.execute_batch(&sql).map_err(|error| store_error(error, "the rejects could not be exported"))
            })
            .await
    }

    /// The most frequent reasons, at most `limit`.
    ///
    /// # Errors
    /// A failing store.
    pub async fn reasons(&self, limit: usize) -> Result<Vec<RejectReason>> {
        let from = self.table();
        self.store.call(move |connection| reasons(connection, &from, limit)).await
    }

    fn table(&self) -> String {
        format!("rejects.{}", quote(&self.state.step))
    }
}

fn create(connection: &Connection, table: &str) -> Result<()> {
    let columns = "row_number UBIGINT, \"column\" VARCHAR, reason VARCHAR, \"row\" VARCHAR";
    connection.execute_batch(&format!("CREATE OR REPLACE TABLE {table} ({columns})")).map_err(failed)
}

fn insert(connection: &Connection, table: &str, rejects: &[Reject], redactor: &Redactor) -> Result<()> {
    let mut insert = connection.prepare(&format!("INSERT INTO {table} VALUES (?, ?, ?, ?)")).map_err(failed)?;
    for reject in rejects {
        let reason = redactor.scrub(&reject.reason);
        insert.execute(duckdb::params![reject.row_number, reject.column, reason, reject.row]).map_err(failed)?;
    }
    Ok(())
}

fn failed(error: duckdb::Error) -> Error {
    store_error(error, "rejected rows could not be kept")
}

/// A file that [`RejectTable::export`] wrote.
pub struct RejectFile {
    connection: Connection,
    from: String,
}

impl RejectFile {
    /// Opens it.
    ///
    /// # Errors
    /// It is missing, or not such a file.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| store_error(error, "cannot read the rejected rows").with_context("path", path.display());
        let config = duckdb::Config::default()
            .enable_autoload_extension(false)
            .and_then(|config| config.threads(1))
            .and_then(|config| config.max_memory("512MB"));
        let connection = config.and_then(Connection::open_in_memory_with_flags).map_err(failed)?;
        let name = quote_text(&exactly(&path.display().to_string()));
        let file = Self { connection, from: format!("read_parquet({name}, hive_partitioning = false)") };
        file.connection.prepare(&file.select(None)).map_err(failed)?;
        Ok(file)
    }

    fn select(&self, limit: Option<u64>) -> String {
        let limit = limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
        format!("SELECT row_number, \"column\", reason, \"row\" FROM {}{limit}", self.from)
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn len(&self) -> Result<u64> {
        self.connection
            .query_row(&format!("SELECT count(*) FROM {}", self.from), [], |row| row.get(0))
            .map_err(unreadable)
    }

    /// Whether there is none.
    ///
    /// # Errors
    /// As for [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The most frequent reasons, at most `limit`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn reasons(&self, limit: usize) -> Result<Vec<RejectReason>> {
        reasons(&self.connection, &self.from, limit)
    }

    /// The first rows, in the order in which they were rejected, at most `limit`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn first(&self, limit: u64) -> Result<Vec<Reject>> {
        let mut rows = Vec::new();
        self.rows(Some(limit), |reject| {
            rows.push(reject);
            Ok::<(), Error>(())
        })?;
        Ok(rows)
    }

    /// Hands over the rows in the order in which they were rejected, at most `limit`.
    ///
    /// # Errors
    /// The file cannot be read, or what `take` says.
    pub fn rows<E: From<Error>>(
        &self,
        limit: Option<u64>,
        mut take: impl FnMut(Reject) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self.connection.prepare(&self.select(limit)).map_err(unreadable)?;
        for batch in statement.stream_arrow([]).map_err(unreadable)? {
            let batch = batch.map_err(unreadable)?;
            for row in 0..batch.num_rows() {
                take(reject(&batch, row))?;
            }
        }
        Ok(())
    }
}

/// A path as a pattern that matches nothing else: DuckDB takes every path for one.
fn exactly(path: &str) -> String {
    path.chars().fold(String::with_capacity(path.len()), |mut pattern, letter| {
        match letter {
            '*' | '?' | '[' => pattern.extend(['[', letter, ']']),
            _ => pattern.push(letter),
        }
        pattern
    })
}

fn reject(batch: &RecordBatch, row: usize) -> Reject {
    let text = |column: usize| {
        let values = batch.column(column).as_string_opt::<i32>().filter(|values| values.is_valid(row));
        values.map(|values| values.value(row).to_owned())
    };
    let numbers = batch.column(0).as_primitive_opt::<UInt64Type>().filter(|numbers| numbers.is_valid(row));
    Reject {
        row_number: numbers.map(|numbers| numbers.value(row)),
        column: text(1),
        reason: text(2).unwrap_or_default(),
        row: text(3),
    }
}

fn unreadable(error: duckdb::Error) -> Error {
    store_error(error, "the rejected rows cannot be read")
}

fn reasons(connection: &Connection, from: &str, limit: usize) -> Result<Vec<RejectReason>> {
    let sql = format!(
        "SELECT count(*), min(row_number), \"column\", reason FROM {from} GROUP BY ALL ORDER BY 1 DESC, 2, 3, 4 LIMIT {limit}"
    );
    let mut statement = connection.prepare(&sql).map_err(unreadable)?;
    let found = statement.query_map([], |row| {
        Ok(RejectReason {
            rows: row.get(0)?,
            first_row: row.get(1)?,
            column: row.get(2)?,
            reason: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        })
    });
    found.and_then(Iterator::collect).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StoreKind, StoreOptions};

    #[tokio::test]
    async fn rejects_of_an_attempt_that_were_not_counted_are_not_among_those_of_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::new(StoreKind::Memory, directory.path())).unwrap();
        let rejects = RejectTable::new(store, Telemetry::discard(), "load");
        let because = |reason: &str| vec![Reject { reason: reason.to_owned(), ..Reject::default() }];
        // As where the future is dropped before it counts.
        rejects.insert(because("first attempt")).await.unwrap();
        rejects.clear();
        assert!(rejects.is_empty());
        rejects.push(because("second attempt")).await.unwrap();
        rejects.note(because("noted")).await.unwrap();
        let kept = rejects.reasons(5).await.unwrap().into_iter().map(|reason| reason.reason);
        assert_eq!(kept.collect::<Vec<_>>(), ["noted", "second attempt"]);
        assert_eq!(rejects.len(), 1);
    }
}
