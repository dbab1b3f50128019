//! Errors of user SQL: the message of DuckDB and the position in the query.

use osiris_core::Error;
use osiris_core::store::{EngineError, statement_error, with_cast_hint};

/// Converts an error in `sql`, with its position as line and column. `before` is the number of bytes before `sql` in
/// the statement that DuckDB saw.
pub(crate) fn sql_error(error: duckdb::Error, sql: &str, before: usize) -> Error {
    let offset = EngineError::read(&error).offset.and_then(|offset| offset.checked_sub(before));
    let message = match offset.and_then(|offset| position(sql, offset)) {
        Some((line, column)) => format!("the query failed at line {line}, column {column}"),
        None => "the query failed".to_owned(),
    };
    with_cast_hint(statement_error(error, message, sql), sql)
}

/// The same for a statement built from the step's `query`, where `place` maps positions: the error says the place
/// in the whole query. Its context has these words as `place`, and the `offset` in bytes: a caller that finds the line in
/// the pipeline file says that instead.
pub(crate) fn query_error(error: duckdb::Error, query: &str, place: impl Fn(usize) -> Option<usize>) -> Error {
    let offset = EngineError::read(&error).offset.and_then(place);
    let error = match offset.and_then(|offset| Some((offset, position(query, offset)?))) {
        Some((offset, (line, column))) => {
            let place = format!("at line {line}, column {column}");
            statement_error(error, format!("the query failed {place}"), query)
                .with_context("place", place)
                .with_context("offset", offset)
        }
        None => statement_error(error, "the query failed", query),
    };
    with_cast_hint(error, query)
}

/// Line and column, from 1, of a byte offset.
fn position(sql: &str, offset: usize) -> Option<(usize, usize)> {
    let before = sql.get(..offset)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Some((line, column))
}
