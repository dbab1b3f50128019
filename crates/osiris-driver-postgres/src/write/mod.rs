//! Writing: every mode is one transaction, so the table is the old one or the new one whatever happens.
//!
//! * `append`: binary COPY into the table itself.
//! * `overwrite`: the rows are deleted and new ones copied in; nothing else of the table is touched, so views, grants, keys and
//!   columns stay. Where foreign keys of other tables point to it, rows are replaced by key instead.
//! * `upsert`, and whatever takes a statement over all rows at once: binary COPY into a temporary table, and one `INSERT ...
//!   SELECT ... ON CONFLICT` from there.
//!
//! Nothing that the server would alter gets through: see [`crate::types::encode`]. Rows that it refuses are found and kept as
//! rejects.

mod commit;
mod component;
mod failure;
mod loader;
mod merge;
mod plan;
mod sequence;
mod staging;
mod stale;
mod target;
mod task;
mod transaction;
mod watch;

use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{ExecutionContext, Result, TableRef, Written};
use osiris_sql::write::MappedColumn;

use crate::client::Client;
use crate::config::WriterConfig;
pub use component::PostgresWriter;
use target::TableName;
use transaction::Transaction;

/// What a write is about.
#[non_exhaustive]
pub struct WriteTask<'a> {
    /// Where and how.
    pub config: &'a WriterConfig,
    /// The rows.
    pub input: &'a TableRef,
    /// The columns that are written. Those that only order rows are not among them.
    pub mapped: Vec<MappedColumn>,
    /// The context of the step.
    pub ctx: &'a ExecutionContext,
    /// Check everything, change nothing.
    pub dry_run: bool,
    /// A statement that follows each change of the table's columns, in the same transaction.
    pub after_ddl: Option<&'static str>,
}

impl<'a> WriteTask<'a> {
    /// Writes the `mapped` columns of `input`.
    pub fn new(
        config: &'a WriterConfig,
        input: &'a TableRef,
        mapped: Vec<MappedColumn>,
        ctx: &'a ExecutionContext,
    ) -> Self {
        Self { config, input, mapped, ctx, dry_run: false, after_ddl: None }
    }
}

/// What became of a commit of `intent`: the server knows its transactions.
///
/// # Errors
/// When it cannot be asked.
pub async fn outcome(client: &Client, intent: &Intent) -> Result<CommitOutcome> {
    commit::asked(client, intent).await
}

/// Writes the rows of `task`.
///
/// # Errors
/// Whatever kept it from being done: the table is then as it was, or the error says that the outcome is not known.
pub async fn write(client: &Client, task: &WriteTask<'_>) -> Result<Written> {
    let mut tx = Transaction::open(client, task.config.timeout, task.ctx.run_id()).await?;
    match task::run(&mut tx, task).await {
        Ok(written) => {
            tx.release().await;
            Ok(written)
        }
        Err(error) => {
            let table = TableName { schema: task.config.schema.clone(), table: task.config.table.clone() };
            let error = stale::explained(error, &tx, &table).await;
            tx.give_up().await;
            Err(error)
        }
    }
}
