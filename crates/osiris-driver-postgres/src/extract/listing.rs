//! SHOW and EXPLAIN: small text results, which COPY does not support.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use osiris_core::{DRY_RUN_ROWS, Error, Result, TableSink};
use sqlx::{AssertSqlSafe, Column as _, Row as _};

use crate::client::Session;
use crate::error::postgres_error;

const READING: &str = "reading the result";

/// Reads the result of `sql` into `out`.
///
/// # Errors
/// What the server says.
pub(super) async fn read(session: &mut Session, sql: &str, out: &TableSink, dry_run: bool) -> Result<u64> {
    let failed = |error| postgres_error(error, READING);
    let mut rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut **session).await.map_err(failed)?;
    let Some(first) = rows.first() else {
        return Err(Error::validation("the result is empty, so its columns are unknown").with_hint("write a SELECT"));
    };
    let names: Vec<String> = first.columns().iter().map(|column| column.name().to_owned()).collect();
    let schema =
        Arc::new(Schema::new(names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>()));
    let sender = out.sender(Arc::clone(&schema)).await?;
    if dry_run {
        rows.truncate(usize::try_from(DRY_RUN_ROWS).unwrap_or(usize::MAX));
    }
    let column = |index: usize| -> Result<ArrayRef> {
        let texts: Vec<Option<String>> =
            rows.iter().map(|row| row.try_get_unchecked(index)).collect::<Result<_, _>>().map_err(failed)?;
        Ok(Arc::new(StringArray::from(texts)))
    };
    let columns = (0..names.len()).map(column).collect::<Result<Vec<_>>>()?;
    let batch = RecordBatch::try_new(schema, columns);
    sender.send(batch.map_err(|error| Error::unknown("failed to build a batch of rows").with_source(error))?).await?;
    Ok(rows.len() as u64)
}
