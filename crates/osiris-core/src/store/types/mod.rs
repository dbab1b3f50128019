//! The types of columns: one enum, read from DuckDB's names, with the Arrow type a scan returns.

mod name;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};

use self::name::Parser;

/// The time zone of every instant in Arrow: an offset, which Arrow understands without a time zone database.
pub(crate) const UTC: &str = "+00:00";
/// The Arrow extension name of JSON text.
pub(crate) const JSON_EXTENSION: &str = "arrow.json";

/// The type of a column in the run store.
///
/// Its `Display` is DuckDB's name for it, except [`Instant`](Self::Instant), which DuckDB keeps as `TIMESTAMP` in UTC
/// (see `docs/decisions`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// 8 bits, signed.
    TinyInt,
    /// 16 bits, signed.
    SmallInt,
    /// 32 bits, signed.
    Integer,
    /// 64 bits, signed.
    BigInt,
    /// 128 bits, signed; scanned as DECIMAL(38,0), values beyond that are an error.
    HugeInt,
    /// 8 bits, unsigned.
    UTinyInt,
    /// 16 bits, unsigned.
    USmallInt,
    /// 32 bits, unsigned.
    UInteger,
    /// 64 bits, unsigned.
    UBigInt,
    /// 128 bits, unsigned; scanned like [`HugeInt`](Self::HugeInt).
    UHugeInt,
    /// IEEE 754, 32 bits.
    Float,
    /// IEEE 754, 64 bits.
    Double,
    /// Exact: digits in all (38 at most), digits behind the point.
    Decimal(u8, u8),
    /// UTF-8 text.
    Varchar,
    /// JSON text.
    Json,
    /// Bytes.
    Blob,
    /// A string of bits; scanned as text of `0` and `1`.
    Bit,
    /// A UUID; scanned as text.
    Uuid,
    /// A calendar date.
    Date,
    /// A time of day, microseconds.
    Time,
    /// A date and time of no zone, microseconds.
    Timestamp,
    /// A date and time of no zone, nanoseconds.
    TimestampNs,
    /// A point in time, microseconds: UTC in the store, scanned with the zone `+00:00`.
    Instant,
    /// Months, days and microseconds.
    Interval,
    /// Any number of values.
    List(Box<ColumnType>),
    /// A fixed number of values.
    Array(Box<ColumnType>, u32),
    /// Named fields.
    Struct(Vec<(String, ColumnType)>),
    /// Keys and values.
    Map(Box<ColumnType>, Box<ColumnType>),
    /// Any other type of DuckDB, such as an ENUM, by its name; scanned as text.
    Other(String),
}

impl ColumnType {
    /// Reads DuckDB's name of a type, such as `STRUCT(a INTEGER[], b DECIMAL(18,3))`.
    pub fn parse(name: &str) -> Self {
        Parser { rest: name }.column_type().unwrap_or_else(|| Self::Other(name.to_owned()))
    }

    /// Without the marks of instants: the type DuckDB has.
    #[must_use]
    pub fn erased(&self) -> Self {
        self.map_leaves(&|leaf| match leaf {
            Self::Instant => Self::Timestamp,
            other => other.clone(),
        })
    }

    /// What a scan returns, as a type of the store: types without an exact Arrow counterpart become ones that have.
    #[must_use]
    pub(crate) fn scanned(&self) -> Self {
        self.map_leaves(&|leaf| match leaf {
            Self::HugeInt | Self::UHugeInt => Self::Decimal(38, 0),
            Self::Bit | Self::Uuid | Self::Other(_) => Self::Varchar,
            other => other.clone(),
        })
    }

    /// What the rows of a scan can be turned back into, exactly: all but a few types that are known by their name alone.
    #[must_use]
    pub(crate) fn restored(&self) -> Self {
        self.map_leaves(&|leaf| match leaf {
            Self::Other(name) if !name.starts_with("ENUM(") && name != "BIGNUM" => Self::Varchar,
            other => other.clone(),
        })
    }

    /// As what values travel in Arrow where they have to arrive exactly: as text, where there is no exact counterpart of their type
    /// or the client library would change them. The cast back is exact. See [`TableSink::carrying_sender`](super::TableSink::carrying_sender).
    #[must_use]
    pub fn carried(&self) -> Self {
        self.map_leaves(&|leaf| match leaf {
            Self::HugeInt | Self::UHugeInt | Self::Bit | Self::Uuid | Self::Interval | Self::Other(_) => Self::Varchar,
            other => other.clone(),
        })
    }

