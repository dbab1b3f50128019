//! The values of a cursor column: which of them SQLite compares as what they are, how they are parsed, and how they are
//! printed. SQLite compares values by their type first, and times as texts.

use osiris_core::{ColumnType, Error, Result};
use osiris_sql::text::number::{decimal_text, parse_decimal, significant_digits};
use osiris_sql::text::temporal::{date_text, parse_date, parse_timestamp, timestamp_text};

use crate::client::literal;
use crate::types::{Affinity, ColumnPlan, DIGITS, ValueDecoder};

const MICROS_OF_SECOND: u128 = 1_000_000;
const SECONDS_OF_DAY: u128 = 86_400;

/// How values of the cursor column are written and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CursorKind {
    Integer,
    /// Of this precision and scale.
    Decimal(u8, u8),
    Date,
    Timestamp(TimeForm),
    Text,
}

impl CursorKind {
    /// Of a column.
    ///
    /// # Errors
    /// A type that has no exact order.
    pub(super) fn of(plan: &ColumnPlan) -> Result<Self> {
        let ValueDecoder { declared, column_type } = &plan.decoder;
        match *column_type {
            ColumnType::BigInt => Ok(Self::Integer),
            ColumnType::Decimal(precision, scale) if Affinity::of(declared) == Affinity::Numeric => {
                Ok(Self::Decimal(precision, scale))
            }
            ColumnType::Date => Ok(Self::Date),
            ColumnType::Timestamp => Ok(Self::Timestamp(TimeForm::default())),
            ColumnType::Varchar => Ok(Self::Text),
            _ => Err(Error::validation(format!("`{}` is {column_type}, which cannot be a cursor", plan.name()))
                .with_hint("name an INTEGER, DECIMAL, DATE, TIMESTAMP or TEXT column: others have no exact order")),
        }
    }

    /// Whether its values have this type in SQLite, which sorts values of other types apart.
    pub(super) fn has(self, found: &str) -> bool {
        match self {
            Self::Integer => found == "integer",
            Self::Decimal(..) => matches!(found, "integer" | "real"),
            Self::Date | Self::Timestamp(_) | Self::Text => found == "text",
        }
    }

    /// What a value looks like, for messages.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Integer => "a whole number".to_owned(),
            Self::Decimal(precision, scale) => {
                format!("digits of DECIMAL({precision},{scale}), {DIGITS} of them at most if there is a fraction")
            }
            Self::Date => "YYYY-MM-DD".to_owned(),
            Self::Timestamp(_) => "YYYY-MM-DD HH:MM:SS".to_owned(),
            Self::Text => "a text".to_owned(),
        }
    }

    /// The pattern of its values, for GLOB.
    pub(super) fn pattern(self) -> Option<String> {
        const DATE: &str = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]";
        match self {
            Self::Date => Some(format!("'{DATE}'")),
            Self::Timestamp(_) => Some(format!("'{DATE}[ T][0-9][0-9]:[0-9][0-9]*'")),
            Self::Integer | Self::Decimal(..) | Self::Text => None,
        }
    }

    /// A value as SQL, in the form that the column has; none where it is no such value.
    pub(super) fn sql(self, value: &str) -> Option<String> {
        let text = if self == Self::Text { value.to_owned() } else { self.print(self.parse(value)?)? };
        Some(if self.has("text") { literal(&text) } else { text })
    }

    /// Whether a value of the column is in the form in which values are compared with it.
    pub(super) fn is_printed(self, value: &str) -> bool {
        self == Self::Text || self.parse(value).and_then(|units| self.print(units)).as_deref() == Some(value)
    }

    /// The value that is `lag` seconds, or a difference of `lag`, before `value`; none where there is none.
    pub(super) fn earlier(self, value: &str, lag: f64) -> Option<String> {
        let micros = std::time::Duration::try_from_secs_f64(lag).ok()?.as_micros();
        let units = match self {
            Self::Integer => micros.div_ceil(MICROS_OF_SECOND),
            Self::Decimal(_, scale) => {
                micros.checked_mul(10_u128.checked_pow(scale.into())?)?.div_ceil(MICROS_OF_SECOND)
            }
            Self::Date => micros.div_ceil(MICROS_OF_SECOND * SECONDS_OF_DAY),
            Self::Timestamp(_) => micros,
            Self::Text => return None,
        };
        self.print(self.parse(value)?.checked_sub(i128::try_from(units).ok()?)?)
    }

    /// A value as a count of its smallest units.
    fn parse(self, text: &str) -> Option<i128> {
        match self {
            Self::Integer => text.parse::<i64>().ok().map(i128::from),
            Self::Decimal(precision, scale) => parse_decimal(text, precision, scale),
            Self::Date => parse_date(text.as_bytes()).map(i128::from),
            Self::Timestamp(_) => {
                let midnight = || Some(i64::from(parse_date(text.as_bytes())?) * 86_400_000_000);
                parse_timestamp(text.as_bytes()).or_else(midnight).map(i128::from)
            }
            Self::Text => None,
        }
    }

    fn print(self, units: i128) -> Option<String> {
        let whole = || i64::try_from(units).ok();
        match self {
            Self::Integer => whole().map(|value| value.to_string()),
            Self::Decimal(_, scale) => {
                let text = decimal_text(units, scale.into());
                let text = if scale > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
                // Other numbers are floating point in SQLite.
                let is_exact = text.parse::<i64>().is_ok() || significant_digits(text) <= DIGITS.into();
                is_exact.then(|| text.to_owned())
            }
            Self::Date => date_text(whole()?),
            Self::Timestamp(form) => timestamp_text(whole()?).map(|text| form.of(&text)),
            Self::Text => None,
        }
    }
}

