//! Converts columns of a step's table for Parquet: exactly, or as text if Parquet has no type with the same range.

use osiris_core::store::quote;
use osiris_core::{Column, ColumnType};

/// The column as SQL for COPY. Timestamps in UTC are adjusted to UTC in the file; 128-bit integers become
/// DECIMAL(38,0); intervals, bit strings and enumerations become text, since Parquet's intervals have no sign and no
/// microseconds.
pub(crate) fn expression(column: &Column) -> String {
    let name = quote(&column.name);
    let target = sql(&column.column_type);
    if target == column.column_type.sql() { name } else { format!("CAST({name} AS {target}) AS {name}") }
}

/// The SQL type for a column of `column_type`.
fn sql(column_type: &ColumnType) -> String {
    use ColumnType as T;
    match column_type {
        T::HugeInt | T::UHugeInt => "DECIMAL(38,0)".to_owned(),
        T::Interval | T::Bit | T::Other(_) => "VARCHAR".to_owned(),
        T::Instant => "TIMESTAMP WITH TIME ZONE".to_owned(),
        T::List(item) => format!("{}[]", sql(item)),
        T::Array(item, size) => format!("{}[{size}]", sql(item)),
        T::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, field)| format!("{} {}", quote(name), sql(field))).collect();
            format!("STRUCT({})", fields.join(", "))
        }
        T::Map(key, value) => format!("MAP({}, {})", sql(key), sql(value)),
        plain => plain.sql(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(column_type: &str) -> String {
        expression(&Column::new("x", ColumnType::parse(column_type)))
    }

    #[test]
    fn what_parquet_holds_is_written_as_it_is() {
        for plain in ["BIGINT", "DECIMAL(38,10)", "VARCHAR", "STRUCT(\"a\" INTEGER)", "TIMESTAMP_NS", "UUID"] {
            assert_eq!(written(plain), "\"x\"", "{plain}");
        }
    }

    #[test]
    fn what_it_would_mangle_is_converted() {
        assert_eq!(written("HUGEINT"), "CAST(\"x\" AS DECIMAL(38,0)) AS \"x\"");
        assert_eq!(written("INTERVAL"), "CAST(\"x\" AS VARCHAR) AS \"x\"");
        assert_eq!(written("INSTANT[]"), "CAST(\"x\" AS TIMESTAMP WITH TIME ZONE[]) AS \"x\"");
        assert_eq!(written("STRUCT(\"a\" HUGEINT)"), "CAST(\"x\" AS STRUCT(\"a\" DECIMAL(38,0))) AS \"x\"");
    }
}
