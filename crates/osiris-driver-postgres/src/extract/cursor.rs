//! Cursor ranges as SQL conditions. Their meaning, and the state kept between runs, is in
//! ([`osiris_sql::read::cursor`]).

use osiris_core::Result;
use osiris_sql::read::cursor::{self, CLOCK_TOLERANCE_SECONDS, Cursor, RowDigest};

use crate::client::{literal, quote};
use crate::types::decode::{SourceColumn, Tuple, oid};

/// How the lag is subtracted, and what is compared with the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Numeric,
    Timestamp(&'static str),
    Text,
}

/// The server's clock in every time zone that a value without one may be in: UTC, that of the server, and those
/// that are set for the database or a role.
const LOCAL_CLOCK: &str = "(SELECT max(clock_timestamp() AT TIME ZONE zone) FROM ( \
    SELECT 'UTC' AS zone UNION ALL SELECT current_setting('log_timezone') UNION ALL \
    SELECT split_part(setting, '=', 2) FROM pg_catalog.pg_db_role_setting AS settings, unnest(setconfig) AS setting \
    WHERE setting ILIKE 'timezone=%' AND (setdatabase = 0 OR setdatabase = \
    (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))) AS osiris_zones)";

/// Whether values of the column may be the start of a transaction, which is earlier than its first row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowClock {
    /// Timestamps that can be compared with it.
    Instant,
    /// Timestamps in an unknown time zone.
    Local,
    /// Not timestamps.
    None,
}

/// The cursor column of one run.
pub(super) struct CursorColumn<'a> {
    cursor: &'a Cursor,
    name: String,
    kind: Kind,
}

impl<'a> CursorColumn<'a> {
    /// `column` is the server's description of the cursor column.
    ///
    /// # Errors
    /// For a type without an exact order or an exact text form.
    pub(super) fn new(cursor: &'a Cursor, column: &SourceColumn) -> Result<Self> {
        let kind = match column.oid {
            oid::INT2 | oid::INT4 | oid::INT8 | oid::OID => Kind::Number,
            oid::NUMERIC => Kind::Numeric,
            oid::DATE => Kind::Timestamp("date"),
            oid::TIMESTAMP => Kind::Timestamp("timestamp"),
            oid::TIMESTAMPTZ => Kind::Timestamp("timestamptz"),
            oid::TEXT | oid::VARCHAR | oid::BPCHAR => Kind::Text,
            _ => {
                return Err(cursor.unordered(
                    "use an integer, numeric, date, timestamp or text column: other types have no exact order",
                ));
            }
        };
        if kind == Kind::Text {
            cursor.refuse_lag_of_text()?;
        }
        Ok(Self { cursor, name: quote(&cursor.column), kind })
    }

    /// How open transactions that have not written yet affect values of the column.
    pub(super) fn clock(&self) -> RowClock {
        match self.kind {
            Kind::Timestamp("timestamptz") => RowClock::Instant,
            Kind::Timestamp(_) => RowClock::Local,
            _ => RowClock::None,
        }
    }

    /// Three expressions: the greatest value, whether it is infinite, and whether it is in the future.
    pub(super) fn greatest(&self) -> String {
        let name = &self.name;
        let later = |clock: &str| format!("{clock} + interval '{CLOCK_TOLERANCE_SECONDS} seconds'");
        let (is_infinite, is_future) = match self.kind {
            Kind::Number | Kind::Text => ("false".to_owned(), "false".to_owned()),
            Kind::Numeric => (format!("max({name})::text IN ('NaN', 'Infinity', '-Infinity')"), "false".to_owned()),
            Kind::Timestamp(kind) => {
                let clock = if kind == "timestamptz" { "clock_timestamp()" } else { LOCAL_CLOCK };
                (format!("NOT isfinite(max({name}))"), format!("max({name}) > ({})::{kind}", later(clock)))
            }
        };
        format!("max({name})::text, {is_infinite}, {is_future}")
    }
}

impl cursor::CursorColumn for CursorColumn<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    /// A string gets the type of the column: the server rejects invalid values.
    fn value(&self, text: &str) -> Result<String> {
        Ok(literal(text))
    }

    fn earlier(&self, text: &str) -> Result<Option<String>> {
        let (value, lag) = (literal(text), self.cursor.lag);
        Ok(Some(match self.kind {
            Kind::Timestamp(moment) => format!("{value}::{moment} - interval '{lag} seconds'"),
            _ => format!("{value}::numeric - {lag}"),
        }))
    }
}

/// The value that identifies a row.
pub(super) fn digest(row: Tuple<'_>) -> RowDigest {
    let mut digest = RowDigest::default();
    row.fields().for_each(|field| digest.add(field));
    digest
}

#[cfg(test)]
mod tests {
    use osiris_sql::read::cursor::SavedCursor;
    use serde_json::{Value, json};

    use super::*;
    use crate::types::decode::Family;

    fn column(oid: u32) -> SourceColumn {
        SourceColumn { name: "c".to_owned(), oid, modifier: -1, family: Family::Other }
    }

    fn conditions(cursor: Value, oid: u32, from: Option<&str>, upper: &str) -> Vec<String> {
        let cursor: Cursor = serde_json::from_value(cursor).unwrap();
        let saved = from.map(|value| json!({"column": "c", "value": value, "taken": []}));
        let saved = saved.map(|state| SavedCursor::parse(&state, &cursor).unwrap());
        let column = CursorColumn::new(&cursor, &column(oid)).unwrap();
        let parts = cursor.parts(saved.as_ref(), Some(upper));
        parts.iter().map(|part| part.condition(&column).unwrap()).collect()
    }

    #[test]
    fn the_parts_of_a_run_meet_without_overlap() {
        let plain = json!({"column": "c"});
        assert_eq!(conditions(plain.clone(), oid::INT4, None, "9"), ["\"c\" < '9'", "\"c\" = '9'"]);
        assert_eq!(
            conditions(plain, oid::INT4, Some("5"), "9"),
            ["\"c\" = '5'", "\"c\" > '5' AND \"c\" < '9'", "\"c\" > '5' AND \"c\" = '9'"]
        );
        assert_eq!(
            conditions(json!({"column": "c", "lag": 90}), oid::TIMESTAMPTZ, Some("2024-01-01 00:00:00+00"), "x")[0],
            "\"c\" >= '2024-01-01 00:00:00+00'::timestamptz - interval '90 seconds' AND \"c\" < '2024-01-01 00:00:00+00'"
        );
        assert_eq!(
            conditions(json!({"column": "c", "lag": 1.5}), oid::INT8, Some("7"), "9")[0],
            "\"c\" >= '7'::numeric - 1.5 AND \"c\" < '7'"
        );
    }

    #[test]
    fn a_saved_value_stays_in_its_quotes_and_types_without_an_order_are_refused() {
        let conditions = conditions(json!({"column": "c"}), oid::TEXT, Some("' OR 1=1 --"), "9");
        assert_eq!(conditions[0], "\"c\" = ''' OR 1=1 --'");
        let cursor: Cursor = serde_json::from_value(json!({"column": "c"})).unwrap();
        assert!(CursorColumn::new(&cursor, &column(oid::FLOAT8)).is_err());
        let lag: Cursor = serde_json::from_value(json!({"column": "c", "lag": 1})).unwrap();
        assert!(CursorColumn::new(&lag, &column(oid::TEXT)).is_err());
    }
}
