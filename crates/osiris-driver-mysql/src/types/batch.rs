//! Rows of the binary protocol, as the builders of a batch want them.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use osiris_core::{Error, Result};
use osiris_sql::batch::BatchBuilder;
use sqlx::mysql::{MySql, MySqlRow};
use sqlx::{Column as _, Decode, Row as _, TypeInfo as _};

use super::column::ColumnPlan;
use super::value::ColumnBuilder;

/// The schema of every batch.
pub(crate) fn schema(plans: &[ColumnPlan]) -> SchemaRef {
    Arc::new(Schema::new(plans.iter().map(|plan| plan.field.clone()).collect::<Vec<_>>()))
}

/// A builder of batches, at most `max_rows` to each.
pub(crate) fn batches(plans: &[ColumnPlan], max_rows: usize) -> BatchBuilder<ColumnBuilder> {
    BatchBuilder::new(schema(plans), plans.iter().map(ColumnBuilder::new).collect(), max_rows)
}

/// Makes sure that the rows are what was described: the first row of every statement is asked.
///
/// # Errors
/// The table was changed in between.
pub(crate) fn check(row: &MySqlRow, plans: &[ColumnPlan]) -> Result<()> {
    let columns = row.columns();
    let fits = |(column, plan): (&sqlx::mysql::MySqlColumn, &ColumnPlan)| {
        column.name() == plan.name && plan.fits(column.type_info().name())
    };
    if columns.len() == plans.len() && columns.iter().zip(plans).all(fits) {
        return Ok(());
    }
    Err(Error::validation("table schema changed while it was read").with_hint("run the step again"))
}

/// The values of a row.
pub(crate) fn values(row: &MySqlRow) -> impl ExactSizeIterator<Item = Result<Option<&[u8]>>> {
    (0..row.len()).map(|index| raw(row, index))
}

/// The bytes of a value; nothing for NULL. Never through the library's own test for NULL, which takes zero dates for it.
pub(crate) fn raw(row: &MySqlRow, index: usize) -> Result<Option<&[u8]>> {
    let value = row.try_get_raw(index).map_err(|error| Error::unknown("a row lacks a column").with_source(error))?;
    // Bytes are refused for NULL alone.
    Ok(<&[u8] as Decode<MySql>>::decode(value).ok())
}
