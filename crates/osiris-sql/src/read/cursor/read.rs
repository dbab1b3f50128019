//! One run by a cursor: its bound, its parts, and the state for the next run.

use osiris_core::state::StateFiles;
use osiris_core::{Error, Extracted, Result};
use serde_json::Value;

use super::{Bound, Boundaries, Cursor, SavedCursor};
use crate::read::source::SelectSource;
use crate::read::{Counts, ReadSession};

/// What a run does before its first row, for messages.
pub const CONTEXT: &str = "reading the upper bound of the cursor";

/// The cursor column of one run, in the SQL of its database.
pub trait CursorColumn: Sync {
    /// Its name, quoted.
    fn name(&self) -> &str;

    /// A value of it.
    ///
    /// # Errors
    /// One that the column cannot have.
    fn value(&self, text: &str) -> Result<String>;

    /// A value of it less the lag of the cursor; `None` where there is none before it.
    ///
    /// # Errors
    /// One that the column cannot have.
    fn earlier(&self, text: &str) -> Result<Option<String>>;

    /// A condition that compares the column with a value.
    ///
    /// # Errors
    /// A value that the column cannot have.
    fn compared(&self, operator: &str, value: &str) -> Result<String> {
        Ok(format!("{} {operator} {}", self.name(), self.value(value)?))
    }
}

/// The greatest value of a cursor column, before the first row is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GreatestValue {
    /// As the source prints it; `None` without any.
    pub value: Option<String>,
    /// Whether it is infinite, or not a number.
    pub is_infinite: bool,
    /// Whether it is later than the source's clock, with [`CLOCK_TOLERANCE_SECONDS`](super::CLOCK_TOLERANCE_SECONDS).
    pub is_future: bool,
}

/// The reads of one run.
#[derive(Debug)]
pub struct CursorRead<'a> {
    source: &'a SelectSource,
    cursor: &'a Cursor,
    saved: Option<SavedCursor>,
    step: &'a str,
    stop_after: Option<u64>,
}

/// Rows that were read, before the state for the next run is written.
#[derive(Debug)]
pub struct CursorRows<'a> {
    read: &'a CursorRead<'a>,
    extracted: Extracted,
    upper: Option<String>,
    boundaries: Boundaries,
}

impl<'a> CursorRead<'a> {
    /// Of the step `step`, after the run that left `state`. With `stop_after` only so many rows are read, and no state
    /// is left.
    ///
    /// # Errors
    /// A state that is invalid, or of another column.
    pub fn new(
        source: &'a SelectSource,
        cursor: &'a Cursor,
        state: Option<&Value>,
        step: &'a str,
        stop_after: Option<u64>,
    ) -> Result<Self> {
        let saved = state.map(|state| SavedCursor::parse(state, cursor)).transpose()?;
        Ok(Self { source, cursor, saved, step, stop_after })
    }

    /// What the last run saved.
    pub fn saved(&self) -> Option<&SavedCursor> {
        self.saved.as_ref()
    }

    /// The greatest value under a condition, by three `expressions`: that value, whether it is infinite, and whether it
    /// is in the future.
    ///
    /// # Errors
    /// What the server says.
    pub async fn greatest(
        &self,
        session: &mut impl ReadSession,
        expressions: &str,
        below: Option<&str>,
    ) -> Result<GreatestValue> {
        let mut fields = session.row(&self.source.aggregate(expressions, below), CONTEXT).await?.into_iter();
        let value = fields.next().flatten();
        let mut is_true = || is_true(fields.next().flatten());
        Ok(GreatestValue { value, is_infinite: is_true(), is_future: is_true() })
    }

    /// The bounds of the cursor column, in the snapshot of the rows.
    async fn bound(
        &self,
        session: &mut impl ReadSession,
        column: &impl CursorColumn,
        greatest: GreatestValue,
    ) -> Result<Bound> {
        let GreatestValue { value, is_infinite, is_future } = greatest;
        let nulls = self.source.aggregate("COUNT(*)", Some(&format!("{} IS NULL", column.name())));
        let nulls =
            session.row(&nulls, CONTEXT).await?.into_iter().next().flatten().and_then(|count| count.parse().ok());
        let saved = self.saved.as_ref().and_then(SavedCursor::value);
        let is_behind = match saved.filter(|saved| Some(*saved) != value.as_deref()) {
            None => false,
            Some(saved) => {
                let reached = self.source.aggregate("1", Some(&column.compared(">=", saved)?));
                let reached = session.row(&format!("SELECT EXISTS({reached})"), CONTEXT).await?;
                !is_true(reached.into_iter().next().flatten())
            }
        };
        let nulls = nulls.ok_or_else(|| Error::unknown("the server did not count the rows without a cursor"))?;
        Ok(Bound { value, is_infinite, is_future, is_behind, nulls })
    }

    /// Reads the rows at or after the cursor, up to the greatest value.
    ///
    /// # Errors
    /// What the server says; rows that no run would read, unless the configuration has a policy for them.
    pub async fn rows(
        &self,
        session: &mut impl ReadSession,
        column: &impl CursorColumn,
        greatest: GreatestValue,
        files: &StateFiles,
    ) -> Result<CursorRows<'_>> {
        let saved = self.saved.as_ref();
        let bound = self.bound(session, column, greatest).await?;
        let skipped = bound.admit(self.cursor, saved, self.step)?;
        let upper = bound.upper();
        let mut boundaries = Boundaries::new(saved, files)?;
        let mut counts = Counts::default();
        for part in self.cursor.parts(saved, upper) {
            let left = self.stop_after.map(|most| most.saturating_sub(counts.read));
            if left == Some(0) {
                break;
            }
            let sql = self.source.select(Some(&part.condition(column)?), left);
            counts.add(session.read(sql, boundaries.of(part.role)).await?);
        }
        let extracted = counts.extracted().with_skipped(skipped);
        Ok(CursorRows { read: self, extracted, upper: upper.map(str::to_owned), boundaries })
    }
}

impl CursorRows<'_> {
    /// What the step reports, with the state for the next run.
    ///
    /// # Errors
    /// When files of the state cannot be written to disk.
    pub fn extracted(self) -> Result<Extracted> {
        if self.read.stop_after.is_some() {
            return Ok(self.extracted);
        }
        Ok(match self.read.cursor.next(self.read.saved.as_ref(), self.upper.as_deref(), self.boundaries)? {
            Some(next) => self.extracted.with_state(next.state()?),
            None => self.extracted,
        })
    }
}

/// A boolean as databases print it.
fn is_true(field: Option<String>) -> bool {
    matches!(field.as_deref(), Some("1" | "t"))
}
