//! The greatest value of the cursor column, queried before the first row is read, and whether a run may end there.
//!
//! A value is saved only if a later run will read every row after it. Whatever could prevent that is an error, unless
//! the configuration has a policy for it.

use super::{Cursor, NullCursor, SavedCursor};
use osiris_core::state::reset_hint;
use osiris_core::{Error, Result};

/// What the source reports about its cursor column. A driver has to find out all of it: there is no default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The greatest value, as the source prints it. None: there is no row, or the column is NULL in all of them.
    pub value: Option<String>,
    /// Whether it is infinite, or not a number.
    pub is_infinite: bool,
    /// Whether it is a date or a time more than [`CLOCK_TOLERANCE_SECONDS`](super::CLOCK_TOLERANCE_SECONDS) later than
    /// the source's own clock; a date by its day.
    pub is_future: bool,
    /// Whether no row has the saved value or a greater one, as the source compares them. False without a saved value.
    pub is_behind: bool,
    /// In how many rows it is NULL.
    pub nulls: u64,
}

impl Bound {
    /// Whether a run of step `step` may end at this bound. Returns how many rows it leaves out.
    ///
    /// # Errors
    /// Rows that no run would read, now or later, unless the configuration has a policy for them.
    pub fn admit(&self, cursor: &Cursor, saved: Option<&SavedCursor>, step: &str) -> Result<u64> {
        let column = &cursor.column;
        if self.is_infinite {
            return Err(Error::validation(format!(
                "the greatest value of the cursor column `{column}` is infinite or not a number: no later row would be read"
            ))
            .with_hint("correct these rows, or leave them out by a condition of the step"));
        }
        if self.is_future && !cursor.allow_future {
            return Err(Error::validation(format!(
                "the greatest value of the cursor column `{column}` is in the future: rows that come before it later would never be read"
            ))
            .with_hint(
                "correct these rows, or leave them out by a condition of the step; if values later than the source's clock are right, \
                 set `allow_future: true` in `cursor`",
            ));
        }
        let has_saved = saved.is_some_and(|saved| saved.value().is_some());
        if has_saved && (self.value.is_none() || self.is_behind) && !cursor.allow_deletes {
            let found = match self.value {
                None => "has no value left",
                Some(_) => "has no value left that is at or after the saved one",
            };
            return Err(Error::validation(format!(
                "the cursor column `{column}` {found}: the table was restored, filled anew, or its last rows were deleted"
            ))
            .with_hint(format!(
                "if it was filled anew, {}, or give the step another id; if its last rows may be deleted, set \
                 `allow_deletes: true` in `cursor`",
                reset_hint(None, step)
            )));
        }
        match cursor.nulls {
            NullCursor::Error if self.nulls > 0 => {
                let (rows, them) = match self.nulls {
                    1 => ("1 row has".to_owned(), "it"),
                    many => (format!("{many} rows have"), "them"),
                };
                Err(Error::validation(format!(
                    "{rows} NULL in the cursor column `{column}`: no run would read {them}"
                ))
                .with_hint(
                    "set `nulls: skip` in `cursor` to leave them out and count them, or `nulls: include` to read them as well",
                ))
            }
            NullCursor::Skip => Ok(self.nulls),
            NullCursor::Error | NullCursor::Include => Ok(0),
        }
    }

    /// The value at which the run ends: the greatest one, if it is at or after the saved one.
    pub fn upper(&self) -> Option<&str> {
        self.value.as_deref().filter(|_| !self.is_behind)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn bound(value: Option<&str>) -> Bound {
        Bound { value: value.map(str::to_owned), is_infinite: false, is_future: false, is_behind: false, nulls: 0 }
    }

    fn admitted(bound: &Bound, fields: Value, is_saved: bool) -> Result<u64, String> {
        let mut block = json!({"column": "c"});
        block.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let cursor: Cursor = serde_json::from_value(block).unwrap();
        let saved = SavedCursor::parse(&json!({"column": "c", "value": "5", "taken": []}), &cursor).unwrap();
        bound.admit(&cursor, is_saved.then_some(&saved), "s").map_err(|error| error.report())
    }

    #[test]
    fn s18_infinite_and_future_values_are_refused() {
        let infinite = Bound { is_infinite: true, ..bound(Some("infinity")) };
        assert!(admitted(&infinite, json!({"allow_future": true}), false).unwrap_err().contains("infinite"));
        let future = Bound { is_future: true, ..bound(Some("9999-12-31")) };
        let error = admitted(&future, json!({}), false).unwrap_err();
        assert!(error.contains("in the future") && error.contains("allow_future: true"), "{error}");
        assert_eq!(admitted(&future, json!({"allow_future": true}), true), Ok(0));
    }

    #[test]
    fn s19_a_greatest_value_that_falls_is_refused_with_the_remedies() {
        let behind = Bound { is_behind: true, ..bound(Some("3")) };
        for fallen in [behind.clone(), bound(None)] {
            let error = admitted(&fallen, json!({}), true).unwrap_err();
            assert!(error.contains("osiris state reset PIPELINE s") && error.contains("another id"), "{error}");
            assert_eq!(admitted(&fallen, json!({"allow_deletes": true}), true), Ok(0));
        }
        assert_eq!(behind.upper(), None);
        assert_eq!(admitted(&bound(None), json!({}), false), Ok(0));
    }

    #[test]
    fn s21_nulls_are_an_error_counted_or_read() {
        let nulls = Bound { nulls: 3, ..bound(Some("9")) };
        let error = admitted(&nulls, json!({}), true).unwrap_err();
        assert!(error.contains("3 rows") && error.contains("nulls: skip"), "{error}");
        assert_eq!(admitted(&nulls, json!({"nulls": "skip"}), true), Ok(3));
        assert_eq!(admitted(&nulls, json!({"nulls": "include"}), true), Ok(0));
    }
}
