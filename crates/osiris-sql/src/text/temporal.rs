//! Dates and times in the forms of ISO 8601 that databases share, strict: `2024-01-31`, `23:59:59.123456`.

use crate::calendar::{civil_from_days, days_from_civil};

const MICROS_OF_DAY: i64 = 86_400_000_000;

/// The number that is written in exactly these digits.
fn digits(bytes: &[u8]) -> Option<i64> {
    let is_number = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    is_number.then(|| bytes.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// Days since 1970-01-01 of `2024-01-31`.
pub fn parse_date(text: &[u8]) -> Option<i32> {
    let [year @ .., b'-', m1, m2, b'-', d1, d2] = text else { return None };
    if year.len() != 4 {
        return None;
    }
    let day = days_from_civil(digits(year)?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?)?;
    i32::try_from(day).ok()
}

/// Microseconds since midnight of `23:59`, `23:59:59` or `23:59:59.123456`; further digits must be zeros.
pub fn parse_time(text: &[u8]) -> Option<i64> {
    let (clock, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(point) => (&text[..point], Some(&text[point + 1..])),
        None => (text, None),
    };
    let (hour, minute, second) = match clock {
        [h1, h2, b':', m1, m2] if fraction.is_none() => (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, 0),
        [h1, h2, b':', m1, m2, b':', s1, s2] => (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?),
        _ => return None,
    };
    let micros = fraction.map_or(Some(0), parse_fraction)?;
    (hour < 24 && minute < 60 && second < 60).then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

fn parse_fraction(fraction: &[u8]) -> Option<i64> {
    let (kept, rest) = fraction.split_at(fraction.len().min(6));
    let scale = 10_i64.pow(6 - u32::try_from(kept.len()).ok()?);
    rest.iter().all(|digit| *digit == b'0').then_some(digits(kept)? * scale)
}

/// Microseconds since 1970-01-01 00:00 of a date, then a space or a `T`, then a time.
pub fn parse_timestamp(text: &[u8]) -> Option<i64> {
    if !matches!(text.get(10), Some(b' ' | b'T')) {
        return None;
    }
    let days = i64::from(parse_date(&text[..10])?);
    days.checked_mul(MICROS_OF_DAY)?.checked_add(parse_time(&text[11..])?)
}

/// The same in UTC of a text that ends in `Z` or an offset such as `+01:00`.
pub fn parse_instant(text: &[u8]) -> Option<i64> {
    if let [local @ .., b'Z'] = text {
        return parse_timestamp(local);
    }
    let [local @ .., sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = text else { return None };
    let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
    let offset = (hours * 60 + minutes) * 60_000_000;
    let is_offset = hours < 15 && minutes < 60;
    let local = parse_timestamp(local).filter(|_| is_offset)?;
    if *sign == b'+' { local.checked_sub(offset) } else { local.checked_add(offset) }
}

/// A day as text; none outside of the years 0 to 9999.
pub fn date_text(day: i64) -> Option<String> {
    let (year, month, day) = civil_from_days(day);
    (0..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// Microseconds since midnight as text, with a fraction where there is one.
pub fn time_text(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { clock } else { format!("{clock}.{fraction:06}") }
}

/// Microseconds since 1970-01-01 00:00 as text.
pub fn timestamp_text(micros: i64) -> Option<String> {
    let date = date_text(micros.div_euclid(MICROS_OF_DAY))?;
    Some(format!("{date} {}", time_text(micros.rem_euclid(MICROS_OF_DAY))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for micros in [0, 1, -1, 1_706_745_599_123_456, -62_167_219_200_000_000, 253_402_300_799_999_999] {
            let text = timestamp_text(micros).unwrap();
            assert_eq!(parse_timestamp(text.as_bytes()), Some(micros), "{text}");
            assert_eq!(parse_instant(format!("{text}+00:00").as_bytes()), Some(micros), "{text}");
        }
        assert_eq!(timestamp_text(253_402_300_800_000_000), None);
    }

    #[test]
    fn what_is_no_such_text_is_not_read() {
        for text in ["2024-02-30", "2024-1-31", "24-01-31", "2024-01-31 ", "20240131", ""] {
            assert_eq!(parse_date(text.as_bytes()), None, "{text}");
        }
        for text in ["24:00", "23:60", "23:59:60", "23:59.5", "23:59:59.", "23:59:59.1234567", "3:04"] {
            assert_eq!(parse_time(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_time(b"23:59:59.1234560"), Some(86_399_123_456));
        assert_eq!(parse_timestamp(b"2024-01-31T00:00Z"), None);
        assert_eq!(parse_instant(b"1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_instant(b"1970-01-01T01:00:00"), None);
    }
}
