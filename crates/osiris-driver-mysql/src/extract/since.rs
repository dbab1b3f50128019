//! Incremental reads by a cursor: the upper bound of the run, its checks, its ranges, and the state for the next run.

use osiris_core::{Error, ExecutionContext, Extracted, Result};
use osiris_sql::read::cursor::{Bound, Boundaries, Cursor, SavedCursor};

use super::cursor::{CursorColumn, digest};
use super::describe::describe;
use super::reader::Counts;
use super::{Read, late, snapshot};
use crate::client::{Session, quote};
use crate::types::SourceColumn;

const CONTEXT: &str = "reading the upper bound of the cursor";

/// The upper bound of a run.
enum Ceiling {
    /// None: late commits are not waited for.
    None,
    /// The greatest value before waiting for transactions.
    At(String),
    /// No value: later rows belong to the next run.
    Empty,
}

impl Read<'_> {
    /// The rows at or after the cursor.
    pub(super) async fn since(
        &self,
        mut session: Session,
        cursor: &Cursor,
        ctx: &ExecutionContext,
    ) -> Result<Extracted> {
        let saved = self.step.state().map(|state| SavedCursor::parse(state, cursor)).transpose()?;
        let described = self.cursor_column(&mut session, cursor).await?;
        let mode = session.facts().sql_mode.clone();
        let column = CursorColumn::new(cursor, &described, &mode)?;
        let ceiling = self.ceiling(&mut session, cursor, &column).await?;
        snapshot::begin(&mut session).await?;
        let bound = self.bound(&mut session, &column, saved.as_ref(), &ceiling).await?;
        let skipped = bound.admit(cursor, saved.as_ref(), self.step.id())?;
        let upper = bound.upper();
        let mut boundaries = Boundaries::new(saved.as_ref(), &ctx.state_files())?;
        let mut counts = Counts::default();
        for part in cursor.parts(saved.as_ref(), upper) {
            let left = self.reader.stop_after.map(|most| most.saturating_sub(counts.read));
            if left == Some(0) {
                break;
            }
            let sql = self.source.select(Some(&column.condition(&part)?), left);
            counts.add(match boundaries.of(part.role) {
                None => self.reader.read(&mut session, sql, None).await?,
                Some(boundary) => {
                    self.reader.read(&mut session, sql, Some(&mut |row| boundary.note(digest(row)?))).await?
                }
            });
        }
        snapshot::end(session).await?;
        let extracted = counts.extracted().with_skipped(skipped);
        if self.step.dry_run() {
            return Ok(extracted);
        }
        Ok(match cursor.next(saved.as_ref(), upper, boundaries)? {
            Some(next) => extracted.with_state(next.state()?),
            None => extracted,
        })
    }

    /// The server's description of the cursor column.
    async fn cursor_column(&self, session: &mut Session, cursor: &Cursor) -> Result<SourceColumn> {
        let greatest = self.source.aggregate(&format!("MAX({})", quote(&cursor.column)), None);
        let described = describe(self.target, &greatest, session).await?;
        described.into_iter().next().ok_or_else(|| Error::unknown("an aggregate has no column"))
    }

    /// The greatest value before waiting for transactions: later values are not below it.
    async fn ceiling(&self, session: &mut Session, cursor: &Cursor, column: &CursorColumn<'_>) -> Result<Ceiling> {
        if self.step.dry_run() || cursor.lag > 0.0 {
            return Ok(Ceiling::None);
        }
        snapshot::begin(session).await?;
        let greatest = self.source.aggregate(&column.greatest(), None);
        let (ceiling, _) = self.ask(session, &greatest, CONTEXT).await?;
        let open = late::open(session, self.reader.first_row).await?;
        session.execute("COMMIT", CONTEXT).await?;
        match (open, ceiling) {
            (Some(_), None) => return Ok(Ceiling::Empty),
            (Some(open), Some(ceiling)) => {
                late::wait(session, open, self.reader.first_row).await?;
                return Ok(Ceiling::At(ceiling));
            }
            (None, _) => {}
        }
        tracing::warn!(
            step = self.step.id(),
            column = cursor.column,
            "the account cannot see open transactions, or the server is a replica: rows that are committed late may never be \
             read; grant PROCESS, or set `lag` in `cursor`"
        );
        Ok(Ceiling::None)
    }

    /// The bounds of the cursor column, in the snapshot of the rows.
    async fn bound(
        &self,
        session: &mut Session,
        column: &CursorColumn<'_>,
        saved: Option<&SavedCursor>,
        ceiling: &Ceiling,
    ) -> Result<Bound> {
        let below = match ceiling {
            Ceiling::None => None,
            Ceiling::At(value) => Some(column.compared("<=", value)?),
            Ceiling::Empty => Some("1 = 0".to_owned()),
        };
        let greatest = self.source.aggregate(&column.greatest(), below.as_deref());
        let (value, is_future) = self.ask(session, &greatest, CONTEXT).await?;
        let nulls = self.source.aggregate("COUNT(*)", Some(&column.is_null()));
        let (nulls, _) = self.ask(session, &nulls, CONTEXT).await?;
        let nulls = nulls.and_then(|count| count.parse().ok());
        let is_behind = match saved.and_then(SavedCursor::value).filter(|saved| Some(*saved) != value.as_deref()) {
            None => false,
            Some(saved) => {
                let reached = self.source.aggregate("1", Some(&column.compared(">=", saved)?));
                let (reached, _) = self.ask(session, &format!("SELECT EXISTS({reached})"), CONTEXT).await?;
                reached.as_deref() != Some("1")
            }
        };
        Ok(Bound {
            value,
            is_infinite: false,
            is_future: is_future.as_deref() == Some("1"),
            is_behind,
            nulls: nulls.ok_or_else(|| Error::unknown("the server did not count the rows without a cursor"))?,
        })
    }
}
