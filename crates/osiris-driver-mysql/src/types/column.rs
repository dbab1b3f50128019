//! What becomes of a column of the source: decided from what the server says about it, before the first row.

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use mysql_async::consts::{ColumnFlags, ColumnType as Wire};
use osiris_core::{ColumnType, Error, Result};

use crate::config::{DecimalOverflow, ExtractorConfig, TimePolicy, Tinyint1, ZeroDates};

/// The collation whose texts are bytes (<https://dev.mysql.com/doc/refman/8.4/en/charset-binary-set.html>).
const BINARY: u16 = 63;
/// The most digits that the store's decimals have.
const DIGITS: u32 = 38;

/// A type that the protocol does not show and the catalog does: MariaDB sends it as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// UUID.
    Uuid,
    /// A text that a constraint keeps to valid JSON.
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
    /// Schema, table and column that its values come from, where they come from one unchanged.
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

/// What a step does where a type has no exact counterpart.
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

/// How the bytes of a value are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
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
    /// Digits in all, digits behind the point.
    Decimal(u8, u8),
    Text,
    Bytes,
    Uuid,
    Bit,
    BitBool,
    Date,
    DateText,
    /// Date and time; true: an instant.
    Moment,
    /// Date and time as text with so many digits of the second.
    MomentText(u8),
    Interval,
    TimeOfDay,
    TimeText(u8),
    Null,
}

/// A column of the table to be.
#[derive(Debug, Clone)]
pub(crate) struct ColumnPlan {
    pub(crate) name: String,
    pub(crate) field: Field,
    pub(crate) reading: Reading,
    pub(crate) zero_dates: ZeroDates,
    pub(crate) is_geometry: bool,
}

