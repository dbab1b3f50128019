//! Reads the rows of one statement over one session, decoded as they arrive and sent to the store in batches. The
//! result is never buffered: when the store is slow, the server waits.

use std::sync::Arc;

use osiris_core::{Error, Result, TableSender};
use osiris_sql::read::cursor::Boundary;
use osiris_sql::read::{Counts, ReadSession, WaitLimits};

use super::cursor::digest;
use super::source::copied;
use crate::client::Session;
use crate::error::{postgres_error, within};
use crate::types::decode::{ColumnPlan, Frames, batches};

const READING: &str = "reading rows";

/// Settings for reading rows of any statement.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) plans: Arc<[ColumnPlan]>,
    pub(super) sender: TableSender,
    pub(super) batch_rows: usize,
    pub(super) limits: WaitLimits,
}

impl Reader {
    /// Reads all rows of `sql`, up to the end marker of the stream.
    ///
    /// # Errors
    /// A server error, a timeout, a value that its type cannot hold, a stream without an end marker. The session is
    /// unusable then: drop it.
    pub(super) async fn read(
        &self,
        session: &mut Session,
        sql: &str,
        mut boundary: Option<&mut Boundary>,
    ) -> Result<Counts> {
        let mut batch = batches(&self.plans, self.batch_rows);
        let mut counts = Counts::default();
        let mut frames = Frames::new();
        let statement = copied(sql, &self.plans);
        let begun = tokio::time::timeout(self.limits.first_row, session.copy_out_raw(&statement)).await;
        let begun = begun.map_err(|_| self.limits.silence(true))?;
        let mut messages = begun.map_err(|error| postgres_error(error, READING))?;
        while let Some(message) = self.limits.next(&mut messages, counts.read == 0).await? {
            frames.push(message.map_err(|error| postgres_error(error, READING))?);
            while let Some(row) = frames.next()? {
                counts.read += 1;
                if let Some(boundary) = &mut boundary
                    && !boundary.note(digest(row))?
                {
                    counts.deduplicated += 1;
                    continue;
                }
                if batch.push(row.fields().map(Ok))?
                    && let Some(full) = batch.finish()?
                {
                    self.sender.send(full).await?;
                }
            }
        }
        if !frames.is_complete() {
            return Err(Error::network("the stream of rows ended early").with_hint("run it again"));
        }
        if let Some(last) = batch.finish()? {
            self.sender.send(last).await?;
        }
        counts.altered = batch.altered();
        Ok(counts)
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
        self.reader.read(&mut self.session, &sql, boundary).await
    }
}
