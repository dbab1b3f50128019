//! What becomes of a column of the source: decided from what the server says about it, before the first row.

use arrow::datatypes::{DataType, Field};
use osiris_core::{ColumnType, Error, Result};

use super::oid;
use crate::client::quote;
use crate::config::{DecimalOverflow, InfinityPolicy, IntervalPolicy, NumericPolicy, Policies};

/// The most digits that the store's decimals have.
const DIGITS: u32 = 38;

/// A column of a result, as the server describes it. Domains are described by the type beneath them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceColumn {
    pub(crate) name: String,
    pub(crate) oid: u32,
    /// The type's modifier; -1: none, or not known.
    pub(crate) modifier: i32,
    pub(crate) family: Family,
}

/// What the catalog says of a type besides its id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Family {
    /// Nothing that matters.
    #[default]
    Other,
    Enum,
    Array,
}

/// How the bytes of a value are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Bool,
    Int16,
    Int32,
    Int64,
    UInt32,
    Float,
    Double,
    /// Digits in all, digits behind the point.
    Decimal(u8, u8),
    Text,
    Bytes,
    Uuid,
    Json,
    /// JSON behind a byte for the version.
    Jsonb,
    Date,
    Time,
    Timestamp,
    Instant,
    Interval,
}

/// How the server is asked for a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// In its binary form.
    Binary,
    /// As the cast to text writes it, which is how it is printed.
    Text,
    /// As it is printed, for types whose cast to text differs from that.
    Printed,
    /// As JSON.
    Json,
}

/// A column of the table to be.
#[derive(Debug, Clone)]
pub(crate) struct ColumnPlan {
    pub(crate) name: String,
    pub(crate) field: Field,
    pub(crate) reading: Reading,
    pub(crate) asking: Asking,
    pub(crate) infinity: InfinityPolicy,
}

