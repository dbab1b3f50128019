//! The mapping of ClickHouse's types, which PostHog sends with every response, to those of the store. The README has
//! the table.

use osiris_core::ColumnType;

/// The column type, if it is known before the first value; `None` if the values decide.
pub(crate) fn column_type(clickhouse: &str) -> Option<ColumnType> {
    let plain = unwrapped(clickhouse);
    let name = plain.split('(').next().unwrap_or(plain).trim();
    Some(match name {
        "DateTime" | "DateTime64" => ColumnType::Instant,
        "Date" | "Date32" => ColumnType::Date,
        "String" | "FixedString" | "UUID" | "Enum8" | "Enum16" | "IPv4" | "IPv6" => ColumnType::Varchar,
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt16" | "UInt32" => ColumnType::BigInt,
        "Array" | "Map" | "Tuple" | "JSON" => ColumnType::Json,
        _ => return None,
    })
}

/// The type in a catalog, as a hint for the reader.
pub(crate) fn normalised(clickhouse: &str) -> &'static str {
    let plain = unwrapped(clickhouse);
    match plain.split('(').next().unwrap_or(plain).trim() {
        "DateTime" | "DateTime64" => "timestamp",
        "Date" | "Date32" => "date",
        "Bool" => "boolean",
        "Float32" | "Float64" => "float",
        "Decimal" => "decimal",
        "Array" | "Map" | "Tuple" | "JSON" => "json",
        name if name.starts_with("Int") || name.starts_with("UInt") => "integer",
        _ => "string",
    }
}

/// Whether a value may be NULL.
pub(crate) fn is_nullable(clickhouse: &str) -> bool {
    clickhouse.contains("Nullable(")
}

fn unwrapped(clickhouse: &str) -> &str {
    let mut plain = clickhouse.trim();
    while let Some(inner) = ["Nullable(", "LowCardinality("]
        .iter()
        .find_map(|wrapper| plain.strip_prefix(wrapper).and_then(|rest| rest.strip_suffix(')')))
    {
        plain = inner.trim();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_do_not_hide_a_type() {
        for (name, expected) in [
            ("UUID", Some(ColumnType::Varchar)),
            ("DateTime64(6, 'UTC')", Some(ColumnType::Instant)),
            ("Nullable(DateTime('Europe/Prague'))", Some(ColumnType::Instant)),
            ("LowCardinality(Nullable(String))", Some(ColumnType::Varchar)),
            ("Array(Nullable(String))", Some(ColumnType::Json)),
            ("UInt8", None),
            ("Nullable(Float64)", None),
            ("AggregateFunction(sum, UInt64)", None),
        ] {
            assert_eq!(column_type(name), expected, "{name}");
        }
        assert_eq!((normalised("Nullable(UInt8)"), is_nullable("Nullable(UInt8)")), ("integer", true));
        assert_eq!((normalised("AggregateFunction(sum, UInt64)"), is_nullable("UUID")), ("string", false));
    }
}