/// How the times of a column are written. Each time has one text, and texts are in the order of the times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TimeForm {
    has_t: bool,
    /// `10:00` instead of `10:00:00`.
    without_seconds: bool,
    /// The digits of a fraction of zero.
    digits_of_zero: usize,
    /// The digits of any other fraction, where all have as many.
    digits: usize,
}

impl TimeForm {
    /// An aggregate over `column` for [`parse`](Self::parse).
    pub(super) fn select(column: &str) -> String {
        format!(
            "count(DISTINCT substr({column}, 11, 1)), max(substr({column}, 11, 1) = 'T'), min(length({column})), \
             max(length({column})), min(length({column})) FILTER (WHERE length({column}) > 19), \
             max(length({column}) > 19 AND {column} GLOB '*0'), max(rtrim({column}, '0') GLOB '*.')"
        )
    }

    /// The one form of all values, of what SQLite says of them.
    ///
    /// # Errors
    /// Several forms: what is wrong with them.
    pub(super) fn parse(row: &[Option<String>]) -> Result<Self, &'static str> {
        let number = |index: usize| -> usize {
            row.get(index).and_then(|field| field.as_deref()?.parse().ok()).unwrap_or_default()
        };
        let (shortest, longest, shortest_fraction) = (number(2), number(3), number(4));
        let (ends_in_zero, is_zero) = (number(5) == 1, number(6) == 1);
        let fractions_differ = shortest_fraction > 0 && shortest_fraction != longest;
        if number(0) > 1 {
            return Err("with a `T` and with a space");
        }
        if shortest < 19 && longest > shortest || fractions_differ && ends_in_zero || shortest < 20 && is_zero {
            return Err("of several lengths, such as 10:00:00 and 10:00:00.000");
        }
        let digits = if fractions_differ { 0 } else { longest.saturating_sub(20) };
        Ok(Self {
            has_t: number(1) == 1,
            without_seconds: (1..19).contains(&longest),
            digits_of_zero: if shortest > 19 { digits } else { 0 },
            digits,
        })
    }

    /// `2024-01-31 10:00:00.500000`, or without a fraction, in this form; with more digits where they are needed.
    fn of(self, text: &str) -> String {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = if fraction.is_empty() { self.digits_of_zero } else { self.digits };
        let mut text = if self.has_t { seconds.replace(' ', "T") } else { seconds.to_owned() };
        if digits > 0 || !fraction.is_empty() {
            text.push_str(&format!(".{fraction:0<digits$}"));
        } else if self.without_seconds && text.ends_with(":00") {
            text.truncate(16);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(row: [&str; 7]) -> Result<TimeForm, &'static str> {
        TimeForm::parse(&row.map(|field| (!field.is_empty()).then(|| field.to_owned())))
    }

    #[test]
    fn times_are_printed_in_the_form_of_the_column() {
        for (row, value, printed) in [
            (["1", "0", "19", "19", "", "0", "0"], "2024-01-31T10:00", "'2024-01-31 10:00:00'"),
            (["1", "1", "19", "19", "", "0", "0"], "2024-01-31", "'2024-01-31T00:00:00'"),
            (["1", "0", "16", "16", "", "0", "0"], "2024-01-31 10:00:00", "'2024-01-31 10:00'"),
            (["1", "0", "16", "16", "", "0", "0"], "2024-01-31 10:00:30", "'2024-01-31 10:00:30'"),
            (["1", "0", "23", "23", "23", "1", "1"], "2024-01-31 10:00", "'2024-01-31 10:00:00.000'"),
            (["1", "0", "23", "23", "23", "1", "0"], "2024-01-31 10:00:00.0005", "'2024-01-31 10:00:00.0005'"),
            // As Python and the writer of this crate write them: six digits or none.
            (["1", "0", "19", "26", "26", "1", "0"], "2024-01-31 10:00:00.5", "'2024-01-31 10:00:00.500000'"),
            (["1", "0", "19", "26", "26", "1", "0"], "2024-01-31 10:00", "'2024-01-31 10:00:00'"),
            (["1", "0", "19", "26", "21", "0", "0"], "2024-01-31 10:00:00.50", "'2024-01-31 10:00:00.5'"),
        ] {
            let kind = CursorKind::Timestamp(form(row).unwrap());
            assert_eq!(kind.sql(value).as_deref(), Some(printed), "{row:?}");
        }
    }

    #[test]
    fn numbers_keep_their_digits_and_a_lag_ends_before_the_value() {
        let decimal = CursorKind::Decimal(18, 2);
        assert_eq!(decimal.sql("9007199254740993.00").as_deref(), Some("9007199254740993"));
        assert_eq!(decimal.sql("-5.50").as_deref(), Some("-5.5"));
        assert_eq!(decimal.sql("90071992547409.93"), None);
        assert_eq!(CursorKind::Decimal(38, 0).sql("-100000000000000000000").as_deref(), Some("-100000000000000000000"));
        assert_eq!(CursorKind::Decimal(38, 0).sql("9223372036854775809"), None);
        assert_eq!(decimal.earlier("5", 0.001).as_deref(), Some("4.99"));
        assert_eq!(CursorKind::Integer.earlier("5", 1.5).as_deref(), Some("3"));
        assert_eq!(CursorKind::Integer.earlier("-9223372036854775808", 1.0), None);
        assert_eq!(CursorKind::Date.earlier("2024-01-31", 60.0).as_deref(), Some("2024-01-30"));
        assert_eq!(CursorKind::Date.earlier("2024-01-31", 1.0e12), None);
    }
}
