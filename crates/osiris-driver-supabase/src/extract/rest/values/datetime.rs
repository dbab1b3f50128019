//! Parses dates and times from PostgreSQL's JSON: ISO 8601 with any year, followed by ` BC` before year 1, and
//! `infinity`.

use osiris_sql::calendar::{civil_from_days, days_from_civil};

use super::ConversionError;

const MICROS_A_DAY: i64 = 86_400_000_000;
const NO_DATE: &str = "invalid date";
const NO_TIME: &str = "invalid time";

/// A timestamp, or infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timestamp<T> {
    /// A finite timestamp.
    At(T),
    /// `infinity`.
    Infinity,
    /// `-infinity`.
    MinusInfinity,
}

fn infinite<T>(text: &str) -> Option<Timestamp<T>> {
    match text {
        "infinity" => Some(Timestamp::Infinity),
        "-infinity" => Some(Timestamp::MinusInfinity),
        _ => None,
    }
}

/// Days since 1970.
pub(crate) fn date(text: &str) -> Result<Timestamp<i32>, ConversionError> {
    if let Some(infinite) = infinite(text) {
        return Ok(infinite);
    }
    let (text, before_christ) = era(text);
    let (days, rest) = days(text, before_christ).ok_or(NO_DATE)?;
    if !rest.is_empty() {
        return Err(NO_DATE.to_owned());
    }
    i32::try_from(days).map(Timestamp::At).map_err(|_| NO_DATE.to_owned())
}

/// Microseconds since 1970, in UTC if the text has an offset.
pub(crate) fn timestamp(text: &str) -> Result<Timestamp<i64>, ConversionError> {
    if let Some(infinite) = infinite(text) {
        return Ok(infinite);
    }
    let (text, before_christ) = era(text);
    let micros = || {
        let (days, rest) = days(text, before_christ)?;
        let rest = rest.strip_prefix(['T', ' '])?;
        let (time, zone) = clock(rest)?;
        let offset = zone_seconds(zone)?;
        days.checked_mul(MICROS_A_DAY)?.checked_add(time)?.checked_sub(offset.checked_mul(1_000_000)?)
    };
    micros().map(Timestamp::At).ok_or_else(|| "invalid timestamp".to_owned())
}

/// Microseconds since midnight, up to 24:00.
pub(super) fn time(text: &str) -> Result<i64, ConversionError> {
    match clock(text) {
        Some((micros, "")) if micros <= MICROS_A_DAY => Ok(micros),
        _ => Err(NO_TIME.to_owned()),
    }
}

/// Formats a date for PostgreSQL.
pub(crate) fn shown_date(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    if year > 0 { format!("{year:04}-{month:02}-{day:02}") } else { format!("{:04}-{month:02}-{day:02} BC", 1 - year) }
}

/// Formats a timestamp for PostgreSQL, followed by `zone`.
pub(crate) fn shown_timestamp(micros: i64, zone: &str) -> String {
    let (days, of_day) = (micros.div_euclid(MICROS_A_DAY), micros.rem_euclid(MICROS_A_DAY));
    let date = shown_date(days);
    let (date, era) = date.strip_suffix(" BC").map_or((date.as_str(), ""), |date| (date, " BC"));
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{fraction:06}{zone}{era}")
}

fn era(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC").map_or((text, false), |text| (text, true))
}

/// Parses `2024-01-31`; returns the rest.
fn days(text: &str, before_christ: bool) -> Option<(i64, &str)> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    let year = if before_christ { 1 - year } else { year };
    Some((days_from_civil(year, month, day)?, rest))
}

/// Parses `12:34:56.789`; returns the rest.
fn clock(text: &str) -> Option<(i64, &str)> {
    let (hour, rest) = number(text, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (micros, rest) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let digits = rest.get(..end).filter(|digits| (1..=6).contains(&digits.len()))?;
            (format!("{digits:0<6}").parse().ok()?, &rest[end..])
        }
    };
    let valid = hour <= 24 && minute < 60 && second <= 60;
    valid.then_some((((hour * 60 + minute) * 60 + second) * 1_000_000 + micros, rest))
}

/// `+05:30`, `-08`, `Z`, or nothing.
fn zone_seconds(text: &str) -> Option<i64> {
    let (sign, rest) = match text.chars().next() {
        None => return Some(0),
        Some('Z') => return (text.len() == 1).then_some(0),
        Some('+') => (1, &text[1..]),
        Some('-') => (-1, &text[1..]),
        Some(_) => return None,
    };
    let mut seconds = 0;
    for (part, unit) in rest.split(':').zip([3600, 60, 1]) {
        let (value, "") = number(part, 2)? else { return None };
        seconds += value * unit;
    }
    (rest.split(':').count() <= 3).then_some(sign * seconds)
}

/// Parses at least this many digits.
fn number(text: &str, least: usize) -> Option<(i64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end < least {
        return None;
    }
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Option<i64> {
        match timestamp(text) {
            Ok(Timestamp::At(micros)) => Some(micros),
            _ => None,
        }
    }

    #[test]
    fn moments_of_any_year_and_zone_are_exact() {
        assert_eq!(micros("1970-01-01T00:00:00.000001+00:00"), Some(1));
        assert_eq!(micros("1970-01-01T05:30:00+05:30"), Some(0));
        assert_eq!(micros("1969-12-31T16:00:00-08"), Some(0));
        assert_eq!(micros("1970-01-01T00:00:00.5"), Some(500_000));
        assert_eq!(micros("0001-01-01T00:00:00 BC"), days_from_civil(0, 1, 1).map(|days| days * MICROS_A_DAY));
        assert_eq!(micros("12024-01-01T00:00:00"), days_from_civil(12024, 1, 1).map(|days| days * MICROS_A_DAY));
        assert_eq!(timestamp("-infinity"), Ok(Timestamp::MinusInfinity));
        for wrong in ["2024-02-30T00:00:00", "2024-01-01", "2024-01-01T25:00:00", "2024-01-01T00:00:00X", "soon", ""] {
            assert!(timestamp(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_and_times_of_day_have_their_limits() {
        assert_eq!(date("1970-01-02"), Ok(Timestamp::At(1)));
        assert_eq!(
            date("0044-03-15 BC"),
            Ok(Timestamp::At(i32::try_from(days_from_civil(-43, 3, 15).unwrap()).unwrap()))
        );
        assert!(date("1970-01-02T00:00:00").is_err());
        assert_eq!(time("24:00:00"), Ok(MICROS_A_DAY));
        assert!(time("24:00:01").is_err() && time("1:00:00").is_err());
    }

    #[test]
    fn what_is_shown_reads_back() {
        for micros in [0, -1, 1_700_000_000_123_456, -62_200_000_000_000_000] {
            assert_eq!(timestamp(&shown_timestamp(micros, "+00:00")), Ok(Timestamp::At(micros)));
        }
        assert_eq!(shown_date(-719_528), "0001-01-01 BC");
    }
}
