//! The sink's side of the table: creates it, appends to it, widens it, commits it.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use duckdb::Connection;

use super::arrow_scan::ArrowScan;
use super::incoming::{column_type, insertable};
use super::schema::{Column, StepNote, TableRef, TableSchema};
use super::seal::{Committed, Kind, Seal};
use super::sink::{different_schemas, no_table};
use super::transaction::{StoreTransaction, View, count, drop_table, enter_table};
use super::types::ColumnType;
use super::widen::{conversion, join};
use super::{quote, store_error, table_sql};
use crate::{Error, Result};

/// Batches are collected up to so many rows or bytes, since each INSERT has a fixed cost. Collected batches do not
/// count towards DuckDB's memory limit.
const INSERT_ROWS: usize = 10_000;
const INSERT_BYTES: usize = 16 << 20;

/// What may happen to the columns from one batch to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    /// Nothing.
    Fixed,
    /// New ones are added, types widen.
    Widening,
    /// Values come as [`ColumnType::carried`] says.
    Carried,
}

/// One open transaction and, once there is a table, the batches to be inserted into it.
pub(super) struct TableLoader<'a> {
    connection: &'a Connection,
    step: &'a str,
    schema: Option<TableSchema>,
    view: Option<View>,
    file_scans: Vec<u64>,
    committed: bool,
    pending: PendingRows,
    seal: &'a Seal,
    /// Whether SQL has run in the transaction that came from elsewhere.
    has_run_sql: bool,
    /// What was committed before it did.
    sealed: Option<Committed>,
}

/// Batches of one schema that are still to be inserted.
#[derive(Default)]
pub(super) struct PendingRows {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl PendingRows {
    pub(super) fn push(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        self.bytes += size(&batch);
        self.batches.push(batch);
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= INSERT_ROWS || self.bytes >= INSERT_BYTES
    }

    /// Takes them all, as one.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>> {
        let batches = std::mem::take(self).batches;
        match batches.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [first, ..] => concat_batches(&first.schema(), &batches)
                .map(Some)
                .map_err(|error| Error::unknown("batches could not be put together").with_source(error)),
        }
    }
}

impl<'a> TableLoader<'a> {
    /// Begins the transaction and removes what an earlier attempt left.
    pub(super) fn begin(connection: &'a Connection, seal: &'a Seal, step: &'a str) -> Result<Self> {
        connection
            .execute_batch("BEGIN TRANSACTION")
            .map_err(|error| store_error(error, "no transaction could be started"))?;
        drop_table(connection, step)?;
        let pending = PendingRows::default();
        Ok(Self {
            connection,
            step,
            schema: None,
            view: None,
            file_scans: Vec::new(),
            committed: false,
            pending,
            seal,
            has_run_sql: false,
            sealed: None,
        })
    }

    pub(super) fn is_committed(&self) -> bool {
        self.committed
    }

    /// Creates the table for batches of `schema`; a second declaration must be the same.
    pub(super) fn declare(&mut self, schema: &Schema) -> Result<()> {
        self.declare_as(table_schema(schema)?)
    }

    /// The same for a table with these columns.
    pub(super) fn declare_as(&mut self, wanted: TableSchema) -> Result<()> {
        match &self.schema {
            None => self.create(wanted),
            Some(present) if *present == wanted => Ok(()),
            Some(_) => Err(different_schemas()),
        }
    }

    fn create(&mut self, schema: TableSchema) -> Result<()> {
        let columns: Vec<String> = schema
            .columns()
            .iter()
            .map(|column| format!("{} {}", quote(&column.name), column.column_type.sql()))
            .collect();
        let sql = format!("CREATE TABLE {} ({})", table_sql(self.step), columns.join(", "));
        self.connection.execute_batch(&sql).map_err(|error| store_error(error, "the table could not be created"))?;
        self.schema = Some(schema);
        Ok(())
    }

    /// Appends a batch, creating or widening the table first where `columns` allows it.
    pub(super) fn append(&mut self, batch: &RecordBatch, columns: Columns) -> Result<()> {
        if columns == Columns::Widening {
            self.widen_to(&batch.schema())?;
        }
        let schema = self.schema.as_ref().ok_or_else(|| Error::unknown("a batch came before its schema"))?;
        let fitted = fit(batch, schema, columns)?;
        if self.pending.batches.first().is_some_and(|first| first.schema() != fitted.schema()) {
            self.insert()?;
        }
        self.pending.push(fitted);
        if self.pending.is_full() { self.insert() } else { Ok(()) }
    }

    /// Inserts the pending rows.
    fn insert(&mut self) -> Result<()> {
        let Some(batch) = self.pending.take()? else { return Ok(()) };
        let rows = ArrowScan::new(batch.schema(), Some(batch));
        let sql = format!("INSERT INTO {} SELECT * FROM {}", table_sql(self.step), rows.sql());
        self.connection.execute_batch(&sql).map_err(|error| store_error(error, "rows could not be stored"))
    }

