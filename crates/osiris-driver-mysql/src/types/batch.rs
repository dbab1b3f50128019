//! Rows of the binary protocol for the batch builder.

use osiris_core::{Code, Error, Result};
use sqlx::mysql::{MySql, MySqlRow};
use sqlx::{Column as _, Decode, Row as _, TypeInfo as _};

use super::column::ColumnPlan;

/// Checks that the rows match the description, with the first row of every statement.
///
/// # Errors
/// When the table was altered in between.
pub(crate) fn check(row: &MySqlRow, plans: &[ColumnPlan]) -> Result<()> {
    let columns = row.columns();
    let fits = |(column, plan): (&sqlx::mysql::MySqlColumn, &ColumnPlan)| {
        column.name() == plan.name() && plan.decoder.reading.fits(column.type_info().name())
    };
    if columns.len() == plans.len() && columns.iter().zip(plans).all(fits) {
        return Ok(());
    }
    Err(Error::validation("table schema changed while it was read")
        .with_code(Code::SourceChanged)
        .with_hint("run the step again"))
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
