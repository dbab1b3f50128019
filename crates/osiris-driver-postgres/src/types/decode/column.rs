//! Plans the type of each source column from the server's description, before the first row.

use arrow::datatypes::Field;
use osiris_core::{ColumnType, Result};
use osiris_sql::batch::{self, MAX_DECIMAL_DIGITS, column_plans, uuid_field};

use super::oid;
use crate::client::quote;
use crate::config::{DecimalOverflow, InfinityPolicy, IntervalPolicy, NumericPolicy, Policies};

/// A result column, as the server describes it. Domains are described by their base type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceColumn {
    pub(crate) name: String,
    pub(crate) oid: u32,
    /// The type modifier; -1: none or unknown.
    pub(crate) modifier: i32,
    pub(crate) family: Family,
}

/// Information about a type from the catalog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Family {
    /// No further information.
    #[default]
    Other,
    Enum,
    Array,
}

/// How the bytes of a value are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnDecoder {
    Bool,
    Int16,
    Int32,
    Int64,
    UInt32,
    Float,
    Double,
    /// Precision and scale.
    Decimal(u8, u8),
    Text,
    Bytes,
    Uuid,
    Json,
    /// JSON after a version byte.
    Jsonb,
    Date,
    Time,
    Timestamp,
    Instant,
    Interval,
}

/// How a column is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projection {
    /// In binary format.
    Binary,
    /// Cast to text.
    Text,
    /// Formatted with `format`, for types whose cast to text differs.
    Printed,
    /// As JSON.
    Json,
}

/// How the values of a column are selected and decoded, as the step wants them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ValueDecoder {
    pub(super) reading: ColumnDecoder,
    pub(super) asking: Projection,
    pub(super) infinity: InfinityPolicy,
}

pub(crate) type ColumnPlan = batch::ColumnPlan<ValueDecoder>;

/// Plans all columns; reports all columns that cannot be mapped.
///
/// # Errors
/// For columns without an exact type, each with advice.
pub(crate) fn plan(columns: &[SourceColumn], policies: &Policies) -> Result<Vec<ColumnPlan>> {
    let plans = columns.iter().map(|column| {
        let (reading, asking) = column.reading(policies)?;
        let decoder = ValueDecoder { reading, asking, infinity: policies.infinity };
        Ok(ColumnPlan::new(field(&column.name, &reading.store_type()), decoder))
    });
    column_plans(plans, "follow the advice after each column")
}

impl SourceColumn {
    pub(super) fn reading(&self, policies: &Policies) -> Result<(ColumnDecoder, Projection), String> {
        let reading = match self.oid {
            oid::BOOL => ColumnDecoder::Bool,
            oid::INT2 => ColumnDecoder::Int16,
            oid::INT4 => ColumnDecoder::Int32,
            oid::INT8 => ColumnDecoder::Int64,
            oid::OID => ColumnDecoder::UInt32,
            oid::FLOAT4 => ColumnDecoder::Float,
            oid::FLOAT8 => ColumnDecoder::Double,
            oid::NUMERIC => return self.numeric(policies),
            oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME => ColumnDecoder::Text,
            oid::BYTEA => ColumnDecoder::Bytes,
            oid::UUID => ColumnDecoder::Uuid,
            oid::JSON => ColumnDecoder::Json,
            oid::JSONB => ColumnDecoder::Jsonb,
            oid::DATE => ColumnDecoder::Date,
            oid::TIME => ColumnDecoder::Time,
            oid::TIMESTAMP => ColumnDecoder::Timestamp,
            oid::TIMESTAMPTZ => ColumnDecoder::Instant,
            oid::INTERVAL if policies.interval == IntervalPolicy::Interval => ColumnDecoder::Interval,
            oid::INET | oid::CIDR => return Ok((ColumnDecoder::Text, Projection::Printed)),
            _ => {
                return Ok(match self.family {
                    Family::Enum => (ColumnDecoder::Text, Projection::Binary),
                    Family::Array => (ColumnDecoder::Json, Projection::Json),
                    Family::Other => (ColumnDecoder::Text, Projection::Text),
                });
            }
        };
        Ok((reading, Projection::Binary))
    }

    fn numeric(&self, policies: &Policies) -> Result<(ColumnDecoder, Projection), String> {
        let text = Ok((ColumnDecoder::Text, Projection::Text));
        if policies.numeric == NumericPolicy::Text {
            return text;
        }
        let Some((precision, scale)) = digits(self.modifier) else {
            let decimal = |scale| (ColumnDecoder::Decimal(38, scale), Projection::Binary);
            return policies.numeric_scale.map_or(text, |scale| Ok(decimal(scale)));
        };
        match (u8::try_from(precision), u8::try_from(scale)) {
            (Ok(precision), Ok(scale)) if u32::from(precision) <= MAX_DECIMAL_DIGITS => {
                Ok((ColumnDecoder::Decimal(precision, scale), Projection::Binary))
            }
            _ if policies.decimal_overflow == DecimalOverflow::Text => text,
            _ => Err(format!(
                "`{0}` is numeric({precision},{scale}), more than {MAX_DECIMAL_DIGITS} digits: cast it in a query, such as `{0}::numeric(38,{1})`, or set \
                 `decimal_overflow: text`",
                self.name,
                scale.min(10)
            )),
        }
    }
}

/// Precision and scale for every value of a numeric with this modifier; `None` without a modifier. A negative
/// scale means zeros before the decimal point, a scale greater than the precision zeros after it.
fn digits(modifier: i32) -> Option<(u32, u32)> {
    let packed = u32::try_from(modifier.checked_sub(4)?).ok()?;
    let (precision, low) = (packed >> 16, packed & 0x7ff);
    if low & 0x400 == 0 {
        return Some((precision.max(low), low));
    }
    Some((precision + (0x800 - low), 0))
}

impl ValueDecoder {
    /// Whether the server sends it unchanged.
    pub(crate) fn is_binary(&self) -> bool {
        self.asking == Projection::Binary
    }

    /// The column `name` in a select list, from a source that has it under its name.
    pub(crate) fn sql(&self, name: &str) -> String {
        let name = quote(name);
        match self.asking {
            Projection::Binary => name,
            Projection::Text => format!("{name}::text AS {name}"),
            Projection::Printed => format!("CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END AS {name}"),
            Projection::Json => format!("to_json({name}) AS {name}"),
        }
    }
}

/// The Arrow field of the column.
pub fn field(name: &str, column_type: &ColumnType) -> Field {
    match column_type {
        ColumnType::Uuid => uuid_field(name),
        other => other.arrow_field(name, true),
    }
}

impl ColumnDecoder {
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
