//! Builds one column of a batch: appends a value of the binary protocol to an Arrow builder.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder,
    IntervalMonthDayNanoBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder, UInt8Builder, UInt16Builder,
    UInt32Builder, UInt64Builder,
};
use arrow::datatypes::IntervalMonthDayNano;
use osiris_core::Error;
use osiris_sql::batch::{self, texts};

use super::column::{ColumnDecoder, ColumnPlan};
use super::decimal;
use super::temporal::{DateTime, Span};
use crate::config::ZeroDates;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Why a value was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueError {
    /// Bytes that are not a value of the type.
    Malformed,
    /// A zero, partial or invalid date.
    ZeroDate,
    /// More digits than the type has.
    Decimal,
    /// Not 0 or 1.
    Bool,
    /// Negative or longer than a day.
    Time,
    /// Invalid UTF-8.
    Text,
}

impl ValueError {
    /// The error, without the value.
    fn in_column(self, name: &str) -> Error {
        let (what, hint) = match self {
            Self::Malformed => {
                return Error::unknown(format!("column `{name}` has a value in an unexpected format"))
                    .with_hint("the table may have been altered while it was read: run again");
            }
            Self::ZeroDate => {
                ("has a zero or invalid date", "fix it, or set `zero_dates: null` (counted) or `zero_dates: text`")
            }
            Self::Decimal => {
                ("has a value with more digits than its declared type", "CAST it to a DECIMAL with enough digits")
            }
            Self::Bool => ("is read as a boolean, but has a value other than 0 and 1", "set `tinyint1: int`"),
            Self::Time => ("has a TIME that is not a time of day", "set `time: interval` or `time: text`"),
            Self::Text => ("has invalid UTF-8", "CAST it to BINARY to read the bytes"),
        };
        Error::validation(format!("column `{name}` {what}")).with_hint(hint)
    }
}