    fn widen_to(&mut self, incoming: &Schema) -> Result<()> {
        let incoming = table_schema(incoming)?;
        let Some(present) = self.schema.clone() else { return self.create(incoming) };
        let mut columns = present.columns().to_vec();
        let mut changes = Vec::new();
        let table = table_sql(self.step);
        for new in incoming.columns() {
            let name = quote(&new.name);
            let Some(old) = columns.iter_mut().find(|old| old.name == new.name) else {
                changes.push(format!("ALTER TABLE {table} ADD COLUMN {name} {};", new.column_type.sql()));
                columns.push(new.clone());
                continue;
            };
            let joined = join(&old.column_type, &new.column_type);
            if joined != old.column_type {
                changes.push(format!(
                    "ALTER TABLE {table} ALTER COLUMN {name} SET DATA TYPE {} USING {};",
                    joined.sql(),
                    conversion(&name, &old.column_type, &joined)
                ));
                old.column_type = joined;
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.insert()?;
        self.connection
            .execute_batch(&changes.concat())
            .map_err(|error| store_error(error, "the table could not be widened"))?;
        self.schema = Some(TableSchema::new(columns)?);
        Ok(())
    }

    /// Runs `work` with the transaction, after what was sent before it.
    pub(super) fn transaction<T>(&mut self, work: impl FnOnce(&mut StoreTransaction<'_>) -> Result<T>) -> Result<T> {
        self.insert()?;
        if !std::mem::replace(&mut self.has_run_sql, true) {
            self.sealed = self.seal.before_sql(self.connection)?;
        }
        work(&mut StoreTransaction {
            connection: self.connection,
            step: self.step,
            schema: &mut self.schema,
            view: &mut self.view,
            file_scans: &mut self.file_scans,
            send: None,
            script: String::new(),
        })
    }

    /// The rows of each scan of CSV files in the SQL that made the table.
    pub(super) fn file_scans(&self) -> Vec<u64> {
        self.file_scans.clone()
    }

    pub(super) fn rows(&mut self) -> Result<u64> {
        self.insert()?;
        if self.schema.is_none() {
            return Err(no_table());
        }
        if let Some(view) = &self.view {
            return Ok(view.rows);
        }
        count(self.connection, &table_sql(self.step))
    }

    /// Registers the table in the store's catalog and commits both. The files of `note` are those of its inputs: a view
    /// reads them too.
    pub(super) fn commit(&mut self, mut note: StepNote) -> Result<TableRef> {
        let rows = self.rows()?;
        let schema = self.schema.clone().unwrap_or_default();
        let kind = if self.view.is_some() { Kind::View } else { Kind::Table };
        (note.files, note.scans) = match self.view.take() {
            Some(view) => ([view.files, note.files].concat(), view.scans),
            None => (Vec::new(), Vec::new()),
        };
        let table = TableRef::over_files(self.step, schema, rows, &note);
        if let Some(sealed) = &self.sealed {
            sealed.ensure_unchanged(self.connection)?;
        }
        let entry = enter_table(self.connection, &table, &note)?;
        self.seal.commit(self.connection, self.step, entry, kind, self.has_run_sql)?;
        self.committed = true;
        Ok(table)
    }
}

/// The columns of a table for batches of `schema`.
pub(super) fn table_schema(schema: &Schema) -> Result<TableSchema> {
    let columns = schema.fields().iter().map(|field| Ok(Column::new(field.name(), column_type(field)?)));
    TableSchema::new(columns.collect::<Result<_>>()?)
}

/// The batch in the order and types of the table; columns it lacks are NULL.
pub(super) fn fit(batch: &RecordBatch, schema: &TableSchema, columns: Columns) -> Result<RecordBatch> {
    let incoming = batch.schema();
    if let Some(unknown) =
        incoming.fields().iter().find(|field| schema.columns().iter().all(|c| c.name != *field.name()))
    {
        return Err(Error::validation(format!(
            "a batch brought a column `{}` that its schema did not declare",
            unknown.name()
        ))
        .with_hint("open a widening sender"));
    }
    let mut fields = Vec::with_capacity(schema.columns().len());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.columns().len());
    for column in schema.columns() {
        let (field, array) = match incoming.index_of(&column.name) {
            Ok(index) => fit_column(batch.column(index), incoming.field(index), &column.column_type, columns)?,
            Err(_) => null_column(column, batch.num_rows()),
        };
        fields.push(field);
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| Error::unknown("a batch could not be read").with_source(error))
}

/// A column whose type the table has outgrown is converted first: by the INSERT, which casts exactly, except for
/// nested values and instants, whose text or JSON form is ours to make.
fn fit_column(
    array: &ArrayRef,
    field: &Field,
    target: &ColumnType,
    columns: Columns,
) -> Result<(Arc<Field>, ArrayRef)> {
    let own = column_type(field)?;
    let (insertable_field, insertable_array) = insertable(array, field, &own)?;
    if own == *target {
        return Ok((insertable_field, insertable_array));
    }
    if columns == Columns::Fixed {
        return Err(Error::validation(format!("column `{}` was declared as {target} and came as {own}", field.name()))
            .with_hint("send what was declared, or open a widening sender"));
    }
    let text = match (&own, target) {
        (_, ColumnType::Json) if own != ColumnType::Json => super::json::json_text(array, field)?,
        (ColumnType::Instant, ColumnType::Varchar) => super::json::instant_text(array)?,
        _ => return Ok((insertable_field, insertable_array)),
    };
    Ok((Arc::new(Field::new(field.name(), text.data_type().clone(), true)), text))
}

fn null_column(column: &Column, rows: usize) -> (Arc<Field>, ArrayRef) {
    let array = new_null_array(&arrow::datatypes::DataType::Utf8, rows);
    (Arc::new(Field::new(&column.name, array.data_type().clone(), true)), array)
}

/// The bytes of the rows alone: a slice does not count for the whole that it is part of.
pub(super) fn size(batch: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(column.get_array_memory_size());
    batch.columns().iter().map(bytes).sum()
}
