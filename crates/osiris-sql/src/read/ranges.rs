//! Ranges of a column that divide the rows of a source among several connections. Arithmetic only: no SQL except
//! comparisons, and no I/O.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// The kind of values in a partition column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeKind {
    /// Whole numbers.
    Integer,
    /// Dates, counted in days: `2024-01-31`.
    Date,
    /// Dates with a time, counted in microseconds: `2024-01-31 23:59:59.123456`.
    Timestamp,
}

impl RangeKind {
    fn parse(self, text: &str) -> Option<i128> {
        match self {
            Self::Integer => text.parse().ok(),
            Self::Date => {
                let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
                Some(i128::from(date.signed_duration_since(NaiveDate::default()).num_days()))
            }
            Self::Timestamp => {
                let timestamp = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
                Some(i128::from(timestamp.and_utc().timestamp_micros()))
            }
        }
    }

    fn text(self, value: i128) -> Option<String> {
        match self {
            Self::Integer => Some(value.to_string()),
            Self::Date => {
                let days = chrono::Duration::try_days(i64::try_from(value).ok()?)?;
                Some(NaiveDate::default().checked_add_signed(days)?.format("%Y-%m-%d").to_string())
            }
            Self::Timestamp => {
                let timestamp = DateTime::from_timestamp_micros(i64::try_from(value).ok()?)?;
                Some(timestamp.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
            }
        }
    }

    /// The values that divide `least..=greatest` into about `count` equal ranges, each the first of its range. Empty
    /// when there is nothing to divide, or a bound is not a value of this kind.
    pub fn split_points(self, least: Option<&str>, greatest: Option<&str>, count: usize) -> Vec<String> {
        let bounds = least.and_then(|text| self.parse(text)).zip(greatest.and_then(|text| self.parse(text)));
        let (Some((least, greatest)), Ok(parts)) = (bounds, i128::try_from(count)) else { return Vec::new() };
        let point = |index: i128| least + (greatest - least + 1) * index / parts;
        let mut points: Vec<String> =
            (1..parts).map(point).filter(|point| *point > least).filter_map(|point| self.text(point)).collect();
        points.dedup();
        points
    }

    /// Conditions in SQL that divide all rows, those where `column` is NULL among them, into about `count` ranges.
    /// `column` is SQL; `bounds` are its least and its greatest value; `literal` writes a value, which has digits and
    /// separators only.
    pub fn conditions(
        self,
        column: &str,
        bounds: Option<&Vec<Option<String>>>,
        count: usize,
        literal: impl Fn(String) -> String,
    ) -> Vec<String> {
        let bound = |index: usize| bounds?.get(index)?.as_deref();
        let (least, greatest) = (bound(0), bound(1));
        let points: Vec<String> = self.split_points(least, greatest, count).into_iter().map(literal).collect();
        conditions(column, &points)
    }
}

/// Conditions in SQL that divide all rows, those where `column` is NULL among them. `column` and `points` are SQL.
fn conditions(column: &str, points: &[String]) -> Vec<String> {
    let mut conditions = Vec::with_capacity(points.len() + 2);
    match (points.first(), points.last()) {
        (Some(first), Some(last)) => {
            conditions.push(format!("{column} < {first}"));
            conditions
                .extend(points.windows(2).map(|pair| format!("{column} >= {} AND {column} < {}", pair[0], pair[1])));
            conditions.push(format!("{column} >= {last}"));
        }
        _ => conditions.push(format!("{column} IS NOT NULL")),
    }
    conditions.push(format!("{column} IS NULL"));
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_equal_length_begin_at_the_split_points() {
        assert_eq!(RangeKind::Integer.split_points(Some("1"), Some("10"), 3), ["4", "7"]);
        assert_eq!(
            RangeKind::Integer.split_points(Some("-9223372036854775808"), Some("18446744073709551615"), 2),
            ["4611686018427387904"]
        );
        assert_eq!(RangeKind::Date.split_points(Some("2024-01-01"), Some("2024-01-04"), 2), ["2024-01-03"]);
        assert_eq!(
            RangeKind::Timestamp.split_points(Some("2024-01-01 00:00:00"), Some("2024-01-01 00:00:01.000000"), 2),
            ["2024-01-01 00:00:00.500000"]
        );
    }

    #[test]
    fn what_cannot_be_divided_has_no_split_point() {
        for (least, greatest) in [(Some("5"), Some("5")), (None, None), (Some("x"), Some("9"))] {
            assert!(RangeKind::Integer.split_points(least, greatest, 4).is_empty(), "{least:?}");
        }
    }

    #[test]
    fn conditions_cover_every_value_once() {
        let points = ["4".to_owned(), "7".to_owned()];
        assert_eq!(conditions("id", &points), ["id < 4", "id >= 4 AND id < 7", "id >= 7", "id IS NULL"]);
        assert_eq!(conditions("id", &[]), ["id IS NOT NULL", "id IS NULL"]);
    }
}
