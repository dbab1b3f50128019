//! Encodes a cell as text that MySQL reads as the same value. Types were matched before (see `convert`); single values
//! may still be rejected.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use osiris_core::{Error, Result};

use super::convert::{Conversion, TextRule};
use super::datetime::{self, MICROS_A_DAY};
use super::number;

pub(crate) use osiris_sql::write::{CellEncoder as Cell, ConversionError};

/// The encoder of a column of one batch into a column that holds every value of its type.
///
/// # Errors
/// As for [`cell`].
pub(crate) fn plain_cell(array: &ArrayRef) -> Result<Cell<'_>> {
    cell(array, &Conversion::Integer { bits: None })
}

/// The encoder of a column of one batch.
///
/// # Errors
/// For a type that a scan of the run store never returns.
pub(super) fn cell<'a>(array: &'a ArrayRef, conversion: &'a Conversion) -> Result<Cell<'a>> {
    match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean();
            let words: [&[u8]; 2] = if *conversion == Conversion::Word { [b"false", b"true"] } else { [b"0", b"1"] };
            Ok(Box::new(move |row, out| put(out, words[usize::from(values.value(row))])))
        }
        DataType::Int8 => Ok(integer::<Int8Type>(array, conversion)),
        DataType::Int16 => Ok(integer::<Int16Type>(array, conversion)),
        DataType::Int32 => Ok(integer::<Int32Type>(array, conversion)),
        DataType::Int64 => Ok(integer::<Int64Type>(array, conversion)),
        DataType::UInt8 => Ok(integer::<UInt8Type>(array, conversion)),
        DataType::UInt16 => Ok(integer::<UInt16Type>(array, conversion)),
        DataType::UInt32 => Ok(integer::<UInt32Type>(array, conversion)),
        DataType::UInt64 => Ok(integer::<UInt64Type>(array, conversion)),
        DataType::Decimal128(_, scale) => Ok(decimal(array, u8::try_from(*scale).unwrap_or(0), conversion)),
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            Ok(match conversion {
                Conversion::FloatAsDecimal { scale } => {
                    Box::new(move |row, out| number::plain_float(values.value(row).to_string(), *scale, out))
                }
                Conversion::FloatText => Box::new(move |row, out| number::float32(values.value(row), out)),
                // The shortest text of the greatest FLOAT is slightly greater: MySQL parses all numbers as DOUBLE.
                _ => Box::new(move |row, out| number::float64(values.value(row).into(), out)),
            })
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            Ok(match conversion {
                Conversion::FloatAsDecimal { scale } => {
                    Box::new(move |row, out| number::plain_float(values.value(row).to_string(), *scale, out))
                }
                Conversion::Narrow => Box::new(move |row, out| number::narrow(values.value(row), out)),
                _ => Box::new(move |row, out| number::float64(values.value(row), out)),
            })
        }
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>();
            Ok(Box::new(move |row, out| datetime::date(values.value(row).into(), out)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = array.as_primitive::<TimestampMicrosecondType>();
            Ok(timestamp(move |row| (values.value(row), 0), conversion))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let values = array.as_primitive::<TimestampNanosecondType>();
            Ok(timestamp(
                move |row| (values.value(row).div_euclid(1000), values.value(row).rem_euclid(1000)),
                conversion,
            ))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let values = array.as_primitive::<Time64MicrosecondType>();
            let digits = digits(conversion);
            Ok(Box::new(move |row, out| datetime::time(values.value(row).into(), digits, out)))
        }
        DataType::Interval(_) => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>();
            let digits = digits(conversion);
            Ok(Box::new(move |row, out| interval(values.value(row), digits, out)))
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            Ok(Box::new(move |row, out| text(values.value(row), conversion, out)))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            let exact = if let Conversion::Bytes { exact } = conversion { *exact } else { None };
            Ok(Box::new(move |row, out| bytes(values.value(row), exact, out)))
        }
        DataType::List(_) | DataType::FixedSizeList(..) | DataType::Struct(_) | DataType::Map(..) => {
            Ok(Box::new(move |row, out| super::nested::write(array, row, out)))
        }
        other => Err(Error::unknown(format!("a scan of the run store returned a column of type {other}"))
            .with_hint("report a bug")),
    }
}

fn put(out: &mut Vec<u8>, text: &[u8]) -> Result<(), ConversionError> {
    out.extend_from_slice(text);
    Ok(())
}

