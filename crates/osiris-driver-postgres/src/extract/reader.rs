//! Reads the rows of one statement over one session, decoded as they arrive and sent to the store in batches. The
//! result is never buffered: when the store is slow, the server waits.

use std::sync::Arc;

use osiris_core::{Error, Result, TableSender};
use osiris_sql::batch::BatchBuilder;
use osiris_sql::read::cursor::Boundary;
use osiris_sql::read::{Counts, RowCollector, StatementReader, WaitLimits};

use super::cursor::digest;
use super::source::copied;
use crate::client::Session;
use crate::error::postgres_error;
use crate::types::decode::{ColumnPlan, Frames};

const READING: &str = "reading rows";

/// Settings for reading rows of any statement.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) plans: Arc<[ColumnPlan]>,
    pub(super) sender: TableSender,
    pub(super) batch_rows: usize,
    pub(super) limits: WaitLimits,
}

/// A session with its reader.
pub(super) type ReaderSession = osiris_sql::read::ReaderSession<Reader>;

impl StatementReader for Reader {
    type Session = Session;

    fn limits(&self) -> &WaitLimits {
        &self.limits
    }

    /// Reads up to the end marker of the stream. Fails for a server error, a timeout, a value that its type cannot hold,
    /// a stream without an end marker. The session is unusable then: drop it.
    async fn read(&self, session: &mut Session, sql: String, boundary: Option<&mut Boundary>) -> Result<Counts> {
        let mut rows = RowCollector::new(BatchBuilder::new(&self.plans, self.batch_rows), boundary);
        let mut frames = Frames::new();
        let statement = copied(&sql, &self.plans);
        let begun = tokio::time::timeout(self.limits.first_row, session.copy_out_raw(&statement)).await;
        let begun = begun.map_err(|_| self.limits.silence(true))?;
        let mut messages = begun.map_err(|error| postgres_error(error, READING))?;
        while let Some(message) = self.limits.next(&mut messages, rows.read() == 0).await? {
            frames.push(message.map_err(|error| postgres_error(error, READING))?);
            while let Some(row) = frames.next()? {
                if let Some(full) = rows.push(|| Ok(digest(row)), row.fields().map(Ok))? {
                    self.sender.send(full).await?;
                }
            }
        }
        if !frames.is_complete() {
            return Err(Error::network("the stream of rows ended early").with_hint("run it again"));
        }
        let (last, counts) = rows.finish()?;
        if let Some(last) = last {
            self.sender.send(last).await?;
        }
        Ok(counts)
    }
}
