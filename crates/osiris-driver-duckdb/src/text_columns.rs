//! Why a column that should hold numbers is text, for the error of a query that fails because of it.

use duckdb::Connection;
use osiris_core::store::quote;
use osiris_core::{ColumnType, Error, TableRef};

/// The types that a column may have been meant to have, and what its values are then.
const WANTED: [(&str, &str); 2] = [("DOUBLE", "a number"), ("TIMESTAMP", "a date or a time")];

/// How many columns are looked at.
const MAX_COLUMNS: usize = 4;
/// How many rows of a column are looked at.
const MAX_ROWS: u32 = 100_000;

/// The same error with the first row because of which a column is text, where the expression that failed names a column of text
/// and most of its first values are of another type. Values are looked at only after a failure, and are never shown.
pub(crate) fn with_cause(error: Error, query: &str, inputs: &[TableRef], connection: &Connection) -> Error {
    if !error.message().contains("VARCHAR") {
        return error;
    }
    let Some(failed) = offset(&error).and_then(|offset| query.get(offset..)) else { return error };
    let columns = text_columns(&names(failed), inputs);
    // The transaction of the query has failed; what it reads was committed before. This connection is the one that is
    // interrupted when the step is stopped.
    if columns.is_empty() || connection.execute_batch("ROLLBACK").is_err() {
        return error;
    }
    match columns.into_iter().find_map(|(table, column)| cause(connection, table, column)) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The place of an error in the query.
fn offset(error: &Error) -> Option<usize> {
    let (_, offset) = error.context().iter().find(|(key, _)| *key == "offset")?;
    offset.parse().ok()
}

/// The words and the quoted names of the expression that `sql` begins with, in lower case: up to a comma, a closing bracket or
/// FROM, or to the end of the arguments of its function.
fn names(sql: &str) -> Vec<String> {
    let (mut names, mut depth, mut rest) = (Vec::new(), 0_u32, sql);
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' | '"' => rest[1..].find(first).map(|end| end + 2),
            _ if is_of_word(first) => rest.find(|c: char| !is_of_word(c)),
            _ => Some(first.len_utf8()),
        };
        let (token, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind;
        match first {
            '(' => depth += 1,
            ')' if depth < 2 => break,
            ')' => depth -= 1,
            ',' if depth == 0 => break,
            '\'' => {}
            _ if depth == 0 && token.eq_ignore_ascii_case("from") => break,
            _ if first == '"' || is_of_word(first) => names.push(token.trim_matches('"').to_lowercase()),
            _ => {}
        }
    }
    names
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The columns of text that have these names, in the order of the names.
fn text_columns<'a>(names: &[String], inputs: &'a [TableRef]) -> Vec<(&'a TableRef, &'a str)> {
    let mut found = Vec::new();
    for name in names {
        for table in inputs.iter().filter(|table| !table.is_arriving()) {
            let column = table.schema().columns().iter().find(|column| column.name.to_lowercase() == *name);
            let text = column.filter(|column| column.column_type == ColumnType::Varchar);
            if let Some(text) = text.map(|column| (table, column.name.as_str()))
                && !found.contains(&text)
            {
                found.push(text);
            }
        }
    }
    found.truncate(MAX_COLUMNS);
    found
}

fn cause(connection: &Connection, table: &TableRef, column: &str) -> Option<String> {
    WANTED.iter().find_map(|(wanted, what)| {
        let row = first_other(connection, table, column, wanted)?;
        let step = table.step();
        Some(format!(
            "column `{column}` of step `{step}` is VARCHAR, perhaps because of row {row}, which is not {what}: correct it, set its \
             type where it is read (`dtype` in a step that reads files), or use TRY_CAST"
        ))
    })
}

/// The first row whose value is not of the type, if most values are: of the rows that are looked at.
fn first_other(connection: &Connection, table: &TableRef, column: &str, wanted: &str) -> Option<i64> {
    let sql = format!(
        "SELECT count(v) < 2 * count(TRY_CAST(v AS {wanted})), \
         min(CASE WHEN v IS NOT NULL AND TRY_CAST(v AS {wanted}) IS NULL THEN n END) \
         FROM (SELECT v, row_number() OVER () AS n FROM (SELECT {} AS v FROM {} LIMIT {MAX_ROWS}))",
        quote(column),
        table.sql()
    );
    let found = connection.query_row(&sql, [], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, Option<i64>>(1)?)));
    let (is_most, row) = found.ok()?;
    row.filter(|_| is_most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_an_expression_end_with_it() {
        for (sql, expected) in [
            ("sum(amount), code FROM orders", "sum amount"),
            ("sum(coalesce(amount, code)) FROM orders WHERE name = 1", "sum coalesce amount code"),
            ("coalesce(amount, 0)) AS n, code", "coalesce amount 0"),
            ("o.\"Total Amount\" > 'code' AND code", "o total amount and code"),
            ("+ amounts AS amount FROM orders WHERE code", "amounts as amount"),
            ("extract(year FROM day) FROM orders", "extract year from day"),
            ("'open", ""),
            ("größe)", "größe"),
            ("", ""),
        ] {
            assert_eq!(names(sql).join(" "), expected, "{sql}");
        }
    }
}
