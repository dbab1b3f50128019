//! Incremental reading: what the saved cursor means as conditions, and what the next one is.
//!
//! The upper bound is taken before the first row, so rows that are written meanwhile belong to the next run. Rows at the
//! bound are remembered by a digest of all their values: what appears there later is found, what was taken is not taken
//! twice. Comparing is left to the server, which knows its collations.

use std::collections::HashMap;

use mysql_async::consts::ColumnType as Wire;
use osiris_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use crate::client::{SqlMode, literal, quote};
use crate::config::Cursor;
use crate::types::{SourceColumn, raw};

/// Rows at the boundary beyond this many are not remembered, and come again.
const MOST_TAKEN: usize = 1_000_000;

/// What a run leaves for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    /// The cursor column.
    column: String,
    /// Its greatest value, as the server prints it.
    value: String,
    /// Digests of the rows at that value that were taken.
    taken: Vec<String>,
}

/// How values of the cursor column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Moment,
    Text,
}

/// Which rows of a part are remembered, and which are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// All of them are taken.
    Between,
    /// At the saved value: those that were taken before are left out.
    AtSaved,
    /// At the upper bound.
    AtUpper,
}

/// One statement's share of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) condition: String,
    pub(super) role: Role,
}

/// The rows at a boundary.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    /// Digests of rows that an earlier run took, with how many of each.
    before: HashMap<String, usize>,
    /// Digests of all rows that are there now.
    seen: Vec<String>,
    rows: usize,
}

impl Saved {
    /// Reads the state of the last run.
    ///
    /// # Errors
    /// A state that is none of ours, or of another column.
    pub(super) fn parse(state: &Value, cursor: &Cursor) -> Result<Self> {
        let hint = "remove the step's file of the state directory to read all rows again";
        let saved: Self = serde_json::from_value(state.clone()).map_err(|error| {
            Error::validation("the saved state is not a cursor's").with_hint(hint).with_source(error)
        })?;
        if saved.column == cursor.column {
            return Ok(saved);
        }
        Err(Error::validation(format!(
            "the saved state is of the cursor column `{}`, the step has `{}`",
            saved.column, cursor.column
        ))
        .with_hint(hint))
    }

    pub(super) fn boundary(&self) -> Boundary {
        let mut boundary = Boundary::default();
        self.taken.iter().for_each(|digest| *boundary.before.entry(digest.clone()).or_default() += 1);
        boundary
    }
}

/// The cursor of one run, its upper bound known.
pub(super) struct Range<'a> {
    cursor: &'a Cursor,
    kind: Kind,
    mode: &'a SqlMode,
    upper: String,
}

impl<'a> Range<'a> {
    /// `column` is how the server describes the cursor column, `upper` its greatest value.
    ///
    /// # Errors
    /// A type that has no exact order, or no text that says it exactly.
    pub(super) fn new(cursor: &'a Cursor, column: &SourceColumn, mode: &'a SqlMode, upper: String) -> Result<Self> {
        let kind = match column.wire {
            Wire::MYSQL_TYPE_TINY
            | Wire::MYSQL_TYPE_SHORT
            | Wire::MYSQL_TYPE_INT24
            | Wire::MYSQL_TYPE_LONG
            | Wire::MYSQL_TYPE_LONGLONG
            | Wire::MYSQL_TYPE_YEAR
            | Wire::MYSQL_TYPE_DECIMAL
            | Wire::MYSQL_TYPE_NEWDECIMAL => Kind::Number,
            Wire::MYSQL_TYPE_DATE | Wire::MYSQL_TYPE_DATETIME | Wire::MYSQL_TYPE_TIMESTAMP => Kind::Moment,
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
                return Err(Error::validation(format!("`{}` cannot be a cursor", cursor.column)).with_hint(
                    "take an integer, DECIMAL, DATE, DATETIME, TIMESTAMP or text column: others have no exact order",
                ));
            }
        };
        if kind == Kind::Text && cursor.lag > 0.0 {
            return Err(Error::validation("`lag` needs a number or a date").with_hint("remove `lag`"));
        }
        Ok(Self { cursor, kind, mode, upper })
    }

    /// A value as SQL.
    fn value(&self, text: &str) -> Result<String> {
        let plain = |extra: &[u8]| text.bytes().all(|byte| byte.is_ascii_digit() || extra.contains(&byte));
        match self.kind {
            Kind::Number if !text.is_empty() && plain(b"-.") => Ok(text.to_owned()),
            Kind::Moment if !text.is_empty() && plain(b"-:. T") => Ok(literal(text, self.mode)),
            Kind::Text => Ok(literal(text, self.mode)),
            _ => Err(Error::validation(format!(
                "the cursor `{}` has a start that is no value of it",
                self.cursor.column
            ))
            .with_hint("write `initial` as the server prints the column's values")),
        }
    }

    /// `value` less the lag.
    fn earlier(&self, value: &str) -> String {
        let lag = self.cursor.lag;
        match self.kind {
            Kind::Moment => format!("CAST({value} AS DATETIME(6)) - INTERVAL {lag} SECOND"),
            _ => format!("{value} - {lag}"),
        }
    }

    /// The rows of this run, each in exactly one part.
    ///
    /// # Errors
    /// A saved or initial value that the column cannot have.
    pub(super) fn parts(&self, saved: Option<&Saved>) -> Result<Vec<Part>> {
        let column = quote(&self.cursor.column);
        let upper = self.value(&self.upper)?;
        let part = |role, condition| Part { condition, role };
        let Some(saved) = saved else {
            let start = match &self.cursor.initial {
                Some(initial) => format!("{column} >= {} AND ", self.value(&initial.text())?),
                None => String::new(),
            };
            return Ok(vec![
                part(Role::Between, format!("{start}{column} < {upper}")),
                part(Role::AtUpper, format!("{start}{column} = {upper}")),
            ]);
        };
        let value = self.value(&saved.value)?;
        let mut parts = Vec::new();
        if self.cursor.lag > 0.0 {
            let start = self.earlier(&value);
            parts.push(part(Role::Between, format!("{column} >= {start} AND {column} < {value}")));
        }
        if self.cursor.include_boundary {
            parts.push(part(Role::AtSaved, format!("{column} = {value}")));
        }
        parts.push(part(Role::Between, format!("{column} > {value} AND {column} < {upper}")));
        parts.push(part(Role::AtUpper, format!("{column} > {value} AND {column} = {upper}")));
        Ok(parts)
    }

    /// What the next run starts from.
    pub(super) fn next(&self, saved: Option<&Saved>, at_saved: Boundary, at_upper: Boundary) -> Option<Saved> {
        let of = |value: &str, boundary: Boundary| Saved {
            column: self.cursor.column.clone(),
            value: value.to_owned(),
            taken: boundary.digests(),
        };
        match saved {
            _ if at_upper.rows > 0 => Some(of(&self.upper, at_upper)),
            Some(saved) if self.cursor.include_boundary => Some(of(&saved.value, at_saved)),
            saved => saved.cloned(),
        }
    }
}

