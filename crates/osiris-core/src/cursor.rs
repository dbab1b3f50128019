//! Incremental extraction by a column whose values grow: the block of the configuration, what a run leaves for the next, and
//! which rows a run takes. Knows no source: bounds are texts, which each driver writes in its own language, and comparing is
//! left to the source, which knows its collations.
//!
//! The upper bound is taken before the first row, so rows that are written meanwhile belong to the next run. Rows at the
//! bound are remembered by a digest of all their values: what appears there later is found, what was taken is not taken
//! twice.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{Error, Problem, Result};

/// Rows at the boundary beyond this many are not remembered, and come again.
const MOST_TAKEN: usize = 1_000_000;

/// Incremental reading by a column whose values grow.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The column: an integer, a decimal, a date, a date with a time, or text. Rows where it is NULL are not read, but
    /// counted in the metric `rows_without_cursor`.
    #[schemars(length(min = 1))]
    pub column: String,
    /// Where the first run starts: a number or a text as the source would have it. Default: at the first row.
    pub initial: Option<InitialCursor>,
    /// How far behind the saved value a run starts, for rows that are committed late: seconds for dates and times, else
    /// a difference. Such rows come again.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0e12))]
    pub lag: f64,
    /// Whether rows at the saved value itself are read again, apart from those that were taken: rows that appeared there
    /// since are found. With `false` only greater values are read.
    #[serde(default = "default_true")]
    pub include_boundary: bool,
}

/// Where a cursor starts.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum InitialCursor {
    /// A whole number.
    Integer(i64),
    /// A date, a time, a decimal or a text.
    Text(String),
}

fn default_true() -> bool {
    true
}

impl Cursor {
    /// What the schema cannot express. Pure; `pointer` is where the block stands, such as `/cursor`.
    pub fn problems(&self, pointer: &str) -> Vec<Problem> {
        if self.lag > 0.0 && !self.include_boundary {
            let problem = Problem::error(
                format!("{pointer}/include_boundary"),
                "`false` contradicts `lag`, which goes back behind it",
            );
            return vec![problem.with_hint("remove one of them")];
        }
        Vec::new()
    }

    /// The rows of a run whose greatest value is `upper`, each in exactly one part.
    pub fn parts(&self, saved: Option<&SavedCursor>, upper: &str) -> Vec<Part> {
        let before = || End::Before(upper.to_owned());
        let at = || End::At(upper.to_owned());
        let part = |role, start, end| Part { start, end, role };
        let Some(saved) = saved else {
            let start = self.initial.as_ref().map(|initial| Start::From(initial.text()));
            return vec![part(PartRole::Between, start.clone(), before()), part(PartRole::AtUpper, start, at())];
        };
        let value = || saved.value.clone();
        let mut parts = Vec::new();
        if self.lag > 0.0 {
            parts.push(part(PartRole::Between, Some(Start::Lagging(value())), End::Before(value())));
        }
        if self.include_boundary {
            parts.push(part(PartRole::AtSaved, None, End::At(value())));
        }
        parts.push(part(PartRole::Between, Some(Start::After(value())), before()));
        parts.push(part(PartRole::AtUpper, Some(Start::After(value())), at()));
        parts
    }

    /// What the next run starts from. `at_saved` and `at_upper` are what the parts of these roles noted.
    pub fn next(
        &self,
        saved: Option<&SavedCursor>,
        upper: &str,
        at_saved: Boundary,
        at_upper: Boundary,
    ) -> Option<SavedCursor> {
        let of = |value: &str, boundary: Boundary| SavedCursor {
            column: self.column.clone(),
            value: value.to_owned(),
            taken: boundary.digests(),
        };
        match saved {
            _ if at_upper.rows > 0 => Some(of(upper, at_upper)),
            Some(saved) if self.include_boundary => Some(of(&saved.value, at_saved)),
            saved => saved.cloned(),
        }
    }
}

impl InitialCursor {
    /// As it is saved.
    pub fn text(&self) -> String {
        match self {
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// What a run leaves for the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedCursor {
    /// The cursor column.
    column: String,
    /// Its greatest value, as the source prints it.
    value: String,
    /// Digests of the rows at that value that were taken.
    taken: Vec<String>,
}

impl SavedCursor {
    /// Reads the state of the last run.
    ///
    /// # Errors
    /// A state that is none of ours, or of another column.
    pub fn parse(state: &Value, cursor: &Cursor) -> Result<Self> {
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

    /// As the state of a step.
    ///
    /// # Errors
    /// None that a cursor could cause.
    pub fn state(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| Error::unknown("the cursor cannot be saved").with_source(error))
    }

    /// The rows at its value that were taken.
    pub fn boundary(&self) -> Boundary {
        let mut boundary = Boundary::default();
        self.taken.iter().for_each(|digest| *boundary.before.entry(digest.clone()).or_default() += 1);
        boundary
    }
}

/// Which rows of a part are remembered, and which are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartRole {
    /// All of them are taken.
    Between,
    /// At the saved value: those that were taken before are left out.
    AtSaved,
    /// At the upper bound.
    AtUpper,
}

/// Where a part begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At this value or a greater one.
    From(String),
    /// At a greater value than this.
    After(String),
    /// At this value less the cursor's lag, or a greater one.
    Lagging(String),
}

