//! Parses intervals as PostgreSQL prints them: `1 year 2 mons -3 days 04:05:06.789`, or in ISO 8601 (`intervalstyle`).

use arrow::datatypes::IntervalMonthDayNano;

use super::ConversionError;

const MICROSECOND: i64 = 1_000;
const SECOND: i64 = 1_000_000;

#[derive(Default)]
struct Parts {
    months: i64,
    days: i64,
    micros: i64,
}

/// Months, days and microseconds.
pub(super) fn parse(text: &str) -> Result<IntervalMonthDayNano, ConversionError> {
    let parts = if let Some(iso) = text.strip_prefix('P') { iso_8601(iso) } else { words(text) };
    let parts = parts.ok_or("unknown format")?;
    let whole = || {
        let months = i32::try_from(parts.months).ok()?;
        let days = i32::try_from(parts.days).ok()?;
        Some(IntervalMonthDayNano::new(months, days, parts.micros.checked_mul(MICROSECOND)?))
    };
    whole().ok_or_else(|| "longer than the run store can hold".to_owned())
}

/// `1 year 2 mons -3 days 04:05:06`.
fn words(text: &str) -> Option<Parts> {
    let mut parts = Parts::default();
    let mut words = text.split_ascii_whitespace();
    let mut seen = false;
    while let Some(word) = words.next() {
        seen = true;
        if word.contains(':') {
            parts.micros = parts.micros.checked_add(clock(word)?)?;
            continue;
        }
        let count: i64 = word.parse().ok()?;
        match words.next()?.trim_end_matches('s') {
            "year" => parts.months = parts.months.checked_add(count.checked_mul(12)?)?,
            "mon" => parts.months = parts.months.checked_add(count)?,
            "day" => parts.days = parts.days.checked_add(count)?,
            _ => return None,
        }
    }
    seen.then_some(parts)
}

/// `-04:05:06.789`.
fn clock(text: &str) -> Option<i64> {
    let (sign, text) = sign(text);
    let mut fields = text.splitn(3, ':');
    let hours: i64 = fields.next()?.parse().ok()?;
    let minutes: i64 = fields.next()?.parse().ok()?;
    let seconds = seconds(fields.next()?)?;
    let whole = hours.checked_mul(3600)?.checked_add(minutes * 60)?;
    Some(sign * whole.checked_mul(SECOND)?.checked_add(seconds)?)
}

/// Parses seconds with a fraction as microseconds.
fn seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 6 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(SECOND)?.checked_add(micros)
}

fn sign(text: &str) -> (i64, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// `1Y2M-3DT4H5M6.789S`.
fn iso_8601(text: &str) -> Option<Parts> {
    let mut parts = Parts::default();
    let (mut rest, mut of_day) = (text, false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            (rest, of_day) = (after, true);
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = (&rest[..end], rest[end..].chars().next()?);
        rest = &rest[end + 1..];
        if unit == 'S' {
            let (sign, number) = sign(number);
            parts.micros = parts.micros.checked_add(sign * seconds(number)?)?;
            continue;
        }
        let count: i64 = number.parse().ok()?;
        match (unit, of_day) {
            ('Y', false) => parts.months = parts.months.checked_add(count.checked_mul(12)?)?,
            ('M', false) => parts.months = parts.months.checked_add(count)?,
            ('D', false) => parts.days = parts.days.checked_add(count)?,
            ('H', true) => parts.micros = parts.micros.checked_add(count.checked_mul(3600 * SECOND)?)?,
            ('M', true) => parts.micros = parts.micros.checked_add(count.checked_mul(60 * SECOND)?)?,
            _ => return None,
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_in_both_styles() {
        let expected = IntervalMonthDayNano::new(14, -3, (4 * 3600 + 5 * 60 + 6) * 1_000_000_000 + 789_000_000);
        for text in ["1 year 2 mons -3 days +04:05:06.789", "P1Y2M-3DT4H5M6.789S"] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        assert_eq!(parse("-00:00:00.000001"), Ok(IntervalMonthDayNano::new(0, 0, -1000)));
        assert_eq!(parse("00:00:00"), Ok(IntervalMonthDayNano::new(0, 0, 0)));
        assert_eq!(parse("PT0S"), Ok(IntervalMonthDayNano::new(0, 0, 0)));
        assert_eq!(parse("PT-0.5S"), Ok(IntervalMonthDayNano::new(0, 0, -500_000_000)));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "1 fortnight", "1", "99999999999 days", "@ 1 year ago", "P1X", "9999999999:00:00"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
