//! Incremental reads by a cursor: the upper bound of the run, its checks, its ranges, and the state for the next run.

use osiris_core::{Error, ExecutionContext, Extracted, Result};
use osiris_sql::read::cursor::{Bound, Boundaries, Cursor, SavedCursor};

use super::cursor::{CursorColumn, digest};
use super::describe::describe;
use super::reader::Counts;
use super::{Extraction, late, snapshot};
use crate::client::Session;
use crate::error::within;

const CONTEXT: &str = "reading the upper bound of the cursor";

impl Extraction<'_> {
    /// The rows at or after the cursor.
    pub(super) async fn since(
        &self,
        mut session: Session,
        cursor: &Cursor,
        ctx: &ExecutionContext,
    ) -> Result<Extracted> {
        let saved = self.task.state.map(|state| SavedCursor::parse(state, cursor)).transpose()?;
        let described = self.column(&mut session, &cursor.column).await?;
        let column = CursorColumn::new(cursor, &described)?;
        let below = self.ceiling(&mut session, cursor, &column).await?;
        let bound = self.bound(&mut session, &column, saved.as_ref(), &below).await?;
        let skipped = bound.admit(cursor, saved.as_ref(), self.task.step_id)?;
        let upper = bound.upper();
        let mut boundaries = Boundaries::new(saved.as_ref(), &ctx.state_files())?;
        let mut counts = Counts::default();
        for part in cursor.parts(saved.as_ref(), upper) {
            let left = self.most().map(|most| most.saturating_sub(counts.read));
            if left == Some(0) {
                break;
            }
            let sql = self.source.select(Some(&column.condition(&part)), left);
            counts.add(match boundaries.of(part.role) {
                None => self.reader.read(&mut session, &sql, None).await?,
                Some(boundary) => {
                    self.reader.read(&mut session, &sql, Some(&mut |row| boundary.note(digest(row)))).await?
                }
            });
        }
        snapshot::end(session).await?;
        let extracted = counts.extracted().with_skipped(skipped);
        if self.task.dry_run {
            return Ok(extracted);
        }
        Ok(match cursor.next(saved.as_ref(), upper, boundaries)? {
            Some(next) => extracted.with_state(next.state()?),
            None => extracted,
        })
    }

    /// Conditions on the cursor that exclude what open transactions may still write: at or below the greatest value
    /// before waiting for them. Empty when the run ends at the current greatest value, since late commits are not
    /// waited for. Starts a new snapshot: the first one does not see what was waited for.
    async fn ceiling(&self, session: &mut Session, cursor: &Cursor, column: &CursorColumn<'_>) -> Result<Vec<String>> {
        if self.task.dry_run || cursor.lag > 0.0 {
            return Ok(Vec::new());
        }
        let (ceiling, ..) = self.greatest(session, column, &[]).await?;
        let limit = self.reader.limits.first_row;
        let Some(open) = late::open(session, self.source.table()).await? else {
            tracing::warn!(
                step = self.task.step_id,
                column = cursor.column,
                "the server is a standby, which does not know all open transactions: rows that are committed late may never be \
                 read; read the primary, or set `lag` in `cursor`"
            );
            return Ok(Vec::new());
        };
        let Some(ceiling) = ceiling else {
            // Later rows belong to the next run.
            return Ok(vec!["false".to_owned()]);
        };
        session.execute("COMMIT", CONTEXT).await?;
        let waited = late::wait(session, self.source.table(), open, column.clock(), limit).await?;
        self.snapshot.begin(session).await?;
        self.require_same_columns(session).await?;
        let began = waited.iter().map(|began| column.compared("<", began));
        Ok(std::iter::once(column.compared("<=", &ceiling)).chain(began).collect())
    }

    /// Checks that the columns are unchanged: nothing locks them between two transactions.
    async fn require_same_columns(&self, session: &mut Session) -> Result<()> {
        let sql = self.source.select(None, None);
        let columns = within(self.reader.limits.first_row, CONTEXT, describe(session, &sql)).await?;
        if columns == self.columns {
            return Ok(());
        }
        Err(Error::validation("table schema changed while open transactions were waited for")
            .with_hint("run it again")
            .with_retryable(true))
    }

    /// The greatest value under conditions, whether it is infinite, and whether it is in the future.
    async fn greatest(
        &self,
        session: &mut Session,
        column: &CursorColumn<'_>,
        below: &[String],
    ) -> Result<(Option<String>, bool, bool)> {
        let below = (!below.is_empty()).then(|| below.join(" AND "));
        let sql = self.source.aggregate(&column.greatest(), below.as_deref());
        let rows = within(self.reader.limits.first_row, CONTEXT, session.rows(&sql, CONTEXT)).await?;
        let mut fields = rows.into_iter().next().unwrap_or_default().into_iter();
        let value = fields.next().flatten();
        let mut is_true = || fields.next().flatten().as_deref() == Some("t");
        Ok((value, is_true(), is_true()))
    }

    /// The bounds of the cursor column, in the snapshot of the rows.
    async fn bound(
        &self,
        session: &mut Session,
        column: &CursorColumn<'_>,
        saved: Option<&SavedCursor>,
        below: &[String],
    ) -> Result<Bound> {
        let (value, is_infinite, is_future) = self.greatest(session, column, below).await?;
        let nulls = self.source.aggregate("count(*)", Some(&column.is_null()));
        let (nulls, _) = self.ask(session, &nulls, CONTEXT).await?;
        let nulls = nulls.and_then(|count| count.parse().ok());
        let is_behind = match saved.and_then(SavedCursor::value).filter(|saved| Some(*saved) != value.as_deref()) {
            None => false,
            Some(saved) => {
                let reached = self.source.aggregate("1", Some(&column.compared(">=", saved)));
                let (reached, _) = self.ask(session, &format!("SELECT EXISTS({reached})"), CONTEXT).await?;
                reached.as_deref() != Some("t")
            }
        };
        Ok(Bound {
            value,
            is_infinite,
            is_future,
            is_behind,
            nulls: nulls.ok_or_else(|| Error::unknown("the server did not count the rows without a cursor"))?,
        })
    }
}
