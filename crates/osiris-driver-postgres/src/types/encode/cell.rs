//! Encodes a cell in the binary format of its column. Types were matched before (see `convert`); single values may
//! still be rejected.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use osiris_core::{ColumnType, Error, Result};

use super::convert::{Conversion, Width};
use super::nested::{as_text, from_text, list, nested};
use super::text_rules::TextRules;
use super::{Cell, ConversionError, datetime, number, numeric, put};

/// The encoder of a column of one batch.
///
/// # Errors
/// For a type that a scan of the run store never returns.
pub(super) fn cell<'a>(
    values: &'a ArrayRef,
    column: &'a ColumnType,
    conversion: &'a Conversion,
    rules: &'a TextRules,
) -> Result<Cell<'a>> {
    match conversion {
        Conversion::Text { limit } if *values.data_type() != DataType::Utf8 => {
            return Ok(as_text(values, column, *limit));
        }
        Conversion::Array { element, oid } => return list(values, column, element, *oid, rules),
        _ => {}
    }
    Ok(match values.data_type() {
        DataType::Boolean => {
            let values = values.as_boolean();
            match conversion {
                Conversion::Integer(width) => {
                    Box::new(move |row, out| number::integer(values.value(row).into(), *width, out))
                }
                _ => Box::new(move |row, out| truth(values.value(row), out)),
            }
        }
        DataType::Int8 => integer::<Int8Type>(values, conversion),
        DataType::Int16 => integer::<Int16Type>(values, conversion),
        DataType::Int32 if *conversion == Conversion::Integer(Width::Four) => {
            let values = values.as_primitive::<Int32Type>();
            Box::new(move |row, out| {
                number::four(values.value(row), out);
                Ok(())
            })
        }
        DataType::Int32 => integer::<Int32Type>(values, conversion),
        DataType::Int64 if *conversion == Conversion::Integer(Width::Eight) => {
            let values = values.as_primitive::<Int64Type>();
            Box::new(move |row, out| {
                number::eight(values.value(row), out);
                Ok(())
            })
        }
        DataType::Int64 => integer::<Int64Type>(values, conversion),
        DataType::UInt8 => integer::<UInt8Type>(values, conversion),
        DataType::UInt16 => integer::<UInt16Type>(values, conversion),
        DataType::UInt32 => integer::<UInt32Type>(values, conversion),
        DataType::UInt64 => integer::<UInt64Type>(values, conversion),
        DataType::Decimal128(_, scale) => decimal(values, u8::try_from(*scale).unwrap_or(0), conversion),
        DataType::Float32 => float32(values, conversion),
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            Box::new(move |row, out| float(values.value(row), conversion, out))
        }
        DataType::Date32 => date(values, conversion),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = values.as_primitive::<TimestampMicrosecondType>();
            timestamp(move |row| (values.value(row), 0), conversion)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let values = values.as_primitive::<TimestampNanosecondType>();
            timestamp(move |row| (values.value(row).div_euclid(1000), values.value(row).rem_euclid(1000)), conversion)
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let values = values.as_primitive::<Time64MicrosecondType>();
            let digits = digits(conversion);
            Box::new(move |row, out| {
                datetime::fraction(values.value(row), digits)?;
                number::eight(values.value(row), out);
                Ok(())
            })
        }
        DataType::Interval(_) => {
            let values = values.as_primitive::<IntervalMonthDayNanoType>();
            let digits = digits(conversion);
            Box::new(move |row, out| interval(values.value(row), digits, out))
        }
        DataType::Utf8 => {
            let values = values.as_string::<i32>();
            let is_json = *column == ColumnType::Json;
            Box::new(move |row, out| from_text(values.value(row), is_json, conversion, rules, out))
        }
        DataType::Binary => {
            let values = values.as_binary::<i32>();
            Box::new(move |row, out| put(values.value(row), out))
        }
        DataType::List(_) | DataType::FixedSizeList(..) | DataType::Struct(_) | DataType::Map(..) => {
            nested(values, column, conversion, rules)
        }
        other => {
            return Err(Error::unknown(format!("a scan of the run store returned a column of type {other}"))
                .with_hint("report a bug"));
        }
    })
}

pub(super) fn truth(value: bool, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    out.extend_from_slice(&[0, 0, 0, 1, u8::from(value)]);
    Ok(())
}

