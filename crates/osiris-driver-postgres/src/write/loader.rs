//! Sends chunks of rows to a table with binary COPY. A chunk that the server rejects is rolled back. The caller owns
//! the transaction.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use osiris_core::{ExecutionContext, Result, TableScan};
use osiris_sql::write::{Chunk, ChunkLimits, ChunkOutcome, ChunkSink, Encoder, Loaded, load};

use super::failure::StatementError;
use super::staging::NUMBER;
use super::transaction::Transaction;
use crate::client::quote;
use crate::types::encode::{Field, RowWriter};

/// The size of a chunk in bytes.
const CHUNK: usize = 8 << 20;
const CONTEXT: &str = "sending rows";
/// Keepalive interval while waiting for rows.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
/// The reject reason for a row suppressed by a trigger.
pub(super) const SUPPRESSED: &str = "row suppressed by a trigger that returned NULL";

/// The destination of rows.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// The table in SQL.
    pub(super) table: String,
    pub(super) fields: Arc<[Field]>,
    /// Whether each row also has its number, in [`NUMBER`].
    pub(super) numbered: bool,
    /// Whether NUL characters are removed from text.
    pub(super) strip_nul: bool,
}

/// The state of one load.
pub(super) struct Loader<'a> {
    tx: &'a mut Transaction,
    destination: Destination,
    ctx: &'a ExecutionContext,
    sql: String,
    /// Whether a savepoint is set.
    saved: bool,
}

impl<'a> Loader<'a> {
    pub(super) fn new(tx: &'a mut Transaction, destination: Destination, ctx: &'a ExecutionContext) -> Self {
        let number = destination.numbered.then(|| quote(NUMBER));
        let names: Vec<String> =
            number.into_iter().chain(destination.fields.iter().map(|field| quote(&field.target))).collect();
        let sql = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", destination.table, names.join(", "));
        Self { tx, destination, ctx, sql, saved: false }
    }

    /// Loads all rows of `scan`, whose columns are the fields of the destination.
    ///
    /// # Errors
    /// On any failure other than single rows, or when too many rows are rejected.
    pub(super) async fn run(mut self, scan: TableScan, batch_size: Option<u64>) -> Result<Loaded> {
        let rows = usize::try_from(batch_size.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let limits = ChunkLimits { rows, bytes: CHUNK, max_bytes: usize::MAX };
        let Destination { fields, numbered, strip_nul, .. } = &self.destination;
        let encoder = Encoder::new(RowWriter::new(Arc::clone(fields), *numbered, *strip_nul), fields, limits);
        let ctx = self.ctx;
        let loaded = load(scan, encoder, &mut self, ctx).await?;
        if self.saved {
            self.tx.run("RELEASE SAVEPOINT osiris", CONTEXT).await?;
        }
        Ok(loaded)
    }

    /// The input column for this column of the table.
    fn source(&self, column: Option<String>) -> Option<String> {
        let column = column?;
        let field = self.destination.fields.iter().find(|field| field.target == column);
        Some(field.map_or(column, |field| field.source.name.clone()))
    }
}

impl ChunkSink for Loader<'_> {
    async fn meanwhile<T: Send>(&mut self, work: impl Future<Output = T> + Send) -> Result<T> {
        let mut work = pin!(work);
        loop {
            match tokio::time::timeout(SIGN_OF_LIFE, &mut work).await {
                Ok(value) => return Ok(value),
                // The rows arrive slowly: keep the connection alive.
                Err(_) => self.tx.run("SELECT 1", CONTEXT).await.map(drop)?,
            }
        }
    }

    async fn send(&mut self, chunk: &Chunk, rows: &Range<usize>) -> Result<ChunkOutcome> {
        let save = if self.saved { "RELEASE SAVEPOINT osiris; SAVEPOINT osiris" } else { "SAVEPOINT osiris" };
        self.tx.run(save, CONTEXT).await?;
        self.saved = true;
        let outcome = match self.tx.copy(&self.sql, chunk.slice(rows), CONTEXT).await {
            Ok(taken) if taken == u64::try_from(rows.len()).unwrap_or(0) => {
                return Ok(ChunkOutcome::Taken { replaced: 0 });
            }
            Ok(_) => ChunkOutcome::Refused { row: None, column: None, reason: SUPPRESSED.to_owned() },
            Err(StatementError::Server(refusal)) if refusal.is_about_rows() => {
                let (column, reason) = refusal.reason();
                ChunkOutcome::Refused { row: refusal.row(), column: self.source(column), reason }
            }
            Err(failure) => return Err(failure.into_error(CONTEXT)),
        };
        self.tx.run("ROLLBACK TO SAVEPOINT osiris", CONTEXT).await?;
        Ok(outcome)
    }
}
