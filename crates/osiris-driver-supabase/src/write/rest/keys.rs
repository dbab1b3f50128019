//! Keys in the run store: those of the input that come twice, those that were written, those that the table has. Compared as the texts
//! that one and the same server prints, in sorted order, so that memory does not grow with the table.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};
use osiris_core::{Error, ExecutionContext, Reject, Result, TableRef, TableScan, TableSender, TableSink};

use super::encode::{Encoder, Limits, Piece, encoded};
use super::field::Field;

/// Keys that are kept before they go to the store.
const BATCH: usize = 8192;
/// Duplicates that are kept for people to look at.
const SHOWN: usize = 1000;
const COLUMN: &str = "key";

/// Takes keys into a table of the run store that is dropped at the end.
pub(super) struct KeySink {
    sink: TableSink,
    sender: TableSender,
    waiting: Vec<String>,
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![ArrowField::new(COLUMN, DataType::Utf8, false)]))
}

/// The name of a table of keys, which no step can have.
fn table_name(ctx: &ExecutionContext, purpose: &str) -> String {
    format!("{}\u{1f}{purpose}", ctx.step_id())
}

impl KeySink {
    /// An empty table of keys, for `purpose`.
    ///
    /// # Errors
    /// A failing store.
    pub(super) async fn open(ctx: &ExecutionContext, purpose: &str) -> Result<Self> {
        let sink = ctx.store().sink(&table_name(ctx, purpose)).await?;
        let sender = sink.sender(schema()).await?;
        Ok(Self { sink, sender, waiting: Vec::new() })
    }

    /// Takes keys.
    ///
    /// # Errors
    /// A failing store.
    pub(super) async fn push(&mut self, keys: Vec<String>) -> Result<()> {
        self.waiting.extend(keys);
        if self.waiting.len() >= BATCH { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        let keys = StringArray::from(std::mem::take(&mut self.waiting));
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(keys)])
            .map_err(|error| Error::unknown("keys could not be kept").with_source(error))?;
        self.sender.send(batch).await
    }

    /// The table of all of them.
    ///
    /// # Errors
    /// A failing store.
    pub(super) async fn finish(mut self) -> Result<TableRef> {
        self.flush().await?;
        drop(self.sender);
        self.sink.finish().await
    }
}

/// Drops what a sweep has left in the store.
pub(super) async fn forget(ctx: &ExecutionContext, purposes: &[&str]) {
    for purpose in purposes {
        if let Err(error) = ctx.store().drop_table(&table_name(ctx, purpose)).await {
            tracing::warn!(%error, "a table of keys stays in the run store");
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

/// Refuses keys that come twice in `scan`, whose columns are the key and whose rows are sorted by it.
///
/// # Errors
/// When there are any; they are with the step's rejects.
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
    let keys = if run.repeated == 1 { "key comes" } else { "keys come" };
    Err(Error::validation(format!("{} {keys} more than once in the input", run.repeated)).with_hint(
        "keep one row of each key in a step before, or set `dedupe: last` with `order_by`; the keys are with the step's rejects",
    ))
}

/// Equal keys one behind the other.
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
                    reason: format!("its key comes {} times", self.times),
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
        assert_eq!((run.repeated, reasons), (2, vec!["its key comes 3 times", "its key comes 2 times"]));
    }
}
