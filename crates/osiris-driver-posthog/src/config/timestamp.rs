//! Timestamps as written in a configuration, and as PostHog writes them in responses: microseconds since 1970, UTC.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A timestamp with microseconds. Written as RFC 3339 (`2024-01-31T12:00:00.5Z`, `2024-01-31T13:00:00+01:00`); without
/// an offset it is UTC, and a date alone is midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the beginning of 1970, UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the beginning of 1970, UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Parses a text; `None` when it is not a timestamp.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Some(Self(time.timestamp_micros()));
        }
        let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .or_else(|| Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN)));
        naive.map(|naive| Self(naive.and_utc().timestamp_micros()))
    }

    fn date_time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// As HogQL's `toDateTime64` reads it: `2024-01-31 12:00:00.000000`.
    pub(crate) fn hogql(self) -> String {
        self.date_time().format("%Y-%m-%d %H:%M:%S%.6f").to_string()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.date_time().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom("invalid timestamp: expected `YYYY-MM-DD` or RFC 3339, such as `2024-01-31T12:00:00Z`")
        })
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_timestamp_is_read_to_the_microsecond() {
        for (text, expected) in [
            ("2024-01-31T12:00:00.123456Z", "2024-01-31T12:00:00.123456Z"),
            ("2024-01-31T12:00:00+02:00", "2024-01-31T10:00:00.000000Z"),
            ("2024-01-31 12:00:00.5", "2024-01-31T12:00:00.500000Z"),
            ("2024-01-31T12:00:00", "2024-01-31T12:00:00.000000Z"),
            ("2024-01-31", "2024-01-31T00:00:00.000000Z"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "yesterday", "2024-13-01", "1706702400"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
        assert_eq!(Timestamp::parse("1969-12-31T23:59:59.999999Z").unwrap().hogql(), "1969-12-31 23:59:59.999999");
    }
}
