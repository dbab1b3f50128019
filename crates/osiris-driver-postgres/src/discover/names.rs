//! Normalised type names, the same for every source.

/// The normalised name of a PostgreSQL type without length or precision; `members` marks an enum.
pub fn normalised(name: &str, is_enum: bool) -> &'static str {
    if name.ends_with("[]") {
        return "array";
    }
    if is_enum {
        return "string";
    }
    // `extensions.geometry`, `public.hstore`.
    match name.rsplit('.').next().unwrap_or(name) {
        "smallint" | "integer" | "bigint" | "oid" => "integer",
        "numeric" | "money" => "decimal",
        "real" | "double precision" => "float",
        "boolean" => "boolean",
        "date" => "date",
        "timestamp without time zone" | "timestamp with time zone" => "timestamp",
        "time without time zone" | "time with time zone" => "time",
        "interval" => "interval",
        "json" | "jsonb" => "json",
        "uuid" => "uuid",
        "text" | "character varying" | "character" | "name" | "citext" | "\"char\"" | "xml" | "inet" | "cidr"
        | "macaddr" | "macaddr8" | "tsvector" | "tsquery" | "bit" | "bit varying" | "hstore" | "ltree" => "string",
        "int4range" | "int8range" | "numrange" | "tsrange" | "tstzrange" | "daterange" | "int4multirange"
        | "int8multirange" | "nummultirange" | "tsmultirange" | "tstzmultirange" | "datemultirange" => "range",
        "bytea" => "binary",
        "point" | "line" | "lseg" | "box" | "path" | "polygon" | "circle" | "geometry" | "geography" => "geometry",
        "vector" | "halfvec" => "vector",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_that_all_catalogs_use() {
        for (name, expected) in [
            ("bigint", "integer"),
            ("character varying", "string"),
            ("timestamp with time zone", "timestamp"),
            ("integer[]", "array"),
            ("extensions.geometry", "geometry"),
            ("daterange", "range"),
            ("public.address", "unknown"),
        ] {
            assert_eq!(normalised(name, false), expected, "{name}");
        }
        assert_eq!(normalised("public.mood", true), "string");
    }
}
