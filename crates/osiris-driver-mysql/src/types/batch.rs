//! Rows of the binary protocol for the batch builder.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use osiris_core::{Error, Result};
use osiris_sql::batch::BatchBuilder;
use sqlx::mysql::{MySql, MySqlRow};
use sqlx::{Column as _, Decode, Row as _, TypeInfo as _};

use super::column::ColumnPlan;
use super::value::ColumnBuilder;

/// The schema of the batches.
pub(crate) fn schema(plans: &[ColumnPlan]) -> SchemaRef {
    Arc::new(Schema::new(plans.iter().map(|plan| plan.field.clone()).collect::<Vec<_>>()))
}

/// A builder of batches of at most `max_rows`.
pub(crate) fn batches(plans: &[ColumnPlan], max_rows: usize) -> BatchBuilder<ColumnBuilder> {
    BatchBuilder::new(schema(plans), plans.iter().map(ColumnBuilder::new).collect(), max_rows)
}

/// Checks that the rows match the description, with the first row of every statement.
///
/// # Errors
/// When the table was altered in between.
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

/// The bytes of a value; `None` for NULL. Avoids the library's NULL check, which treats zero dates as NULL.
pub(crate) fn raw(row: &MySqlRow, index: usize) -> Result<Option<&[u8]>> {
    let value = row.try_get_raw(index).map_err(|error| Error::unknown("a row lacks a column").with_source(error))?;
    // Only NULL has no bytes.
    Ok(<&[u8] as Decode<MySql>>::decode(value).ok())
}
