//! The rows of a run in parts, each row in exactly one of them.

use osiris_core::Result;

use super::{Cursor, CursorColumn, InitialCursor, NullCursor, SavedCursor};

/// Which rows of a part are remembered, and which are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartRole {
    /// All of them are taken.
    Between,
    /// At the saved value: those that were taken before are left out.
    AtSaved,
    /// At the upper bound.
    AtUpper,
    /// Where the cursor is NULL: those that were taken before are left out.
    AtNull,
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
    /// Holds the rows without a value alone.
    Null,
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

impl Part {
    /// Its rows as a condition on `column`.
    ///
    /// # Errors
    /// A value that the column cannot have.
    pub fn condition(&self, column: &impl CursorColumn) -> Result<String> {
        let name = column.name();
        let start = match &self.start {
            None => None,
            Some(Start::From(from)) => Some(format!(">= {}", column.value(from)?)),
            Some(Start::After(after)) => Some(format!("> {}", column.value(after)?)),
            Some(Start::Lagging(from)) => column.earlier(from)?.map(|value| format!(">= {value}")),
        };
        let start = start.map(|start| format!("{name} {start} AND ")).unwrap_or_default();
        Ok(match &self.end {
            End::Before(end) => format!("{start}{name} < {}", column.value(end)?),
            End::At(end) => format!("{start}{name} = {}", column.value(end)?),
            End::Null => format!("{name} IS NULL"),
        })
    }
}

impl Cursor {
    /// The rows of a run whose greatest value is `upper`, each in exactly one part. Without a greatest value there are
    /// none, but those where it is NULL.
    pub fn parts(&self, saved: Option<&SavedCursor>, upper: Option<&str>) -> Vec<Part> {
        let mut parts = Vec::new();
        if let Some(upper) = upper {
            self.add_parts(saved.and_then(SavedCursor::value), upper, &mut parts);
        }
        if self.nulls == NullCursor::Include {
            parts.push(Part { start: None, end: End::Null, role: PartRole::AtNull });
        }
        parts
    }

    fn add_parts(&self, saved: Option<&str>, upper: &str, parts: &mut Vec<Part>) {
        let before = || End::Before(upper.to_owned());
        let at = || End::At(upper.to_owned());
        let mut part = |role, start, end| parts.push(Part { start, end, role });
        let Some(saved) = saved else {
            let start = self.initial.as_ref().map(InitialCursor::text).map(Start::From);
            part(PartRole::Between, start.clone(), before());
            return part(PartRole::AtUpper, start, at());
        };
        let value = || saved.to_owned();
        if self.lag > 0.0 {
            part(PartRole::Between, Some(Start::Lagging(value())), End::Before(value()));
        }
        if self.include_boundary {
            part(PartRole::AtSaved, None, End::At(value()));
        }
        part(PartRole::Between, Some(Start::After(value())), before());
        part(PartRole::AtUpper, Some(Start::After(value())), at());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cursor(fields: serde_json::Value) -> Cursor {
        serde_json::from_value(fields).unwrap()
    }

    fn shown(parts: &[Part]) -> Vec<String> {
        parts.iter().map(|part| format!("{:?} {:?} {:?}", part.role, part.start, part.end)).collect()
    }

    #[test]
    fn the_parts_of_a_run_meet_without_overlap() {
        let plain = cursor(json!({"column": "c"}));
        let saved = SavedCursor::parse(&json!({"column": "c", "value": "5", "taken": []}), &plain).unwrap();
        assert_eq!(shown(&plain.parts(None, Some("9"))), ["Between None Before(\"9\")", "AtUpper None At(\"9\")"]);
        assert_eq!(
            shown(&plain.parts(Some(&saved), Some("9"))),
            [
                "AtSaved None At(\"5\")",
                "Between Some(After(\"5\")) Before(\"9\")",
                "AtUpper Some(After(\"5\")) At(\"9\")"
            ]
        );
        let lag = cursor(json!({"column": "c", "lag": 90, "initial": "1"}));
        assert_eq!(shown(&lag.parts(Some(&saved), Some("9")))[0], "Between Some(Lagging(\"5\")) Before(\"5\")");
        assert_eq!(shown(&lag.parts(None, Some("9")))[1], "AtUpper Some(From(\"1\")) At(\"9\")");
        assert!(plain.parts(Some(&saved), None).is_empty());
        let include = cursor(json!({"column": "c", "nulls": "include"}));
        assert_eq!(shown(&include.parts(Some(&saved), None)), ["AtNull None Null"]);
    }
}
