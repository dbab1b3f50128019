//! Ranges of a column that divide the rows of a source among several connections. Only the arithmetic: no SQL but
//! comparisons, and no I/O.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// What the values of a partition column are, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeKind {
    /// Whole numbers.
    Integer,
    /// Dates, counted in days: `2024-01-31`.
    Date,
    /// Dates with a time, counted in microseconds: `2024-01-31 23:59:59.123456`.
    Moment,
}

impl RangeKind {
    fn parse(self, text: &str) -> Option<i128> {
        match self {
            Self::Integer => text.parse().ok(),
            Self::Date => {
                let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
                Some(i128::from(date.signed_duration_since(NaiveDate::default()).num_days()))
            }
            Self::Moment => {
                let moment = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
                Some(i128::from(moment.and_utc().timestamp_micros()))
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
            Self::Moment => {
                let moment = DateTime::from_timestamp_micros(i64::try_from(value).ok()?)?;
                Some(moment.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
            }
        }
    }

    /// The values that divide `least..=greatest` into about `count` equal ranges, each the first of its range. None when there
    /// is nothing to divide, or a bound is no value of this kind.
    pub fn cuts(self, least: Option<&str>, greatest: Option<&str>, count: usize) -> Vec<String> {
        let bounds = least.and_then(|text| self.parse(text)).zip(greatest.and_then(|text| self.parse(text)));
        let (Some((least, greatest)), Ok(parts)) = (bounds, i128::try_from(count)) else { return Vec::new() };
        let cut = |index: i128| least + (greatest - least + 1) * index / parts;
        let mut cuts: Vec<String> =
            (1..parts).map(cut).filter(|cut| *cut > least).filter_map(|cut| self.text(cut)).collect();
        cuts.dedup();
        cuts
    }
}

/// Conditions in SQL that divide all rows, those where `column` is NULL among them. `column` and `cuts` are SQL.
pub fn conditions(column: &str, cuts: &[String]) -> Vec<String> {
    let mut conditions = Vec::with_capacity(cuts.len() + 2);
    match (cuts.first(), cuts.last()) {
        (Some(first), Some(last)) => {
            conditions.push(format!("{column} < {first}"));
            conditions
                .extend(cuts.windows(2).map(|pair| format!("{column} >= {} AND {column} < {}", pair[0], pair[1])));
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
    fn ranges_of_equal_length_begin_at_the_cuts() {
        assert_eq!(RangeKind::Integer.cuts(Some("1"), Some("10"), 3), ["4", "7"]);
        assert_eq!(
            RangeKind::Integer.cuts(Some("-9223372036854775808"), Some("18446744073709551615"), 2),
            ["4611686018427387904"]
        );
        assert_eq!(RangeKind::Date.cuts(Some("2024-01-01"), Some("2024-01-04"), 2), ["2024-01-03"]);
        assert_eq!(
            RangeKind::Moment.cuts(Some("2024-01-01 00:00:00"), Some("2024-01-01 00:00:01.000000"), 2),
            ["2024-01-01 00:00:00.500000"]
        );
    }

    #[test]
    fn what_cannot_be_divided_has_no_cut() {
        for (least, greatest) in [(Some("5"), Some("5")), (None, None), (Some("x"), Some("9"))] {
            assert!(RangeKind::Integer.cuts(least, greatest, 4).is_empty(), "{least:?}");
        }
    }

    #[test]
    fn conditions_cover_every_value_once() {
        let cuts = ["4".to_owned(), "7".to_owned()];
        assert_eq!(conditions("id", &cuts), ["id < 4", "id >= 4 AND id < 7", "id >= 7", "id IS NULL"]);
        assert_eq!(conditions("id", &[]), ["id IS NOT NULL", "id IS NULL"]);
    }
}
