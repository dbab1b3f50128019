//! Keys in the run store: duplicates in the input, written keys, and keys of the table. Compared as text
//! printed by the same server, in sorted order, so that memory does not grow with the table.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};
use osiris_core::{Error, ExecutionContext, Reject, Result, TableRef, TableScan, TableSender, TableSink};

use super::encode::{Encoder, Limits, Piece, encoded};
use super::field::Field;

/// Keys buffered before they are stored.
const BATCH: usize = 8192;
/// Maximum number of duplicates to keep as rejects.
const SHOWN: usize = 1000;
const COLUMN: &str = "key";

/// Collects keys in a table of the run store that is dropped at the end.
pub(super) struct KeySink {
    sink: TableSink,
    sender: TableSender,
    waiting: Vec<String>,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![ArrowField::new(COLUMN, DataType::Utf8, false)]))
}

/// The name of a table of keys, which is not a valid step id.
fn table_name(ctx: &ExecutionContext, purpose: &str) -> String {
    format!("{}\u{1f}{purpose}", ctx.step_id())
}

impl KeySink {
    /// An empty table of keys, for `purpose`.
    ///
    /// # Errors
    /// When the run store fails.
    pub(super) async fn open(ctx: &ExecutionContext, purpose: &str) -> Result<Self> {
        let sink = ctx.store().sink(&table_name(ctx, purpose)).await?;
        let sender = sink.sender(schema()).await?;
        Ok(Self { sink, sender, waiting: Vec::new() })
    }

    /// Adds keys.
    ///
    /// # Errors
    /// When the run store fails.
    pub(super) async fn push(&mut self, keys: Vec<String>) -> Result<()> {
        self.waiting.extend(keys);
        if self.waiting.len() >= BATCH { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        let keys = StringArray::from(std::mem::take(&mut self.waiting));
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(keys)])
            .map_err(|error| Error::unknown("failed to store keys").with_source(error))?;
        self.sender.send(batch).await
    }

    /// The table with all keys.
    ///
    /// # Errors
    /// When the run store fails.
    pub(super) async fn finish(mut self) -> Result<TableRef> {
        self.flush().await?;
        drop(self.sender);
        self.sink.finish().await
    }
}

/// Drops the tables of keys.
pub(super) async fn forget(ctx: &ExecutionContext, purposes: &[&str]) {
    for purpose in purposes {
        if let Err(error) = ctx.store().drop_table(&table_name(ctx, purpose)).await {
            tracing::warn!(%error, "failed to drop a table of keys from the run store");
        }
    }
}

/// The keys of a table, sorted.
pub(super) struct Sorted {
    scan: TableScan,
    batch: Option<RecordBatch>,
    row: usize,
}

impl Sorted {
    pub(super) async fn open(ctx: &ExecutionContext, table: &TableRef) -> Result<Self> {
        let scan = ctx.store().scan(table).order_by([COLUMN]).open().await?;
        Ok(Self { scan, batch: None, row: 0 })
    }

    pub(super) async fn next(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(batch) = &self.batch
                && self.row < batch.num_rows()
            {
                let key = batch.column(0).as_string::<i32>().value(self.row).to_owned();
                self.row += 1;
                return Ok(Some(key));
            }
            self.batch = self.scan.next().await?;
            self.row = 0;
            if self.batch.is_none() {
                return Ok(None);
            }
        }
    }
}

/// Checks for duplicate keys in `scan`, whose columns are the key and whose rows are sorted by it.
///
/// # Errors
/// When there are any; they are in the step's rejects.
pub(super) async fn refuse_duplicates(ctx: &ExecutionContext, scan: TableScan, fields: Arc<[Field]>) -> Result<()> {
    let limits = Limits { rows: BATCH, bytes: 4 << 20 };
    let mut pieces = encoded(scan, Encoder { fields, limits, strip_nul: true, last_of: None });
    let mut run = Run::default();
    while let Some(piece) = pieces.recv().await {
        if let Piece::Chunk(chunk) = piece? {
            for row in 0..chunk.rows() {
                run.see(chunk.body(&(row..row + 1)));
            }
        }
    }
    run.end();
    if run.repeated == 0 {
        return Ok(());
    }
    ctx.rejects().note(run.notes).await?;
    let keys = if run.repeated == 1 { "key occurs" } else { "keys occur" };
    Err(Error::validation(format!("{} {keys} more than once in the input", run.repeated)).with_hint(
        "keep one row per key in an earlier step, or set `dedupe: last` with `order_by`; the keys are in the step's rejects",
    ))
}

/// A run of equal keys.
#[derive(Default)]
struct Run {
    key: bytes::Bytes,
    times: u64,
    repeated: u64,
    notes: Vec<Reject>,
}

impl Run {
    fn see(&mut self, key: bytes::Bytes) {
        if self.times > 0 && self.key == key {
            self.times += 1;
            return;
        }
        self.end();
        (self.key, self.times) = (key, 1);
    }

    fn end(&mut self) {
        if self.times > 1 {
            self.repeated += 1;
            if self.notes.len() < SHOWN {
                self.notes.push(Reject {
                    row_number: None,
                    column: None,
                    reason: format!("key occurs {} times", self.times),
                    row: std::str::from_utf8(&self.key).ok().map(|key| key.trim_matches(['[', ']']).to_owned()),
                });
            }
        }
        self.times = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_comes_again_is_told_with_its_times() {
        let mut run = Run::default();
        for key in ["1", "2", "2", "2", "3", "3"] {
            run.see(bytes::Bytes::copy_from_slice(key.as_bytes()));
        }
        run.end();
        let reasons: Vec<_> = run.notes.iter().map(|note| note.reason.as_str()).collect();
        assert_eq!((run.repeated, reasons), (2, vec!["key occurs 3 times", "key occurs 2 times"]));
    }
}
