//! Reads the rows of one statement over one session, decoded as they arrive and sent to the store in batches. The
//! result is never buffered: when the store is slow, the server waits.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use osiris_core::{Error, Extracted, Result, TableSender};

use super::source::copied;
use crate::client::Session;
use crate::error::postgres_error;
use crate::types::decode::{ColumnPlan, Frames, Tuple, batches};

const READING: &str = "reading rows";

/// Settings for reading rows of any statement.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) plans: Arc<[ColumnPlan]>,
    pub(super) sender: TableSender,
    pub(super) batch_rows: usize,
    pub(super) limits: Limits,
}

/// Read timeout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) first_row: Duration,
    pub(super) idle: Duration,
}

/// Row counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Rows received from the server.
    pub(super) read: u64,
    /// Of these, skipped as already read.
    pub(super) deduplicated: u64,
    /// Values changed by a policy.
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

/// Whether a row is to be read.
pub(super) type Wanted<'a> = &'a mut (dyn FnMut(Tuple<'_>) -> Result<bool> + Send);

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
        mut wanted: Option<Wanted<'_>>,
    ) -> Result<Counts> {
        let mut batch = batches(&self.plans, self.batch_rows);
        let mut counts = Counts::default();
        let mut frames = Frames::new();
        let statement = copied(sql, &self.plans);
        let begun = tokio::time::timeout(self.limits.first_row, session.copy_out_raw(&statement)).await;
        let begun = begun.map_err(|_| silence(self.limits.first_row, true))?;
        let mut messages = begun.map_err(|error| postgres_error(error, READING))?;
        // Most rows are already buffered: a timer is only needed when waiting.
        while let Some(message) = match messages.next().now_or_never() {
            Some(message) => message,
            None => {
                let is_first = counts.read == 0;
                let limit = if is_first { self.limits.first_row } else { self.limits.idle };
                tokio::time::timeout(limit, messages.next()).await.map_err(|_| silence(limit, is_first))?
            }
        } {
            frames.push(message.map_err(|error| postgres_error(error, READING))?);
            while let Some(row) = frames.next()? {
                counts.read += 1;
                if let Some(wanted) = &mut wanted
                    && !wanted(row)?
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

fn silence(limit: Duration, is_first: bool) -> Error {
    let (what, hint) = if is_first {
        ("no first row", "raise `timeout` of the step, or reduce the work of the query")
    } else {
        (
            "no data received",
            "raise `timeout` of the connection, and check whether the server or the network is overloaded",
        )
    };
    Error::timeout(format!("{what} within {} ms", limit.as_millis())).with_hint(hint)
}
