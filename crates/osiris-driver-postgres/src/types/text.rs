//! Formats values as text that PostgreSQL reads: dates followed by BC, `infinity`, bytes as `\x..`. For text
//! columns, JSON and display. Never rounds.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use osiris_sql::calendar::civil_from_days;
use osiris_sql::text::print::{self, decimal, padded};

const MICROS_A_DAY: i64 = 86_400_000_000;

/// Appends the text of a value that is neither NULL nor nested.
///
/// # Errors
/// For a type that a scan of the run store never returns.
pub fn write(array: &ArrayRef, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    match array.data_type() {
        DataType::Boolean => {
            out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" });
        }
        DataType::Int8 => integer::<Int8Type>(array, row, out),
        DataType::Int16 => integer::<Int16Type>(array, row, out),
        DataType::Int32 => integer::<Int32Type>(array, row, out),
        DataType::Int64 => integer::<Int64Type>(array, row, out),
        DataType::UInt8 => integer::<UInt8Type>(array, row, out),
        DataType::UInt16 => integer::<UInt16Type>(array, row, out),
        DataType::UInt32 => integer::<UInt32Type>(array, row, out),
        DataType::UInt64 => integer::<UInt64Type>(array, row, out),
        DataType::Decimal128(_, scale) => {
            decimal(array.as_primitive::<Decimal128Type>().value(row), usize::try_from(*scale).unwrap_or(0), out);
        }
        DataType::Float32 => float32(array.as_primitive::<Float32Type>().value(row), out),
        DataType::Float64 => float64(array.as_primitive::<Float64Type>().value(row), out),
        DataType::Date32 => date(array.as_primitive::<Date32Type>().value(row), out),
        DataType::Time64(TimeUnit::Microsecond) => {
            clock(array.as_primitive::<Time64MicrosecondType>().value(row), 0, out);
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            moment(array.as_primitive::<TimestampMicrosecondType>().value(row), 0, zone.is_some(), out);
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            let nanos = array.as_primitive::<TimestampNanosecondType>().value(row);
            moment(nanos.div_euclid(1000), nanos.rem_euclid(1000), zone.is_some(), out);
        }
        DataType::Interval(_) => interval(array.as_primitive::<IntervalMonthDayNanoType>().value(row), out),
        DataType::Utf8 => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => {
            out.extend_from_slice(b"\\x");
            print::hex(array.as_binary::<i32>().value(row), b"0123456789abcdef", out);
        }
        other => return Err(format!("type {other} has no text form")),
    }
    Ok(())
}

fn integer<T>(array: &ArrayRef, row: usize, out: &mut Vec<u8>)
where
    T: ArrowPrimitiveType,
    T::Native: itoa::Integer,
{
    out.extend_from_slice(itoa::Buffer::new().format(array.as_primitive::<T>().value(row)).as_bytes());
}

/// The shortest text that parses to this number.
fn float64(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(not_finite(value.is_nan(), value > 0.0));
    }
}

fn float32(value: f32, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(not_finite(value.is_nan(), value > 0.0));
    }
}

fn not_finite(nan: bool, positive: bool) -> &'static [u8] {
    match (nan, positive) {
        (true, _) => b"NaN",
        (false, true) => b"Infinity",
        (false, false) => b"-Infinity",
    }
}

/// The infinities of DuckDB: the greatest number and its negative.
fn infinite(greatest: bool, least: bool, out: &mut Vec<u8>) -> bool {
    if greatest || least {
        out.extend_from_slice(if greatest { b"infinity" } else { b"-infinity" });
    }
    greatest || least
}

fn date(day: i32, out: &mut Vec<u8>) {
    if infinite(day == i32::MAX, day == -i32::MAX, out) {
        return;
    }
    if days(day.into(), out) {
        out.extend_from_slice(b" BC");
    }
}

/// Year, month and day, and whether the year is BC.
fn days(day: i64, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = civil_from_days(day);
    print::date((if year > 0 { year } else { 1 - year }, month, day), out);
    year <= 0
}

