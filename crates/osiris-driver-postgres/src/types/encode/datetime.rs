//! Dates and times in PostgreSQL's format: days or microseconds from 2000-01-01, with special numbers for the
//! infinities. A fraction that a column would round is rejected.

use osiris_sql::calendar::days_from_civil;

use super::ConversionError;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const MICROS_A_DAY: i64 = 86_400_000_000;
const EPOCH_MICROS: i64 = EPOCH_DAYS * MICROS_A_DAY;
/// The reason for a fraction that would be rounded.
pub(super) const FINER: &str = "fractional seconds exceed the precision of the column";
const RANGE: &str = "date out of range for PostgreSQL";

/// Encodes a DATE of the run store, where the greatest number and its negative are the infinities.
pub(super) fn date(day: i32) -> Result<i32, ConversionError> {
    match day {
        i32::MAX => Ok(i32::MAX),
        day if day == -i32::MAX => Ok(i32::MIN),
        day => date_of(day.into()),
    }
}

fn date_of(day: i64) -> Result<i32, ConversionError> {
    // The numbers at both ends are the infinities.
    let day = i32::try_from(day - EPOCH_DAYS).map_err(|_| RANGE)?;
    if matches!(day, i32::MAX | i32::MIN) { Err(RANGE.into()) } else { Ok(day) }
}

/// Encodes a timestamp with its nanoseconds below the microseconds; the column has `digits` fractional digits.
pub(super) fn timestamp(micros: i64, nanos: i64, digits: u8) -> Result<i64, ConversionError> {
    match micros {
        i64::MAX => return Ok(i64::MAX),
        micros if micros == -i64::MAX => return Ok(i64::MIN),
        _ => {}
    }
    if nanos != 0 {
        return Err(FINER.into());
    }
    fraction(micros, digits)?;
    micros.checked_sub(EPOCH_MICROS).ok_or_else(|| RANGE.into())
}

/// Converts a timestamp at midnight to a date.
pub(super) fn timestamp_as_date(micros: i64, nanos: i64) -> Result<i32, ConversionError> {
    match micros {
        i64::MAX => Ok(i32::MAX),
        micros if micros == -i64::MAX => Ok(i32::MIN),
        _ if nanos != 0 || micros.rem_euclid(MICROS_A_DAY) != 0 => {
            Err("timestamp has a time of day, but the column is DATE".into())
        }
        micros => date_of(micros.div_euclid(MICROS_A_DAY)),
    }
}

/// Converts a date to a timestamp at midnight.
pub(super) fn date_as_timestamp(day: i32) -> Result<i64, ConversionError> {
    match day {
        i32::MAX => Ok(i64::MAX),
        day if day == -i32::MAX => Ok(i64::MIN),
        day => (i64::from(day) - EPOCH_DAYS).checked_mul(MICROS_A_DAY).ok_or_else(|| RANGE.into()),
    }
}

/// Whether a column with `digits` fractional digits can hold this fraction.
pub(super) fn fraction(micros: i64, digits: u8) -> Result<(), ConversionError> {
    if digits < 6 && micros % 10_i64.pow(6 - u32::from(digits)) != 0 { Err(FINER.into()) } else { Ok(()) }
}

/// Parses an ISO 8601 date, optionally followed by ` BC`, or an infinity.
pub(super) fn date_text(text: &str) -> Result<i32, ConversionError> {
    if let Some(positive) = infinity(text) {
        return Ok(if positive { i32::MAX } else { i32::MIN });
    }
    let (text, before_christ) = era(text);
    date_of(day(text, before_christ)?)
}

/// Parses a timestamp with `T` or a space; a date is midnight. Without an offset it is UTC.
pub(super) fn timestamp_text(text: &str, digits: u8, zoned: bool) -> Result<i64, ConversionError> {
    if let Some(positive) = infinity(text) {
        return Ok(if positive { i64::MAX } else { i64::MIN });
    }
    let (text, before_christ) = era(text);
    let Some((date, clock)) = text.split_once(['T', ' ']) else {
        return day(text, before_christ)?
            .checked_mul(MICROS_A_DAY)
            .and_then(|at| at.checked_sub(EPOCH_MICROS))
            .ok_or_else(|| RANGE.into());
    };
    let (clock, offset) = zone(clock)?;
    if offset.is_some() && !zoned {
        return Err("value has a UTC offset, but the column has no time zone".into());
    }
    let of_day = micros_of_day(clock, digits)? - offset.unwrap_or(0);
    let day = day(date, before_christ)? - EPOCH_DAYS;
    day.checked_mul(MICROS_A_DAY).and_then(|at| at.checked_add(of_day)).ok_or_else(|| RANGE.into())
}

/// Parses a time of day.
pub(super) fn time_text(text: &str, digits: u8) -> Result<i64, ConversionError> {
    micros_of_day(text, digits)
}

fn infinity(text: &str) -> Option<bool> {
    match text {
        "infinity" | "Infinity" => Some(true),
        "-infinity" | "-Infinity" => Some(false),
        _ => None,
    }
}

fn era(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC").map_or((text, false), |text| (text, true))
}

