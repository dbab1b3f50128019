//! Rows out of the store into one table, many to an INSERT. An INSERT that fails because of its rows is undone and cut
//! until the rows at fault are alone: those are rejects.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use osiris_core::{Reject, Result, TableScan};
use osiris_sql::write::PendingRanges;
use sqlx::{AssertSqlSafe, Executor as _};

use super::task::{WriteColumn, WritePlan, WriteTask};
use crate::client::{Client, quote};
use crate::error::{is_about_rows, sqlite_error};
use crate::types::{Cell, cell};

const DOING: &str = "inserting rows";
/// The most values that SQLite binds to a statement (<https://www.sqlite.org/limits.html>).
const MAX_VALUES: usize = 32_766;
/// The most bytes of one INSERT.
const MAX_BYTES: usize = 4 << 20;
/// The reason where SQLite gives none.
const SUPPRESSED: &str = "row suppressed by a trigger";

/// The beginning of an INSERT of all columns, whatever the table's own ON CONFLICT clauses say.
pub(super) fn insert_into(table: &str, columns: &[WriteColumn]) -> String {
    format!("INSERT OR ABORT INTO {table} ({})", names(columns))
}

/// The columns of the table, as a list.
pub(super) fn names(columns: &[WriteColumn]) -> String {
    columns.iter().map(|column| quote(&column.target)).collect::<Vec<_>>().join(", ")
}

/// Why rows were refused.
pub(super) struct RowFault {
    /// The column of the table.
    column: Option<String>,
    reason: String,
}

impl RowFault {
    /// The columns, or the index, of the unique key by which a row collides with another.
    pub(super) fn violated_key(&self) -> Option<&str> {
        self.reason.strip_prefix("UNIQUE constraint failed: ")
    }

    /// A reject of one row.
    pub(super) fn reject(self, row_number: Option<u64>, row: serde_json::Value, columns: &[WriteColumn]) -> Reject {
        let source = |target: String| {
            columns
                .iter()
                .find(|column| column.target == target)
                .map_or(target.clone(), |column| column.source.name.clone())
        };
        Reject { row_number, column: self.column.map(source), reason: self.reason, row: Some(row.to_string()) }
    }
}

/// Checks an INSERT without running it: what SQLite says of it then is about no row.
///
/// # Errors
/// A trigger that names what is not there.
pub(super) async fn prepare(client: &mut Client, sql: &str) -> Result<()> {
    client.names(sql, DOING).await.map(|_| ())
}

/// Runs an INSERT that was [prepared](prepare) and must change `expected` rows; otherwise nothing of it stays.
///
/// # Errors
/// Anything but rows at fault.
pub(super) async fn insert(
    client: &mut Client,
    query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    expected: u64,
) -> Result<Option<RowFault>> {
    client.run("SAVEPOINT osiris", DOING).await?;
    let (fault, error) = match client.connection().execute(query).await {
        Ok(result) if result.rows_affected() == expected => {
            return client.run("RELEASE osiris", DOING).await.map(|_| None);
        }
        Ok(_) => (RowFault { column: None, reason: SUPPRESSED.to_owned() }, None),
        Err(error) if is_about_rows(&error) => (fault(&error), Some(error)),
        Err(error) => return Err(sqlite_error(error, DOING)),
    };
    match (client.run("ROLLBACK TO osiris; RELEASE osiris", DOING).await, error) {
        (Ok(_), _) => Ok(Some(fault)),
        // A trigger has rolled back the whole transaction.
        (Err(_), Some(first)) => Err(sqlite_error(first, DOING)),
        (Err(error), None) => Err(error),
    }
}

/// The reason and the column of `NOT NULL constraint failed: table.column`.
fn fault(error: &sqlx::Error) -> RowFault {
    let reason = error.as_database_error().map_or("", |error| error.message()).to_owned();
    let columns = reason.split_once(" constraint failed: ").map(|(_, columns)| columns);
    let column = columns.filter(|columns| !columns.contains(", ")).and_then(|column| column.rsplit_once('.'));
    RowFault { column: column.map(|(_, column)| column.to_owned()), reason }
}

/// How many values SQLite does not keep exactly.
fn altered(cells: &[Cell]) -> i64 {
    cells.iter().map(|cell| i64::from(*cell == Cell::NegativeZero)).sum()
}

/// One load.
pub(super) struct Loader<'a> {
    task: &'a WriteTask<'a>,
    plan: &'a WritePlan,
    insert: String,
    /// Whether each row has its number as its first value, and how many of its values are altered as its last.
    is_numbered: bool,
    max_rows: usize,
    /// Rows that were read.
    pub(super) rows: u64,
    /// Rows that were inserted.
    pub(super) taken: u64,
    /// Bytes of them.
    pub(super) bytes: u64,
    /// Values of them that SQLite does not keep exactly.
    pub(super) altered: u64,
}

/// A row of a batch, ready to be bound.
struct Row {
    index: usize,
    cells: Vec<Cell>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(task: &'a WriteTask<'a>, plan: &'a WritePlan, insert: String, is_numbered: bool) -> Self {
        let values = Self::values(plan, is_numbered);
        let max_rows = task.config.batch_size.min(MAX_VALUES / values.max(1)).max(1);
        Self { task, plan, insert, is_numbered, max_rows, rows: 0, taken: 0, bytes: 0, altered: 0 }
    }

