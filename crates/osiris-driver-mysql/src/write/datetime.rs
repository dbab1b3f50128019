//! Formats dates and times as MySQL reads them with any settings: `2024-01-31 12:00:00.000001`.

use osiris_sql::calendar::civil_from_days;
use osiris_sql::text::print::{self, padded};

use super::cell::ConversionError;

/// Microseconds in a day.
pub(super) const MICROS_A_DAY: i64 = 86_400_000_000;
/// The reason for a fraction that would be rounded.
pub(super) const FINER: &str = "fractional seconds exceed the precision of the column";
/// 838:59:59.999999, the longest TIME.
const MAX_TIME: i128 = 3_020_399_999_999;

/// A date, in days since 1970-01-01.
pub(super) fn date(day: i64, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let (year, month, day) = civil_from_days(day);
    if !(1..=9999).contains(&year) {
        return Err("date out of range: MySQL allows the years 1 to 9999".into());
    }
    print::date((year, month, day), out);
    Ok(())
}

/// A timestamp without time zone or in UTC, with its nanoseconds below the microseconds.
pub(super) fn timestamp(micros: i64, nanos: i64, digits: u8, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if nanos != 0 && digits < 9 {
        return Err(FINER.into());
    }
    date(micros.div_euclid(MICROS_A_DAY), out)?;
    out.push(b' ');
    clock(micros.rem_euclid(MICROS_A_DAY), digits, out)?;
    if nanos != 0 {
        if micros % 1_000_000 == 0 {
            out.extend_from_slice(b".000000");
        }
        padded(nanos, 3, out);
    }
    Ok(())
}

/// `12:00:00.000001`; the fraction only if not zero.
fn clock(micros: i64, digits: u8, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    print::clock(micros / 1_000_000, out);
    let fraction = micros % 1_000_000;
    if fraction != 0 {
        if fraction % 10_i64.pow(6 - u32::from(digits.min(6))) != 0 {
            return Err(FINER.into());
        }
        out.push(b'.');
        padded(fraction, 6, out);
    }
    Ok(())
}

/// A time of day or an interval, in microseconds.
pub(super) fn time(micros: i128, digits: u8, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if micros.abs() > MAX_TIME {
        return Err("time out of range: MySQL allows up to 838:59:59.999999".into());
    }
    if micros < 0 {
        out.push(b'-');
    }
    let micros = i64::try_from(micros.abs()).map_err(|_| ConversionError::from("time out of range"))?;
    clock(micros, digits, out)
}

/// Checks an ISO 8601 date.
pub(super) fn date_text(text: &str, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if !matches(text, "dddd-dd-dd") {
        return Err("invalid date: expected YYYY-MM-DD".into());
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Checks a timestamp with `T` or a space.
pub(super) fn moment_text(text: &str, digits: u8, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let bytes = text.as_bytes();
    let separated = matches!(bytes.get(10), Some(b' ' | b'T')) && text.is_char_boundary(10);
    if bytes.len() == 10 {
        return date_text(text, out);
    }
    if !separated || !matches(&text[..10], "dddd-dd-dd") {
        return Err("invalid timestamp: expected YYYY-MM-DD HH:MM:SS".into());
    }
    out.extend_from_slice(&bytes[..10]);
    out.push(b' ');
    time_text(&text[11..], digits, out)
}

/// Checks a time with two or three digits for hours and an optional sign.
pub(super) fn time_text(text: &str, digits: u8, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let unsigned = whole.strip_prefix('-').unwrap_or(whole);
    let is_time = matches(unsigned, "dd:dd:dd") || matches(unsigned, "ddd:dd:dd");
    if !is_time || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("invalid time: expected HH:MM:SS".into());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > usize::from(digits) {
        return Err(FINER.into());
    }
    out.extend_from_slice(whole.as_bytes());
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    Ok(())
}

/// Whether the text matches the pattern, where `d` is a digit.
fn matches(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(found, wanted)| match wanted {
            b'd' => found.is_ascii_digit(),
            other => found == other,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), ConversionError>) -> Result<String, ConversionError> {
        let mut out = Vec::new();
        write(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn days_are_dates_of_the_gregorian_calendar() {
        for (day, expected) in
            [(0, "1970-01-01"), (-1, "1969-12-31"), (11_016, "2000-02-29"), (2_932_896, "9999-12-31")]
        {
            assert_eq!(written(|out| date(day, out)).unwrap(), expected);
        }
        assert_eq!(written(|out| date(-719_162, out)).unwrap(), "0001-01-01");
        assert!(written(|out| date(-719_163, out)).is_err());
        assert!(written(|out| date(2_932_897, out)).is_err());
    }

    #[test]
    fn a_fraction_that_would_be_rounded_is_refused() {
        let at = 1_000_000_000_000_000 + 120_000;
        assert_eq!(written(|out| timestamp(at, 0, 2, out)).unwrap(), "2001-09-09 01:46:40.120000");
        assert!(written(|out| timestamp(at, 0, 1, out)).is_err());
        assert!(written(|out| timestamp(at, 7, 6, out)).is_err());
        assert_eq!(written(|out| timestamp(0, 7, 9, out)).unwrap(), "1970-01-01 00:00:00.000000007");
        assert_eq!(written(|out| timestamp(-1, 0, 6, out)).unwrap(), "1969-12-31 23:59:59.999999");
    }

    #[test]
    fn times_have_a_sign_and_many_hours() {
        assert_eq!(written(|out| time(-3_020_399_999_999, 6, out)).unwrap(), "-838:59:59.999999");
        assert!(written(|out| time(3_020_400_000_000, 6, out)).is_err());
    }

    #[test]
    fn texts_are_dates_and_times_or_are_refused() {
        assert_eq!(written(|out| moment_text("2024-01-31T10:00:00.5", 3, out)).unwrap(), "2024-01-31 10:00:00.5");
        assert_eq!(written(|out| moment_text("2024-01-31", 0, out)).unwrap(), "2024-01-31");
        for text in ["31.1.2024", "2024-01-31 10:00", "2024-01-31ů10:00:00", "2024-01-31 10:00:00.55"] {
            assert!(written(|out| moment_text(text, 1, out)).is_err(), "{text}");
        }
    }
}