fn moment(micros: i64, nanos: i64, zone: bool, out: &mut Vec<u8>) {
    if infinite(micros == i64::MAX, micros == -i64::MAX, out) {
        return;
    }
    let before_christ = days(micros.div_euclid(MICROS_A_DAY), out);
    out.push(b'T');
    clock(micros.rem_euclid(MICROS_A_DAY), nanos, out);
    if zone {
        out.extend_from_slice(b"+00:00");
    }
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}

/// `12:00:00.000001`; the fraction only if not zero.
fn clock(micros: i64, nanos: i64, out: &mut Vec<u8>) {
    print::clock(micros / 1_000_000, out);
    fraction(micros % 1_000_000, nanos, out);
}

fn fraction(micros: i64, nanos: i64, out: &mut Vec<u8>) {
    if micros != 0 || nanos != 0 {
        out.push(b'.');
        padded(micros, 6, out);
    }
    if nanos != 0 {
        padded(nanos, 3, out);
    }
}

/// An ISO 8601 duration with a sign for each part: `P1M-2DT3H4M5.000006S`.
fn interval(value: IntervalMonthDayNano, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let start = out.len();
    out.push(b'P');
    for (part, unit) in [(value.months, b'M'), (value.days, b'D')] {
        if part != 0 {
            out.extend_from_slice(buffer.format(part).as_bytes());
            out.push(unit);
        }
    }
    let sign = if value.nanoseconds < 0 { "-" } else { "" };
    let nanos = value.nanoseconds.unsigned_abs();
    let seconds = nanos / 1_000_000_000;
    if nanos != 0 {
        out.push(b'T');
    }
    for (part, unit) in [(seconds / 3600, b'H'), (seconds / 60 % 60, b'M')] {
        if part != 0 {
            out.extend_from_slice(sign.as_bytes());
            out.extend_from_slice(buffer.format(part).as_bytes());
            out.push(unit);
        }
    }
    let rest = i64::try_from(nanos % 60_000_000_000).unwrap_or(0);
    if rest != 0 {
        out.extend_from_slice(sign.as_bytes());
        out.extend_from_slice(buffer.format(rest / 1_000_000_000).as_bytes());
        fraction(rest / 1000 % 1_000_000, rest % 1000, out);
        out.push(b'S');
    }
    if out.len() == start + 1 {
        out.extend_from_slice(b"T0S");
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
    fn dates_and_moments_are_what_postgres_reads() {
        assert_eq!(text(|out| date(0, out)), "1970-01-01");
        assert_eq!(text(|out| date(-719_163, out)), "0001-12-31 BC");
        assert_eq!(text(|out| date(i32::MAX, out)), "infinity");
        assert_eq!(text(|out| date(2_932_897, out)), "10000-01-01");
        assert_eq!(text(|out| moment(-1, 0, true, out)), "1969-12-31T23:59:59.999999+00:00");
        assert_eq!(text(|out| moment(0, 7, false, out)), "1970-01-01T00:00:00.000000007");
        assert_eq!(text(|out| moment(-i64::MAX, 0, true, out)), "-infinity");
    }

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(text(|out| decimal(i128::MIN + 1, 38, out)), "-1.70141183460469231731687303715884105727");
        assert_eq!(text(|out| decimal(5, 3, out)), "0.005");
        assert_eq!(text(|out| float64(0.1, out)), "0.1");
        assert_eq!(text(|out| float32(f32::NEG_INFINITY, out)), "-Infinity");
    }

    #[test]
    fn intervals_have_a_sign_in_each_part() {
        let of = |months, days, nanos| text(|out| interval(IntervalMonthDayNano::new(months, days, nanos), out));
        assert_eq!(of(14, -3, -3_661_000_000_000 - 5000), "P14M-3DT-1H-1M-1.000005S");
        assert_eq!(of(0, 0, 0), "PT0S");
        assert_eq!(of(0, 0, 60_000_000_000), "PT1M");
    }
}