fn integer<'a, T>(values: &'a ArrayRef, conversion: &'a Conversion) -> Cell<'a>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128>,
{
    let values: &PrimitiveArray<T> = values.as_primitive();
    let value = move |row| -> i128 { values.value(row).into() };
    match conversion {
        Conversion::Numeric(limit) => Box::new(move |row, out| numeric::decimal(value(row), 0, *limit, out)),
        Conversion::Float8 => Box::new(move |row, out| {
            number::float8(number::exact_float(value(row), 53)?, out);
            Ok(())
        }),
        Conversion::Float4 => Box::new(move |row, out| {
            number::float4(number::narrow(number::exact_float(value(row), 24)?)?, out);
            Ok(())
        }),
        Conversion::Bool => Box::new(move |row, out| match value(row) {
            0 => truth(false, out),
            1 => truth(true, out),
            _ => Err("expected 0 or 1".into()),
        }),
        Conversion::Integer(width) => Box::new(move |row, out| number::integer(value(row), *width, out)),
        _ => Box::new(|_, _| Err("unsupported conversion".into())),
    }
}

fn decimal<'a>(values: &'a ArrayRef, scale: u8, conversion: &'a Conversion) -> Cell<'a> {
    let values = values.as_primitive::<Decimal128Type>();
    match conversion {
        Conversion::Numeric(limit) => Box::new(move |row, out| numeric::decimal(values.value(row), scale, *limit, out)),
        Conversion::Integer(width) => {
            Box::new(move |row, out| number::integer(number::whole(values.value(row), scale)?, *width, out))
        }
        Conversion::Float4 => Box::new(move |row, out| {
            let value = number::approximate(values.value(row), scale, 6)?;
            number::float4(number::float4_text(&value.to_string())?, out);
            Ok(())
        }),
        _ => Box::new(move |row, out| {
            number::float8(number::approximate(values.value(row), scale, 15)?, out);
            Ok(())
        }),
    }
}

fn float32<'a>(values: &'a ArrayRef, conversion: &'a Conversion) -> Cell<'a> {
    let values = values.as_primitive::<Float32Type>();
    match conversion {
        Conversion::Float4 => Box::new(move |row, out| {
            number::float4(values.value(row), out);
            Ok(())
        }),
        Conversion::Numeric(limit) => {
            Box::new(move |row, out| numeric::parse(&values.value(row).to_string(), *limit, out))
        }
        _ => Box::new(move |row, out| float(values.value(row).into(), conversion, out)),
    }
}

fn float(value: f64, conversion: &Conversion, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    match conversion {
        Conversion::Float4 => number::float4(number::narrow(value)?, out),
        Conversion::Integer(width) => return number::integer(number::whole_float(value)?, *width, out),
        Conversion::Numeric(limit) => return numeric::parse(&value.to_string(), *limit, out),
        _ => number::float8(value, out),
    }
    Ok(())
}

fn date<'a>(values: &'a ArrayRef, conversion: &'a Conversion) -> Cell<'a> {
    let values = values.as_primitive::<Date32Type>();
    match conversion {
        Conversion::Timestamp { .. } => Box::new(move |row, out| {
            number::eight(datetime::date_as_timestamp(values.value(row))?, out);
            Ok(())
        }),
        _ => Box::new(move |row, out| {
            number::four(datetime::date(values.value(row))?, out);
            Ok(())
        }),
    }
}

fn timestamp<'a>(value: impl Fn(usize) -> (i64, i64) + 'a, conversion: &'a Conversion) -> Cell<'a> {
    let digits = digits(conversion);
    if *conversion == Conversion::Date {
        return Box::new(move |row, out| {
            let (micros, nanos) = value(row);
            number::four(datetime::timestamp_as_date(micros, nanos)?, out);
            Ok(())
        });
    }
    Box::new(move |row, out| {
        let (micros, nanos) = value(row);
        number::eight(datetime::timestamp(micros, nanos, digits)?, out);
        Ok(())
    })
}

fn digits(conversion: &Conversion) -> u8 {
    match conversion {
        Conversion::Time { digits } | Conversion::Timestamp { digits, .. } | Conversion::Interval { digits } => *digits,
        _ => 6,
    }
}

fn interval(value: IntervalMonthDayNano, digits: u8, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if value.nanoseconds % 1000 != 0 {
        return Err(datetime::FINER.into());
    }
    let micros = value.nanoseconds / 1000;
    datetime::fraction(micros, digits)?;
    out.extend_from_slice(&[0, 0, 0, 16]);
    out.extend_from_slice(&micros.to_be_bytes());
    out.extend_from_slice(&value.days.to_be_bytes());
    out.extend_from_slice(&value.months.to_be_bytes());
    Ok(())
}
