//! Incremental reads by a cursor: up to which value a run reads.

use osiris_core::{Error, ExecutionContext, Extracted, Result};
use osiris_sql::read::cursor::{CONTEXT, Cursor, CursorColumn as _, CursorRead};

use super::cursor::CursorColumn;
use super::describe::describe;
use super::reader::ReaderSession;
use super::{Extraction, late, snapshot};
use crate::client::Session;

impl Extraction<'_> {
    /// The rows at or after the cursor.
    pub(super) async fn since(
        &self,
        mut session: Session,
        cursor: &Cursor,
        ctx: &ExecutionContext,
    ) -> Result<Extracted> {
        let read = CursorRead::new(&self.source, cursor, self.task.state, self.task.step_id, self.most())?;
        let described = self.column(&mut session, &cursor.column).await?;
        let column = CursorColumn::new(cursor, &described)?;
        let mut session = ReaderSession::new(session, &self.reader);
        let below = match self.task.dry_run || cursor.lag > 0.0 {
            // Late commits are not waited for.
            true => Vec::new(),
            false => self.ceiling(&mut session, &read, cursor, &column).await?,
        };
        let below = (!below.is_empty()).then(|| below.join(" AND "));
        let greatest = read.greatest(&mut session, &column.greatest(), below.as_deref()).await?;
        let rows = read.rows(&mut session, &column, greatest, &ctx.state_files()).await?;
        snapshot::end(session.session).await?;
        rows.extracted()
    }

    /// Conditions on the cursor that exclude what open transactions may still write: at or below the greatest value
    /// before waiting for them. Starts a new snapshot: the first one does not see what was waited for.
    async fn ceiling(
        &self,
        session: &mut ReaderSession,
        read: &CursorRead<'_>,
        cursor: &Cursor,
        column: &CursorColumn<'_>,
    ) -> Result<Vec<String>> {
        let ceiling = read.greatest(session, &column.greatest(), None).await?.value;
        let (session, table) = (&mut session.session, self.source.table_sql());
        let limit = self.reader.limits.first_row;
        let Some(open) = late::open(session, table).await? else {
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
        let waited = late::wait(session, table, open, column.clock(), limit).await?;
        self.snapshot.begin(session).await?;
        self.require_same_columns(session).await?;
        let began = waited.iter().map(|began| column.compared("<", began));
        std::iter::once(column.compared("<=", &ceiling)).chain(began).collect()
    }

    /// Checks that the columns are unchanged: nothing locks them between two transactions.
    async fn require_same_columns(&self, session: &mut Session) -> Result<()> {
        let sql = self.source.select(None, None);
        let columns = self.reader.limits.first(CONTEXT, describe(session, &sql)).await?;
        if columns == self.columns {
            return Ok(());
        }
        Err(Error::validation("table schema changed while open transactions were waited for")
            .with_hint("run it again")
            .with_retryable(true))
    }
}