impl Boundary {
    /// Takes note of a row; says whether it is new.
    ///
    /// # Errors
    /// None that a row of its own statement could cause.
    pub(super) fn note(&mut self, row: &MySqlRow) -> Result<bool> {
        let digest = digest(row)?;
        let is_new = match self.before.get_mut(&digest) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        };
        self.rows += 1;
        if self.seen.len() < MOST_TAKEN {
            self.seen.push(digest);
        }
        Ok(is_new)
    }

    fn digests(self) -> Vec<String> {
        if self.rows > self.seen.len() {
            tracing::warn!(rows = self.rows, "too many rows have the cursor's last value: they will come again");
            return Vec::new();
        }
        self.seen
    }
}

/// 128 bits of a digest over all values.
fn digest(row: &MySqlRow) -> Result<String> {
    let mut hash = Sha256::new();
    for index in 0..row.len() {
        match raw(row, index)? {
            None => hash.update([0]),
            Some(bytes) => {
                hash.update([1]);
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(bytes);
            }
        }
    }
    Ok(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use mysql_async::consts::ColumnFlags;

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

    fn conditions(cursor: &Cursor, wire: Wire, saved: Option<&str>, upper: &str) -> Vec<String> {
        let saved = saved.map(|value| Saved { column: "c".to_owned(), value: value.to_owned(), taken: Vec::new() });
        let mode = SqlMode::default();
        let range = Range::new(cursor, &column(wire), &mode, upper.to_owned()).unwrap();
        range.parts(saved.as_ref()).unwrap().into_iter().map(|part| part.condition).collect()
    }

    #[test]
    fn the_parts_of_a_run_meet_without_overlap() {
        let plain = cursor(serde_json::json!({"column": "c"}));
        assert_eq!(conditions(&plain, Wire::MYSQL_TYPE_LONG, None, "9"), ["`c` < 9", "`c` = 9"]);
        assert_eq!(
            conditions(&plain, Wire::MYSQL_TYPE_LONG, Some("5"), "9"),
            ["`c` = 5", "`c` > 5 AND `c` < 9", "`c` > 5 AND `c` = 9"]
        );
        let initial = cursor(serde_json::json!({"column": "c", "initial": "2024-01-01"}));
        assert_eq!(
            conditions(&initial, Wire::MYSQL_TYPE_DATE, None, "2024-02-01"),
            ["`c` >= '2024-01-01' AND `c` < '2024-02-01'", "`c` >= '2024-01-01' AND `c` = '2024-02-01'"]
        );
        let lag = cursor(serde_json::json!({"column": "c", "lag": 90}));
        assert_eq!(
            conditions(&lag, Wire::MYSQL_TYPE_DATETIME, Some("2024-01-01 00:00:00.000001"), "2024-02-01 00:00:00")[0],
            "`c` >= CAST('2024-01-01 00:00:00.000001' AS DATETIME(6)) - INTERVAL 90 SECOND AND `c` < '2024-01-01 00:00:00.000001'"
        );
    }

    #[test]
    fn a_saved_value_cannot_bring_sql_and_types_without_an_order_are_refused() {
        let cursor = cursor(serde_json::json!({"column": "c"}));
        let mode = SqlMode::default();
        let saved = Saved { column: "c".to_owned(), value: "1 OR 1=1".to_owned(), taken: Vec::new() };
        let range = Range::new(&cursor, &column(Wire::MYSQL_TYPE_LONG), &mode, "9".to_owned()).unwrap();
        assert!(range.parts(Some(&saved)).is_err());
        assert!(Range::new(&cursor, &column(Wire::MYSQL_TYPE_DOUBLE), &mode, "9".to_owned()).is_err());
    }
}
