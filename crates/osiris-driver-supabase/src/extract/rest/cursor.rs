//! Incremental reads over REST: the ranges of a run as conditions. The server compares values by its own rules.

use chrono::{DateTime, TimeDelta, Utc};
use osiris_core::{Error, Result};
use osiris_sql::read::cursor::{CLOCK_TOLERANCE_SECONDS, Cursor, End, Part, Start};

use super::values::{self, Timestamp};
use crate::filter::Condition;

/// Types with an exact order and an exact text form.
const ORDERED: [&str; 12] = [
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "date",
    "timestamp without time zone",
    "timestamp with time zone",
    "text",
    "character varying",
    "character",
    "uuid",
    "citext",
];

/// Refuses a cursor column of a type without an exact order.
///
/// # Errors
/// For such a type, or an unsupported lag.
pub(super) fn check(cursor: &Cursor, format: &str) -> Result<()> {
    if !ORDERED.contains(&format) {
        return Err(Error::validation(format!("`{}` cannot be a cursor: it is {format}", cursor.column)).with_hint(
            "use an integer, numeric, date, timestamp, uuid or text column: other types have no exact order",
        ));
    }
    let has_distance =
        matches!(format, "smallint" | "integer" | "bigint" | "numeric" | "date") || format.starts_with("timestamp");
    if !has_distance {
        cursor.refuse_lag_of_text()?;
    }
    Ok(())
}

/// Whether a value is infinite or not a number.
pub(super) fn is_infinite(value: &str, format: &str) -> bool {
    let has_infinity = matches!(format, "numeric" | "date") || format.starts_with("timestamp");
    has_infinity && matches!(value.trim_start_matches('-').to_ascii_lowercase().as_str(), "infinity" | "nan")
}

/// Whether a date or timestamp is later than the server's clock. Values without an offset are UTC.
///
/// # Errors
/// When the value cannot be parsed.
pub(super) fn is_future(value: &str, format: &str, now: DateTime<Utc>) -> Result<bool> {
    let limit = now + TimeDelta::seconds(CLOCK_TOLERANCE_SECONDS.into());
    let unreadable =
        |_| Error::unknown("the greatest value of the cursor column cannot be read").with_hint("report a bug");
    Ok(match format {
        "date" => match values::date(value).map_err(unreadable)? {
            Timestamp::At(days) => i64::from(days) > limit.timestamp().div_euclid(86_400),
            _ => false,
        },
        "timestamp without time zone" | "timestamp with time zone" => {
            match values::timestamp(value).map_err(unreadable)? {
                Timestamp::At(micros) => micros > limit.timestamp_micros(),
                _ => false,
            }
        }
        _ => false,
    })
}

/// The condition for a range.
///
/// # Errors
/// When the lag cannot be subtracted from the saved value.
pub(super) fn conditions(cursor: &Cursor, format: &str, part: &Part) -> Result<Vec<Condition>> {
    let compare = |operator, value: &str| Condition::compare(&cursor.column, operator, value);
    let mut conditions = Vec::new();
    match &part.start {
        None => {}
        Some(Start::From(value)) => conditions.push(compare("gte", value)),
        Some(Start::After(value)) => conditions.push(compare("gt", value)),
        Some(Start::Lagging(value)) => {
            let earlier = earlier(value, format, cursor.lag).ok_or_else(|| {
                Error::validation(format!(
                    "`lag` cannot be subtracted from the value of the cursor `{}`",
                    cursor.column
                ))
                .with_hint(
                    "remove `lag`, or remove the state with `osiris state reset PIPELINE STEP` to read all rows again",
                )
            })?;
            conditions.push(compare("gte", &earlier));
        }
    }
    conditions.push(match &part.end {
        End::Before(value) => compare("lt", value),
        End::At(value) => compare("eq", value),
        End::Null => Condition::null(&cursor.column, true),
    });
    Ok(conditions)
}

/// `value` minus `lag`, or an earlier value: rows read twice do no harm.
fn earlier(value: &str, format: &str, lag: f64) -> Option<String> {
    let whole: i64 = format!("{:.0}", lag.ceil()).parse().ok()?;
    match format {
        "date" => match values::date(value).ok()? {
            Timestamp::At(days) => Some(values::shown_date(i64::from(days) - whole.div_euclid(86_400) - 1)),
            _ => None,
        },
        "timestamp without time zone" | "timestamp with time zone" => match values::timestamp(value).ok()? {
            Timestamp::At(micros) => {
                let zone = if format.ends_with("with time zone") { "+00:00" } else { "" };
                Some(values::shown_timestamp(micros.checked_sub(whole.checked_mul(1_000_000)?)?, zone))
            }
            _ => None,
        },
        _ => {
            let integer: i128 = value.split('.').next()?.parse().ok()?;
            // One more if a fraction of a negative number was truncated.
            let cut = i128::from(value.contains('.'));
            Some((integer - i128::from(whole) - cut).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(cursor: serde_json::Value, format: &str, part: &Part) -> String {
        let cursor: Cursor = serde_json::from_value(cursor).unwrap();
        Condition::All(conditions(&cursor, format, part).unwrap()).sql().unwrap()
    }

    #[test]
    fn a_part_is_a_range_of_the_cursor() {
        use osiris_sql::read::cursor::PartRole;
        let part = |start, end| Part { start, end, role: PartRole::Between };
        let plain = json!({"column": "c"});
        let between = part(Some(Start::After("5".to_owned())), End::Before("9".to_owned()));
        assert_eq!(shown(plain.clone(), "bigint", &between), r#"("c" > '5' AND "c" < '9')"#);
        assert_eq!(shown(plain, "bigint", &part(None, End::At("5".to_owned()))), r#"("c" = '5')"#);
        let lag = json!({"column": "c", "lag": 90});
        let lagging = |value: &str| part(Some(Start::Lagging(value.to_owned())), End::Before(value.to_owned()));
        assert_eq!(shown(lag.clone(), "numeric", &lagging("-5.5")), r#"("c" >= '-96' AND "c" < '-5.5')"#);
        assert_eq!(
            shown(lag.clone(), "timestamp with time zone", &lagging("2024-01-01T00:01:30+00:00")),
            r#"("c" >= '2024-01-01T00:00:00.000000+00:00' AND "c" < '2024-01-01T00:01:30+00:00')"#
        );
        assert_eq!(shown(lag, "date", &lagging("2024-01-02")), r#"("c" >= '2024-01-01' AND "c" < '2024-01-02')"#);
    }

    #[test]
    fn types_without_an_exact_order_are_refused() {
        let cursor = |value| serde_json::from_value::<Cursor>(value).unwrap();
        assert!(check(&cursor(json!({"column": "c"})), "real").is_err());
        assert!(check(&cursor(json!({"column": "c", "lag": 5})), "text").is_err());
        assert!(check(&cursor(json!({"column": "c", "lag": 5})), "date").is_ok());
    }
}
