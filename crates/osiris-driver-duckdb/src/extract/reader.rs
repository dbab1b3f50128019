//! Rows of one statement, sent to the store as DuckDB returns them. When the store is behind, DuckDB waits.

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use osiris_core::store::read_batches;
use osiris_core::{Column, Error, Result, TableSender, TableSink};
use osiris_sql::read::cursor::{Boundary, RowDigest};
use osiris_sql::read::{Counts, ReadSession};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::error::file_error;
use crate::types::ReadPlan;

const DOING: &str = "reading rows";
/// Batches between DuckDB and the store.
const IN_FLIGHT: usize = 8;

/// How rows are read, whichever the statement.
pub(super) struct Reader {
    plan: ReadPlan,
    sender: TableSender,
    batch_rows: usize,
}

/// A client with its reader.
pub(super) struct ReaderClient<'a> {
    pub(super) client: &'a mut Client,
    pub(super) reader: &'a Reader,
}

impl Reader {
    pub(super) async fn open(out: &TableSink, plan: ReadPlan, batch_rows: usize) -> Result<Self> {
        Ok(Self { sender: out.carrying_sender(plan.columns.clone()).await?, plan, batch_rows })
    }

    /// A column that is read.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.plan.column(name)
    }

    /// How many rows `select` returns, as DuckDB counts them.
    pub(super) async fn count(&self, client: &mut Client, select: &str) -> Result<u64> {
        client.number(format!("SELECT count(*) FROM (\n{select}\n) AS osiris_rows"), "counting the rows").await
    }

    /// Reads all rows of `sql`; at a boundary, only those that no earlier run has taken.
    ///
    /// # Errors
    /// DuckDB's errors.
    pub(super) async fn read(
        &self,
        client: &mut Client,
        sql: String,
        mut boundary: Option<&mut Boundary>,
    ) -> Result<Counts> {
        let (select, columns) = (self.plan.select(&sql), self.plan.columns.carried());
        let (batches, mut incoming) = mpsc::channel::<RecordBatch>(IN_FLIGHT);
        let read = client.call(move |connection| {
            let failed = |error| file_error(error, DOING);
            read_batches(connection, &select, &columns, &failed, |batch| Ok(batches.blocking_send(batch).is_ok()))
        });
        let send = async move {
            let mut counts = Counts::default();
            while let Some(batch) = incoming.recv().await {
                let rows = batch.num_rows() as u64;
                counts.read += rows;
                let batch = match boundary.as_deref_mut() {
                    Some(boundary) => new_rows(&batch, boundary)?,
                    None => batch,
                };
                counts.deduplicated += rows - batch.num_rows() as u64;
                self.send(&batch).await?;
            }
            Ok::<_, Error>(counts)
        };
        let (read, sent) = tokio::join!(read, send);
        let counts = sent?;
        read.map(|_| counts)
    }

    async fn send(&self, batch: &RecordBatch) -> Result<()> {
        for first in (0..batch.num_rows()).step_by(self.batch_rows) {
            let rows = self.batch_rows.min(batch.num_rows() - first);
            self.sender.send(batch.slice(first, rows)).await?;
        }
        Ok(())
    }
}

/// The rows that no earlier run has taken.
fn new_rows(batch: &RecordBatch, boundary: &mut Boundary) -> Result<RecordBatch> {
    let failed = |error| Error::unknown("the rows at the cursor could not be compared").with_source(error);
    let options = FormatOptions::new();
    let columns = batch.columns().iter();
    let texts = columns.map(|column| Ok((column, ArrayFormatter::try_new(column.as_ref(), &options)?)));
    let texts = texts.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut is_new = Vec::with_capacity(batch.num_rows());
    for index in 0..batch.num_rows() {
        let mut digest = RowDigest::default();
        for (column, text) in &texts {
            let text = (!column.is_null(index)).then(|| text.value(index).to_string());
            digest.add(text.as_ref().map(String::as_bytes));
        }
        is_new.push(boundary.note(digest)?);
    }
    filter_record_batch(batch, &BooleanArray::from(is_new)).map_err(failed)
}

impl ReadSession for ReaderClient<'_> {
    async fn row(&mut self, sql: &str, doing: &str) -> Result<Vec<Option<String>>> {
        self.client.row(sql, doing).await
    }

    async fn read(&mut self, sql: String, boundary: Option<&mut Boundary>) -> Result<Counts> {
        self.reader.read(self.client, sql, boundary).await
    }
}