/// Decides for all columns; what cannot be mapped is listed at once.
///
/// # Errors
/// Columns without a counterpart, each with a way out.
pub(crate) fn plan(columns: &[SourceColumn], policies: &Policies) -> Result<Vec<ColumnPlan>> {
    let mut plans = Vec::with_capacity(columns.len());
    let mut problems = Vec::new();
    for column in columns {
        match column.reading(policies) {
            Ok((reading, asking)) => plans.push(ColumnPlan::new(&column.name, reading, asking, policies.infinity)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok(plans);
    }
    Err(Error::validation(format!("columns that have no exact counterpart: {}", problems.join("; ")))
        .with_hint("do for each what stands beside it"))
}

impl SourceColumn {
    pub(super) fn reading(&self, policies: &Policies) -> Result<(Reading, Asking), String> {
        let reading = match self.oid {
            oid::BOOL => Reading::Bool,
            oid::INT2 => Reading::Int16,
            oid::INT4 => Reading::Int32,
            oid::INT8 => Reading::Int64,
            oid::OID => Reading::UInt32,
            oid::FLOAT4 => Reading::Float,
            oid::FLOAT8 => Reading::Double,
            oid::NUMERIC => return self.numeric(policies),
            oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME => Reading::Text,
            oid::BYTEA => Reading::Bytes,
            oid::UUID => Reading::Uuid,
            oid::JSON => Reading::Json,
            oid::JSONB => Reading::Jsonb,
            oid::DATE => Reading::Date,
            oid::TIME => Reading::Time,
            oid::TIMESTAMP => Reading::Timestamp,
            oid::TIMESTAMPTZ => Reading::Instant,
            oid::INTERVAL if policies.interval == IntervalPolicy::Interval => Reading::Interval,
            oid::INET | oid::CIDR => return Ok((Reading::Text, Asking::Printed)),
            _ => {
                return Ok(match self.family {
                    Family::Enum => (Reading::Text, Asking::Binary),
                    Family::Array => (Reading::Json, Asking::Json),
                    Family::Other => (Reading::Text, Asking::Text),
                });
            }
        };
        Ok((reading, Asking::Binary))
    }

    fn numeric(&self, policies: &Policies) -> Result<(Reading, Asking), String> {
        let text = Ok((Reading::Text, Asking::Text));
        if policies.numeric == NumericPolicy::Text {
            return text;
        }
        let Some((precision, scale)) = digits(self.modifier) else {
            let decimal = |scale| (Reading::Decimal(38, scale), Asking::Binary);
            return policies.numeric_scale.map_or(text, |scale| Ok(decimal(scale)));
        };
        match (u8::try_from(precision), u8::try_from(scale)) {
            (Ok(precision), Ok(scale)) if u32::from(precision) <= DIGITS => {
                Ok((Reading::Decimal(precision, scale), Asking::Binary))
            }
            _ if policies.decimal_overflow == DecimalOverflow::Text => text,
            _ => Err(format!(
                "`{0}` is numeric({precision},{scale}), more than {DIGITS} digits: cast it in a query, such as `{0}::numeric(38,{1})`, or set \
                 `decimal_overflow: text`",
                self.name,
                scale.min(10)
            )),
        }
    }
}

/// Digits in all and behind the point that hold every value of a numeric with this modifier; nothing where it has none. A negative
/// scale means zeros in front of the point, a scale greater than the precision zeros behind it.
fn digits(modifier: i32) -> Option<(u32, u32)> {
    let packed = u32::try_from(modifier.checked_sub(4)?).ok()?;
    let (precision, low) = (packed >> 16, packed & 0x7ff);
    if low & 0x400 == 0 {
        return Some((precision.max(low), low));
    }
    Some((precision + (0x800 - low), 0))
}

impl ColumnPlan {
    fn new(name: &str, reading: Reading, asking: Asking, infinity: InfinityPolicy) -> Self {
        let field = field(name, &reading.store_type());
        Self { name: name.to_owned(), field, reading, asking, infinity }
    }

    /// Whether the server sends it as it is.
    pub(crate) fn is_binary(&self) -> bool {
        self.asking == Asking::Binary
    }

    /// The column in a list behind SELECT, from a source that has it under its name.
    pub(crate) fn sql(&self) -> String {
        let name = quote(&self.name);
        match self.asking {
            Asking::Binary => name,
            Asking::Text => format!("{name}::text AS {name}"),
            Asking::Printed => format!("CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END AS {name}"),
            Asking::Json => format!("to_json({name}) AS {name}"),
        }
    }
}

/// The column of a batch that becomes a column of this type in the store.
pub fn field(name: &str, column_type: &ColumnType) -> Field {
    match column_type {
        ColumnType::Uuid => Field::new(name, DataType::FixedSizeBinary(16), true)
            .with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]),
        other => other.arrow_field(name, true),
    }
}

impl Reading {
    pub(super) fn store_type(self) -> ColumnType {
        match self {
            Self::Bool => ColumnType::Boolean,
            Self::Int16 => ColumnType::SmallInt,
            Self::Int32 => ColumnType::Integer,
            Self::Int64 => ColumnType::BigInt,
            Self::UInt32 => ColumnType::UInteger,
            Self::Float => ColumnType::Float,
            Self::Double => ColumnType::Double,
            Self::Decimal(precision, scale) => ColumnType::Decimal(precision, scale),
            Self::Text => ColumnType::Varchar,
            Self::Bytes => ColumnType::Blob,
            Self::Uuid => ColumnType::Uuid,
            Self::Json | Self::Jsonb => ColumnType::Json,
            Self::Date => ColumnType::Date,
            Self::Time => ColumnType::Time,
            Self::Timestamp => ColumnType::Timestamp,
            Self::Instant => ColumnType::Instant,
            Self::Interval => ColumnType::Interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modifier_says_how_many_digits_hold_every_value() {
        let modifier = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        assert_eq!(digits(modifier(10, 2)), Some((10, 2)));
        assert_eq!(digits(modifier(1000, 1000)), Some((1000, 1000)));
        assert_eq!(digits(modifier(3, -2)), Some((5, 0)));
        assert_eq!(digits(modifier(3, 5)), Some((5, 5)));
        assert_eq!(digits(-1), None);
    }
}
