//! Incremental reads by a cursor: up to which value a run reads.

use osiris_core::{Error, ExecutionContext, Extracted, Result};
use osiris_sql::read::cursor::{CONTEXT, Cursor, CursorColumn as _, CursorRead};

use super::cursor::CursorColumn;
use super::describe::describe;
use super::reader::ReaderSession;
use super::{Read, late, snapshot};
use crate::client::{Session, quote};
use crate::types::SourceColumn;

impl Read<'_> {
    /// The rows at or after the cursor.
    pub(super) async fn since(
        &self,
        mut session: Session,
        cursor: &Cursor,
        ctx: &ExecutionContext,
    ) -> Result<Extracted> {
        let (step, stop_after) = (self.step, self.reader.stop_after);
        let read = CursorRead::new(&self.source, cursor, step.state(), step.id(), stop_after)?;
        let described = self.cursor_column(&mut session, cursor).await?;
        let mode = session.facts().sql_mode.clone();
        let column = CursorColumn::new(cursor, &described, &mode)?;
        let mut session = ReaderSession::new(session, &self.reader);
        let below = match step.dry_run() || cursor.lag > 0.0 {
            // Late commits are not waited for.
            true => None,
            false => self.below(&mut session, &read, &column).await?,
        };
        if below.is_none() && !step.dry_run() && cursor.lag <= 0.0 {
            tracing::warn!(
                step = step.id(),
                column = cursor.column,
                "the account cannot see open transactions, or the server is a replica: rows that are committed late may never be \
                 read; grant PROCESS, or set `lag` in `cursor`"
            );
        }
        snapshot::begin(&mut session.session, self.statement_timeout).await?;
        let greatest = read.greatest(&mut session, &column.greatest(), below.as_deref()).await?;
        let rows = read.rows(&mut session, &column, greatest, &ctx.state_files()).await?;
        snapshot::end(session.session).await?;
        rows.extracted()
    }

    /// The server's description of the cursor column.
    async fn cursor_column(&self, session: &mut Session, cursor: &Cursor) -> Result<SourceColumn> {
        let greatest = self.source.aggregate(&format!("MAX({})", quote(&cursor.column)), None);
        let described = describe(self.target, &greatest, session).await?;
        described.into_iter().next().ok_or_else(|| Error::unknown("an aggregate has no column"))
    }

    /// A condition that excludes what open transactions may still write: at or below the greatest value before waiting
    /// for them. `None` where the account does not see them.
    async fn below(
        &self,
        session: &mut ReaderSession,
        read: &CursorRead<'_>,
        column: &CursorColumn<'_>,
    ) -> Result<Option<String>> {
        snapshot::begin(&mut session.session, self.statement_timeout).await?;
        let ceiling = read.greatest(session, &column.greatest(), None).await?.value;
        let limit = self.reader.limits.first_row;
        let open = late::open(&mut session.session, limit).await?;
        session.session.execute("COMMIT", CONTEXT).await?;
        Ok(match (open, ceiling) {
            (None, _) => None,
            // Later rows belong to the next run.
            (Some(_), None) => Some("1 = 0".to_owned()),
            (Some(open), Some(ceiling)) => {
                late::wait(&mut session.session, open, limit).await?;
                Some(column.compared("<=", &ceiling)?)
            }
        })
    }
}
