//! Scans of a table: Arrow batches from a thread of its own, through a bounded channel.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType};
use duckdb::Connection;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::file_rows::ensure_met;
use super::interrupt::InterruptOnDrop;
use super::schema::{Column, TableRef, TableSchema};
use super::threads::Workload;
use super::types::{ColumnType, UTC};
use super::{Store, quote, store_error};
use crate::problem::nearest;
use crate::{Code, Error, Result};

/// Batches in flight between the store and a driver.
const BATCHES_IN_FLIGHT: usize = 8;

/// What to read of a table; see [`Store::scan`].
pub struct ScanBuilder {
    store: Store,
    table: TableRef,
    columns: Option<Vec<String>>,
    order_by: Vec<String>,
    is_carried: bool,
}

impl ScanBuilder {
    pub(super) fn new(store: Store, table: TableRef) -> Self {
        Self { store, table, columns: None, order_by: Vec::new(), is_carried: false }
    }

    /// Only these columns, in this order. Default: all.
    #[must_use]
    pub fn columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Sorted by these columns. Default: the order in which rows came into the table.
    #[must_use]
    pub fn order_by<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.order_by = columns.into_iter().map(Into::into).collect();
        self
    }

    /// With the values as they are [carried](super::ColumnType::carried), for a receiver that turns them back into what they are.
    /// Default: as Arrow has them.
    #[must_use]
    pub fn carried(mut self) -> Self {
        self.is_carried = true;
        self
    }

    /// Starts reading.
    ///
    /// # Errors
    /// Columns the table does not have; all are named.
    pub async fn open(self) -> Result<TableScan> {
        let columns = match &self.columns {
            None => self.table.schema().columns().to_vec(),
            Some(names) => pick(&self.table, names)?,
        };
        pick(&self.table, &self.order_by)?;
        let schema = TableSchema::new(columns)?;
        let (list, schema) = match self.is_carried {
            true => (casts(&schema, &schema.carried()), schema.carried()),
            false => (selection(&schema), schema),
        };
        let mut sql = format!("SELECT {list} FROM {}", self.table.sql());
        if !self.order_by.is_empty() {
            let keys: Vec<String> = self.order_by.iter().map(|name| quote(name)).collect();
            sql.push_str(&format!(" ORDER BY {}", keys.join(", ")));
        }
        // Sorting uses all threads.
        let work = if self.order_by.is_empty() { self.table.workload() } else { Workload::Compute };
        TableScan::start(&self.store, work, &self.table, sql, schema)
    }
}

fn pick(table: &TableRef, names: &[String]) -> Result<Vec<Column>> {
    let mut missing = Vec::new();
    let mut picked = Vec::new();
    for name in names {
        match table.schema().column(name) {
            Some(column) => picked.push(column.clone()),
            None => missing.push(match nearest(name, table.schema().names()) {
                Some(similar) => format!("`{name}` (did you mean `{similar}`?)"),
                None => format!("`{name}`"),
            }),
        }
    }
    if missing.is_empty() {
        return Ok(picked);
    }
    let present: Vec<&str> = table.schema().names().collect();
    Err(Error::validation(format!("the table of step `{}` has no column {}", table.step(), missing.join(", ")))
        .with_code(Code::ColumnNotFound)
        .with_hint(format!("its columns: {}", present.join(", "))))
}

/// The columns as a scan selects them.
pub(super) fn selection(schema: &TableSchema) -> String {
    schema.columns().iter().map(expression).collect::<Vec<_>>().join(", ")
}

/// The columns, each cast to its type in the other list.
fn casts(from: &TableSchema, to: &TableSchema) -> String {
    let pairs = from.columns().iter().zip(to.columns());
    pairs.map(|(column, to)| cast(column, &to.column_type)).collect::<Vec<_>>().join(", ")
}

/// The column, cast to a type that Arrow has.
fn expression(column: &Column) -> String {
    cast(column, &column.column_type.scanned())
}

fn cast(column: &Column, to: &ColumnType) -> String {
    let name = quote(&column.name);
    if *to == column.column_type { name } else { format!("CAST({name} AS {}) AS {name}", to.sql()) }
}

/// A running scan of a table. Dropping it ends the scan.
pub struct TableScan {
    schema: TableSchema,
    arrow: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch>>,
    _interrupt: InterruptOnDrop,
}