    fn values(plan: &WritePlan, is_numbered: bool) -> usize {
        plan.columns.len() + if is_numbered { 2 } else { 0 }
    }

    /// Loads every row, whose columns are those of the plan.
    pub(super) async fn run(&mut self, client: &mut Client, mut scan: TableScan) -> Result<()> {
        prepare(client, &self.sql(1)).await?;
        while let Some(batch) = scan.next().await? {
            self.batch(client, &batch).await?;
            self.rows += batch.num_rows() as u64;
        }
        Ok(())
    }

    async fn batch(&mut self, client: &mut Client, batch: &RecordBatch) -> Result<()> {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        for index in 0..batch.num_rows() {
            match self.encode(batch, index) {
                Ok(cells) => {
                    bytes += cells.iter().map(Cell::size).sum::<usize>();
                    chunk.push(Row { index, cells });
                }
                Err(fault) => self.reject(batch, index, fault).await?,
            }
            if chunk.len() >= self.max_rows || bytes >= MAX_BYTES {
                self.send(client, batch, &chunk).await?;
                (chunk, bytes) = (Vec::new(), 0);
            }
        }
        self.send(client, batch, &chunk).await
    }

    fn encode(&self, batch: &RecordBatch, index: usize) -> Result<Vec<Cell>, RowFault> {
        let number = self.is_numbered.then(|| Cell::Integer(i64::try_from(self.number(index)).unwrap_or(i64::MAX)));
        let mut cells: Vec<Cell> = number.into_iter().collect();
        for (column, array) in self.plan.columns.iter().zip(batch.columns()) {
            let fault = |reason: &str| RowFault { column: Some(column.target.clone()), reason: reason.to_owned() };
            match cell(array.as_ref(), index, column.conversion).map_err(fault)? {
                Cell::Null if column.is_key => return Err(fault("key column is NULL")),
                cell => cells.push(cell),
            }
        }
        if self.is_numbered {
            cells.push(Cell::Integer(altered(&cells)));
        }
        Ok(cells)
    }

    /// The number of a row of the batch, from 1.
    fn number(&self, index: usize) -> u64 {
        self.rows + index as u64 + 1
    }

    async fn send(&mut self, client: &mut Client, batch: &RecordBatch, rows: &[Row]) -> Result<()> {
        let mut pending = PendingRanges::new(0..rows.len());
        while let Some(range) = pending.next_range() {
            let rows = &rows[range.clone()];
            match insert(client, self.query(rows), rows.len() as u64).await? {
                None => {
                    self.taken += rows.len() as u64;
                    let cells = || rows.iter().flat_map(|row| &row.cells);
                    let bytes = cells().map(Cell::size).sum::<usize>() as u64;
                    self.bytes += bytes;
                    self.altered += rows.iter().map(|row| altered(&row.cells).unsigned_abs()).sum::<u64>();
                    if !self.is_numbered {
                        self.task.ctx.progress().add_rows(rows.len() as u64);
                    }
                    self.task.ctx.progress().add_bytes(bytes);
                }
                Some(fault) if rows.len() == 1 => self.reject(batch, rows[0].index, fault).await?,
                Some(_) => pending.split(&range, None),
            }
        }
        Ok(())
    }

    /// The INSERT of so many rows.
    fn sql(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; Self::values(self.plan, self.is_numbered)].join(", "));
        format!("{} VALUES {}", self.insert, vec![row.as_str(); rows].join(", "))
    }

    fn query(&self, rows: &[Row]) -> sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
        let query = sqlx::query(AssertSqlSafe(self.sql(rows.len()))).persistent(rows.len() == self.max_rows);
        rows.iter().flat_map(|row| &row.cells).fold(query, |query, cell| match cell {
            Cell::Null => query.bind(None::<i64>),
            Cell::Integer(value) => query.bind(*value),
            Cell::Real(value) => query.bind(*value),
            Cell::NegativeZero => query.bind(0.0),
            Cell::Text(text) => query.bind(text.clone()),
            Cell::Blob(bytes) => query.bind(bytes.clone()),
        })
    }

    async fn reject(&self, batch: &RecordBatch, index: usize, fault: RowFault) -> Result<()> {
        let options = FormatOptions::new();
        let value = |array: &arrow::array::ArrayRef| {
            let text = ArrayFormatter::try_new(array.as_ref(), &options).ok()?.value(index).try_to_string().ok();
            text.filter(|_| !array.is_null(index))
        };
        let columns = self.plan.columns.iter().zip(batch.columns());
        let row: serde_json::Map<String, serde_json::Value> =
            columns.map(|(column, array)| (column.source.name.clone(), value(array).into())).collect();
        let is_in_order = self.task.config.write.order_by.is_none();
        let number = is_in_order.then(|| self.number(index));
        self.task.ctx.rejects().push(vec![fault.reject(number, row.into(), &self.plan.columns)]).await
    }
}
