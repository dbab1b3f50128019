//! The end of a write: the commit, and its outcome when nobody saw it end.

use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{Error, Result, Written};
use osiris_sql::write::{OnConflict, WriteMode};
use serde_json::{Value, json};

use super::task::WriteTask;
use crate::client::{Client, literal, quote};
use crate::error::{is_rolled_back, sqlite_error};

const COMMITTING: &str = "committing the rows";
const LOOKING: &str = "looking for the outcome of the commit";

/// Commits what `task` has written.
///
/// # Errors
/// The transaction was not committed; or, with an unresolved commit, that is not known.
pub(super) async fn commit(client: &mut Client, task: &WriteTask<'_>, written: Written) -> Result<()> {
    let config = task.config;
    let is_keyed = config.mode() != WriteMode::Append || config.on_conflict == OnConflict::Ignore;
    // What a trigger does twice is not known.
    let is_repeatable = is_keyed && !has_triggers(client, &config.table).await?;
    let intent = Intent::new(format!("table `{}` of {}", config.table, task.file))
        .with_repeatable(is_repeatable)
        .with_token(mark(client, config.commit_table.as_deref()).await?)
        .with_written(written);
    let commit = task.ctx.begin_commit(intent).await?;
    let error = match client.attempt("COMMIT").await {
        Ok(_) => {
            commit.committed(written).await;
            return Ok(());
        }
        Err(error) => error,
    };
    if is_rolled_back(&error) {
        // After a lock that could not be had the transaction is still open.
        let _ = client.attempt("ROLLBACK").await;
        commit.not_committed().await;
    }
    Err(sqlite_error(error, COMMITTING))
}

async fn has_triggers(client: &mut Client, table: &str) -> Result<bool> {
    let table = literal(table);
    let sql = format!(
        "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND lower(tbl_name) = lower({table}) UNION ALL \
         SELECT 1 FROM sqlite_temp_schema WHERE type = 'trigger' AND lower(tbl_name) = lower({table}))"
    );
    let found = client.row(&sql, COMMITTING).await?;
    Ok(found.into_iter().next().flatten().as_deref() != Some("0"))
}

/// Leaves a row in the table of commits, as a part of the transaction. Returns how it is found.
async fn mark(client: &mut Client, table: Option<&str>) -> Result<Value> {
    let Some(table) = table else { return Ok(Value::Null) };
    let token = client.row("SELECT lower(hex(randomblob(16)))", COMMITTING).await?.into_iter().next().flatten();
    let token = token.ok_or_else(|| Error::unknown("SQLite made no token"))?;
    let quoted = quote(table);
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {quoted} (token TEXT PRIMARY KEY, committed_at TEXT NOT NULL); \
         DELETE FROM {quoted} WHERE committed_at < datetime('now', '-30 days'); \
         INSERT INTO {quoted} VALUES ({}, datetime('now'))",
        literal(&token)
    );
    client.run(&sql, COMMITTING).await?;
    Ok(json!({"table": table, "token": token}))
}

/// The outcome of a commit of an earlier attempt or run.
///
/// # Errors
/// The file cannot be read.
pub(super) async fn outcome(client: &mut Client, intent: &Intent) -> Result<CommitOutcome> {
    let (Some(table), Some(token)) = (intent.token()["table"].as_str(), intent.token()["token"].as_str()) else {
        return Ok(CommitOutcome::Unknown);
    };
    // Nobody else can be committing while we could write.
    client.run("BEGIN IMMEDIATE", LOOKING).await?;
    let has_table = format!("SELECT count(*) FROM sqlite_schema WHERE name = {} COLLATE NOCASE", literal(table));
    if client.number(&has_table, LOOKING).await? == 0 {
        return Ok(CommitOutcome::NotCommitted);
    }
    let found = format!("SELECT count(*) FROM {} WHERE token = {}", quote(table), literal(token));
    Ok(match client.number(&found, LOOKING).await? {
        0 => CommitOutcome::NotCommitted,
        _ => CommitOutcome::Committed { written: None },
    })
}
