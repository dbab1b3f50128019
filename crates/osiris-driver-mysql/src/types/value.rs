//! Decodes values of the binary protocol.

use arrow::datatypes::IntervalMonthDayNano;
use osiris_core::Error;
use osiris_sql::batch::{Decoder, ValueError, Values};

use super::column::{ColumnDecoder, ValueDecoder};
use super::decimal;
use super::temporal::{DateTime, Span};
use crate::config::ZeroDates;

const MICROS_PER_DAY: i64 = 86_400_000_000;

const MALFORMED: ValueError = ValueError::malformed("the table may have been altered while it was read: run again");
const ZERO_DATE: ValueError =
    ValueError::new("has a zero or invalid date", "fix it, or set `zero_dates: null` (counted) or `zero_dates: text`");
const DIGITS: ValueError =
    ValueError::new("has a value with more digits than its declared type", "CAST it to a DECIMAL with enough digits");
const BOOL: ValueError =
    ValueError::new("is read as a boolean, but has a value other than 0 and 1", "set `tinyint1: int`");
const TIME: ValueError =
    ValueError::new("has a TIME that is not a time of day", "set `time: interval` or `time: text`");
const TEXT: ValueError = ValueError::new("has invalid UTF-8", "CAST it to BINARY to read the bytes");

/// Fixed-length little-endian numbers.
macro_rules! number {
    ($builder:expr, $raw:expr, $type:ty) => {
        $builder.append_value(<$type>::from_le_bytes($raw.try_into().map_err(|_| MALFORMED)?))
    };
}

impl Decoder for ValueDecoder {
    type Value<'a> = &'a [u8];
    type Refused = ValueError;

    fn size(value: &&[u8]) -> usize {
        value.len()
    }

    fn decode(&mut self, raw: &[u8], values: &mut Values) -> Result<bool, ValueError> {
        match values {
            Values::Int8(builder) => number!(builder, raw, i8),
            Values::Int16(builder) => number!(builder, raw, i16),
            Values::Int32(builder) => number!(builder, raw, i32),
            Values::Int64(builder) => number!(builder, raw, i64),
            Values::UInt8(builder) => number!(builder, raw, u8),
            Values::UInt16(builder) => number!(builder, raw, u16),
            Values::UInt32(builder) => number!(builder, raw, u32),
            Values::UInt64(builder) if self.reading == ColumnDecoder::Bit => {
                builder.append_value(bits(raw).ok_or(MALFORMED)?);
            }
            Values::UInt64(builder) => number!(builder, raw, u64),
            Values::Float32(builder) => number!(builder, raw, f32),
            Values::Float64(builder) => number!(builder, raw, f64),
            Values::Boolean(builder) => match raw {
                [0] => builder.append_value(false),
                [1] => builder.append_value(true),
                [_] => return Err(BOOL),
                _ => return Err(MALFORMED),
            },
            Values::Decimal(builder) => {
                let ColumnDecoder::Decimal(precision, scale) = self.reading else {
                    return Err(MALFORMED);
                };
                builder.append_value(decimal::parse(raw, precision, scale).ok_or(DIGITS)?);
            }
            Values::Blob(builder) => builder.append_value(raw),
            Values::Uuid(builder) => {
                let uuid = uuid::Uuid::try_parse_ascii(raw).map_err(|_| MALFORMED)?;
                builder.append_value(uuid.as_bytes()).map_err(|_| MALFORMED)?;
            }
            Values::Interval(builder) => {
                let micros = Span::parse(raw).and_then(Span::micros).ok_or(MALFORMED)?;
                let nanos = micros.checked_mul(1000).ok_or(MALFORMED)?;
                builder.append_value(IntervalMonthDayNano::new(0, 0, nanos));
            }
            Values::Time(builder) => {
                let micros = Span::parse(raw).and_then(Span::micros).ok_or(MALFORMED)?;
                let in_a_day = (0..MICROS_PER_DAY).contains(&micros);
                builder.append_value(in_a_day.then_some(micros).ok_or(TIME)?);
            }
            Values::Date(builder) => match (DateTime::parse(raw).ok_or(MALFORMED)?.days(), self.zero_dates) {
                (None, ZeroDates::Null) => {
                    builder.append_null();
                    return Ok(true);
                }
                (days, _) => builder.append_value(days.ok_or(ZERO_DATE)?),
            },
            Values::Timestamp(builder) => {
                match (DateTime::parse(raw).ok_or(MALFORMED)?.epoch_micros(), self.zero_dates) {
                    (None, ZeroDates::Null) => {
                        builder.append_null();
                        return Ok(true);
                    }
                    (micros, _) => builder.append_value(micros.ok_or(ZERO_DATE)?),
                }
            }
            Values::Text(builder) => {
                builder.append_value(self.reading.text(raw, &mut self.scratch)?);
            }
            _ => return Err(MALFORMED),
        }
        Ok(false)
    }

    fn invalid_text() -> ValueError {
        TEXT
    }

    fn error(&self, name: &str, refused: ValueError) -> Error {
        refused.in_column(name)
    }
}

impl ColumnDecoder {
    /// A value converted to text.
    fn text<'a>(self, raw: &'a [u8], scratch: &'a mut String) -> Result<&'a [u8], ValueError> {
        scratch.clear();
        match self {
            Self::DateText => DateTime::parse(raw).ok_or(MALFORMED)?.print(scratch, None),
            Self::TimestampText(digits) => DateTime::parse(raw).ok_or(MALFORMED)?.print(scratch, Some(digits)),
            Self::TimeText(digits) => Span::parse(raw).ok_or(MALFORMED)?.print(scratch, digits),
            _ => return Ok(raw),
        }
        Ok(scratch.as_bytes())
    }
}

/// A BIT(n), in big-endian order.
fn bits(raw: &[u8]) -> Option<u64> {
    (raw.len() <= 8).then(|| raw.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}
