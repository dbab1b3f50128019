//! The values of cells, as a CSV file has them.

use calamine::{DataRef, ExcelDateTime};

/// The day after the last one that Excel has.
const END_OF_DAYS: f64 = 2_958_466.0;
/// The serial dates of 9999-12-31, counted from 1900 and from 1904: what is beyond is shown as that day.
const LAST_DAYS: [f64; 2] = [2_958_465.0, 2_957_003.0];
/// From here on, not every whole number is a double.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Smaller numbers have an exponent.
const SMALL: f64 = 1e-5;

/// A value.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Value {
    /// None.
    #[default]
    Empty,
    /// A number, a boolean, a date or a time, whose type follows from its text.
    Plain(String),
    /// A text.
    Text(String),
    /// An error such as `#N/A`, or a date that does not exist.
    Fault(String),
}

impl Value {
    /// The value of a cell.
    pub(super) fn of(data: &DataRef<'_>) -> Self {
        match data {
            DataRef::Empty => Self::Empty,
            DataRef::Int(number) => Self::Plain(number.to_string()),
            DataRef::Float(number) => Self::Plain(number_text(*number)),
            DataRef::Bool(value) => Self::Plain(value.to_string()),
            DataRef::SharedString(text) => Self::Text((*text).to_owned()),
            DataRef::DateTime(time) => time_text(time),
            DataRef::DateTimeIso(text) if is_iso(text) => Self::Plain(text.clone()),
            DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Self::Text(text.clone()),
            DataRef::Error(error) => Self::Fault(error.to_string()),
        }
    }

    /// Whether there is nothing in the cell, or a text of no characters.
    pub(super) fn is_blank(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.is_empty(),
            Self::Plain(_) | Self::Fault(_) => false,
        }
    }

    /// Its text, for names and rejects.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Empty => None,
            Self::Plain(text) | Self::Text(text) | Self::Fault(text) => Some(text),
        }
    }
}

/// All digits of a number: a whole one has no point and, while doubles hold every one, no exponent.
fn number_text(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let size = number.abs();
    if number.is_finite() && !(SMALL..EXACT).contains(&size) {
        let text = format!("{number:e}");
        // An exponent without a sign is no number of CSV.
        return if text.contains("e-") { text } else { text.replace('e', "e+") };
    }
    number.to_string()
}

/// Whether a text has the characters of ISO 8601 only.
fn is_iso(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b'+' | b'T' | b'Z'))
}

fn time_text(time: &ExcelDateTime) -> Value {
    let serial = time.as_f64();
    if time.is_duration() {
        return Value::Text(duration_text(serial));
    }
    let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
    let is_last = (year, month, day) == (9999, 12, 31);
    let is_beyond = !(0.0..END_OF_DAYS).contains(&serial) || (is_last && !LAST_DAYS.contains(&serial.floor()));
    if is_beyond {
        return Value::Fault("a date outside of the years 1900 to 9999".to_owned());
    }
    if (year, month, day) == (1900, 2, 29) {
        return Value::Fault("1900-02-29, a date that does not exist".to_owned());
    }
    let fraction = if milli == 0 { String::new() } else { format!(".{milli:03}") };
    let clock = format!("{hour:02}:{minute:02}:{second:02}{fraction}");
    let date = format!("{year:04}-{month:02}-{day:02}");
    Value::Plain(match (serial < 1.0, (hour, minute, second, milli)) {
        (true, _) => clock,
        (false, (0, 0, 0, 0)) => date,
        (false, _) => format!("{date} {clock}"),
    })
}

/// A part of days as hours, minutes and seconds: `26:30:00`.
fn duration_text(days: f64) -> String {
    let sign = if days < 0.0 { "-" } else { "" };
    let millis = (days.abs() * 86_400_000.0).round();
    let (seconds, milli) = (((millis - millis % 1000.0) / 1000.0), millis % 1000.0);
    let (minutes, second) = ((seconds - seconds % 60.0) / 60.0, seconds % 60.0);
    let (hour, minute) = ((minutes - minutes % 60.0) / 60.0, minutes % 60.0);
    let fraction = if milli == 0.0 { String::new() } else { format!(".{milli:03}") };
    format!("{sign}{hour:02}:{minute:02}:{second:02}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{CellErrorType, ExcelDateTimeType};

    #[test]
    fn numbers_keep_all_their_digits() {
        for (number, text) in [
            (1.0, "1"),
            (-0.0, "0"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1e16, "1e+16"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-1.5e-7, "-1.5e-7"),
            (2.5e300, "2.5e+300"),
        ] {
            assert_eq!(number_text(number), text);
        }
    }

    #[test]
    fn serial_dates_are_counted_from_1900_or_1904() {
        let at = |serial, is_1904| {
            Value::of(&DataRef::DateTime(ExcelDateTime::new(serial, ExcelDateTimeType::DateTime, is_1904)))
        };
        let plain = |text: &str| Value::Plain(text.to_owned());
        assert_eq!(at(45_322.0, false), plain("2024-01-31"));
        assert_eq!(at(43_860.0, true), plain("2024-01-31"));
        assert_eq!(at(45_322.75, false), plain("2024-01-31 18:00:00"));
        assert_eq!(at(45_322.000_011_574_07, false), plain("2024-01-31 00:00:01"));
        assert_eq!(at(1.0, false), plain("1900-01-01"));
        assert_eq!(at(61.0, false), plain("1900-03-01"));
        assert_eq!(at(0.5, false), plain("12:00:00"));
        assert_eq!(at(2_958_465.0, false), plain("9999-12-31"));
        for (serial, is_1904) in [(60.0, false), (-1.0, false), (2_958_466.0, false), (2_957_004.0, true)] {
            assert!(matches!(at(serial, is_1904), Value::Fault(_)), "{serial}");
        }
        let duration = ExcelDateTime::new(26.5 / 24.0, ExcelDateTimeType::TimeDelta, false);
        assert_eq!(Value::of(&DataRef::DateTime(duration)), Value::Text("26:30:00".to_owned()));
        assert_eq!(Value::of(&DataRef::Error(CellErrorType::Div0)), Value::Fault("#DIV/0!".to_owned()));
    }
}
