//! Cursor ranges as SQL conditions of MySQL. Their meaning, and the state kept between runs, is in
//! ([`osiris_sql::read::cursor`]).

use mysql_async::consts::ColumnType as Wire;
use osiris_core::{Error, Result};
use osiris_sql::read::cursor::{self, CLOCK_TOLERANCE_SECONDS, Cursor, RowDigest};
use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use crate::client::{SqlMode, literal, quote};
use crate::types::{SourceColumn, raw};

/// The kind of the cursor column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Timestamp,
    Text,
}

/// The clock to compare a value with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// A timestamp in UTC: the session's time.
    Instant,
    /// A timestamp in an unknown time zone.
    Local,
    /// A date in an unknown time zone.
    Day,
    /// A year in an unknown time zone.
    Year,
}

impl Clock {
    fn of(wire: Wire) -> Option<Self> {
        match wire {
            Wire::MYSQL_TYPE_TIMESTAMP => Some(Self::Instant),
            Wire::MYSQL_TYPE_DATETIME => Some(Self::Local),
            Wire::MYSQL_TYPE_DATE => Some(Self::Day),
            Wire::MYSQL_TYPE_YEAR => Some(Self::Year),
            _ => None,
        }
    }

    /// The latest value that is not in the future. Without a time zone, the later one of UTC and the server's.
    fn limit(self) -> String {
        const LOCAL: &str = "GREATEST(UTC_TIMESTAMP(6), \
            COALESCE(CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', @@GLOBAL.time_zone), UTC_TIMESTAMP(6)))";
        let later = |clock: &str| format!("{clock} + INTERVAL {CLOCK_TOLERANCE_SECONDS} SECOND");
        match self {
            Self::Instant => later("NOW(6)"),
            Self::Local => later(LOCAL),
            Self::Day => format!("DATE({})", later(LOCAL)),
            Self::Year => format!("YEAR({})", later(LOCAL)),
        }
    }
}

/// The cursor column of one run.
pub(super) struct CursorColumn<'a> {
    cursor: &'a Cursor,
    name: String,
    kind: Kind,
    clock: Option<Clock>,
    mode: &'a SqlMode,
}

impl<'a> CursorColumn<'a> {
    /// `column` is the server's description of the cursor column.
    ///
    /// # Errors
    /// For a type without an exact order or an exact text form.
    pub(super) fn new(cursor: &'a Cursor, column: &SourceColumn, mode: &'a SqlMode) -> Result<Self> {
        let kind = match column.wire {
            Wire::MYSQL_TYPE_TINY
            | Wire::MYSQL_TYPE_SHORT
            | Wire::MYSQL_TYPE_INT24
            | Wire::MYSQL_TYPE_LONG
            | Wire::MYSQL_TYPE_LONGLONG
            | Wire::MYSQL_TYPE_YEAR
            | Wire::MYSQL_TYPE_DECIMAL
            | Wire::MYSQL_TYPE_NEWDECIMAL => Kind::Number,
            Wire::MYSQL_TYPE_DATE | Wire::MYSQL_TYPE_DATETIME | Wire::MYSQL_TYPE_TIMESTAMP => Kind::Timestamp,
            Wire::MYSQL_TYPE_STRING
            | Wire::MYSQL_TYPE_VAR_STRING
            | Wire::MYSQL_TYPE_VARCHAR
            | Wire::MYSQL_TYPE_BLOB
            | Wire::MYSQL_TYPE_MEDIUM_BLOB
            | Wire::MYSQL_TYPE_LONG_BLOB
                if column.charset != 63 =>
            {
                Kind::Text
            }
            _ => {
                return Err(cursor.unordered(
                    "use an integer, DECIMAL, DATE, DATETIME, TIMESTAMP or text column: other types have no exact order",
                ));
            }
        };
        if kind == Kind::Text {
            cursor.refuse_lag_of_text()?;
        }
        Ok(Self { cursor, name: quote(&cursor.column), kind, clock: Clock::of(column.wire), mode })
    }

    /// Three expressions: the greatest value, whether it is infinite, and whether it is in the future.
    pub(super) fn greatest(&self) -> String {
        let name = &self.name;
        match self.clock {
            Some(clock) => format!("MAX({name}), 0, MAX({name}) > {}", clock.limit()),
            None => format!("MAX({name}), 0, 0"),
        }
    }
}

