//! Numbers and texts in a readable form.

use std::borrow::Cow;
use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `5,026 rows`, `1 row`.
pub(crate) fn rows(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "row" } else { "rows" })
}

/// How much of a text of the user is shown.
const WIDTH: usize = 72;

/// The beginning of a text, on one line.
pub(crate) fn one_line(text: &str) -> String {
    beginning(&text.split_whitespace().collect::<Vec<_>>().join(" "), WIDTH).into_owned()
}

/// At most so many characters of a text.
pub(crate) fn beginning(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Decimal units, one digit behind the point.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    for (unit, size) in UNITS {
        if number >= size {
            return format!("{}.{} {unit}", number / size, number % size * 10 / size);
        }
    }
    format!("{number} B")
}

/// Seconds with two digits behind the point.
pub(crate) fn seconds(duration: Duration) -> String {
    let centis = (duration.as_millis() + 5) / 10;
    format!("{}.{:02}", centis / 100, centis % 100)
}

/// A length of time in its two greatest units: `12 s`, `3 m 05 s`, `2 h 07 m`.
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Rows per second; empty if the time is too short.
pub(crate) fn rate(rows: u64, duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 || rows == 0 {
        return String::new();
    }
    let rate = u128::from(rows) * 1000 / millis;
    count(u64::try_from(rate).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2].map(rows), ["1 row", "2 rows"]);
        assert_eq!([5, 1_500, 2_345_678, 12_000_000_000].map(bytes), ["5 B", "1.5 kB", "2.3 MB", "12.0 GB"]);
        assert_eq!([0, 4, 5, 61_239].map(|ms| seconds(Duration::from_millis(ms))), ["0.00", "0.00", "0.01", "61.24"]);
        let lengths = [9, 60, 185, 7_620].map(|seconds| duration(Duration::from_secs(seconds)));
        assert_eq!(lengths, ["9 s", "1 m 00 s", "3 m 05 s", "2 h 07 m"]);
        assert_eq!(rate(5_026, Duration::from_millis(500)), "10,052");
        assert_eq!(rate(5, Duration::ZERO), "");
    }
}
