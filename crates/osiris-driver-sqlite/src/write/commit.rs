//! The end of a write: the commit, and its outcome when nobody saw it end.

use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{Error, Result, Written};
use osiris_sql::write::{OnConflict, WriteMode};
use serde_json::{Value, json};

use super::task::WriteTask;
use crate::client::{Client, literal, quote};
use crate::error::{is_rolled_back, result_code, sqlite_error};

const COMMITTING: &str = "committing the rows";
/// How long rows of the table of commits are kept.
const KEPT_DAYS: u32 = 30;
/// SQLITE_CONSTRAINT_FOREIGNKEY.
const FOREIGN_KEY: i32 = 787;
const LOOKING: &str = "looking for the outcome of the commit";

/// Commits what `task` has written.
///
/// # Errors
/// The transaction was not committed; or, with an unresolved commit, that is not known.
pub(super) async fn commit(client: &mut Client, task: &WriteTask<'_>, written: Written) -> Result<()> {
    let config = task.config;
    let is_keyed = config.fields().mode != WriteMode::Append || config.conflict.on_conflict == OnConflict::Ignore;
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
    let message = lacking_parents(client, &error).await;
    if is_rolled_back(&error) {
        // After a lock that could not be had the transaction is still open.
        let _ = client.attempt("ROLLBACK").await;
        commit.not_committed().await;
    }
    Err(sqlite_error(error, &message))
}

/// Which rows refer to none, where that is why a commit failed: constraints that are deferred are checked only then.
async fn lacking_parents(client: &mut Client, error: &sqlx::Error) -> String {
    const SQL: &str = "SELECT group_concat(rows, ', ') FROM (SELECT count(*) || ' rows of `' || \"table\" || \
        '` without a row of `' || parent || '`' AS rows FROM pragma_foreign_key_check GROUP BY \"table\", parent)";
    let is_foreign_key = result_code(error) == Some(FOREIGN_KEY);
    let found = if is_foreign_key { client.row(SQL, COMMITTING).await.unwrap_or_default() } else { Vec::new() };
    found.into_iter().flatten().fold(COMMITTING.to_owned(), |message, rows| format!("{message}: {rows}"))
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
    let creates = !has_table(client, table).await?;
    let quoted = quote(table);
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {quoted} (token TEXT PRIMARY KEY, committed_at TEXT NOT NULL); \
         DELETE FROM {quoted} WHERE committed_at < datetime('now', '-{KEPT_DAYS} days')"
    );
    client.run(&sql, COMMITTING).await?;
    let sql = "SELECT lower(hex(randomblob(16))), datetime('now')";
    let row = client.row(sql, COMMITTING).await?;
    let [Some(token), Some(at)] = row.as_slice() else { return Err(Error::unknown("SQLite made no token")) };
    let sql = format!("INSERT INTO {quoted} VALUES ({}, {})", literal(token), literal(at));
    client.run(&sql, COMMITTING).await?;
    Ok(json!({"table": table, "token": token, "at": at, "creates": creates}))
}

async fn has_table(client: &mut Client, table: &str) -> Result<bool> {
    let sql = format!("SELECT count(*) FROM sqlite_schema WHERE name = {} COLLATE NOCASE", literal(table));
    Ok(client.number(&sql, LOOKING).await? > 0)
}

/// The outcome of a commit of an earlier attempt or run.
///
/// # Errors
/// The file cannot be read.
pub(super) async fn outcome(client: &mut Client, intent: &Intent) -> Result<CommitOutcome> {
    let token = intent.token();
    let (Some(table), Some(row)) = (token["table"].as_str(), token["token"].as_str()) else {
        return Ok(CommitOutcome::Unknown);
    };
    // Nobody else can be committing while we could write.
    client.run("BEGIN IMMEDIATE", LOOKING).await?;
    // A table or a row that is missing has never been there, unless it has been removed since.
    let was_not_committed = if has_table(client, table).await? {
        let found = format!("SELECT count(*) FROM {} WHERE token = {}", quote(table), literal(row));
        if client.number(&found, LOOKING).await? > 0 {
            return Ok(CommitOutcome::Committed { written: None });
        }
        let at = literal(token["at"].as_str().unwrap_or_default());
        client.number(&format!("SELECT {at} > datetime('now', '-{KEPT_DAYS} days')"), LOOKING).await? > 0
    } else {
        token["creates"].as_bool().unwrap_or_default()
    };
    Ok(if was_not_committed { CommitOutcome::NotCommitted } else { CommitOutcome::Unknown })
}