/// Parses `2024-01-31` as days since 1970-01-01.
fn day(text: &str, before_christ: bool) -> Result<i64, ConversionError> {
    const NO_DATE: &str = "invalid date: expected YYYY-MM-DD";
    let mut parts = text.split('-');
    let mut next = |width: std::ops::RangeInclusive<usize>| {
        let part = parts.next().filter(|part| width.contains(&part.len()))?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<i64>().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (next(4..=7), next(2..=2), next(2..=2)) else {
        return Err(NO_DATE.into());
    };
    if parts.next().is_some() || year == 0 {
        return Err(NO_DATE.into());
    }
    let year = if before_christ { 1 - year } else { year };
    days_from_civil(year, month, day).ok_or_else(|| "invalid date: no such day in the calendar".into())
}

/// Parses a time of day and its UTC offset, in microseconds.
fn zone(text: &str) -> Result<(&str, Option<i64>), ConversionError> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Ok((clock, Some(0)));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Ok((text, None)) };
    let (clock, offset) = text.split_at(at);
    let digits: String = offset[1..].split(':').collect();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let part = |range| digits.get(range).map_or(Some(0), |part: &str| part.parse::<i64>().ok());
    let seconds = match (plain, digits.len(), part(0..2), part(2..4), part(4..6)) {
        (true, 2 | 4 | 6, Some(hours), Some(minutes), Some(seconds)) if hours < 24 && minutes < 60 => {
            hours * 3600 + minutes * 60 + seconds
        }
        _ => return Err("invalid UTC offset: expected ±HH:MM".into()),
    };
    Ok((clock, Some(if offset.starts_with('-') { -seconds } else { seconds } * 1_000_000)))
}

/// `12:00`, `12:00:00` or `12:00:00.000001`; 24:00:00 is the end of the day.
fn micros_of_day(text: &str, digits: u8) -> Result<i64, ConversionError> {
    const NO_TIME: &str = "invalid time: expected HH:MM:SS";
    let (whole, fraction_text) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':').map(|part| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<i64>().ok())?
    });
    let (Some(Some(hours)), Some(Some(minutes))) = (parts.next(), parts.next()) else { return Err(NO_TIME.into()) };
    let Some(seconds) = parts.next().unwrap_or(Some(0)) else { return Err(NO_TIME.into()) };
    if parts.next().is_some() || hours > 24 || minutes > 59 || seconds > 59 {
        return Err(NO_TIME.into());
    }
    if !fraction_text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NO_TIME.into());
    }
    let kept = fraction_text.trim_end_matches('0');
    if kept.len() > usize::from(digits.min(6)) {
        return Err(FINER.into());
    }
    let fraction: i64 = format!("{kept:0<6}").parse().map_err(|_| NO_TIME)?;
    let micros = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction;
    if micros > MICROS_A_DAY { Err(NO_TIME.into()) } else { Ok(micros) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_are_counted_from_the_year_2000() {
        assert_eq!(date(10_957), Ok(0));
        assert_eq!((date(i32::MAX), date(-i32::MAX)), (Ok(i32::MAX), Ok(i32::MIN)));
        assert_eq!(timestamp(EPOCH_MICROS + 1, 0, 6), Ok(1));
        assert_eq!(timestamp(-i64::MAX, 0, 0), Ok(i64::MIN));
        assert_eq!(timestamp(1_500_000, 0, 0), Err(FINER.into()));
        assert_eq!(timestamp(0, 1, 6), Err(FINER.into()));
        assert_eq!(timestamp_as_date(EPOCH_MICROS, 0), Ok(0));
        assert!(timestamp_as_date(1, 0).is_err());
    }

    #[test]
    fn texts_are_dates_and_times_or_are_refused() {
        assert_eq!(date_text("2000-01-02"), Ok(1));
        assert_eq!(date_text("0001-12-31 BC"), date(-719_163));
        assert_eq!(date_text("infinity"), Ok(i32::MAX));
        for wrong in ["2000-1-2", "2001-02-29", "02/03/2000", "2000-01-02 10:00:00", "0000-01-01", "now", "tomorrow"] {
            assert!(date_text(wrong).is_err(), "{wrong}");
        }
        assert_eq!(timestamp_text("2000-01-01T00:00:01.5", 1, false), Ok(1_500_000));
        assert_eq!(timestamp_text("2000-01-01 01:00:00+01:00", 6, true), Ok(0));
        assert_eq!(timestamp_text("1999-12-31 22:30:00-0130", 6, true), Ok(0));
        assert_eq!(timestamp_text("2000-01-01T00:00Z", 6, true), Ok(0));
        assert_eq!(timestamp_text("2000-01-02", 6, true), Ok(MICROS_A_DAY));
        for wrong in ["2000-01-01T00:00Z", "2000-01-01 25:00", "2000-01-01 00:00:00.0000001", "today"] {
            assert!(timestamp_text(wrong, 6, false).is_err(), "{wrong}");
        }
        assert_eq!(time_text("24:00:00", 6), Ok(MICROS_A_DAY));
        assert!(time_text("24:00:00.1", 6).is_err() && time_text("1:00", 6).is_err() && time_text("12", 6).is_err());
    }
}
