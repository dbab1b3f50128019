//! Values of settings as people write them.

use std::str::FromStr;
use std::time::Duration;

/// What is expected where a number of bytes stands.
const BYTES: &str = "a size such as `2GB`, `512MiB` or a number of bytes";

/// A number of bytes: `2GB`, `1.5GiB`, `512 MB`, `1000000`. Decimal units are powers of 1000, those with an `i` of
/// 1024.
///
/// # Errors
/// What was expected instead; nothing and zero are no sizes.
pub fn parse_bytes(text: &str) -> Result<u64, &'static str> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: u128 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(BYTES),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| BYTES)?;
    let scale = u32::try_from(fraction.len()).ok().and_then(|places| 10u128.checked_pow(places)).ok_or(BYTES)?;
    let bytes = digits.checked_mul(unit).ok_or(BYTES)? / scale;
    u64::try_from(bytes).ok().filter(|bytes| *bytes > 0).ok_or(BYTES)
}

/// The least memory for the tables of a run: below it DuckDB cannot hold a few blocks for each thread.
const MIN_MEMORY: u64 = 32_000_000;

/// A number of bytes that is enough for the tables of a run.
///
/// # Errors
/// What was expected instead.
pub fn parse_memory_limit(text: &str) -> Result<u64, &'static str> {
    let bytes = parse_bytes(text)?;
    if bytes < MIN_MEMORY { Err("at least 32 MB, such as `2GB`") } else { Ok(bytes) }
}

/// A whole number from 1.
///
/// # Errors
/// What was expected instead.
pub fn parse_count(text: &str) -> Result<usize, &'static str> {
    text.trim().parse().ok().filter(|count| *count > 0).ok_or("a whole number from 1")
}

/// A length of time: `90`, `90s`, `1.5m`, `2h`, `500ms`. A number alone is seconds.
///
/// # Errors
/// What was expected instead.
pub fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    const DURATION: &str = "a duration such as `90s`, `5m`, `2h` or a number of seconds";
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(DURATION),
    };
    let number: f64 = number.parse().map_err(|_| DURATION)?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| DURATION)
}

/// How long runs are kept: a duration with its unit. A number of seconds would be a mistake, and what is removed is gone.
pub(super) fn parse_retention(text: &str) -> Result<Duration, &'static str> {
    const RETENTION: &str = "a duration with its unit, such as `30d` or `12h`";
    let has_unit = text.trim_end().ends_with(|c: char| c.is_ascii_alphabetic());
    if has_unit { parse_duration(text).map_err(|_| RETENTION) } else { Err(RETENTION) }
}

/// From which level on the program logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Errors.
    Error,
    /// Warnings, too.
    #[default]
    Warn,
    /// What a user may want to know.
    Info,
    /// What a developer may want to know.
    Debug,
    /// Everything.
    Trace,
}

impl FromStr for LogLevel {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "off" => Self::Off,
            "error" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => return Err("`off`, `error`, `warn`, `info`, `debug` or `trace`"),
        })
    }
}

/// How the program logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("`text` or `json`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact() {
        let sizes = [
            ("2GB", 2_000_000_000),
            ("1.5 GiB", 1_610_612_736),
            ("0.1kb", 100),
            ("512MiB", 536_870_912),
            ("1000000", 1_000_000),
            (".5k", 500),
        ];
        for (text, bytes) in sizes {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        let long = format!("1.{}GB", "0".repeat(60));
        for text in ["", "0", "0.0001k", "-1GB", "1 2", "1.2.3", "2XB", "GB", "99999999TB", &long] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_memory_limit_has_a_minimum() {
        assert_eq!(parse_memory_limit("32MB"), Ok(32_000_000));
        assert_eq!(parse_memory_limit("31MB"), Err("at least 32 MB, such as `2GB`"));
        assert_eq!(parse_memory_limit("2XB"), Err(BYTES));
    }

    #[test]
    fn a_count_begins_at_one() {
        assert_eq!(parse_count(" 4 "), Ok(4));
        for text in ["0", "-1", "1.5", "four", ""] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }
}