/// Where a part ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Before this value.
    Before(String),
    /// Holds this value alone.
    At(String),
}

/// One statement's share of the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it begins. `None`: at the first row.
    pub start: Option<Start>,
    /// Where it ends.
    pub end: End,
    /// What becomes of its rows.
    pub role: PartRole,
}

/// The rows at a boundary.
#[derive(Debug, Default)]
pub struct Boundary {
    /// Digests of rows that an earlier run took, with how many of each.
    before: HashMap<String, usize>,
    /// Digests of all rows that are there now.
    seen: Vec<String>,
    rows: usize,
}

impl Boundary {
    /// Takes note of a row; says whether it is new.
    pub fn note(&mut self, row: RowDigest) -> bool {
        let digest = row.finish();
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
        is_new
    }

    fn digests(self) -> Vec<String> {
        if self.rows > self.seen.len() {
            tracing::warn!(rows = self.rows, "too many rows have the cursor's last value: they will come again");
            return Vec::new();
        }
        self.seen
    }
}

/// 128 bits of a digest over all values of a row, in order.
#[derive(Debug, Clone, Default)]
pub struct RowDigest(Sha256);

impl RowDigest {
    /// Adds a value as the source sends it; `None` for NULL.
    pub fn add(&mut self, value: Option<&[u8]>) {
        let Some(bytes) = value else { return self.0.update([0]) };
        self.0.update([1]);
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(self) -> String {
        self.0.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cursor(fields: Value) -> Cursor {
        serde_json::from_value(fields).unwrap()
    }

    fn row(value: &str) -> RowDigest {
        let mut digest = RowDigest::default();
        digest.add(Some(value.as_bytes()));
        digest
    }

    fn shown(parts: &[Part]) -> Vec<String> {
        parts.iter().map(|part| format!("{:?} {:?} {:?}", part.role, part.start, part.end)).collect()
    }

    #[test]
    fn the_parts_of_a_run_meet_without_overlap() {
        let saved = SavedCursor { column: "c".to_owned(), value: "5".to_owned(), taken: Vec::new() };
        let plain = cursor(json!({"column": "c"}));
        assert_eq!(shown(&plain.parts(None, "9")), ["Between None Before(\"9\")", "AtUpper None At(\"9\")"]);
        assert_eq!(
            shown(&plain.parts(Some(&saved), "9")),
            [
                "AtSaved None At(\"5\")",
                "Between Some(After(\"5\")) Before(\"9\")",
                "AtUpper Some(After(\"5\")) At(\"9\")"
            ]
        );
        let lag = cursor(json!({"column": "c", "lag": 90, "initial": "1"}));
        assert_eq!(shown(&lag.parts(Some(&saved), "9"))[0], "Between Some(Lagging(\"5\")) Before(\"5\")");
        assert_eq!(shown(&lag.parts(None, "9"))[1], "AtUpper Some(From(\"1\")) At(\"9\")");
    }

    #[test]
    fn rows_at_the_boundary_are_taken_once_each() {
        let cursor = cursor(json!({"column": "c"}));
        let mut upper = Boundary::default();
        assert!(upper.note(row("a")) && upper.note(row("a")));
        let saved = cursor.next(None, "5", Boundary::default(), upper).unwrap();
        let mut again = SavedCursor::parse(&saved.state().unwrap(), &cursor).unwrap().boundary();
        let taken = ["a", "b", "a", "a"].map(|value| again.note(row(value)));
        assert_eq!(taken, [false, true, false, true]);
    }

    #[test]
    fn a_state_of_another_column_is_refused() {
        let state = json!({"column": "other", "value": "1", "taken": []});
        let error = SavedCursor::parse(&state, &cursor(json!({"column": "c"}))).unwrap_err();
        assert!(error.message().contains("`other`"));
        assert!(SavedCursor::parse(&json!([1]), &cursor(json!({"column": "c"}))).is_err());
    }

    #[test]
    fn null_and_the_empty_text_are_not_the_same_row() {
        let (mut null, mut empty) = (RowDigest::default(), RowDigest::default());
        null.add(None);
        empty.add(Some(b""));
        assert_ne!(null.finish(), empty.finish());
    }
}
