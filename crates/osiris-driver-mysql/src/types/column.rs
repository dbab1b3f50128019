//! Plans the type of each source column from the server's description, before the first row.

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use mysql_async::consts::{ColumnFlags, ColumnType as Wire};
use osiris_core::{ColumnType, Result};
use osiris_sql::batch::{self, MAX_DECIMAL_DIGITS, column_plans, uuid_field};

use crate::config::{DecimalOverflow, ExtractorConfig, TimePolicy, Tinyint1, ZeroDates};

/// The collation of binary strings (<https://dev.mysql.com/doc/refman/8.4/en/charset-binary-set.html>).
const BINARY: u16 = 63;

/// A type that only the catalog shows: MariaDB sends it as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// UUID.
    Uuid,
    /// A text column with a JSON_VALID constraint.
    Json,
}

/// A column of a result set, as the server describes it.
#[derive(Debug, Clone)]
pub(crate) struct SourceColumn {
    pub(crate) name: String,
    pub(crate) wire: Wire,
    pub(crate) flags: ColumnFlags,
    pub(crate) charset: u16,
    pub(crate) length: u32,
    pub(crate) decimals: u8,
    /// The schema, table and column that the values come from, if unchanged.
    pub(crate) origin: Option<(String, String, String)>,
    pub(crate) declared: Option<Declared>,
}

impl From<&mysql_async::Column> for SourceColumn {
    fn from(column: &mysql_async::Column) -> Self {
        let origin = (!column.org_table_ref().is_empty() && !column.org_name_ref().is_empty()).then(|| {
            (column.schema_str().into_owned(), column.org_table_str().into_owned(), column.org_name_str().into_owned())
        });
        Self {
            name: column.name_str().into_owned(),
            wire: column.column_type(),
            flags: column.flags(),
            charset: column.character_set(),
            length: column.column_length(),
            decimals: column.decimals(),
            origin,
            declared: None,
        }
    }
}

/// How to handle types without an exact counterpart.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policies {
    pub(crate) tinyint1: Tinyint1,
    pub(crate) zero_dates: ZeroDates,
    pub(crate) decimal_overflow: DecimalOverflow,
    pub(crate) time: TimePolicy,
}

impl From<&ExtractorConfig> for Policies {
    fn from(config: &ExtractorConfig) -> Self {
        Self {
            tinyint1: config.tinyint1,
            zero_dates: config.zero_dates,
            decimal_overflow: config.decimal_overflow,
            time: config.time,
        }
    }
}

/// How the bytes of a value are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnDecoder {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float,
    Double,
    /// Precision and scale.
    Decimal(u8, u8),
    Text,
    Bytes,
    Uuid,
    Bit,
    BitBool,
    Date,
    DateText,
    /// Timestamp; true: with time zone.
    Timestamp,
    /// Timestamp as text with this number of fractional digits.
    TimestampText(u8),
    Interval,
    TimeOfDay,
    TimeText(u8),
    Null,
}

/// How the values of a column are decoded, as the step wants them.
#[derive(Debug, Clone)]
pub(crate) struct ValueDecoder {
    pub(crate) reading: ColumnDecoder,
    pub(crate) is_geometry: bool,
    pub(super) zero_dates: ZeroDates,
    /// A value as text, kept for its memory.
    pub(super) scratch: String,
}

pub(crate) type ColumnPlan = batch::ColumnPlan<ValueDecoder>;

/// Plans all columns; reports all columns that cannot be mapped.
///
/// # Errors
/// For columns without an exact type, each with advice.
pub(crate) fn plan(columns: &[SourceColumn], policies: Policies) -> Result<Vec<ColumnPlan>> {
    let plans = columns.iter().map(|column| Ok(column.planned(column.reading(policies)?, policies)));
    column_plans(plans, "cast them in the query, or set the field named for each")
}

impl SourceColumn {
    fn is_unsigned(&self) -> bool {
        self.flags.contains(ColumnFlags::UNSIGNED_FLAG)
    }

