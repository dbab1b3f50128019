//! The type of a column, as far as needed for writing to it, from the catalog. A domain is treated as its base type:
//! the binary format is the same, and the server checks the domain's constraints.

use super::convert::Width;
use super::numeric::Limit;

/// The family of a column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Integer(Width),
    Float4,
    Float8,
    Numeric(Option<Limit>),
    /// Text, with a maximum number of characters.
    Text {
        limit: Option<usize>,
    },
    Enum,
    Json,
    Jsonb,
    Bytes,
    Uuid,
    Date,
    Time {
        digits: u8,
    },
    Timestamp {
        digits: u8,
        zoned: bool,
    },
    Interval {
        digits: u8,
    },
    /// `bit` and `bit varying`; the server refuses a wrong length.
    Bits,
    Array {
        element: Box<Kind>,
        oid: u32,
    },
    /// A type with its own text format, such as `inet`, a range, a composite type.
    Literal,
    /// A type that would change values, with advice.
    Refused(&'static str),
}

/// A type, as described by the catalog.
#[derive(Debug, Clone)]
pub struct CatalogType<'a> {
    /// `pg_type.typname`.
    pub name: &'a str,
    /// The schema of the type.
    pub schema: &'a str,
    /// `pg_type.typtype`: `b` base, `e` enum, `c` composite, `r` range, `m` multirange.
    pub family: &'a str,
    /// The modifier of the column, -1 for none.
    pub modifier: i32,
}

impl CatalogType<'_> {
    /// Its kind. The caller handles arrays.
    pub(crate) fn kind(&self) -> Kind {
        if self.family == "e" {
            return Kind::Enum;
        }
        if self.schema != "pg_catalog" {
            return if self.name == "citext" { Kind::Text { limit: None } } else { Kind::Literal };
        }
        match self.name {
            "bool" => Kind::Bool,
            "int2" => Kind::Integer(Width::Two),
            "int4" => Kind::Integer(Width::Four),
            "int8" => Kind::Integer(Width::Eight),
            "oid" => Kind::Integer(Width::Unsigned),
            "float4" => Kind::Float4,
            "float8" => Kind::Float8,
            "numeric" => Kind::Numeric(self.numeric()),
            "text" => Kind::Text { limit: None },
            "varchar" | "bpchar" => Kind::Text { limit: self.length() },
            // The one is truncated to 63 bytes without a warning, the other to one.
            "name" | "char" => Kind::Refused("a column of this type truncates values: use text"),
            "json" => Kind::Json,
            "jsonb" => Kind::Jsonb,
            "bytea" => Kind::Bytes,
            "uuid" => Kind::Uuid,
            "date" => Kind::Date,
            "time" => Kind::Time { digits: self.digits() },
            "timestamp" => Kind::Timestamp { digits: self.digits(), zoned: false },
            "timestamptz" => Kind::Timestamp { digits: self.digits(), zoned: true },
            "timetz" if self.modifier >= 0 => {
                Kind::Refused("timetz with a precision rounds values: use timetz without one")
            }
            "interval" => self.interval(),
            "bit" | "varbit" => Kind::Bits,
            _ => Kind::Literal,
        }
    }

    fn numeric(&self) -> Option<Limit> {
        let packed = self.modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
        // The scale has 11 bits and a sign; see `numeric_typmod_scale` in the server.
        let scale = i16::try_from(((packed & 0x7ff) ^ 1024) - 1024).ok()?;
        Some(Limit { precision: u16::try_from((packed >> 16) & 0xffff).ok()?, scale })
    }

    fn length(&self) -> Option<usize> {
        self.modifier.checked_sub(4).and_then(|length| usize::try_from(length).ok())
    }

    fn digits(&self) -> u8 {
        u8::try_from(self.modifier).map_or(6, |digits| digits.min(6))
    }

    /// The upper half of the modifier has the fields, the lower half the precision.
    fn interval(&self) -> Kind {
        const ALL_FIELDS: i32 = 0x7fff;
        const ALL_DIGITS: i32 = 0xffff;
        if self.modifier < 0 {
            return Kind::Interval { digits: 6 };
        }
        if (self.modifier >> 16) & ALL_FIELDS != ALL_FIELDS {
            return Kind::Refused("interval with fields truncates values: use interval without fields");
        }
        match self.modifier & ALL_DIGITS {
            ALL_DIGITS => Kind::Interval { digits: 6 },
            digits => Kind::Interval { digits: u8::try_from(digits).map_or(6, |digits| digits.min(6)) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, modifier: i32) -> Kind {
        CatalogType { name, schema: "pg_catalog", family: "b", modifier }.kind()
    }

    #[test]
    fn modifiers_are_limits() {
        let numeric = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        assert_eq!(of("numeric", numeric(10, 2)), Kind::Numeric(Some(Limit { precision: 10, scale: 2 })));
        assert_eq!(of("numeric", numeric(3, -2)), Kind::Numeric(Some(Limit { precision: 3, scale: -2 })));
        assert_eq!(of("numeric", -1), Kind::Numeric(None));
        assert_eq!(of("varchar", 9), Kind::Text { limit: Some(5) });
        assert_eq!(of("varchar", -1), Kind::Text { limit: None });
        assert_eq!(of("timestamptz", 3), Kind::Timestamp { digits: 3, zoned: true });
        assert_eq!(of("interval", (0x7fff << 16) | 2), Kind::Interval { digits: 2 });
        assert!(matches!(of("interval", (4 << 16) | 0xffff), Kind::Refused(_)));
        assert_eq!(of("inet", -1), Kind::Literal);
    }
}
