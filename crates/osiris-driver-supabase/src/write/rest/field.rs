//! A column written over REST: its type in the input, its type in the table from the API, and the conversion between
//! them, which is the same as for the direct channel. Lengths of text are known, other lengths and scales are not.

use osiris_driver_postgres::types::encode::{CatalogType, ColumnConversion, ColumnKind};
use osiris_sql::write::WriteColumn;

use crate::client::rest::openapi::RestColumn;

/// One column.
pub(super) type Field = WriteColumn<ColumnConversion>;

/// What a column of the table takes.
pub(super) fn kind(column: &RestColumn) -> ColumnKind {
    match column.format.strip_suffix("[]") {
        Some(element) => {
            let element = RestColumn { format: element.to_owned(), ..RestColumn::default() };
            kind(&element).array()
        }
        None => {
            let name = catalog_name(&column.format);
            let schema = if name.is_some() || !column.format.contains('.') { "pg_catalog" } else { "" };
            let family = if column.members.is_empty() { "b" } else { "e" };
            let name = name.unwrap_or(column.format.rsplit('.').next().unwrap_or_default());
            ColumnKind::of(&CatalogType { name, schema, family, modifier: modifier(column) })
        }
    }
}

/// The type modifier for the length of text.
fn modifier(column: &RestColumn) -> i32 {
    let is_text = matches!(column.format.as_str(), "character varying" | "character");
    let length = column.max_length.filter(|_| is_text).and_then(|length| i32::try_from(length).ok());
    length.and_then(|length| length.checked_add(4)).unwrap_or(-1)
}

/// The catalog's name of a type with another name in SQL.
fn catalog_name(format: &str) -> Option<&'static str> {
    Some(match format {
        "boolean" => "bool",
        "smallint" => "int2",
        "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        "numeric" => "numeric",
        "text" => "text",
        "character varying" => "varchar",
        "character" => "bpchar",
        "\"char\"" => "char",
        "json" => "json",
        "jsonb" => "jsonb",
        "bytea" => "bytea",
        "uuid" => "uuid",
        "date" => "date",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "interval" => "interval",
        "bit" => "bit",
        "bit varying" => "varbit",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_calls_a_type_is_the_same_kind_as_what_the_catalog_calls_it() {
        let of = |format: &str, max_length| {
            kind(&RestColumn { format: format.to_owned(), max_length, ..RestColumn::default() })
        };
        let catalog =
            |name, modifier| ColumnKind::of(&CatalogType { name, schema: "pg_catalog", family: "b", modifier });
        assert_eq!(of("character varying", Some(20)), catalog("varchar", 24));
        assert_eq!(of("timestamp with time zone", None), catalog("timestamptz", -1));
        assert_eq!(of("numeric", None), catalog("numeric", -1));
        assert_eq!(of("text[]", None), catalog("text", -1).array());
        assert_eq!(of("int4range", None), catalog("int4range", -1));
        assert_ne!(of("int4range", None), catalog("text", -1));
        assert_eq!(of("extensions.citext", None), catalog("text", -1));
        let mood =
            RestColumn { format: "public.mood".to_owned(), members: vec!["ok".to_owned()], ..RestColumn::default() };
        let of_enum = CatalogType { name: "mood", schema: "public", family: "e", modifier: -1 };
        assert_eq!(kind(&mood), ColumnKind::of(&of_enum));
    }
}