fn integer<'a, T>(array: &'a ArrayRef, conversion: &'a Conversion) -> Cell<'a>
where
    T: ArrowPrimitiveType,
    T::Native: itoa::Integer + Into<i128>,
{
    let values: &PrimitiveArray<T> = array.as_primitive();
    match conversion {
        Conversion::Integer { bits: Some(bits) } => Box::new(move |row, out| {
            let value = values.value(row);
            if Into::<i128>::into(value).unsigned_abs() >> bits > 1 {
                return Err("number too large for the column to hold it exactly".into());
            }
            put(out, itoa::Buffer::new().format(value).as_bytes())
        }),
        Conversion::Year => Box::new(move |row, out| {
            let value = values.value(row);
            match Into::<i128>::into(value) {
                0 | 1901..=2155 => put(out, itoa::Buffer::new().format(value).as_bytes()),
                _ => Err("year out of range: expected 0, or 1901 to 2155".into()),
            }
        }),
        _ => Box::new(move |row, out| put(out, itoa::Buffer::new().format(values.value(row)).as_bytes())),
    }
}

fn decimal<'a>(array: &'a ArrayRef, own: u8, conversion: &'a Conversion) -> Cell<'a> {
    let values = array.as_primitive::<Decimal128Type>();
    match conversion {
        Conversion::Approximate { digits } => Box::new(move |row, out| {
            if number::significant_digits(values.value(row)) > *digits {
                return Err("more digits than the column can hold".into());
            }
            number::decimal(values.value(row), own, own, out)
        }),
        Conversion::Decimal { scale } => Box::new(move |row, out| number::decimal(values.value(row), own, *scale, out)),
        _ => Box::new(move |row, out| number::decimal(values.value(row), own, own, out)),
    }
}

fn timestamp<'a>(value: impl Fn(usize) -> (i64, i64) + 'a, conversion: &'a Conversion) -> Cell<'a> {
    let as_date = *conversion == Conversion::TimestampAsDate;
    let digits = digits(conversion);
    Box::new(move |row, out| {
        let (micros, nanos) = value(row);
        if as_date {
            if micros.rem_euclid(MICROS_A_DAY) != 0 || nanos != 0 {
                return Err("timestamp has a time of day, but the column is DATE".into());
            }
            return datetime::date(micros.div_euclid(MICROS_A_DAY), out);
        }
        datetime::timestamp(micros, nanos, digits, out)
    })
}

fn digits(conversion: &Conversion) -> u8 {
    match conversion {
        Conversion::Timestamp { digits } | Conversion::Time { digits } | Conversion::Interval { digits } => *digits,
        _ => 6,
    }
}

fn interval(
    value: arrow::datatypes::IntervalMonthDayNano,
    digits: u8,
    out: &mut Vec<u8>,
) -> Result<(), ConversionError> {
    if value.months != 0 {
        return Err("an interval with months cannot be converted to TIME".into());
    }
    if value.nanoseconds % 1000 != 0 {
        return Err(datetime::FINER.into());
    }
    datetime::time(
        i128::from(value.days) * i128::from(MICROS_A_DAY) + i128::from(value.nanoseconds / 1000),
        digits,
        out,
    )
}

fn bytes(value: &[u8], exact: Option<usize>, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if exact.is_some_and(|length| value.len() < length) {
        return Err("shorter than the BINARY column, which would pad it with zeros".into());
    }
    number::hex(value, out);
    Ok(())
}

fn text(value: &str, conversion: &Conversion, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let rule = match conversion {
        Conversion::Text(rule) => rule,
        Conversion::UuidBytes => return number::uuid_bytes(value, out),
        Conversion::Bits => return number::bits(value, out),
        _ => &TextRule::Any,
    };
    match rule {
        TextRule::Any => {}
        TextRule::Json if osiris_sql::text::json::has_repeated_key(value) => {
            return Err("an object has a key twice, of which JSON keeps one value: write it to a column of text".into());
        }
        TextRule::Json => {}
        TextRule::NoBlankAtEnd if value.ends_with(' ') => {
            return Err("trailing space, which a CHAR column drops: use VARCHAR".into());
        }
        TextRule::NoBlankAtEnd => {}
        TextRule::Member(members) if members.iter().any(|member| member == value) => {}
        TextRule::Member(_) => return Err("not one of the column's ENUM values".into()),
        TextRule::Members(members) => number::members(value, members)?,
        TextRule::Integer => return number::number_text(value, 0, out),
        TextRule::Decimal { scale } => return number::number_text(value, *scale, out),
        TextRule::Number if value.parse::<f64>().is_ok_and(f64::is_finite) => {}
        TextRule::Number => return Err("invalid number".into()),
        TextRule::Year if value.len() == 4 && value.bytes().all(|b| b.is_ascii_digit()) => {}
        TextRule::Year => return Err("invalid year: expected four digits".into()),
        TextRule::Date => return datetime::date_text(value, out),
        TextRule::Timestamp { digits } => return datetime::moment_text(value, *digits, out),
        TextRule::Time { digits } => return datetime::time_text(value, *digits, out),
    }
    put(out, value.as_bytes())
}
