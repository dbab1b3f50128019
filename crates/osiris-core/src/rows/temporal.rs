//! Dates and times by their text, where a column is declared to have them. Digits beyond microseconds do not fit.

use arrow::compute::kernels::cast_utils::string_to_datetime;
use chrono::{NaiveDate, NaiveTime, Timelike, Utc};

const MICROSECOND: u32 = 1_000;

/// `2024-01-31` as days since 1970.
pub(super) fn days(text: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// `12:34:56.789` as microseconds.
pub(super) fn time_of_day(text: &str) -> Option<i64> {
    let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok()?;
    let nanoseconds = time.nanosecond();
    (nanoseconds % MICROSECOND == 0 && nanoseconds < 1_000_000_000)
        .then(|| i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(nanoseconds / MICROSECOND))
}

/// A date and time of no zone as microseconds since 1970.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let time = text.get(10..)?;
    let zoned = time.contains(['Z', 'z', '+', '-']);
    (!zoned).then(|| instant(text))?
}

/// A date and time as microseconds since 1970; without a zone it is UTC.
pub(super) fn instant(text: &str) -> Option<i64> {
    let time = string_to_datetime(&Utc, text).ok()?;
    (time.nanosecond() % MICROSECOND == 0).then(|| time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_to_the_microsecond_and_no_further() {
        assert_eq!(days("1970-01-02"), Some(1));
        assert_eq!(days("2024-02-30"), None);
        assert_eq!(time_of_day("00:00:01.5"), Some(1_500_000));
        assert_eq!(time_of_day("00:00:01.0000001"), None);
        assert_eq!(instant("1970-01-01T01:00:00.000001+01:00"), Some(1));
        assert_eq!(instant("1970-01-01 00:00:00.000001"), Some(1));
        assert_eq!(instant("1970-01-01T00:00:00.0000001Z"), None);
        assert_eq!(instant("infinity"), None);
        assert_eq!(timestamp("1970-01-01T00:00:01"), Some(1_000_000));
        assert_eq!(timestamp("1970-01-01T00:00:01Z"), None);
        assert_eq!(timestamp("1969-12-31T23:00:00-01:00"), None);
    }
}
