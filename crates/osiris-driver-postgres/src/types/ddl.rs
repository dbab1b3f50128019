//! Run store types as PostgreSQL types, for tables that a step creates. Based on the type alone, never on
//! the data, and exact: a value that does not fit is rejected when it is written.
//!
//! | store | PostgreSQL |
//! | --- | --- |
//! | BOOLEAN | boolean |
//! | TINYINT, UTINYINT, SMALLINT | smallint |
//! | USMALLINT, INTEGER | integer |
//! | UINTEGER, BIGINT | bigint |
//! | UBIGINT | numeric(20,0) |
//! | HUGEINT, UHUGEINT | numeric(38,0) |
//! | DECIMAL(p,s) | numeric(p,s) |
//! | FLOAT, DOUBLE | real, double precision |
//! | VARCHAR, ENUM | text |
//! | BLOB | bytea |
//! | BIT | bit varying |
//! | UUID | uuid |
//! | DATE, TIME, INTERVAL | date, time, interval |
//! | TIMESTAMP | timestamp |
//! | TIMESTAMPTZ | timestamptz |
//! | lists of one of these | an array |
//! | JSON, structs, maps, other lists | jsonb; an object with a key twice is rejected |

use osiris_core::{Column, ColumnType};
use osiris_sql::write::same_name;

use crate::client::quote;

/// The type of a column in a new table.
pub fn column_type(column: &ColumnType) -> String {
    use ColumnType as T;
    match column {
        T::Boolean => "boolean",
        T::TinyInt | T::UTinyInt | T::SmallInt => "smallint",
        T::USmallInt | T::Integer => "integer",
        T::UInteger | T::BigInt => "bigint",
        T::UBigInt => "numeric(20,0)",
        T::HugeInt | T::UHugeInt => "numeric(38,0)",
        T::Decimal(precision, scale) => return format!("numeric({precision},{scale})"),
        T::Float => "real",
        T::Double => "double precision",
        T::Varchar | T::Other(_) => "text",
        T::Blob => "bytea",
        T::Bit => "bit varying",
        T::Uuid => "uuid",
        T::Date => "date",
        T::Time => "time",
        T::Timestamp | T::TimestampNs => "timestamp",
        T::Instant => "timestamptz",
        T::Interval => "interval",
        T::List(item) | T::Array(item, _) if is_element(item) => return format!("{}[]", column_type(item)),
        T::Json | T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..) => "jsonb",
    }
    .to_owned()
}

/// Whether an array is equivalent to the list: nested lists may differ in length, dimensions of an array may not.
fn is_element(item: &ColumnType) -> bool {
    use ColumnType as T;
    !matches!(item, T::Json | T::List(_) | T::Array(..) | T::Struct(_) | T::Map(..))
}

/// The CREATE TABLE statement: every column is nullable except those of the key. `table` is its name in SQL.
///
/// # Errors
/// For key columns that are missing or cannot be indexed.
pub fn create_table(table: &str, columns: &[(String, &Column)], key: &[String]) -> Result<String, Vec<String>> {
    let mut problems = Vec::new();
    for name in key {
        match columns.iter().find(|(column, _)| same_name(column, name)) {
            None => problems.push(format!("key column `{name}` is not among the columns to write")),
            Some((_, column)) if !is_element(&column.column_type) => {
                problems.push(format!("column `{name}` is {}, which cannot be in a key", column.column_type))
            }
            Some(_) => {}
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut lines: Vec<String> = columns
        .iter()
        .map(|(name, column)| {
            let null = if key.iter().any(|key| same_name(key, name)) { " NOT NULL" } else { "" };
            format!("  {} {}{null}", quote(name), column_type(&column.column_type))
        })
        .collect();
    if !key.is_empty() {
        let names = key.iter().filter_map(|key| columns.iter().find(|(name, _)| same_name(name, key)));
        let names: Vec<String> = names.map(|(name, _)| quote(name)).collect();
        lines.push(format!("  PRIMARY KEY ({})", names.join(", ")));
    }
    Ok(format!("CREATE TABLE {table} (\n{}\n)", lines.join(",\n")))
}

/// The statement that adds columns, each nullable.
pub fn add_columns(table: &str, columns: &[(String, &Column)]) -> String {
    let clauses: Vec<String> = columns
        .iter()
        .map(|(name, column)| format!("ADD COLUMN {} {}", quote(name), column_type(&column.column_type)))
        .collect();
    format!("ALTER TABLE {table} {}", clauses.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_table_has_the_types_of_the_store_quoted_names_and_a_key() {
        let columns = [
            Column::new("id", ColumnType::UBigInt),
            Column::new("select", ColumnType::Varchar),
            Column::new("price", ColumnType::Decimal(12, 2)),
            Column::new("at", ColumnType::Instant),
            Column::new("tags", ColumnType::List(Box::new(ColumnType::Varchar))),
            Column::new("a\"b", ColumnType::Map(Box::new(ColumnType::Varchar), Box::new(ColumnType::Integer))),
        ];
        let named: Vec<(String, &Column)> = columns.iter().map(|column| (column.name.clone(), column)).collect();
        let sql = create_table("\"public\".\"t\"", &named, &["id".to_owned(), "select".to_owned()]).unwrap();
        insta::assert_snapshot!(sql, @r#"
        CREATE TABLE "public"."t" (
          "id" numeric(20,0) NOT NULL,
          "select" text NOT NULL,
          "price" numeric(12,2),
          "at" timestamptz,
          "tags" text[],
          "a""b" jsonb,
          PRIMARY KEY ("id", "select")
        )
        "#);
        let problems = create_table("t", &named, &["nope".to_owned(), "a\"b".to_owned()]).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn a_list_of_lists_is_no_array() {
        let list = ColumnType::List(Box::new(ColumnType::List(Box::new(ColumnType::Integer))));
        assert_eq!(column_type(&list), "jsonb");
    }
}