/// Decides for all columns; what cannot be mapped is listed at once.
///
/// # Errors
/// Columns without a counterpart, each with a way out.
pub(crate) fn plan(columns: &[SourceColumn], policies: Policies) -> Result<Vec<ColumnPlan>> {
    let mut plans = Vec::with_capacity(columns.len());
    let mut problems = Vec::new();
    for column in columns {
        match column.reading(policies) {
            Ok(reading) => plans.push(column.planned(reading, policies)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok(plans);
    }
    Err(Error::validation(format!("columns that have no exact counterpart: {}", problems.join("; ")))
        .with_hint("cast them in the query, or allow it with the field that is named"))
}

impl SourceColumn {
    fn is_unsigned(&self) -> bool {
        self.flags.contains(ColumnFlags::UNSIGNED_FLAG)
    }

    fn is_binary(&self) -> bool {
        self.charset == BINARY && !self.flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG)
    }

    /// The digits behind the point of a second; 31 means that the server does not know.
    fn fraction(&self) -> u8 {
        self.decimals.min(6)
    }

    /// The digits of a DECIMAL: the length counts the sign and the point too.
    fn precision(&self) -> u32 {
        let signs = u32::from(self.decimals > 0) + u32::from(!self.is_unsigned());
        self.length.saturating_sub(signs).max(1)
    }

    fn reading(&self, policies: Policies) -> Result<Reading, String> {
        let signed = |signed, unsigned| Ok(if self.is_unsigned() { unsigned } else { signed });
        let zero_text = policies.zero_dates == ZeroDates::Text;
        match self.wire {
            Wire::MYSQL_TYPE_TINY if policies.tinyint1 == Tinyint1::Bool && self.length == 1 => Ok(Reading::Bool),
            Wire::MYSQL_TYPE_TINY => signed(Reading::Int8, Reading::UInt8),
            Wire::MYSQL_TYPE_SHORT => signed(Reading::Int16, Reading::UInt16),
            Wire::MYSQL_TYPE_YEAR => Ok(Reading::UInt16),
            Wire::MYSQL_TYPE_INT24 | Wire::MYSQL_TYPE_LONG => signed(Reading::Int32, Reading::UInt32),
            Wire::MYSQL_TYPE_LONGLONG => signed(Reading::Int64, Reading::UInt64),
            Wire::MYSQL_TYPE_FLOAT => Ok(Reading::Float),
            Wire::MYSQL_TYPE_DOUBLE => Ok(Reading::Double),
            Wire::MYSQL_TYPE_DECIMAL | Wire::MYSQL_TYPE_NEWDECIMAL => self.decimal(policies),
            Wire::MYSQL_TYPE_DATE | Wire::MYSQL_TYPE_NEWDATE if zero_text => Ok(Reading::DateText),
            Wire::MYSQL_TYPE_DATE | Wire::MYSQL_TYPE_NEWDATE => Ok(Reading::Date),
            Wire::MYSQL_TYPE_DATETIME | Wire::MYSQL_TYPE_TIMESTAMP if zero_text => {
                Ok(Reading::MomentText(self.fraction()))
            }
            Wire::MYSQL_TYPE_DATETIME | Wire::MYSQL_TYPE_TIMESTAMP => Ok(Reading::Moment),
            Wire::MYSQL_TYPE_TIME => Ok(match policies.time {
                TimePolicy::Interval => Reading::Interval,
                TimePolicy::Time => Reading::TimeOfDay,
                TimePolicy::Text => Reading::TimeText(self.fraction()),
            }),
            Wire::MYSQL_TYPE_BIT if self.length == 1 => Ok(Reading::BitBool),
            Wire::MYSQL_TYPE_BIT => Ok(Reading::Bit),
            Wire::MYSQL_TYPE_GEOMETRY => Ok(Reading::Bytes),
            Wire::MYSQL_TYPE_JSON | Wire::MYSQL_TYPE_ENUM | Wire::MYSQL_TYPE_SET => Ok(Reading::Text),
            Wire::MYSQL_TYPE_VARCHAR
            | Wire::MYSQL_TYPE_VAR_STRING
            | Wire::MYSQL_TYPE_STRING
            | Wire::MYSQL_TYPE_TINY_BLOB
            | Wire::MYSQL_TYPE_MEDIUM_BLOB
            | Wire::MYSQL_TYPE_LONG_BLOB
            | Wire::MYSQL_TYPE_BLOB => Ok(match self.declared {
                Some(Declared::Uuid) => Reading::Uuid,
                Some(Declared::Json) => Reading::Text,
                None if self.is_binary() => Reading::Bytes,
                None => Reading::Text,
            }),
            Wire::MYSQL_TYPE_NULL => Ok(Reading::Null),
            Wire::MYSQL_TYPE_VECTOR => {
                Err(format!("`{0}` is a VECTOR: read it as text with VECTOR_TO_STRING(`{0}`)", self.name))
            }
            other => Err(format!("`{0}` has the type {other:?}: read it as text with CAST(`{0}` AS CHAR)", self.name)),
        }
    }

    fn decimal(&self, policies: Policies) -> Result<Reading, String> {
        let precision = self.precision();
        match u8::try_from(precision) {
            Ok(digits) if precision <= DIGITS => Ok(Reading::Decimal(digits.max(self.decimals), self.decimals)),
            _ if policies.decimal_overflow == DecimalOverflow::Text => Ok(Reading::Text),
            _ => Err(format!(
                "`{0}` is DECIMAL({precision},{1}), more than {DIGITS} digits: CAST(`{0}` AS DECIMAL(38,{1})) if it fits, or `decimal_overflow: text`",
                self.name, self.decimals
            )),
        }
    }

    fn planned(&self, reading: Reading, policies: Policies) -> ColumnPlan {
        let is_instant = self.wire == Wire::MYSQL_TYPE_TIMESTAMP;
        let is_json = self.wire == Wire::MYSQL_TYPE_JSON || self.declared == Some(Declared::Json);
        let data_type = match reading {
            Reading::Bool | Reading::BitBool => DataType::Boolean,
            Reading::Int8 => DataType::Int8,
            Reading::Int16 => DataType::Int16,
            Reading::Int32 => DataType::Int32,
            Reading::Int64 => DataType::Int64,
            Reading::UInt8 => DataType::UInt8,
            Reading::UInt16 => DataType::UInt16,
            Reading::UInt32 => DataType::UInt32,
            Reading::UInt64 | Reading::Bit => DataType::UInt64,
            Reading::Float => DataType::Float32,
            Reading::Double => DataType::Float64,
            Reading::Decimal(precision, scale) => ColumnType::Decimal(precision, scale).arrow(),
            Reading::Text | Reading::Null | Reading::DateText | Reading::MomentText(_) | Reading::TimeText(_) => {
                DataType::Utf8
            }
            Reading::Bytes => DataType::Binary,
            Reading::Uuid => DataType::FixedSizeBinary(16),
            Reading::Date => DataType::Date32,
            Reading::Moment if is_instant => ColumnType::Instant.arrow(),
            Reading::Moment => DataType::Timestamp(TimeUnit::Microsecond, None),
            Reading::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Reading::TimeOfDay => DataType::Time64(TimeUnit::Microsecond),
        };
        let field = match reading {
            Reading::Text if is_json => ColumnType::Json.arrow_field(&self.name, true),
            Reading::Uuid => Field::new(&self.name, data_type, true)
                .with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]),
            _ => Field::new(&self.name, data_type, true),
        };
        ColumnPlan {
            name: self.name.clone(),
            field,
            reading,
            zero_dates: policies.zero_dates,
            is_geometry: self.wire == Wire::MYSQL_TYPE_GEOMETRY,
        }
    }
}

impl ColumnPlan {
    /// Whether sqlx's name of a column's type is one that this plan reads: the table may have changed since it was described.
    pub(crate) fn fits(&self, name: &str) -> bool {
        let words: &[&str] = match self.reading {
            Reading::Bool | Reading::Int8 | Reading::UInt8 => &["BOOLEAN", "TINYINT"],
            Reading::Int16 => &["SMALLINT"],
            Reading::UInt16 => &["SMALLINT", "YEAR"],
            Reading::Int32 | Reading::UInt32 => &["INT", "MEDIUMINT"],
            Reading::Int64 | Reading::UInt64 => &["BIGINT"],
            Reading::Float => &["FLOAT"],
            Reading::Double => &["DOUBLE"],
            Reading::Decimal(..) => &["DECIMAL"],
            Reading::Bit | Reading::BitBool => &["BIT"],
            Reading::Date | Reading::DateText => &["DATE"],
            Reading::Moment | Reading::MomentText(_) => &["DATETIME", "TIMESTAMP"],
            Reading::Interval | Reading::TimeOfDay | Reading::TimeText(_) => &["TIME"],
            Reading::Text | Reading::Bytes | Reading::Uuid | Reading::Null => {
                return !["INT", "TIME", "DATE", "FLOAT", "DOUBLE", "YEAR"]
                    .iter()
                    .any(|fixed| name.split(' ').next().is_some_and(|first| first.contains(fixed)));
            }
        };
        name.split(' ').next().is_some_and(|first| words.contains(&first))
    }
}