impl cursor::CursorColumn for CursorColumn<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn value(&self, text: &str) -> Result<String> {
        let plain = |extra: &[u8]| text.bytes().all(|byte| byte.is_ascii_digit() || extra.contains(&byte));
        match self.kind {
            Kind::Number if !text.is_empty() && plain(b"-.") => Ok(text.to_owned()),
            Kind::Timestamp if !text.is_empty() && plain(b"-:. T") => Ok(literal(text, self.mode)),
            Kind::Text => Ok(literal(text, self.mode)),
            _ => Err(Error::validation(format!(
                "the start of the cursor `{}` is not a value of its column",
                self.cursor.column
            ))
            .with_hint("write `initial` as the server prints the column's values")),
        }
    }

    fn earlier(&self, text: &str) -> Result<Option<String>> {
        let (value, lag) = (self.value(text)?, self.cursor.lag);
        Ok(Some(match self.kind {
            Kind::Timestamp => format!("CAST({value} AS DATETIME(6)) - INTERVAL {lag} SECOND"),
            _ => format!("{value} - {lag}"),
        }))
    }
}

/// The value that identifies a row.
///
/// # Errors
/// Never for a row of its own statement.
pub(super) fn digest(row: &MySqlRow) -> Result<RowDigest> {
    let mut digest = RowDigest::default();
    for index in 0..row.len() {
        digest.add(raw(row, index)?);
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use mysql_async::consts::ColumnFlags;
    use osiris_sql::read::cursor::SavedCursor;
    use serde_json::{Value, json};

    use super::*;

    fn column(wire: Wire) -> SourceColumn {
        SourceColumn {
            name: "c".to_owned(),
            wire,
            flags: ColumnFlags::empty(),
            charset: 45,
            length: 10,
            decimals: 0,
            origin: None,
            declared: None,
        }
    }

    fn cursor(fields: Value) -> Cursor {
        serde_json::from_value(fields).unwrap()
    }

    fn saved(value: &str) -> SavedCursor {
        serde_json::from_value(json!({"column": "c", "value": value, "taken": []})).unwrap()
    }

    fn conditions(cursor: &Cursor, wire: Wire, from: Option<&str>, upper: &str) -> Vec<String> {
        let mode = SqlMode::default();
        let column = CursorColumn::new(cursor, &column(wire), &mode).unwrap();
        let parts = cursor.parts(from.map(saved).as_ref(), Some(upper));
        parts.iter().map(|part| part.condition(&column).unwrap()).collect()
    }

    #[test]
    fn the_parts_of_a_run_meet_without_overlap() {
        let plain = cursor(json!({"column": "c"}));
        assert_eq!(conditions(&plain, Wire::MYSQL_TYPE_LONG, None, "9"), ["`c` < 9", "`c` = 9"]);
        assert_eq!(
            conditions(&plain, Wire::MYSQL_TYPE_LONG, Some("5"), "9"),
            ["`c` = 5", "`c` > 5 AND `c` < 9", "`c` > 5 AND `c` = 9"]
        );
        let initial = cursor(json!({"column": "c", "initial": "2024-01-01"}));
        assert_eq!(
            conditions(&initial, Wire::MYSQL_TYPE_DATE, None, "2024-02-01"),
            ["`c` >= '2024-01-01' AND `c` < '2024-02-01'", "`c` >= '2024-01-01' AND `c` = '2024-02-01'"]
        );
        let lag = cursor(json!({"column": "c", "lag": 90}));
        assert_eq!(
            conditions(&lag, Wire::MYSQL_TYPE_DATETIME, Some("2024-01-01 00:00:00.000001"), "2024-02-01 00:00:00")[0],
            "`c` >= CAST('2024-01-01 00:00:00.000001' AS DATETIME(6)) - INTERVAL 90 SECOND AND `c` < '2024-01-01 00:00:00.000001'"
        );
    }

    #[test]
    fn a_saved_value_cannot_bring_sql_and_types_without_an_order_are_refused() {
        let cursor = cursor(json!({"column": "c"}));
        let mode = SqlMode::default();
        let number = CursorColumn::new(&cursor, &column(Wire::MYSQL_TYPE_LONG), &mode).unwrap();
        let parts = cursor.parts(Some(&saved("1 OR 1=1")), Some("9"));
        assert!(parts.iter().any(|part| part.condition(&number).is_err()));
        assert!(CursorColumn::new(&cursor, &column(Wire::MYSQL_TYPE_DOUBLE), &mode).is_err());
    }
}