enum Builder {
    Bool(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt8(UInt8Builder),
    UInt16(UInt16Builder),
    UInt32(UInt32Builder),
    UInt64(UInt64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    /// Checked when the batch is full.
    Text(BinaryBuilder),
    Bytes(BinaryBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Time(Time64MicrosecondBuilder),
}

/// Calls `$builder => $call` for the builder of any type.
macro_rules! each {
    ($self:expr, $builder:ident => $call:expr) => {
        match $self {
            Builder::Bool($builder) => $call,
            Builder::Int8($builder) => $call,
            Builder::Int16($builder) => $call,
            Builder::Int32($builder) => $call,
            Builder::Int64($builder) => $call,
            Builder::UInt8($builder) => $call,
            Builder::UInt16($builder) => $call,
            Builder::UInt32($builder) => $call,
            Builder::UInt64($builder) => $call,
            Builder::Float($builder) => $call,
            Builder::Double($builder) => $call,
            Builder::Decimal($builder) => $call,
            Builder::Text($builder) => $call,
            Builder::Bytes($builder) => $call,
            Builder::Uuid($builder) => $call,
            Builder::Date($builder) => $call,
            Builder::Timestamp($builder) => $call,
            Builder::Interval($builder) => $call,
            Builder::Time($builder) => $call,
        }
    };
}

impl Builder {
    /// Reserves space for this many values and bytes.
    fn new(plan: &ColumnPlan, rows: usize, bytes: usize) -> Self {
        match plan.reading {
            ColumnDecoder::Bool | ColumnDecoder::BitBool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            ColumnDecoder::Int8 => Self::Int8(Int8Builder::with_capacity(rows)),
            ColumnDecoder::Int16 => Self::Int16(Int16Builder::with_capacity(rows)),
            ColumnDecoder::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            ColumnDecoder::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            ColumnDecoder::UInt8 => Self::UInt8(UInt8Builder::with_capacity(rows)),
            ColumnDecoder::UInt16 => Self::UInt16(UInt16Builder::with_capacity(rows)),
            ColumnDecoder::UInt32 => Self::UInt32(UInt32Builder::with_capacity(rows)),
            ColumnDecoder::UInt64 | ColumnDecoder::Bit => Self::UInt64(UInt64Builder::with_capacity(rows)),
            ColumnDecoder::Float => Self::Float(Float32Builder::with_capacity(rows)),
            ColumnDecoder::Double => Self::Double(Float64Builder::with_capacity(rows)),
            ColumnDecoder::Decimal(..) => {
                Self::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(plan.field.data_type().clone()))
            }
            ColumnDecoder::Text
            | ColumnDecoder::DateText
            | ColumnDecoder::TimestampText(_)
            | ColumnDecoder::TimeText(_)
            | ColumnDecoder::Null => Self::Text(BinaryBuilder::with_capacity(rows, bytes)),
            ColumnDecoder::Bytes => Self::Bytes(BinaryBuilder::with_capacity(rows, bytes)),
            ColumnDecoder::Uuid => Self::Uuid(FixedSizeBinaryBuilder::with_capacity(rows, 16)),
            ColumnDecoder::Date => Self::Date(Date32Builder::with_capacity(rows)),
            ColumnDecoder::Timestamp => Self::Timestamp(
                TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(plan.field.data_type().clone()),
            ),
            ColumnDecoder::Interval => Self::Interval(IntervalMonthDayNanoBuilder::with_capacity(rows)),
            ColumnDecoder::TimeOfDay => Self::Time(Time64MicrosecondBuilder::with_capacity(rows)),
        }
    }
}

/// Builds one column of a batch.
pub(crate) struct ColumnBuilder {
    plan: ColumnPlan,
    builder: Builder,
    scratch: String,
}

/// Fixed-length little-endian numbers.
macro_rules! number {
    ($builder:expr, $raw:expr, $type:ty) => {
        $builder.append_value(<$type>::from_le_bytes($raw.try_into().map_err(|_| ValueError::Malformed)?))
    };
}

impl ColumnBuilder {
    pub(super) fn new(plan: &ColumnPlan) -> Self {
        Self { plan: plan.clone(), builder: Builder::new(plan, 0, 0), scratch: String::new() }
    }
}

impl batch::ColumnBuilder for ColumnBuilder {
    type Value<'a> = &'a [u8];
    type Refused = ValueError;

    fn size(value: &&[u8]) -> usize {
        value.len()
    }

    fn push_null(&mut self) {
        each!(&mut self.builder, builder => builder.append_null());
    }

    fn push(&mut self, raw: &[u8]) -> Result<bool, ValueError> {
        match &mut self.builder {
            Builder::Int8(builder) => number!(builder, raw, i8),
            Builder::Int16(builder) => number!(builder, raw, i16),
            Builder::Int32(builder) => number!(builder, raw, i32),
            Builder::Int64(builder) => number!(builder, raw, i64),
            Builder::UInt8(builder) => number!(builder, raw, u8),
            Builder::UInt16(builder) => number!(builder, raw, u16),
            Builder::UInt32(builder) => number!(builder, raw, u32),
            Builder::UInt64(builder) if self.plan.reading == ColumnDecoder::Bit => {
                builder.append_value(bits(raw).ok_or(ValueError::Malformed)?);
            }
            Builder::UInt64(builder) => number!(builder, raw, u64),
            Builder::Float(builder) => number!(builder, raw, f32),
            Builder::Double(builder) => number!(builder, raw, f64),
            Builder::Bool(builder) => match raw {
                [0] => builder.append_value(false),
                [1] => builder.append_value(true),
                [_] => return Err(ValueError::Bool),
                _ => return Err(ValueError::Malformed),
            },
            Builder::Decimal(builder) => {
                let ColumnDecoder::Decimal(precision, scale) = self.plan.reading else {
                    return Err(ValueError::Malformed);
                };
                builder.append_value(decimal::parse(raw, precision, scale).ok_or(ValueError::Decimal)?);
            }
            Builder::Bytes(builder) => builder.append_value(raw),
            Builder::Uuid(builder) => {
                let uuid = uuid::Uuid::try_parse_ascii(raw).map_err(|_| ValueError::Malformed)?;
                builder.append_value(uuid.as_bytes()).map_err(|_| ValueError::Malformed)?;
            }
            Builder::Interval(builder) => {
                let micros = Span::parse(raw).and_then(Span::micros).ok_or(ValueError::Malformed)?;
                let nanos = micros.checked_mul(1000).ok_or(ValueError::Malformed)?;
                builder.append_value(IntervalMonthDayNano::new(0, 0, nanos));
            }
            Builder::Time(builder) => {
                let micros = Span::parse(raw).and_then(Span::micros).ok_or(ValueError::Malformed)?;
                let in_a_day = (0..MICROS_PER_DAY).contains(&micros);
                builder.append_value(in_a_day.then_some(micros).ok_or(ValueError::Time)?);
            }
            Builder::Date(builder) => {
                match (DateTime::parse(raw).ok_or(ValueError::Malformed)?.days(), self.plan.zero_dates) {
                    (None, ZeroDates::Null) => {
                        builder.append_null();
                        return Ok(true);
                    }
                    (days, _) => builder.append_value(days.ok_or(ValueError::ZeroDate)?),
                }
            }
            Builder::Timestamp(builder) => {
                match (DateTime::parse(raw).ok_or(ValueError::Malformed)?.epoch_micros(), self.plan.zero_dates) {
                    (None, ZeroDates::Null) => {
                        builder.append_null();
                        return Ok(true);
                    }
                    (micros, _) => builder.append_value(micros.ok_or(ValueError::ZeroDate)?),
                }
            }
            Builder::Text(builder) => {
                builder.append_value(self.plan.reading.text(raw, &mut self.scratch)?);
            }
        }
        Ok(false)
    }

    fn finish(&mut self) -> Result<ArrayRef, (usize, ValueError)> {
        let array = each!(&mut self.builder, builder => Arc::new(builder.finish()) as ArrayRef);
        let bytes = array.as_binary_opt::<i32>().map_or(0, |array| array.value_data().len());
        self.builder = Builder::new(&self.plan, array.len(), bytes);
        match (&self.builder, array.as_binary_opt()) {
            (Builder::Text(_), Some(bytes)) => {
                Ok(Arc::new(texts(bytes.clone()).map_err(|row| (row, ValueError::Text))?))
            }
            _ => Ok(array),
        }
    }

    fn error(&self, refused: ValueError) -> Error {
        refused.in_column(&self.plan.name)
    }
}

impl ColumnDecoder {
    /// A value converted to text.
    fn text<'a>(self, raw: &'a [u8], scratch: &'a mut String) -> Result<&'a [u8], ValueError> {
        scratch.clear();
        match self {
            Self::DateText => DateTime::parse(raw).ok_or(ValueError::Malformed)?.print(scratch, None),
            Self::TimestampText(digits) => {
                DateTime::parse(raw).ok_or(ValueError::Malformed)?.print(scratch, Some(digits))
            }
            Self::TimeText(digits) => Span::parse(raw).ok_or(ValueError::Malformed)?.print(scratch, digits),
            _ => return Ok(raw),
        }
        Ok(scratch.as_bytes())
    }
}

/// A BIT(n), in big-endian order.
fn bits(raw: &[u8]) -> Option<u64> {
    (raw.len() <= 8).then(|| raw.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}
