//! Types by name, for sources that only have the name: the schema of a REST API.

use osiris_core::ColumnType;

use super::column::{Family, SourceColumn};
use super::oid;
use crate::config::Policies;

/// The run store type of a column, by the type's name from `format_type`, such as `numeric(10,2)` or
/// `integer[]`.
///
/// # Errors
/// For a type without an exact counterpart under these policies, with advice.
pub fn store_type(name: &str, policies: &Policies) -> Result<ColumnType, String> {
    let (base, modifier) = name.split_once('(').map_or((name, ""), |(base, rest)| (base, rest));
    let rest = modifier.split_once(')').map_or("", |(_, rest)| rest);
    if name.ends_with("[]") || base.ends_with("[]") {
        return Ok(ColumnType::Json);
    }
    let oid = match format!("{}{rest}", base.trim()).as_str() {
        "boolean" => oid::BOOL,
        "smallint" => oid::INT2,
        "integer" => oid::INT4,
        "bigint" => oid::INT8,
        "oid" => oid::OID,
        "real" => oid::FLOAT4,
        "double precision" => oid::FLOAT8,
        "numeric" => oid::NUMERIC,
        "bytea" => oid::BYTEA,
        "uuid" => oid::UUID,
        "json" => oid::JSON,
        "jsonb" => oid::JSONB,
        "date" => oid::DATE,
        "time without time zone" => oid::TIME,
        "timestamp without time zone" => oid::TIMESTAMP,
        "timestamp with time zone" => oid::TIMESTAMPTZ,
        "interval" => oid::INTERVAL,
        _ => oid::TEXT,
    };
    let mut numbers = modifier.split(')').next().unwrap_or("").split(',').map(|number| number.trim().parse::<i32>());
    let modifier = match (oid, numbers.next(), numbers.next()) {
        (oid::NUMERIC, Some(Ok(precision)), scale) => {
            let scale = scale.and_then(Result::ok).unwrap_or(0);
            ((precision << 16) | (scale & 0x7ff)) + 4
        }
        _ => -1,
    };
    let column = SourceColumn { name: name.to_owned(), oid, modifier, family: Family::Other };
    let (reading, _) = column.reading(policies)?;
    Ok(reading.store_type())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_their_names_too() {
        let exact = Policies::default();
        for (name, expected) in [
            ("numeric(10,2)", Ok("DECIMAL(10,2)")),
            ("numeric", Ok("VARCHAR")),
            ("numeric(40,2)", Err("decimal_overflow")),
            ("numeric(10,2)[]", Ok("JSON")),
            ("integer[]", Ok("JSON")),
            ("character varying(20)", Ok("VARCHAR")),
            ("timestamp(3) with time zone", Ok("INSTANT")),
            ("timestamp without time zone", Ok("TIMESTAMP")),
            ("time(3) without time zone", Ok("TIME")),
            ("public.mood", Ok("VARCHAR")),
        ] {
            match (store_type(name, &exact), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), expected, "{name}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
        let scaled = Policies { numeric_scale: Some(4), ..exact };
        assert_eq!(store_type("numeric", &scaled), Ok(ColumnType::Decimal(38, 4)));
    }
}
