//! Writing straight into the database: every mode is one transaction, so the table is the old one or the new one whatever happens.
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
mod failure;
mod job;
mod link;
mod loader;
mod merge;
mod plan;
mod sequence;
mod stage;
mod stale;
mod target;
mod watch;

use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{Result, Written};

use super::Job;
use crate::client::Client;
use link::Link;
use target::TableName;

/// What became of a commit of `intent`: the server knows its transactions.
///
/// # Errors
/// When it cannot be asked.
pub(super) async fn outcome(client: &Client, intent: &Intent) -> Result<CommitOutcome> {
    commit::asked(client, intent).await
}

/// Writes the rows of `job`.
///
/// # Errors
/// Whatever kept it from being done: the table is then as it was, or the error says that nobody knows.
pub(super) async fn write(client: &Client, job: &Job<'_>) -> Result<Written> {
    let mut link = Link::open(client, job.config.timeout, job.ctx.run_id()).await?;
    match job::run(&mut link, job).await {
        Ok(written) => {
            link.release().await;
            Ok(written)
        }
        Err(error) => {
            let table = TableName { schema: job.config.schema.clone(), table: job.config.table.clone() };
            let error = stale::explained(error, &link, &table).await;
            link.give_up().await;
            Err(error)
        }
    }
}
