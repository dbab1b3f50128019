//! Rows of one statement, decoded as they arrive and sent to the store in batches. When the store is behind, SQLite waits.

use futures::StreamExt as _;
use osiris_core::{Result, TableSender, TableSink};
use osiris_sql::batch::{BatchBuilder, schema};
use osiris_sql::read::cursor::{Boundary, RowDigest};
use osiris_sql::read::{Counts, ReadSession, RowCollector};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Executor as _};

use crate::client::{Client, values};
use crate::error::sqlite_error;
use crate::types::ColumnPlan;

const DOING: &str = "reading rows";

/// How rows are read, whichever the statement.
pub(super) struct Reader {
    plans: Vec<ColumnPlan>,
    sender: TableSender,
    batch_rows: usize,
}

/// A client with its reader.
pub(super) struct ReaderClient<'a> {
    pub(super) client: &'a mut Client,
    pub(super) reader: &'a Reader,
}

impl Reader {
    pub(super) async fn open(out: &TableSink, plans: Vec<ColumnPlan>, batch_rows: usize) -> Result<Self> {
        Ok(Self { sender: out.sender(schema(&plans)).await?, plans, batch_rows })
    }

    /// The plan of a column.
    pub(super) fn plan(&self, name: &str) -> Option<&ColumnPlan> {
        self.plans.iter().find(|plan| plan.name().eq_ignore_ascii_case(name))
    }

    /// Reads all rows of `sql`; at a boundary, only those that no earlier run has taken.
    ///
    /// # Errors
    /// SQLite's errors, and a value that its column's type cannot hold.
    pub(super) async fn read(
        &self,
        client: &mut Client,
        sql: String,
        boundary: Option<&mut Boundary>,
    ) -> Result<Counts> {
        let mut collector = RowCollector::new(BatchBuilder::new(&self.plans, self.batch_rows), boundary);
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        let mut rows = client.connection().fetch(query);
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| sqlite_error(error, DOING))?;
            if let Some(full) = collector.push(|| digest(&row), values(&row))? {
                self.sender.send(full).await?;
            }
        }
        let (last, counts) = collector.finish()?;
        if let Some(last) = last {
            self.sender.send(last).await?;
        }
        Ok(counts)
    }
}

impl ReadSession for ReaderClient<'_> {
    async fn row(&mut self, sql: &str, doing: &str) -> Result<Vec<Option<String>>> {
        self.client.row(sql, doing).await
    }

    async fn read(&mut self, sql: String, boundary: Option<&mut Boundary>) -> Result<Counts> {
        self.reader.read(self.client, sql, boundary).await
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