    fn is_binary(&self) -> bool {
        self.charset == BINARY && !self.flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG)
    }

    /// Fractional digits of seconds; 31 means unknown.
    fn fraction(&self) -> u8 {
        self.decimals.min(6)
    }

    /// The precision of a DECIMAL: the length includes the sign and the decimal point.
    fn precision(&self) -> u32 {
        let signs = u32::from(self.decimals > 0) + u32::from(!self.is_unsigned());
        self.length.saturating_sub(signs).max(1)
    }

    fn reading(&self, policies: Policies) -> Result<ColumnDecoder, String> {
        let signed = |signed, unsigned| Ok(if self.is_unsigned() { unsigned } else { signed });
        let zero_text = policies.zero_dates == ZeroDates::Text;
        match self.wire {
            Wire::MYSQL_TYPE_TINY if policies.tinyint1 == Tinyint1::Bool && self.length == 1 => Ok(ColumnDecoder::Bool),
            Wire::MYSQL_TYPE_TINY => signed(ColumnDecoder::Int8, ColumnDecoder::UInt8),
            Wire::MYSQL_TYPE_SHORT => signed(ColumnDecoder::Int16, ColumnDecoder::UInt16),
            Wire::MYSQL_TYPE_YEAR => Ok(ColumnDecoder::UInt16),
            Wire::MYSQL_TYPE_INT24 | Wire::MYSQL_TYPE_LONG => signed(ColumnDecoder::Int32, ColumnDecoder::UInt32),
            Wire::MYSQL_TYPE_LONGLONG => signed(ColumnDecoder::Int64, ColumnDecoder::UInt64),
            Wire::MYSQL_TYPE_FLOAT => Ok(ColumnDecoder::Float),
            Wire::MYSQL_TYPE_DOUBLE => Ok(ColumnDecoder::Double),
            Wire::MYSQL_TYPE_DECIMAL | Wire::MYSQL_TYPE_NEWDECIMAL => self.decimal(policies),
            Wire::MYSQL_TYPE_DATE | Wire::MYSQL_TYPE_NEWDATE if zero_text => Ok(ColumnDecoder::DateText),
            Wire::MYSQL_TYPE_DATE | Wire::MYSQL_TYPE_NEWDATE => Ok(ColumnDecoder::Date),
            Wire::MYSQL_TYPE_DATETIME | Wire::MYSQL_TYPE_TIMESTAMP if zero_text => {
                Ok(ColumnDecoder::TimestampText(self.fraction()))
            }
            Wire::MYSQL_TYPE_DATETIME | Wire::MYSQL_TYPE_TIMESTAMP => Ok(ColumnDecoder::Timestamp),
            Wire::MYSQL_TYPE_TIME => Ok(match policies.time {
                TimePolicy::Interval => ColumnDecoder::Interval,
                TimePolicy::Time => ColumnDecoder::TimeOfDay,
                TimePolicy::Text => ColumnDecoder::TimeText(self.fraction()),
            }),
            Wire::MYSQL_TYPE_BIT if self.length == 1 => Ok(ColumnDecoder::BitBool),
            Wire::MYSQL_TYPE_BIT => Ok(ColumnDecoder::Bit),
            Wire::MYSQL_TYPE_GEOMETRY => Ok(ColumnDecoder::Bytes),
            Wire::MYSQL_TYPE_JSON | Wire::MYSQL_TYPE_ENUM | Wire::MYSQL_TYPE_SET => Ok(ColumnDecoder::Text),
            Wire::MYSQL_TYPE_VARCHAR
            | Wire::MYSQL_TYPE_VAR_STRING
            | Wire::MYSQL_TYPE_STRING
            | Wire::MYSQL_TYPE_TINY_BLOB
            | Wire::MYSQL_TYPE_MEDIUM_BLOB
            | Wire::MYSQL_TYPE_LONG_BLOB
            | Wire::MYSQL_TYPE_BLOB => Ok(match self.declared {
                Some(Declared::Uuid) => ColumnDecoder::Uuid,
                Some(Declared::Json) => ColumnDecoder::Text,
                None if self.is_binary() => ColumnDecoder::Bytes,
                None => ColumnDecoder::Text,
            }),
            Wire::MYSQL_TYPE_NULL => Ok(ColumnDecoder::Null),
            Wire::MYSQL_TYPE_VECTOR => {
                Err(format!("`{0}` is a VECTOR: read it as text with VECTOR_TO_STRING(`{0}`)", self.name))
            }
            other => Err(format!("`{0}` has the type {other:?}: read it as text with CAST(`{0}` AS CHAR)", self.name)),
        }
    }

    fn decimal(&self, policies: Policies) -> Result<ColumnDecoder, String> {
        let precision = self.precision();
        match u8::try_from(precision) {
            Ok(digits) if precision <= MAX_DECIMAL_DIGITS => {
                Ok(ColumnDecoder::Decimal(digits.max(self.decimals), self.decimals))
            }
            _ if policies.decimal_overflow == DecimalOverflow::Text => Ok(ColumnDecoder::Text),
            _ => Err(format!(
                "`{0}` is DECIMAL({precision},{1}), more than {MAX_DECIMAL_DIGITS} digits: CAST(`{0}` AS DECIMAL(38,{1})) if it fits, or `decimal_overflow: text`",
                self.name, self.decimals
            )),
        }
    }

    fn planned(&self, reading: ColumnDecoder, policies: Policies) -> ColumnPlan {
        let is_instant = self.wire == Wire::MYSQL_TYPE_TIMESTAMP;
        let is_json = self.wire == Wire::MYSQL_TYPE_JSON || self.declared == Some(Declared::Json);
        let data_type = match reading {
            ColumnDecoder::Bool | ColumnDecoder::BitBool => DataType::Boolean,
            ColumnDecoder::Int8 => DataType::Int8,
            ColumnDecoder::Int16 => DataType::Int16,
            ColumnDecoder::Int32 => DataType::Int32,
            ColumnDecoder::Int64 => DataType::Int64,
            ColumnDecoder::UInt8 => DataType::UInt8,
            ColumnDecoder::UInt16 => DataType::UInt16,
            ColumnDecoder::UInt32 => DataType::UInt32,
            ColumnDecoder::UInt64 | ColumnDecoder::Bit => DataType::UInt64,
            ColumnDecoder::Float => DataType::Float32,
            ColumnDecoder::Double => DataType::Float64,
            ColumnDecoder::Decimal(precision, scale) => ColumnType::Decimal(precision, scale).arrow(),
            ColumnDecoder::Text
            | ColumnDecoder::Null
            | ColumnDecoder::DateText
            | ColumnDecoder::TimestampText(_)
            | ColumnDecoder::TimeText(_) => DataType::Utf8,
            ColumnDecoder::Bytes => DataType::Binary,
            ColumnDecoder::Uuid => DataType::FixedSizeBinary(16),
            ColumnDecoder::Date => DataType::Date32,
            ColumnDecoder::Timestamp if is_instant => ColumnType::Instant.arrow(),
            ColumnDecoder::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            ColumnDecoder::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            ColumnDecoder::TimeOfDay => DataType::Time64(TimeUnit::Microsecond),
        };
        let field = match reading {
            ColumnDecoder::Text if is_json => ColumnType::Json.arrow_field(&self.name, true),
            ColumnDecoder::Uuid => uuid_field(&self.name),
            _ => Field::new(&self.name, data_type, true),
        };
        let is_geometry = self.wire == Wire::MYSQL_TYPE_GEOMETRY;
        let scratch = String::new();
        ColumnPlan::new(field, ValueDecoder { reading, is_geometry, zero_dates: policies.zero_dates, scratch })
    }
}

