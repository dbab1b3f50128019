//! The sink's side of the table: creates it, appends to it, widens it, commits it.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use duckdb::{Appender, Connection};

use super::append::{appendable, column_type};
use super::schema::{Column, StepNote, TableRef, TableSchema};
use super::sink::Columns;
use super::transaction::{StoreTransaction, count, drop_table, enter_table};
use super::types::ColumnType;
use super::widen::{conversion, join};
use super::{STEPS, quote, store_error, table_sql};
use crate::{Error, Result};

/// The appender keeps up to 204,800 rows outside of DuckDB's memory limit, whatever their size. Flushed at this many bytes
/// it hands them over to where the limit counts and the spill directory is used.
const FLUSH_BYTES: usize = 16 << 20;

/// One open transaction and, once there is a table, an appender to it.
pub(super) struct Loader<'a> {
    connection: &'a Connection,
    step: &'a str,
    schema: Option<TableSchema>,
    appender: Option<Appender<'a>>,
    committed: bool,
    /// Bytes in the appender since its last flush.
    pending: usize,
}

impl<'a> Loader<'a> {
    /// Begins the transaction and removes what an earlier attempt left.
    pub(super) fn begin(connection: &'a Connection, step: &'a str) -> Result<Self> {
        connection
            .execute_batch("BEGIN TRANSACTION")
            .map_err(|error| store_error(error, "no transaction could be started"))?;
        drop_table(connection, step)?;
        Ok(Self { connection, step, schema: None, appender: None, committed: false, pending: 0 })
    }

    pub(super) fn is_committed(&self) -> bool {
        self.committed
    }

    /// Creates the table for batches of `schema`; a second declaration must be the same.
    pub(super) fn declare(&mut self, schema: &Schema) -> Result<()> {
        let wanted = table_schema(schema)?;
        match &self.schema {
            None => self.create(wanted),
            Some(present) if *present == wanted => Ok(()),
            Some(_) => Err(Error::validation("the senders of one table have different schemas")
                .with_hint("open a widening sender")),
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
        if self.appender.is_none() {
            let appender = self.connection.appender_to_db(self.step, STEPS);
            self.appender = Some(appender.map_err(|error| store_error(error, "the table could not be opened"))?);
        }
        let Some(appender) = &mut self.appender else { return Ok(()) };
        self.pending += size(&fitted);
        appender.append_record_batch(fitted).map_err(|error| store_error(error, "rows could not be stored"))?;
        if self.pending > FLUSH_BYTES {
            self.pending = 0;
            appender.flush().map_err(|error| store_error(error, "rows could not be stored"))?;
        }
        Ok(())
    }

    /// Rows may still be on their way inside the appender, and so may errors.
    fn flush(&mut self) -> Result<()> {
        match self.appender.take() {
            Some(mut appender) => appender.flush().map_err(|error| store_error(error, "rows could not be stored")),
            None => Ok(()),
        }
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
        self.flush()?;
        self.connection
            .execute_batch(&changes.concat())
            .map_err(|error| store_error(error, "the table could not be widened"))?;
        self.schema = Some(TableSchema::new(columns)?);
        Ok(())
    }

    /// Runs `work` with the transaction, after what was sent before it.
    pub(super) fn transaction<T>(&mut self, work: impl FnOnce(&mut StoreTransaction<'_>) -> Result<T>) -> Result<T> {
        self.flush()?;
        work(&mut StoreTransaction { connection: self.connection, step: self.step, schema: &mut self.schema })
    }

    pub(super) fn rows(&mut self) -> Result<u64> {
        self.flush()?;
        if self.schema.is_none() {
            return Err(Error::unknown("the step made no table").with_hint("a source without rows still has columns"));
        }
        count(self.connection, &table_sql(self.step))
    }

    /// Enters the table in the books and commits both.
    pub(super) fn commit(&mut self, note: &StepNote) -> Result<TableRef> {
        let rows = self.rows()?;
        let schema = self.schema.clone().unwrap_or_default();
        let table = TableRef::new(self.step, schema, rows);
        enter_table(self.connection, &table, note)?;
        self.connection
            .execute_batch("COMMIT")
            .map_err(|error| store_error(error, "the table could not be committed"))?;
        self.committed = true;
        Ok(table)
    }
}

fn table_schema(schema: &Schema) -> Result<TableSchema> {
    let columns = schema.fields().iter().map(|field| Ok(Column::new(field.name(), column_type(field)?)));
    TableSchema::new(columns.collect::<Result<_>>()?)
}

/// The batch in the order and types of the table; columns it lacks are NULL.
fn fit(batch: &RecordBatch, schema: &TableSchema, columns: Columns) -> Result<RecordBatch> {
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

/// A column whose type the table has outgrown is converted first: by the appender, which casts exactly, except for
/// nested values and instants, whose text or JSON form is ours to make.
fn fit_column(
    array: &ArrayRef,
    field: &Field,
    target: &ColumnType,
    columns: Columns,
) -> Result<(Arc<Field>, ArrayRef)> {
    let own = column_type(field)?;
    let (appendable_field, appendable_array) = appendable(array, field, &own)?;
    if own == *target {
        return Ok((appendable_field, appendable_array));
    }
    if columns == Columns::Fixed {
        return Err(Error::validation(format!("column `{}` was declared as {target} and came as {own}", field.name()))
            .with_hint("send what was declared, or open a widening sender"));
    }
    let text = match (&own, target) {
        (_, ColumnType::Json) if own != ColumnType::Json => super::json::json_text(array, field)?,
        (ColumnType::Instant, ColumnType::Varchar) => super::json::instant_text(array)?,
        _ => return Ok((appendable_field, appendable_array)),
    };
    Ok((Arc::new(Field::new(field.name(), text.data_type().clone(), true)), text))
}

fn null_column(column: &Column, rows: usize) -> (Arc<Field>, ArrayRef) {
    let array = new_null_array(&arrow::datatypes::DataType::Utf8, rows);
    (Arc::new(Field::new(&column.name, array.data_type().clone(), true)), array)
}

/// The bytes of the rows alone: a slice does not count for the whole that it is part of.
fn size(batch: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(column.get_array_memory_size());
    batch.columns().iter().map(bytes).sum()
}
