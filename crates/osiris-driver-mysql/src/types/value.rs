//! Builds one column of a batch: appends a value of the binary protocol to an Arrow builder.

use arrow::datatypes::IntervalMonthDayNano;
use osiris_core::Error;
use osiris_sql::batch::{self, Values};

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

/// Builds one column of a batch.
pub(crate) struct ColumnBuilder {
    plan: ColumnPlan,
    values: Values,
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
        Self { plan: plan.clone(), values: Values::new(plan.field.data_type()), scratch: String::new() }
    }
}

impl batch::ColumnBuilder for ColumnBuilder {
    type Value<'a> = &'a [u8];
    type Refused = ValueError;

    fn size(value: &&[u8]) -> usize {
        value.len()
    }

    fn values(&mut self) -> &mut Values {
        &mut self.values
    }

    fn push(&mut self, raw: &[u8]) -> Result<bool, ValueError> {
        match &mut self.values {
            Values::Int8(builder) => number!(builder, raw, i8),
            Values::Int16(builder) => number!(builder, raw, i16),
            Values::Int32(builder) => number!(builder, raw, i32),
            Values::Int64(builder) => number!(builder, raw, i64),
            Values::UInt8(builder) => number!(builder, raw, u8),
            Values::UInt16(builder) => number!(builder, raw, u16),
            Values::UInt32(builder) => number!(builder, raw, u32),
            Values::UInt64(builder) if self.plan.reading == ColumnDecoder::Bit => {
                builder.append_value(bits(raw).ok_or(ValueError::Malformed)?);
            }
            Values::UInt64(builder) => number!(builder, raw, u64),
            Values::Float32(builder) => number!(builder, raw, f32),
            Values::Float64(builder) => number!(builder, raw, f64),
            Values::Boolean(builder) => match raw {
                [0] => builder.append_value(false),
                [1] => builder.append_value(true),
                [_] => return Err(ValueError::Bool),
                _ => return Err(ValueError::Malformed),
            },
            Values::Decimal(builder) => {
                let ColumnDecoder::Decimal(precision, scale) = self.plan.reading else {
                    return Err(ValueError::Malformed);
                };
                builder.append_value(decimal::parse(raw, precision, scale).ok_or(ValueError::Decimal)?);
            }
            Values::Blob(builder) => builder.append_value(raw),
            Values::Uuid(builder) => {
                let uuid = uuid::Uuid::try_parse_ascii(raw).map_err(|_| ValueError::Malformed)?;
                builder.append_value(uuid.as_bytes()).map_err(|_| ValueError::Malformed)?;
            }
            Values::Interval(builder) => {
                let micros = Span::parse(raw).and_then(Span::micros).ok_or(ValueError::Malformed)?;
                let nanos = micros.checked_mul(1000).ok_or(ValueError::Malformed)?;
                builder.append_value(IntervalMonthDayNano::new(0, 0, nanos));
            }
            Values::Time(builder) => {
                let micros = Span::parse(raw).and_then(Span::micros).ok_or(ValueError::Malformed)?;
                let in_a_day = (0..MICROS_PER_DAY).contains(&micros);
                builder.append_value(in_a_day.then_some(micros).ok_or(ValueError::Time)?);
            }
            Values::Date(builder) => {
                match (DateTime::parse(raw).ok_or(ValueError::Malformed)?.days(), self.plan.zero_dates) {
                    (None, ZeroDates::Null) => {
                        builder.append_null();
                        return Ok(true);
                    }
                    (days, _) => builder.append_value(days.ok_or(ValueError::ZeroDate)?),
                }
            }
            Values::Timestamp(builder) => {
                match (DateTime::parse(raw).ok_or(ValueError::Malformed)?.epoch_micros(), self.plan.zero_dates) {
                    (None, ZeroDates::Null) => {
                        builder.append_null();
                        return Ok(true);
                    }
                    (micros, _) => builder.append_value(micros.ok_or(ValueError::ZeroDate)?),
                }
            }
            Values::Text(builder) => {
                builder.append_value(self.plan.reading.text(raw, &mut self.scratch)?);
            }
            _ => return Err(ValueError::Malformed),
        }
        Ok(false)
    }

    fn invalid_text() -> ValueError {
        ValueError::Text
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
