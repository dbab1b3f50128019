//! Writes tables. Every mode is one transaction: the table has either its old or its new rows.
//!
//! * `append`: binary COPY into the table itself.
//! * `overwrite`: deletes the rows and copies new ones; nothing else of the table changes, so views, grants, keys and
//!   columns stay. If foreign keys of other tables reference it, rows are replaced by key instead.
//! * `upsert`, and everything that needs a statement over all rows: binary COPY into a temporary table, and one `INSERT ...
//!   SELECT ... ON CONFLICT` from there.
//!
//! Values that the server would change are rejected: see [`crate::types::encode`]. Rows that it rejects are isolated
//! and stored as rejects.

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

/// The context of a write.
#[non_exhaustive]
pub struct WriteTask<'a> {
    /// The configuration.
    pub config: &'a WriterConfig,
    /// The rows.
    pub input: &'a TableRef,
    /// The columns to write, without those that only order rows.
    pub mapped: Vec<MappedColumn>,
    /// The context of the step.
    pub ctx: &'a ExecutionContext,
    /// Dry run: check everything, change nothing.
    pub dry_run: bool,
    /// A statement to run after DDL, in the same transaction.
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

/// The outcome of a commit of `intent`, which the server knows.
///
/// # Errors
/// When the query fails.
pub async fn outcome(client: &Client, intent: &Intent) -> Result<CommitOutcome> {
    commit::asked(client, intent).await
}

/// Writes the rows of `task`.
///
/// # Errors
/// When the write fails: the table is unchanged, or the error says that the outcome is unknown.
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
