//! Incremental extraction by a column whose values grow: its configuration, the state that a run saves for the next,
//! and the rows that a run reads. It knows no source: bounds are strings, which each driver turns into SQL, and the
//! source compares them, since it knows its collations.
//!
//! The upper bound is taken before the first row, so rows that are written meanwhile belong to the next run. It is used
//! only if a later run will read every row after it; see [`Bound`]. Rows at the bound are recorded by a digest of all
//! their values: rows that appear there later are found, and no row is read twice.

mod bound;
mod boundary;
mod parts;
mod read;
mod saved;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use osiris_core::{Error, Problem, Result};

pub use bound::Bound;
pub use boundary::{Boundaries, Boundary, RowDigest};
pub use parts::{End, Part, PartRole, Start};
pub use read::{CONTEXT, CursorColumn, CursorRead, CursorRows, GreatestValue};
pub use saved::SavedCursor;

/// How far a value may be ahead of the source's clock, in seconds: clocks of several machines differ a little.
pub const CLOCK_TOLERANCE_SECONDS: u32 = 300;

/// Incremental reading by a column whose values grow.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The column: an integer, a decimal, a date, a date with a time, or text.
    #[schemars(length(min = 1))]
    pub column: String,
    /// Where the first run starts: a number or a text as the source would have it. Default: at the first row.
    #[schemars(extend("x-source" = false))]
    pub initial: Option<InitialCursor>,
    /// How far behind the saved value a run starts, for rows that are committed late where the source does not say
    /// which transactions are open: seconds for dates and times, else a difference. Such rows come again.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0e12), extend("x-source" = false))]
    pub lag: f64,
    /// Whether rows at the saved value itself are read again, apart from those that were taken: rows that appeared
    /// there since are found. With `false` only greater values are read.
    #[serde(default = "default_true")]
    #[schemars(extend("x-source" = false))]
    pub include_boundary: bool,
    /// What becomes of rows where the column is NULL, which no run would find by their value: `error` (default), `skip`
    /// or `include`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub nulls: NullCursor,
    /// Whether the greatest value may be later than the source's clock. By default a date or time more than five
    /// minutes ahead is an error, since all rows that come before it later would be missed. Infinite values are always
    /// an error.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub allow_future: bool,
    /// Whether the rows with the greatest values may be deleted. By default it is an error when no row has the saved
    /// value or a greater one, since the table may have been restored or filled anew; with `true` the saved value
    /// stays.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub allow_deletes: bool,
}

/// What becomes of rows whose cursor is NULL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NullCursor {
    /// The step fails before the first row, and says how many there are.
    #[default]
    Error,
    /// They are left out, and counted as `skipped` in the ledger.
    Skip,
    /// Every run reads them, apart from those that an earlier run has taken.
    Include,
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

    /// The error of a column whose type has no exact order; `hint` names the types that have one.
    pub fn unordered(&self, hint: &'static str) -> Error {
        Error::validation(format!("`{}` cannot be a cursor", self.column)).with_hint(hint)
    }

    /// Checks that nothing has to be subtracted from a text.
    ///
    /// # Errors
    /// A `lag`.
    pub fn refuse_lag_of_text(&self) -> Result<()> {
        match self.lag > 0.0 {
            true => Err(Error::validation("`lag` needs a number or a date").with_hint("remove `lag`")),
            false => Ok(()),
        }
    }

    /// The warning for a source that does not say which transactions are open, or says so to some accounts only; none
    /// where there is a `lag`. `why` ends the message, `remedy` is an alternative to a lag.
    pub fn late_commits(&self, pointer: &str, why: &str, remedy: &str) -> Option<Problem> {
        (self.lag <= 0.0).then(|| {
            let message = format!("without `lag`, rows that are committed late may never be read: {why}");
            Problem::warning(pointer, message)
                .with_hint(format!("set `lag` to the longest time that a transaction may take; {remedy}"))
        })
    }
}

/// The error of transactions that were still open after `limit`, so that rows below the bound may yet appear.
pub fn still_open(transactions: usize, limit: Duration) -> Error {
    Error::timeout(format!(
        "{transactions} transactions that may hold rows with smaller cursor values were still open after {} s",
        limit.as_secs()
    ))
    .with_hint(
        "run again later, raise `timeout` of the step, or set `lag` in `cursor` to read behind the saved value instead",
    )
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
