//! Reads the rows of one statement over one session, decoded as they arrive and sent to the store in batches. The
//! result set is never buffered: when the store is slow, the server waits.

use std::sync::Arc;

use arrow::array::RecordBatch;
use osiris_core::{Error, Result, TableSender};
use osiris_sql::read::cursor::Boundary;
use osiris_sql::read::{Counts, ReadSession, WaitLimits};
use sqlx::{AssertSqlSafe, Either, Executor as _};

use super::checksum::Checksums;
use super::cursor::digest;
use crate::client::Session;
use crate::config::Verify;
use crate::error::{mysql_error, within};
use crate::types::{ColumnPlan, batches, check, values};

pub(super) const READING: &str = "reading rows";

/// Settings for reading rows of any statement.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) plans: Arc<[ColumnPlan]>,
    pub(super) sender: TableSender,
    pub(super) batch_rows: usize,
    pub(super) limits: WaitLimits,
    pub(super) verify: Verify,
    /// Whether the statements can be a subquery.
    pub(super) is_query: bool,
    /// The number of rows to read, for statements that cannot have a LIMIT.
    pub(super) stop_after: Option<u64>,
}

impl Reader {
    /// Reads all rows of `sql`.
    ///
    /// # Errors
    /// What the server says, silence for too long, a value that its type cannot hold, a row that the server counted and
    /// that did not arrive. The session is of unusable then: drop it.
    pub(super) async fn read(
        &self,
        session: &mut Session,
        sql: String,
        boundary: Option<&mut Boundary>,
    ) -> Result<Counts> {
        let provable = self.is_query && self.stop_after.is_none();
        let mut sums =
            (self.verify == Verify::Checksums && provable && boundary.is_none()).then(|| Checksums::new(&self.plans));
        let counts = self.stream(session, sql.clone(), boundary, sums.as_mut()).await?;
        if self.verify != Verify::None && provable {
            self.prove(session, &sql, counts.read).await?;
        }
        if let Some(sums) = sums {
            let asked = format!("SELECT {} FROM (\n{sql}\n) AS osiris_source", sums.select());
            let answer = session.rows(&asked, "computing checksums").await?;
            sums.compare(answer.first().map_or(&[], Vec::as_slice))?;
        }
        Ok(counts)
    }

    /// Compares the rows received with the server's count. Its count for UNION and VALUES is inexact: on a difference
    /// the rows are counted with a query in the same snapshot.
    async fn prove(&self, session: &mut Session, sql: &str, arrived: u64) -> Result<()> {
        const CONTEXT: &str = "counting the rows";
        let number = |rows: Vec<Vec<Option<String>>>| rows.first()?.first()?.as_deref()?.parse::<u64>().ok();
        // Deprecated in MySQL: without it the rows are counted with a query.
        let sent = session.rows("SELECT FOUND_ROWS()", CONTEXT).await.ok().and_then(number);
        if sent == Some(arrived) {
            return Ok(());
        }
        let counted = session.rows(&format!("SELECT COUNT(*) FROM (\n{sql}\n) AS osiris_source"), CONTEXT).await?;
        match number(counted) {
            Some(sent) if sent != arrived => Err(Error::integrity(format!(
                "the server sent {sent} rows, but {arrived} arrived"
            ))
            .with_hint("nothing was kept; if the query is not deterministic, set `verify: none`, else report a bug")),
            _ => Ok(()),
        }
    }

    async fn stream(
        &self,
        session: &mut Session,
        sql: String,
        mut boundary: Option<&mut Boundary>,
        mut sums: Option<&mut Checksums>,
    ) -> Result<Counts> {
        let mut batch = batches(&self.plans, self.batch_rows);
        let mut counts = Counts::default();
        // Not `fetch`, which wraps each row in another stream.
        let mut answer = (&mut **session).fetch_many(sqlx::query(AssertSqlSafe(sql)).persistent(false));
        while let Some(part) = self.limits.next(&mut answer, counts.read == 0).await? {
            let Either::Right(row) = part.map_err(|error| mysql_error(error, READING))? else { continue };
            if counts.read == 0 {
                check(&row, &self.plans)?;
            }
            counts.read += 1;
            if let Some(boundary) = &mut boundary
                && !boundary.note(digest(&row)?)?
            {
                counts.deduplicated += 1;
                continue;
            }
            if batch.push(values(&row))?
                && let Some(full) = batch.finish()?
            {
                self.send(full, sums.as_deref_mut()).await?;
            }
            if self.stop_after.is_some_and(|most| counts.read >= most) {
                break;
            }
        }
        if let Some(last) = batch.finish()? {
            self.send(last, sums).await?;
        }
        counts.altered = batch.altered();
        Ok(counts)
    }

    async fn send(&self, batch: RecordBatch, sums: Option<&mut Checksums>) -> Result<()> {
        if let Some(sums) = sums {
            sums.add(&batch)?;
        }
        self.sender.send(batch).await
    }
}

/// A session that reads rows into the sink of the step.
pub(super) struct ReaderSession {
    pub(super) session: Session,
    pub(super) reader: Reader,
}

impl ReadSession for ReaderSession {
    async fn row(&mut self, sql: &str, doing: &str) -> Result<Vec<Option<String>>> {
        let rows = within(self.reader.limits.first_row, doing, self.session.rows(sql, doing)).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    async fn read(&mut self, sql: String, boundary: Option<&mut Boundary>) -> Result<Counts> {
        self.reader.read(&mut self.session, sql, boundary).await
    }
}
