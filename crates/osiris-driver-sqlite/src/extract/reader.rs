//! Rows of one statement, decoded as they arrive and sent to the store in batches. When the store is behind, SQLite waits.

use std::sync::Arc;

use arrow::datatypes::Schema;
use futures::StreamExt as _;
use osiris_core::{Extracted, Result, TableSender, TableSink};
use osiris_sql::batch::BatchBuilder;
use osiris_sql::read::cursor::{Boundary, RowDigest};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Executor as _};

use crate::client::{Client, values};
use crate::error::sqlite_error;
use crate::types::{Builder, ColumnPlan};

const DOING: &str = "reading rows";

/// How rows are read, whichever the statement.
pub(super) struct Reader {
    plans: Vec<ColumnPlan>,
    schema: Arc<Schema>,
    sender: TableSender,
    batch_rows: usize,
}

/// The rows of statements.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Rows that SQLite returned.
    pub(super) read: u64,
    /// Of these, left out as taken before.
    pub(super) deduplicated: u64,
}

impl Counts {
    pub(super) fn extracted(self) -> Extracted {
        Extracted::rows(self.read).with_deduplicated(self.deduplicated)
    }

    pub(super) fn add(&mut self, other: Self) {
        self.read += other.read;
        self.deduplicated += other.deduplicated;
    }
}

impl Reader {
    pub(super) async fn open(out: &TableSink, plans: Vec<ColumnPlan>, batch_rows: usize) -> Result<Self> {
        let schema = Arc::new(Schema::new(plans.iter().map(ColumnPlan::field).collect::<Vec<_>>()));
        Ok(Self { sender: out.sender(Arc::clone(&schema)).await?, schema, plans, batch_rows })
    }

    /// The plan of a column.
    pub(super) fn plan(&self, name: &str) -> Option<&ColumnPlan> {
        self.plans.iter().find(|plan| plan.name.eq_ignore_ascii_case(name))
    }

    /// Reads all rows of `sql`; at a boundary, only those that no earlier run has taken.
    ///
    /// # Errors
    /// SQLite's errors, and a value that its column's type cannot hold.
    pub(super) async fn read(
        &self,
        client: &mut Client,
        sql: String,
        mut boundary: Option<&mut Boundary>,
    ) -> Result<Counts> {
        let builders = self.plans.iter().map(Builder::new).collect();
        let mut batch = BatchBuilder::new(Arc::clone(&self.schema), builders, self.batch_rows);
        let mut counts = Counts::default();
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let mut rows = client.connection().fetch(query);
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| sqlite_error(error, DOING))?;
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
                self.sender.send(full).await?;
            }
        }
        if let Some(last) = batch.finish()? {
            self.sender.send(last).await?;
        }
        Ok(counts)
    }
}

/// What a row is recognised by.
fn digest(row: &SqliteRow) -> Result<RowDigest> {
    let mut digest = RowDigest::default();
    for value in values(row) {
        digest.add(value?.map(|value| value.bytes()).as_deref());
    }
    Ok(digest)
}
