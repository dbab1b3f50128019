//! The end of a write: the commit, and its outcome when nobody saw it end.

use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::store::quote_text;
use osiris_core::{Error, Result, Written};
use osiris_sql::write::{OnConflict, WriteMode};
use serde_json::{Value, json};

use super::task::WriteTask;
use crate::client::Client;
use crate::error::{file_error, is_rolled_back};

const COMMITTING: &str = "committing the rows";
/// How long rows of the table of commits are kept.
const KEPT_DAYS: u32 = 30;
const LOOKING: &str = "looking for the outcome of the commit";
/// The time, in UTC.
const NOW: &str = "make_timestamp(epoch_us(get_current_timestamp()))";

/// Commits what `task` has written.
///
/// # Errors
/// The transaction was not committed; or, with an unresolved commit, that is not known.
pub(super) async fn commit(client: &mut Client, task: &WriteTask<'_>, written: Written) -> Result<()> {
    let config = task.config;
    let is_keyed = config.fields().mode != WriteMode::Append || config.conflict.on_conflict == OnConflict::Ignore;
    // What a trigger does twice is not known.
    let is_repeatable = is_keyed && !has_triggers(client, task).await?;
    let intent = Intent::new(format!("table `{}` of {}", config.shown(), task.file))
        .with_repeatable(is_repeatable)
        .with_token(mark(client, task).await?)
        .with_written(written);
    let commit = task.ctx.begin_commit(intent).await?;
    let done = client.call(|connection| Ok(connection.execute_batch("COMMIT"))).await?;
    let Err(error) = done else {
        commit.committed(written).await;
        checkpoint(client).await;
        return Ok(());
    };
    if is_rolled_back(&error) {
        commit.not_committed().await;
    }
    Err(file_error(error, COMMITTING))
}

/// Moves the log into the file, so that the file is all there is.
async fn checkpoint(client: &mut Client) {
    if let Err(error) = client.run("CHECKPOINT", "moving the log into the file").await {
        // The rows are safe in the log.
        tracing::warn!(%error, "the log of the database stays beside its file");
    }
}

async fn has_triggers(client: &mut Client, task: &WriteTask<'_>) -> Result<bool> {
    let sql = format!(
        "SELECT count(*) FROM duckdb_triggers() WHERE lower(schema_name) = lower({}) AND lower(table_name) = lower({})",
        quote_text(&task.config.schema),
        quote_text(&task.config.table)
    );
    Ok(client.number(sql, COMMITTING).await? > 0)
}

/// Leaves a row in the table of commits, as a part of the transaction. Returns how it is found.
async fn mark(client: &mut Client, task: &WriteTask<'_>) -> Result<Value> {
    let Some(name) = &task.config.commit_table else { return Ok(Value::Null) };
    let creates = !has_table(client, &task.config.schema, name).await?;
    let table = client.table(&task.config.schema, name);
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {table} (token VARCHAR PRIMARY KEY, committed_at TIMESTAMP NOT NULL); \
         DELETE FROM {table} WHERE committed_at < {NOW} - to_days({KEPT_DAYS})"
    );
    client.run(sql, COMMITTING).await?;
    let row = client.row(format!("SELECT CAST(uuid() AS VARCHAR), CAST({NOW} AS VARCHAR)"), COMMITTING).await?;
    let [Some(token), Some(at)] = row.as_slice() else { return Err(Error::unknown("DuckDB made no token")) };
    let sql = format!("INSERT INTO {table} VALUES ({}, {})", quote_text(token), quote_text(at));
    client.run(sql, COMMITTING).await?;
    Ok(json!({"table": name, "token": token, "at": at, "creates": creates}))
}

async fn has_table(client: &mut Client, schema: &str, table: &str) -> Result<bool> {
    let sql = format!(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = {} AND lower(schema_name) = lower({}) \
         AND lower(table_name) = lower({})",
        quote_text(client.catalog()),
        quote_text(schema),
        quote_text(table)
    );
    Ok(client.number(sql, LOOKING).await? > 0)
}

/// The outcome of a commit of an earlier attempt or run. Nobody can be committing: who writes keeps the file for himself.
///
/// # Errors
/// The file cannot be read.
pub(super) async fn outcome(client: &mut Client, schema: &str, intent: &Intent) -> Result<CommitOutcome> {
    let token = intent.token();
    let (Some(name), Some(row)) = (token["table"].as_str(), token["token"].as_str()) else {
        return Ok(CommitOutcome::Unknown);
    };
    client.begin_snapshot().await?;
    // A table or a row that is missing has never been there, unless it has been removed since.
    let was_not_committed = if has_table(client, schema, name).await? {
        let found = format!("SELECT count(*) FROM {} WHERE token = {}", client.table(schema, name), quote_text(row));
        if client.number(found, LOOKING).await? > 0 {
            return Ok(CommitOutcome::Committed { written: None });
        }
        let at = quote_text(token["at"].as_str().unwrap_or_default());
        let is_kept = format!("SELECT TRY_CAST({at} AS TIMESTAMP) > {NOW} - to_days({KEPT_DAYS})");
        client.row(is_kept, LOOKING).await?.first().is_some_and(|kept| kept.as_deref() == Some("t"))
    } else {
        token["creates"].as_bool().unwrap_or_default()
    };
    Ok(if was_not_committed { CommitOutcome::NotCommitted } else { CommitOutcome::Unknown })
}
