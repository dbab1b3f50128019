//! Types of the store as declared types of a new table: those from which an extractor gets the same types back.

use osiris_core::{Column, ColumnType};
use osiris_sql::write::same_name;

use super::write::DIGITS;
use crate::client::quote;

/// The declared type; none for a type that SQLite has no value for.
pub(crate) fn column_type(column: &ColumnType) -> Option<String> {
    use ColumnType as T;
    Some(match column {
        T::Boolean => "BOOLEAN".to_owned(),
        T::TinyInt | T::SmallInt | T::Integer | T::BigInt => "INTEGER".to_owned(),
        T::UTinyInt | T::USmallInt | T::UInteger | T::UBigInt => "INTEGER".to_owned(),
        T::HugeInt | T::UHugeInt => "DECIMAL TEXT(38,0)".to_owned(),
        T::Float | T::Double => "REAL".to_owned(),
        T::Decimal(precision, scale) if *precision <= DIGITS => format!("DECIMAL({precision},{scale})"),
        // Numbers of more digits would become floating point.
        T::Decimal(precision, scale) => format!("DECIMAL TEXT({precision},{scale})"),
        T::Varchar | T::Json | T::Uuid | T::Bit | T::Other(_) => "TEXT".to_owned(),
        T::Blob => "BLOB".to_owned(),
        T::Date => "DATE".to_owned(),
        T::Time => "TIME".to_owned(),
        T::Timestamp | T::TimestampNs => "TIMESTAMP".to_owned(),
        T::Instant => "TIMESTAMPTZ".to_owned(),
        T::Interval | T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..) => return None,
    })
}

/// The statement that creates a table: every column is nullable but those of the key.
///
/// # Errors
/// Key columns that the table would not have, and columns of types that cannot be written.
pub(crate) fn create_table(table: &str, columns: &[(String, &Column)], key: &[String]) -> Result<String, Vec<String>> {
    let is_column = |name: &str| columns.iter().any(|(column, _)| same_name(column, name));
    let mut problems: Vec<String> = key
        .iter()
        .filter(|name| !is_column(name))
        .map(|name| format!("the key column `{name}` is not among the columns that are written"))
        .collect();
    let mut parts = Vec::new();
    for (name, column) in columns {
        let not_null = if key.iter().any(|key| same_name(key, name)) { " NOT NULL" } else { "" };
        match column_type(&column.column_type) {
            Some(declared) => parts.push(format!("{} {declared}{not_null}", quote(name))),
            None => {
                problems.push(format!("column `{}` of the input is {}: {NO_TYPE}", column.name, column.column_type))
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if !key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", key.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")));
    }
    Ok(format!("CREATE TABLE {} (\n  {}\n)", quote(table), parts.join(",\n  ")))
}

/// What to do about a column whose type SQLite has no value for.
pub(super) const NO_TYPE: &str = "cast it to VARCHAR in an earlier step, or leave it out";