    /// What the store keeps for a column that SQL made with this type: zones and coarse units are gone.
    #[must_use]
    pub fn stored(&self) -> Self {
        self.map_leaves(&|leaf| match leaf {
            Self::Other(name) => match name.as_str() {
                "TIMESTAMP WITH TIME ZONE" => Self::Instant,
                "TIMESTAMP_S" | "TIMESTAMP_MS" => Self::Timestamp,
                "TIME WITH TIME ZONE" | "TIME_NS" | "\"NULL\"" | "NULL" => Self::Varchar,
                _ => leaf.clone(),
            },
            other => other.clone(),
        })
    }

    fn map_leaves(&self, change: &dyn Fn(&Self) -> Self) -> Self {
        match self {
            Self::List(item) => Self::List(Box::new(item.map_leaves(change))),
            Self::Array(item, size) => Self::Array(Box::new(item.map_leaves(change)), *size),
            Self::Struct(fields) => {
                Self::Struct(fields.iter().map(|(name, field)| (name.clone(), field.map_leaves(change))).collect())
            }
            Self::Map(key, value) => Self::Map(Box::new(key.map_leaves(change)), Box::new(value.map_leaves(change))),
            leaf => change(leaf),
        }
    }

    /// The name to use in SQL.
    pub fn sql(&self) -> String {
        self.erased().to_string()
    }

    /// The Arrow type of a scanned column of this type.
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::UTinyInt => DataType::UInt8,
            Self::USmallInt => DataType::UInt16,
            Self::UInteger => DataType::UInt32,
            Self::UBigInt => DataType::UInt64,
            Self::HugeInt | Self::UHugeInt => DataType::Decimal128(38, 0),
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(0)),
            Self::Varchar | Self::Json | Self::Bit | Self::Uuid | Self::Other(_) => DataType::Utf8,
            Self::Blob => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampNs => DataType::Timestamp(TimeUnit::Nanosecond, None),
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::List(item) => DataType::List(Arc::new(item.arrow_field("l", true))),
            Self::Array(item, size) => {
                DataType::FixedSizeList(Arc::new(item.arrow_field("", true)), i32::try_from(*size).unwrap_or(i32::MAX))
            }
            Self::Struct(fields) => {
                DataType::Struct(fields.iter().map(|(name, field)| field.arrow_field(name, true)).collect::<Fields>())
            }
            Self::Map(key, value) => {
                let entries = Fields::from(vec![key.arrow_field("key", false), value.arrow_field("value", true)]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
            }
        }
    }

    /// An Arrow field of this type; JSON carries the `arrow.json` extension name.
    pub fn arrow_field(&self, name: &str, nullable: bool) -> Field {
        let field = Field::new(name, self.arrow(), nullable);
        match self {
            Self::Json => {
                let name = ("ARROW:extension:name".to_owned(), JSON_EXTENSION.to_owned());
                field.with_metadata(std::collections::HashMap::from([name]))
            }
            _ => field,
        }
    }

    /// Whether a field of Arrow is JSON, as [`arrow_field`](Self::arrow_field) makes one.
    pub fn is_json_field(field: &Field) -> bool {
        field.extension_type_name() == Some(JSON_EXTENSION)
    }

    /// The narrowest type that holds every value of both, exactly; at worst text, or JSON where either is nested. It is
    /// what a [widening sender](super::TableSink::widening_sender) makes of a column that gets another type.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        super::widen::join(self, other)
    }

    /// Whether values of this type are numbers.
    pub fn is_numeric(&self) -> bool {
        use ColumnType as T;
        matches!(
            self,
            T::TinyInt
                | T::SmallInt
                | T::Integer
                | T::BigInt
                | T::HugeInt
                | T::UTinyInt
                | T::USmallInt
                | T::UInteger
                | T::UBigInt
                | T::UHugeInt
                | T::Float
                | T::Double
                | T::Decimal(..)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_become_instants_and_instants_are_erased_in_sql() {
        let stored = ColumnType::parse("TIMESTAMP WITH TIME ZONE[]").stored();
        assert_eq!(stored, ColumnType::List(Box::new(ColumnType::Instant)));
        assert_eq!(stored.sql(), "TIMESTAMP[]");
    }
}
