//! Writes the cells of one column of a batch as text.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, IntervalMonthDayNanoArray,
    PrimitiveArray, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalUnit, TimeUnit, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDateTime};
use osiris_core::{Error, Result};

use super::{Style, date, json};

/// The values of a column.
pub(crate) enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int8(&'a PrimitiveArray<Int8Type>),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    UInt8(&'a PrimitiveArray<UInt8Type>),
    UInt16(&'a PrimitiveArray<UInt16Type>),
    UInt32(&'a PrimitiveArray<UInt32Type>),
    UInt64(&'a PrimitiveArray<UInt64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a Decimal128Array, u8),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    /// With the separator and the zone.
    Timestamp(&'a TimestampMicrosecondArray, u8, &'static [u8]),
    TimestampNanos(&'a TimestampNanosecondArray, u8),
    Interval(&'a IntervalMonthDayNanoArray),
    /// A date or timestamp in the configured format.
    Formatted(Moments<'a>, &'a [Item<'a>]),
    /// Lists, structs, maps: as JSON.
    Nested(&'a ArrayRef, Style<'static>),
}

/// Dates and timestamps for the configured format.
pub(crate) enum Moments<'a> {
    Dates(&'a Date32Array),
    Micros(&'a TimestampMicrosecondArray),
    Nanos(&'a TimestampNanosecondArray),
}

impl Moments<'_> {
    fn get(&self, row: usize) -> Option<NaiveDateTime> {
        let moment = match self {
            Self::Dates(array) => DateTime::from_timestamp(i64::from(array.value(row)).checked_mul(86_400)?, 0),
            Self::Micros(array) => DateTime::from_timestamp_micros(array.value(row)),
            Self::Nanos(array) => Some(DateTime::from_timestamp_nanos(array.value(row))),
        };
        moment.map(|moment| moment.naive_utc())
    }
}

impl<'a> Values<'a> {
    /// The values of `array` in this style.
    ///
    /// # Errors
    /// For a type that a scan of the run store never returns.
    pub(crate) fn new(array: &'a ArrayRef, style: Style<'a>) -> Result<Self> {
        if let Some(format) = style.dates
            && let Some(moments) = moments(array)
        {
            return Ok(Self::Formatted(moments, format));
        }
        Ok(match array.data_type() {
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int8 => Self::Int8(array.as_primitive()),
            DataType::Int16 => Self::Int16(array.as_primitive()),
            DataType::Int32 => Self::Int32(array.as_primitive()),
            DataType::Int64 => Self::Int64(array.as_primitive()),
            DataType::UInt8 => Self::UInt8(array.as_primitive()),
            DataType::UInt16 => Self::UInt16(array.as_primitive()),
            DataType::UInt32 => Self::UInt32(array.as_primitive()),
            DataType::UInt64 => Self::UInt64(array.as_primitive()),
            DataType::Float32 => Self::Float32(array.as_primitive()),
            DataType::Float64 => Self::Float64(array.as_primitive()),
            DataType::Decimal128(_, scale) => Self::Decimal(array.as_primitive(), u8::try_from(*scale).unwrap_or(0)),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Binary => Self::Bytes(array.as_binary()),
            DataType::Date32 => Self::Date(array.as_primitive()),
            DataType::Time64(TimeUnit::Microsecond) => Self::Time(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let zone = if zone.is_some() { style.utc } else { b"" };
                Self::Timestamp(array.as_primitive(), style.separator, zone)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, None) => {
                Self::TimestampNanos(array.as_primitive(), style.separator)
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => Self::Interval(array.as_primitive()),
            DataType::List(_) | DataType::FixedSizeList(..) | DataType::Struct(_) | DataType::Map(..) => {
                Self::Nested(array, style.inside())
            }
            other => {
                return Err(Error::unknown(format!("a column of the Arrow type {other} cannot be written as text")));
            }
        })
    }

    /// Whether the values are numbers.
    pub(crate) fn is_numeric(&self) -> bool {
        use Values as V;
        matches!(
            self,
            V::Int8(_)
                | V::Int16(_)
                | V::Int32(_)
                | V::Int64(_)
                | V::UInt8(_)
                | V::UInt16(_)
                | V::UInt32(_)
                | V::UInt64(_)
                | V::Float32(_)
                | V::Float64(_)
                | V::Decimal(..)
        )
    }

    /// Whether a value may have any character.
    pub(crate) fn is_free_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Nested(..) | Self::Formatted(..))
    }

    /// Writes the value of a row that is not NULL.
    ///
    /// # Errors
    /// For a date out of range for the format, or a nested value of a type without text.
    #[inline]
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Self::Int8(array) => integer(array.value(row), out),
            Self::Int16(array) => integer(array.value(row), out),
            Self::Int32(array) => integer(array.value(row), out),
            Self::Int64(array) => integer(array.value(row), out),
            Self::UInt8(array) => integer(array.value(row), out),
            Self::UInt16(array) => integer(array.value(row), out),
            Self::UInt32(array) => integer(array.value(row), out),
            Self::UInt64(array) => integer(array.value(row), out),
            Self::Float32(array) => float(array.value(row), out),
            Self::Float64(array) => float(array.value(row), out),
            Self::Decimal(array, scale) => decimal(array.value(row), usize::from(*scale), out),
            Self::Text(array) => out.extend_from_slice(array.value(row).as_bytes()),
            Self::Bytes(array) => hexadecimal(array.value(row), out),
            Self::Date(array) => date::date(array.value(row), out),
            Self::Time(array) => date::time(array.value(row), out),
            Self::Timestamp(array, separator, zone) => date::timestamp(array.value(row), *separator, zone, out),
            Self::TimestampNanos(array, separator) => date::timestamp_nanos(array.value(row), *separator, out),
            Self::Interval(array) => {
                let value = array.value(row);
                date::interval(value.months, value.days, value.nanoseconds, out);
            }
            Self::Formatted(moments, items) => return formatted(moments.get(row), items, out),
            Self::Nested(array, style) => return json::write(array, row, *style, out),
        }
        Ok(())
    }
}

fn moments(array: &ArrayRef) -> Option<Moments<'_>> {
    match array.data_type() {
        DataType::Date32 => Some(Moments::Dates(array.as_primitive())),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(Moments::Micros(array.as_primitive())),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(Moments::Nanos(array.as_primitive())),
        _ => None,
    }
}

/// Parses a date format.
///
/// # Errors
/// For unknown specifiers.
pub(crate) fn date_items(format: &str) -> Result<Vec<Item<'static>>, String> {
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    if items.contains(&Item::Error) {
        return Err(format!("invalid date format `{format}`: unknown specifier"));
    }
    Ok(items.into_iter().map(Item::to_owned).collect())
}

fn formatted(moment: Option<NaiveDateTime>, items: &[Item<'_>], out: &mut Vec<u8>) -> Result<()> {
    use std::fmt::Write;
    let failed = || Error::validation("a date is out of range for `date_format`").with_hint("remove `date_format`");
    let moment = moment.ok_or_else(failed)?.and_utc();
    let mut text = String::new();
    write!(text, "{}", moment.format_with_items(items.iter())).map_err(|_| failed())?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// The rows of a column that are NULL.
pub(crate) fn nulls(array: &ArrayRef) -> Option<&NullBuffer> {
    array.nulls().filter(|nulls| nulls.null_count() > 0)
}

#[inline]
pub(crate) fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest digits that parse to the same number; an exponent has a sign, so that no reader takes it for a name.
#[inline]
pub(crate) fn float<F: zmij::Float + Into<f64> + Copy>(value: F, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    if wide.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if wide.is_infinite() {
        return out.extend_from_slice(if wide > 0.0 { b"inf" } else { b"-inf" });
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    match text.iter().position(|byte| *byte == b'e') {
        Some(at) if text.get(at + 1).is_some_and(u8::is_ascii_digit) => {
            out.extend_from_slice(&text[..=at]);
            out.push(b'+');
            out.extend_from_slice(&text[at + 1..]);
        }
        _ => out.extend_from_slice(text),
    }
}

/// All digits of the scale, zeros included: `1.50` of a DECIMAL(_,2).
#[inline]
pub(crate) fn decimal(value: i128, scale: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    // 64 bits are divided four times as fast as 128.
    let text = match i64::try_from(value) {
        Ok(short) => buffer.format(short),
        Err(_) => buffer.format(value),
    };
    if scale == 0 {
        return out.extend_from_slice(text.as_bytes());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    out.extend_from_slice(sign.as_bytes());
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole.as_bytes());
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits.as_bytes());
    }
}

/// `\x` and two lower-case digits per byte.
pub(crate) fn hexadecimal(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\x");
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_keep_all_their_digits() {
        assert_eq!(text(|out| decimal(150, 2, out)), "1.50");
        assert_eq!(text(|out| decimal(-5, 3, out)), "-0.005");
        assert_eq!(text(|out| decimal(0, 2, out)), "0.00");
        assert_eq!(text(|out| decimal(i128::MAX, 38, out)), "1.70141183460469231731687303715884105727");
        assert_eq!(text(|out| decimal(7, 0, out)), "7");
    }

    #[test]
    fn floats_are_short_and_their_exponents_signed() {
        assert_eq!(text(|out| float(0.1f64, out)), "0.1");
        assert_eq!(text(|out| float(0.1f32, out)), "0.1");
        assert_eq!(text(|out| float(100f64, out)), "100.0");
        assert_eq!(text(|out| float(1e300f64, out)), "1e+300");
        assert_eq!(text(|out| float(-1.5e-7f64, out)), "-1.5e-7");
        assert_eq!(text(|out| float(f64::NAN, out)), "NaN");
        assert_eq!(text(|out| float(f64::NEG_INFINITY, out)), "-inf");
    }
}
