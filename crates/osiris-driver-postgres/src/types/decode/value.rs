//! Decodes the binary format of values.

use arrow::datatypes::IntervalMonthDayNano;
use osiris_core::Error;
use osiris_sql::batch::{Decoder, ValueError, Values};

use super::column::{ColumnDecoder, ValueDecoder};
use super::numeric::{self, NumericError};
use crate::config::InfinityPolicy;

/// Days from 1970-01-01 to 2000-01-01, the epoch of PostgreSQL.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

const MALFORMED: ValueError = ValueError::malformed("cast it in a query, such as `c::text`, and report the type");
const NOT_FINITE: ValueError = ValueError::new(
    "has NaN or infinity, which DECIMAL does not support",
    "set `numeric: text`, or filter out those rows",
);
const DIGITS: ValueError =
    ValueError::new("has a value with more digits than its DECIMAL", "raise `numeric_scale`, or set `numeric: text`");
const INFINITY: ValueError =
    ValueError::new("has an infinite date or timestamp", "set `infinity: keep` or `infinity: null` (counted)");
const RANGE: ValueError = ValueError::new("has a timestamp after the year 294246", "cast it to text in a query");
const INTERVAL: ValueError =
    ValueError::new("has an interval of more than 292 years in hours and minutes", "set `interval: text`");
const TEXT: ValueError = ValueError::new("has invalid UTF-8", "cast it to bytea in a query to read its bytes");

impl From<NumericError> for ValueError {
    fn from(refused: NumericError) -> Self {
        match refused {
            NumericError::Malformed => MALFORMED,
            NumericError::NotFinite => NOT_FINITE,
            NumericError::Digits => DIGITS,
        }
    }
}

/// Fixed-length big-endian numbers.
macro_rules! number {
    ($raw:expr, $type:ty) => {
        <$type>::from_be_bytes($raw.try_into().map_err(|_| MALFORMED)?)
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
            Values::Boolean(builder) => match raw {
                [0] => builder.append_value(false),
                [1] => builder.append_value(true),
                _ => return Err(MALFORMED),
            },
            Values::Int16(builder) => builder.append_value(number!(raw, i16)),
            Values::Int32(builder) => builder.append_value(number!(raw, i32)),
            Values::Int64(builder) => builder.append_value(number!(raw, i64)),
            Values::UInt32(builder) => builder.append_value(number!(raw, u32)),
            Values::Float32(builder) => builder.append_value(number!(raw, f32)),
            Values::Float64(builder) => builder.append_value(number!(raw, f64)),
            Values::Decimal(builder) => {
                let ColumnDecoder::Decimal(precision, scale) = self.reading else {
                    return Err(MALFORMED);
                };
                builder.append_value(numeric::unscaled(raw, precision, scale)?);
            }
            Values::Text(builder) => builder.append_value(text(raw, self.reading)?),
            Values::Blob(builder) => builder.append_value(raw),
            Values::Uuid(builder) => builder.append_value(raw).map_err(|_| MALFORMED)?,
            Values::Date(builder) => match date(number!(raw, i32), self.infinity)? {
                Some(day) => builder.append_value(day),
                None => {
                    builder.append_null();
                    return Ok(true);
                }
            },
            Values::Time(builder) => builder.append_value(number!(raw, i64)),
            Values::Timestamp(builder) => match moment(number!(raw, i64), self.infinity)? {
                Some(micros) => builder.append_value(micros),
                None => {
                    builder.append_null();
                    return Ok(true);
                }
            },
            Values::Interval(builder) => builder.append_value(interval(raw)?),
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

fn text(raw: &[u8], reading: ColumnDecoder) -> Result<&[u8], ValueError> {
    match (reading, raw) {
        (ColumnDecoder::Jsonb, [1, rest @ ..]) => Ok(rest),
        (ColumnDecoder::Jsonb, _) => Err(MALFORMED),
        (_, raw) => Ok(raw),
    }
}

/// Handles an infinite value, which the run store represents as `kept`.
fn infinite<T>(kept: T, policy: InfinityPolicy) -> Result<Option<T>, ValueError> {
    match policy {
        InfinityPolicy::Keep => Ok(Some(kept)),
        InfinityPolicy::Null => Ok(None),
        InfinityPolicy::Error => Err(INFINITY),
    }
}

/// Days since 1970; infinity is the greatest number and its negative.
fn date(days: i32, policy: InfinityPolicy) -> Result<Option<i32>, ValueError> {
    match days {
        i32::MAX => infinite(i32::MAX, policy),
        i32::MIN => infinite(-i32::MAX, policy),
        days => days.checked_add(EPOCH_DAYS).map(Some).ok_or(RANGE),
    }
}

/// Microseconds since 1970; infinities as for [`date`].
fn moment(micros: i64, policy: InfinityPolicy) -> Result<Option<i64>, ValueError> {
    match micros {
        i64::MAX => infinite(i64::MAX, policy),
        i64::MIN => infinite(-i64::MAX, policy),
        micros => match micros.checked_add(EPOCH_MICROS) {
            // The number is taken.
            Some(i64::MAX) | None => Err(RANGE),
            known => Ok(known),
        },
    }
}

/// Microseconds, days, months.
fn interval(raw: &[u8]) -> Result<IntervalMonthDayNano, ValueError> {
    let (micros, rest) = raw.split_at_checked(8).ok_or(MALFORMED)?;
    let (days, months) = rest.split_at_checked(4).ok_or(MALFORMED)?;
    let nanos = number!(micros, i64).checked_mul(1000).ok_or(INTERVAL)?;
    Ok(IntervalMonthDayNano::new(number!(months, i32), number!(days, i32), nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_are_the_stores_or_follow_the_policy() {
        assert_eq!(date(i32::MAX, InfinityPolicy::Keep), Ok(Some(i32::MAX)));
        assert_eq!(date(i32::MIN, InfinityPolicy::Keep), Ok(Some(-i32::MAX)));
        assert_eq!(moment(i64::MIN, InfinityPolicy::Keep), Ok(Some(-i64::MAX)));
        assert_eq!(moment(i64::MAX, InfinityPolicy::Null), Ok(None));
        assert_eq!(moment(i64::MAX, InfinityPolicy::Error), Err(INFINITY));
    }

    #[test]
    fn days_and_moments_count_from_1970_and_do_not_wrap() {
        assert_eq!(date(0, InfinityPolicy::Keep), Ok(Some(EPOCH_DAYS)));
        assert_eq!(date(-2_451_545, InfinityPolicy::Keep), Ok(Some(-2_440_588)));
        assert_eq!(moment(-EPOCH_MICROS, InfinityPolicy::Keep), Ok(Some(0)));
        assert_eq!(moment(9_223_371_331_199_999_999, InfinityPolicy::Keep), Err(RANGE));
        assert_eq!(date(i32::MAX - 1, InfinityPolicy::Keep), Err(RANGE));
    }

    #[test]
    fn an_interval_keeps_its_months_and_days() {
        let raw = [1_500_000_i64.to_be_bytes().as_slice(), &(-3_i32).to_be_bytes(), &14_i32.to_be_bytes()].concat();
        assert_eq!(interval(&raw), Ok(IntervalMonthDayNano::new(14, -3, 1_500_000_000)));
        let raw = [i64::MAX.to_be_bytes().as_slice(), &[0; 8]].concat();
        assert_eq!(interval(&raw), Err(INTERVAL));
        assert_eq!(interval(&[0; 15]), Err(MALFORMED));
    }
}
