//! Dates and times of the binary protocol
//! (<https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>): a length, then only the
//! parts that are not zero. Decoded here and not by the client library, which turns zero dates into NULL and rejects
//! long times.

use std::fmt::Write as _;

use osiris_sql::calendar::days_from_civil;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A date or timestamp as sent, which may be invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateTime {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    micros: u32,
}

/// A time, which may be negative and longer than a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    negative: bool,
    hours: u64,
    minute: u8,
    second: u8,
    micros: u32,
}

fn u32_at(raw: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(raw.get(at..at + 4)?.try_into().ok()?))
}

impl DateTime {
    /// Reads a DATE, DATETIME or TIMESTAMP, prefixed with its length.
    pub(crate) fn parse(raw: &[u8]) -> Option<Self> {
        let (length, rest) = raw.split_first()?;
        let mut value = Self { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0, micros: 0 };
        if rest.len() != usize::from(*length) || !matches!(length, 0 | 4 | 7 | 11) {
            return None;
        }
        if let [low, high, month, day, ..] = *rest {
            (value.year, value.month, value.day) = (u16::from_le_bytes([low, high]), month, day);
        }
        if let [_, _, _, _, hour, minute, second, ..] = *rest {
            (value.hour, value.minute, value.second) = (hour, minute, second);
        }
        if *length == 11 {
            value.micros = u32_at(rest, 7)?;
        }
        Some(value)
    }

    /// Days since the epoch; `None` for zero, partial and invalid dates.
    pub(crate) fn days(self) -> Option<i32> {
        let days = days_from_civil(i64::from(self.year), i64::from(self.month), i64::from(self.day))?;
        i32::try_from(days).ok()
    }

    /// Microseconds since the epoch; `None` as for [`days`](Self::days).
    pub(crate) fn epoch_micros(self) -> Option<i64> {
        let seconds = i64::from(self.days()?) * 86_400
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second);
        Some(seconds * MICROS_PER_SECOND + i64::from(self.micros))
    }

    /// As the server prints it: a date, and with `fraction` a time with this number of fractional digits.
    pub(crate) fn print(self, text: &mut String, fraction: Option<u8>) {
        let Self { year, month, day, hour, minute, second, micros } = self;
        // Writing to a String cannot fail.
        let _ = write!(text, "{year:04}-{month:02}-{day:02}");
        if let Some(digits) = fraction {
            let _ = write!(text, " {hour:02}:{minute:02}:{second:02}");
            print_fraction(text, micros, digits);
        }
    }
}

impl Span {
    /// Reads a TIME, prefixed with its length.
    pub(crate) fn parse(raw: &[u8]) -> Option<Self> {
        let (length, rest) = raw.split_first()?;
        let mut span = Self { negative: false, hours: 0, minute: 0, second: 0, micros: 0 };
        if rest.len() != usize::from(*length) || !matches!(length, 0 | 8 | 12) {
            return None;
        }
        if let [sign, _, _, _, _, hour, minute, second, ..] = *rest {
            span.negative = sign != 0;
            span.hours = u64::from(u32_at(rest, 1)?) * 24 + u64::from(hour);
            (span.minute, span.second) = (minute, second);
        }
        if *length == 12 {
            span.micros = u32_at(rest, 8)?;
        }
        Some(span)
    }

    /// Its microseconds.
    pub(crate) fn micros(self) -> Option<i64> {
        let hours = i64::try_from(self.hours).ok()?;
        let seconds = hours.checked_mul(3600)?.checked_add(i64::from(self.minute) * 60 + i64::from(self.second))?;
        let micros = seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(i64::from(self.micros))?;
        Some(if self.negative { -micros } else { micros })
    }

    /// As the server prints it, with this number of fractional digits.
    pub(crate) fn print(self, text: &mut String, digits: u8) {
        let Self { negative, hours, minute, second, micros } = self;
        let sign = if negative { "-" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{sign}{hours:02}:{minute:02}:{second:02}");
        print_fraction(text, micros, digits);
    }
}

fn print_fraction(text: &mut String, micros: u32, digits: u8) {
    let digits = usize::from(digits.min(6));
    if digits > 0 {
        let all = format!("{micros:06}");
        let _ = write!(text, ".{}", &all[..digits]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(raw: &[u8], fraction: Option<u8>) -> (Option<i64>, String) {
        let value = DateTime::parse(raw).unwrap();
        let mut text = String::new();
        value.print(&mut text, fraction);
        (value.epoch_micros(), text)
    }

    #[test]
    fn moments_are_read_with_as_many_parts_as_were_sent() {
        assert_eq!(value(&[0], None), (None, "0000-00-00".to_owned()));
        assert_eq!(value(&[4, 0xe8, 0x07, 2, 29], None), (Some(1_709_164_800_000_000), "2024-02-29".to_owned()));
        assert_eq!(value(&[4, 0xe7, 0x07, 2, 29], None).0, None);
        assert_eq!(value(&[4, 0xe8, 0x07, 2, 0], None), (None, "2024-02-00".to_owned()));
        let full = [11, 0x0f, 0x27, 12, 31, 23, 59, 59, 0x3f, 0x42, 0x0f, 0];
        assert_eq!(value(&full, Some(6)), (Some(253_402_300_799_999_999), "9999-12-31 23:59:59.999999".to_owned()));
        assert_eq!(
            value(&[7, 0xb2, 0x07, 1, 1, 0, 0, 1], Some(0)),
            (Some(1_000_000), "1970-01-01 00:00:01".to_owned())
        );
        assert_eq!(DateTime::parse(&[5, 1, 2, 3, 4, 5]), None);
        assert_eq!(DateTime::parse(&[7, 1, 2]), None);
    }

    #[test]
    fn times_are_signed_and_may_be_longer_than_a_day() {
        let longest = [12, 1, 34, 0, 0, 0, 22, 59, 59, 0x3f, 0x42, 0x0f, 0];
        let span = Span::parse(&longest).unwrap();
        assert_eq!(span.micros(), Some(-3_020_399_999_999));
        let mut text = String::new();
        span.print(&mut text, 6);
        assert_eq!(text, "-838:59:59.999999");
        assert_eq!(Span::parse(&[0]).unwrap().micros(), Some(0));
        assert_eq!(Span::parse(&[3, 0, 0, 0]), None);
    }
}