impl TableScan {
    pub(super) fn start(
        store: &Store,
        work: Workload,
        table: &TableRef,
        sql: String,
        schema: TableSchema,
    ) -> Result<Self> {
        let connection = store.connection()?;
        let threads = store.threads();
        let (interrupt, working) = InterruptOnDrop::new(connection.interrupt_handle());
        let arrow = schema.arrow();
        let (sender, batches) = mpsc::channel(BATCHES_IN_FLIGHT);
        let target = Arc::clone(&arrow);
        let at_work = store.at_work();
        let begun = table.channel().map(|channel| (Handle::current(), channel.begun()));
        let uncounted = Some(table).filter(|table| !table.is_counted()).cloned();
        let thread = std::thread::Builder::new()
            .name(format!("scan {}", table.step()))
            .spawn(move || {
                // Dropped last, when the connection is closed.
                let _at_work = at_work;
                let (connection, threads) = (connection, threads);
                let _working = working;
                if let Some((runtime, begun)) = begun {
                    runtime.block_on(begun);
                }
                let _workload = threads.begin(work);
                if let Err(error) = read(&connection, &sql, &target, &sender, uncounted.as_ref()) {
                    // The reader may be gone: then nobody needs the error either.
                    let _ = sender.blocking_send(Err(error));
                }
            })
            .map_err(|error| Error::from(error).with_hint("the machine is out of threads: lower `--jobs`"))?;
        store.hold(thread);
        Ok(Self { schema, arrow, batches, _interrupt: interrupt })
    }

    /// The columns, with the types the store has for them.
    pub fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// The Arrow schema of every batch.
    pub fn arrow_schema(&self) -> SchemaRef {
        Arc::clone(&self.arrow)
    }

    /// The next batch, of a few thousand rows, or `None` at the end.
    ///
    /// # Errors
    /// What DuckDB says while reading, such as a HUGEINT of more than 38 digits.
    ///
    /// # Cancel safety
    /// Safe: a batch is either returned or stays in the queue.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.batches.recv().await.transpose()
    }

    /// The same from a blocking thread.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub fn blocking_next(&mut self) -> Result<Option<RecordBatch>> {
        self.batches.blocking_recv().transpose()
    }
}

fn read(
    connection: &Connection,
    sql: &str,
    target: &SchemaRef,
    sender: &mpsc::Sender<Result<RecordBatch>>,
    uncounted: Option<&TableRef>,
) -> Result<()> {
    let mut rows = 0;
    let is_complete =
        for_each_batch(connection, sql, target, &|error| store_error(error, "the table could not be read"), |batch| {
            rows += batch.num_rows() as u64;
            Ok(sender.blocking_send(Ok(batch)).is_ok())
        })?;
    uncounted.filter(|_| is_complete).map_or(Ok(()), |table| ensure_met(table, rows))
}

/// Calls `each` with every batch that `sql` returns, until it says false. Returns whether it had them all.
pub(super) fn for_each_batch(
    connection: &Connection,
    sql: &str,
    target: &SchemaRef,
    failed: &dyn Fn(duckdb::Error) -> Error,
    mut each: impl FnMut(RecordBatch) -> Result<bool>,
) -> Result<bool> {
    let mut statement = connection.prepare(sql).map_err(failed)?;
    for batch in statement.stream_arrow([]).map_err(failed)? {
        if !each(as_declared(&batch.map_err(failed)?, target)?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives the batch the declared schema: time zones of timestamps, names of nested fields.
fn as_declared(batch: &RecordBatch, target: &SchemaRef) -> Result<RecordBatch> {
    let failed = |error| Error::unknown("a batch of the run store could not be read").with_source(error);
    let options = CastOptions { safe: false, ..Default::default() };
    let cast = |(array, field): (&ArrayRef, &Arc<arrow::datatypes::Field>)| {
        if array.data_type() == field.data_type() {
            return Ok(Arc::clone(array));
        }
        if let Some(timestamps) = utc_timestamps(array, field.data_type()) {
            return Ok(timestamps);
        }
        cast_with_options(array, field.data_type(), &options)
    };
    let columns =
        batch.columns().iter().zip(target.fields()).map(cast).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    RecordBatch::try_new(Arc::clone(target), columns).map_err(failed)
}

/// Timestamps with a time zone, which the store keeps in UTC: the same numbers under another type. A cast would convert
/// by the calendar, whose range is smaller than that of the numbers and which has no infinity.
fn utc_timestamps(array: &ArrayRef, target: &DataType) -> Option<ArrayRef> {
    let DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) = target else { return None };
    let plain = array.as_primitive_opt::<TimestampMicrosecondType>().filter(|_| zone.as_ref() == UTC)?;
    (plain.timezone().is_none()).then(|| Arc::new(plain.clone().with_timezone(Arc::clone(zone))) as ArrayRef)
}
