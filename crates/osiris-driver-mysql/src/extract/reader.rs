//! Reads the rows of one statement over one session, decoded as they arrive and sent to the store in batches. The
//! result set is never buffered: when the store is slow, the server waits.

use std::sync::Arc;

use arrow::array::RecordBatch;
use osiris_core::{Error, Result, TableSender};
use osiris_sql::batch::BatchBuilder;
use osiris_sql::read::cursor::Boundary;
use osiris_sql::read::{Counts, RowCollector, StatementReader, WaitLimits};
use sqlx::{AssertSqlSafe, Either, Executor as _};

use super::checksum::Checksums;
use super::cursor::digest;
use crate::client::Session;
use crate::config::Verify;
use crate::error::mysql_error;
use crate::types::{ColumnPlan, check, values};

const READING: &str = "reading rows";

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

/// A session with its reader.
pub(super) type ReaderSession = osiris_sql::read::ReaderSession<Reader>;

impl StatementReader for Reader {
    type Session = Session;

    fn limits(&self) -> &WaitLimits {
        &self.limits
    }

    /// Fails for what the server says, silence for too long, a value that its type cannot hold, a row that the server
    /// counted and that did not arrive. The session is unusable then: drop it.
    async fn read(&self, session: &mut Session, sql: String, boundary: Option<&mut Boundary>) -> Result<Counts> {
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
}

impl Reader {
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
        boundary: Option<&mut Boundary>,
        mut sums: Option<&mut Checksums>,
    ) -> Result<Counts> {
        let mut rows = RowCollector::new(BatchBuilder::new(&self.plans, self.batch_rows), boundary);
        // Not `fetch`, which wraps each row in another stream.
        let mut answer = (&mut **session).fetch_many(sqlx::query(AssertSqlSafe(sql)).persistent(false));
        while let Some(part) = self.limits.next(&mut answer, rows.read() == 0).await? {
            let Either::Right(row) = part.map_err(|error| mysql_error(error, READING))? else { continue };
            if rows.read() == 0 {
                check(&row, &self.plans)?;
            }
            if let Some(full) = rows.push(|| digest(&row), values(&row))? {
                self.send(full, sums.as_deref_mut()).await?;
            }
            if self.stop_after.is_some_and(|most| rows.read() >= most) {
                break;
            }
        }
        let (last, counts) = rows.finish()?;
        if let Some(last) = last {
            self.send(last, sums).await?;
        }
        Ok(counts)
    }

    async fn send(&self, batch: RecordBatch, sums: Option<&mut Checksums>) -> Result<()> {
        if let Some(sums) = sums {
            sums.add(&batch)?;
        }
        self.sender.send(batch).await
    }
}
