//! Rows of one statement over one session, decoded as they arrive and sent to the store in batches. The result set is never
//! held: when the store is behind, the server waits.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use futures::{FutureExt as _, StreamExt as _};
use osiris_core::{Error, Extracted, Result, TableSender};
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Either, Executor as _};

use super::checksum::Checksums;
use crate::client::Session;
use crate::config::Verify;
use crate::error::mysql_error;
use crate::types::{ColumnPlan, batches, check, values};

pub(super) const READING: &str = "reading rows";

/// How rows are read, whichever the statement.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) plans: Arc<[ColumnPlan]>,
    pub(super) sender: TableSender,
    pub(super) batch_rows: usize,
    pub(super) first_row: Duration,
    pub(super) idle: Duration,
    pub(super) verify: Verify,
    /// Whether the statements can stand in a FROM.
    pub(super) is_query: bool,
    /// After how many rows to stop, for statements that cannot be given a LIMIT.
    pub(super) stop_after: Option<u64>,
}

/// What came of statements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Rows that came from the server.
    pub(super) read: u64,
    /// Of these, left out as taken before.
    pub(super) deduplicated: u64,
    /// Values that a policy altered.
    pub(super) altered: u64,
}

impl Counts {
    pub(super) fn extracted(self) -> Extracted {
        Extracted::rows(self.read).with_deduplicated(self.deduplicated).with_altered(self.altered)
    }

    pub(super) fn add(&mut self, other: Self) {
        self.read += other.read;
        self.deduplicated += other.deduplicated;
        self.altered += other.altered;
    }
}

/// Says of a row whether it is wanted.
pub(super) type Wanted<'a> = &'a mut (dyn FnMut(&MySqlRow) -> Result<bool> + Send);

impl Reader {
    /// Reads all rows of `sql`.
    ///
    /// # Errors
    /// What the server says, silence for too long, a value that its type cannot hold, a row that the server counted and that
    /// did not arrive. The session is of no use then: drop it.
    pub(super) async fn read(&self, session: &mut Session, sql: String, wanted: Option<Wanted<'_>>) -> Result<Counts> {
        let provable = self.is_query && self.stop_after.is_none();
        let mut sums =
            (self.verify == Verify::Checksums && provable && wanted.is_none()).then(|| Checksums::new(&self.plans));
        let counts = self.stream(session, sql.clone(), wanted, sums.as_mut()).await?;
        if self.verify != Verify::None && provable {
            self.prove(session, &sql, counts.read).await?;
        }
        if let Some(sums) = sums {
            let asked = format!("SELECT {} FROM (\n{sql}\n) AS osiris_source", sums.select());
            let answer = session.rows(&asked, "asking for checksums").await?;
            sums.compare(answer.first().map_or(&[], Vec::as_slice))?;
        }
        Ok(counts)
    }

    /// Compares what arrived with what the server says it sent. What it says of UNION and VALUES is not exact: a difference
    /// is a reason to let it count, in the same view.
    async fn prove(&self, session: &mut Session, sql: &str, arrived: u64) -> Result<()> {
        const DOING: &str = "counting the rows that were sent";
        let number = |rows: Vec<Vec<Option<String>>>| rows.first()?.first()?.as_deref()?.parse::<u64>().ok();
        // Deprecated in MySQL: a server that no longer knows it is asked the long way.
        let sent = session.rows("SELECT FOUND_ROWS()", DOING).await.ok().and_then(number);
        if sent == Some(arrived) {
            return Ok(());
        }
        let counted = session.rows(&format!("SELECT COUNT(*) FROM (\n{sql}\n) AS osiris_source"), DOING).await?;
        match number(counted) {
            Some(sent) if sent != arrived => {
                Err(Error::integrity(format!("the server has {sent} rows, {arrived} arrived")).with_hint(
                    "nothing was kept; if the query gives other rows each time, set `verify: none`, else report a bug",
                ))
            }
            _ => Ok(()),
        }
    }

    async fn stream(
        &self,
        session: &mut Session,
        sql: String,
        mut wanted: Option<Wanted<'_>>,
        mut sums: Option<&mut Checksums>,
    ) -> Result<Counts> {
        let mut batch = batches(&self.plans, self.batch_rows);
        let mut counts = Counts::default();
        // Not `fetch`, which is this with one more stream around each row.
        let mut answer = (&mut **session).fetch_many(sqlx::query(AssertSqlSafe(sql)).persistent(false));
        let mut limit = (self.first_row, "the first row did not come");
        // Most rows lie in the buffer already: only waiting for one that does not costs a timer.
        while let Some(part) = match answer.next().now_or_never() {
            Some(part) => part,
            None => match tokio::time::timeout(limit.0, answer.next()).await {
                Ok(part) => part,
                Err(_) => return Err(silence(limit)),
            },
        } {
            let Either::Right(row) = part.map_err(|error| mysql_error(error, READING))? else { continue };
            if counts.read == 0 {
                check(&row, &self.plans)?;
                limit = (self.idle, "the server was silent in the middle of its answer");
            }
            counts.read += 1;
            if let Some(wanted) = &mut wanted
                && !wanted(&row)?
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

fn silence((limit, what): (Duration, &'static str)) -> Error {
    let hint = if what.starts_with("the first") {
        "raise `timeout` of the step, or give the query less to do"
    } else {
        "raise `read_timeout` of the connection, and see whether the server or the network is overloaded"
    };
    Error::timeout(format!("{what} within {} ms", limit.as_millis())).with_hint(hint)
}
