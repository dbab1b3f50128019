//! The project's SQL service: statements in, rows as JSON out.

use osiris_core::{Error, Result};
use serde_json::{Map, Value};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Row as _};

/// Runs statements and returns the rows of the last one, each value as text.
///
/// # Errors
/// What the server says.
pub(super) async fn run(admin: &PgConnectOptions, sql: &str) -> Result<Vec<Value>> {
    let failed = |error: sqlx::Error| match &error {
        sqlx::Error::Database(database) => Error::validation(database.message().to_owned()),
        _ => Error::unknown("the test's server does not answer").with_source(error),
    };
    let mut connection = admin.connect().await.map_err(failed)?;
    let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await;
    connection.close().await.map_err(failed)?;
    let rows = found.map_err(failed)?;
    let value = |row: &sqlx::postgres::PgRow, index: usize| -> Result<Value> {
        Ok(row.try_get_unchecked::<Option<String>, _>(index).map_err(failed)?.map_or(Value::Null, Value::String))
    };
    rows.iter()
        .map(|row| {
            let fields = row.columns().iter().enumerate();
            let fields = fields.map(|(index, column)| Ok((column.name().to_owned(), value(row, index)?)));
            Ok(Value::Object(fields.collect::<Result<Map<_, _>>>()?))
        })
        .collect()
}