impl ColumnDecoder {
    /// Whether sqlx's type name matches it: the table may have changed since it was described.
    pub(super) fn fits(self, name: &str) -> bool {
        let words: &[&str] = match self {
            Self::Bool | Self::Int8 | Self::UInt8 => &["BOOLEAN", "TINYINT"],
            Self::Int16 => &["SMALLINT"],
            Self::UInt16 => &["SMALLINT", "YEAR"],
            Self::Int32 | Self::UInt32 => &["INT", "MEDIUMINT"],
            Self::Int64 | Self::UInt64 => &["BIGINT"],
            Self::Float => &["FLOAT"],
            Self::Double => &["DOUBLE"],
            Self::Decimal(..) => &["DECIMAL"],
            Self::Bit | Self::BitBool => &["BIT"],
            Self::Date | Self::DateText => &["DATE"],
            Self::Timestamp | Self::TimestampText(_) => &["DATETIME", "TIMESTAMP"],
            Self::Interval | Self::TimeOfDay | Self::TimeText(_) => &["TIME"],
            Self::Text | Self::Bytes | Self::Uuid | Self::Null => {
                return !["INT", "TIME", "DATE", "FLOAT", "DOUBLE", "YEAR"]
                    .iter()
                    .any(|fixed| name.split(' ').next().is_some_and(|first| first.contains(fixed)));
            }
        };
        name.split(' ').next().is_some_and(|first| words.contains(&first))
    }
}
