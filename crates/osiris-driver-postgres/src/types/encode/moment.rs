//! Dates and times as PostgreSQL counts them: from 2000-01-01, in days or microseconds, with numbers of their own for the
//! infinities. A fraction that a column would round is refused.

use osiris_sql::calendar::days_from_civil;

use super::Refusal;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const MICROS_A_DAY: i64 = 86_400_000_000;
const EPOCH_MICROS: i64 = EPOCH_DAYS * MICROS_A_DAY;
/// The reason for a fraction that would be rounded.
pub(super) const FINER: &str = "its fraction of a second has more digits than the column keeps";
const RANGE: &str = "PostgreSQL has no date so far away";

/// A day of the store, where the greatest number and its negative are the infinities.
pub(super) fn date(day: i32) -> Result<i32, Refusal> {
    match day {
        i32::MAX => Ok(i32::MAX),
        day if day == -i32::MAX => Ok(i32::MIN),
        day => date_of(day.into()),
    }
}

fn date_of(day: i64) -> Result<i32, Refusal> {
    // The numbers at both ends mean infinity.
    let day = i32::try_from(day - EPOCH_DAYS).map_err(|_| RANGE)?;
    if matches!(day, i32::MAX | i32::MIN) { Err(RANGE.into()) } else { Ok(day) }
}

/// A moment of the store, with its nanoseconds beyond the microseconds; `digits` of the fraction are kept.
pub(super) fn timestamp(micros: i64, nanos: i64, digits: u8) -> Result<i64, Refusal> {
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

/// Midnight as a day.
pub(super) fn timestamp_as_date(micros: i64, nanos: i64) -> Result<i32, Refusal> {
    match micros {
        i64::MAX => Ok(i32::MAX),
        micros if micros == -i64::MAX => Ok(i32::MIN),
        _ if nanos != 0 || micros.rem_euclid(MICROS_A_DAY) != 0 => {
            Err("it is not midnight, and the column keeps a date only".into())
        }
        micros => date_of(micros.div_euclid(MICROS_A_DAY)),
    }
}

/// A day as its midnight.
pub(super) fn date_as_timestamp(day: i32) -> Result<i64, Refusal> {
    match day {
        i32::MAX => Ok(i64::MAX),
        day if day == -i32::MAX => Ok(i64::MIN),
        day => (i64::from(day) - EPOCH_DAYS).checked_mul(MICROS_A_DAY).ok_or_else(|| RANGE.into()),
    }
}

/// Whether a column that keeps `digits` of a fraction keeps this one.
pub(super) fn fraction(micros: i64, digits: u8) -> Result<(), Refusal> {
    if digits < 6 && micros % 10_i64.pow(6 - u32::from(digits)) != 0 { Err(FINER.into()) } else { Ok(()) }
}

/// A text that is a date as ISO 8601 has it, with ` BC` behind it perhaps, or an infinity.
pub(super) fn date_text(text: &str) -> Result<i32, Refusal> {
    if let Some(positive) = infinity(text) {
        return Ok(if positive { i32::MAX } else { i32::MIN });
    }
    let (text, before_christ) = era(text);
    date_of(day(text, before_christ)?)
}

/// A text that is a date and time, `T` or a blank between; a text that is a date is its midnight. Without a zone it is UTC.
pub(super) fn timestamp_text(text: &str, digits: u8, zoned: bool) -> Result<i64, Refusal> {
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
        return Err("it has a zone, and the column keeps none".into());
    }
    let of_day = micros_of_day(clock, digits)? - offset.unwrap_or(0);
    let day = day(date, before_christ)? - EPOCH_DAYS;
    day.checked_mul(MICROS_A_DAY).and_then(|at| at.checked_add(of_day)).ok_or_else(|| RANGE.into())
}

/// A text that is a time of day.
pub(super) fn time_text(text: &str, digits: u8) -> Result<i64, Refusal> {
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

/// The day, from 1970-01-01, of a text such as `2024-01-31`.
fn day(text: &str, before_christ: bool) -> Result<i64, Refusal> {
    const NO_DATE: &str = "it is no date such as 2024-01-31";
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
    days_from_civil(year, month, day).ok_or_else(|| "there is no such day in the calendar".into())
}

/// The time of day, and the offset of the zone behind it in microseconds.
fn zone(text: &str) -> Result<(&str, Option<i64>), Refusal> {
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
        _ => return Err("its zone is none such as +01:00".into()),
    };
    Ok((clock, Some(if offset.starts_with('-') { -seconds } else { seconds } * 1_000_000)))
}

/// `12:00`, `12:00:00` or `12:00:00.000001`; 24:00:00 is the end of the day.
fn micros_of_day(text: &str, digits: u8) -> Result<i64, Refusal> {
    const NO_TIME: &str = "it is no time such as 12:00:00";
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
