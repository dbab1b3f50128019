//! What a write checks and tells whatever its database: NULLs before anything is sent, DDL, keys that occur twice.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;

use osiris_core::{Code, Error, ErrorKind, ExecutionContext, Reject, Result, TableRef, TableScan, Written, event};
use serde_json::json;

use super::{Dedupe, MappedColumn, WriteColumn, ensure_no_problems, same_name};
use crate::config::WriterFields;

/// The most keys that occur twice to look for.
pub const MAX_DUPLICATES: usize = 1000;

/// Why a row with a NULL is refused.
pub const NULL_REFUSED: &str = "NULL, but the column is NOT NULL";

/// The error for a table that somebody dropped while rows were to be written to it.
pub fn table_is_gone(table: &impl Display) -> Error {
    Error::validation(format!("table `{table}` no longer exists"))
        .with_code(Code::SourceChanged)
        .with_hint("it was dropped during the run: run again")
}

/// The input columns of the key.
pub fn key_sources<'a>(key: &[String], mapped: &'a [MappedColumn]) -> Vec<&'a str> {
    let is_key = |name: &str| key.iter().any(|key| same_name(key, name));
    mapped.iter().filter(|column| is_key(&column.target)).map(|column| column.source.name.as_str()).collect()
}

/// NULLs in NOT NULL columns are rejects; if no rejects are allowed, they are reported before loading. Rows that are still
/// arriving cannot be looked at before: the database refuses them, and they are rejects too many.
///
/// # Errors
/// When there are any.
pub async fn refuse_nulls(
    ctx: &ExecutionContext,
    input: &TableRef,
    table: &str,
    max_rejects: u64,
    columns: &[&str],
) -> Result<()> {
    if max_rejects > 0 || input.is_arriving() || input.rows() == 0 {
        return Ok(());
    }
    let counts = ctx.store().null_counts(input, columns).await?;
    let problems: Vec<String> = columns
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| {
            format!("column `{name}` of the input is NULL in {count} rows, but its column in the table is NOT NULL")
        })
        .collect();
    ensure_no_problems(table, &problems)
}

/// Writes the DDL that will be run to the artifacts of the step.
///
/// # Errors
/// When it cannot be written.
pub fn show_ddl(ctx: &ExecutionContext, table: &str, sql: &str) -> Result<()> {
    ctx.log_event(event::TABLE_DDL_PLANNED, json!({"table": table}));
    ctx.write_artifact("ddl_plan", "ddl_plan.sql", &format!("{sql};\n"))?;
    Ok(())
}

/// Runs DDL, with its events.
///
/// # Errors
/// Those of `run`.
pub async fn run_ddl<T>(ctx: &ExecutionContext, table: &str, run: impl Future<Output = Result<T>> + Send) -> Result<T> {
    ctx.log_event(event::DDL_ATTEMPT, json!({"table": table}));
    let done = run.await;
    match &done {
        Ok(_) => ctx.log_event(event::DDL_SUCCEEDED, json!({"table": table})),
        Err(error) => ctx.log_event(event::DDL_FAILED, json!({"table": table, "error": error.message()})),
    }
    done
}

/// The rows to write, the last one of each key last where only that is kept.
///
/// # Errors
/// When they cannot be read.
pub async fn open_scan<C>(
    ctx: &ExecutionContext,
    input: &TableRef,
    columns: &[WriteColumn<C>],
    fields: WriterFields<'_>,
) -> Result<TableScan> {
    let columns: Vec<&str> = columns.iter().map(|column| column.source.name.as_str()).collect();
    let mut scan = ctx.store().scan(input).columns(columns);
    if fields.dedupe == Dedupe::Last {
        scan = scan.order_by(fields.order_names());
    }
    scan.open().await
}

/// Refuses values of `key` that occur more than once in the input. Each of `rows` has the numbers of the first and of the
/// last row of a key, and how many there are; at most [`MAX_DUPLICATES`] were looked for.
///
/// # Errors
/// When there is one; they are noted as rejects.
pub async fn refuse_duplicates(ctx: &ExecutionContext, key: &[String], rows: &[Vec<Option<String>>]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let cell = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    let note = |row: &Vec<Option<String>>| Reject {
        row_number: cell(row, 1).parse().ok(),
        column: None,
        reason: format!("key occurs {} times, first in row {}", cell(row, 2), cell(row, 0)),
        row: None,
    };
    ctx.rejects().note(rows.iter().map(note).collect()).await?;
    let many = if rows.len() >= MAX_DUPLICATES { "at least " } else { "" };
    let occur = if rows.len() == 1 { "value of the key occurs" } else { "values of the key occur" };
    Err(Error::validation(format!("{many}{} {occur} more than once in the input", rows.len()))
        .with_code(Code::ConstraintViolated)
        .with_context("key", key.join(", "))
        .with_hint(
            "keep one row per key in an earlier step, or set `dedupe: last` with `order_by`; texts are compared by the \
             collation of their column in the table; the rows are in the step's rejects",
        ))
}

/// The unique keys, other than the one that rows are merged by, because of which rows were rejected, with their columns.
/// The values are never kept.
#[derive(Debug, Default)]
pub struct RefusingKeys(BTreeMap<String, Vec<String>>);

impl RefusingKeys {
    /// Adds one by its name in the database.
    pub fn add(&mut self, name: impl Into<String>) {
        self.0.entry(name.into()).or_default();
    }

    /// Checks the limit of rejects once all rows are merged, where a key was at fault.
    ///
    /// # Errors
    /// When there are more rejects than allowed: [`explain`](Self::explain) or [`explain_with`](Self::explain_with) it.
    pub fn enforce_limit(&self, ctx: &ExecutionContext) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { ctx.rejects().enforce_limit() }
    }

    /// The error of too many rejects, with the keys that are at fault. Not for other errors, which these keys have nothing
    /// to do with.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        if self.0.is_empty() || error.kind() != ErrorKind::Integrity {
            return error;
        }
        let named = |(name, columns): (&String, &Vec<String>)| match columns.as_slice() {
            [] => name.clone(),
            columns => format!("{name} ({})", columns.join(", ")),
        };
        error.with_context("unique key", self.0.iter().map(named).collect::<Vec<_>>().join(", ")).with_hint(
            "another row of the table has the same value in that unique key: fix the data, or merge by the columns of that \
             key with `key`; the rows are in the step's rejects, and `max_rejects` lets the step go on without them",
        )
    }

    /// The same, with the columns of the keys where the database tells them. It is asked for nothing if these keys have
    /// nothing to do with the error, such as where it is no longer there.
    pub async fn explain_with(&mut self, error: Error, keys: &mut impl UniqueKeys) -> Error {
        if error.kind() == ErrorKind::Integrity {
            for (name, columns) in &mut self.0 {
                // Without them the name of the key says enough.
                if columns.is_empty()
                    && let Ok(found) = keys.columns(name).await
                {
                    *columns = found;
                }
            }
        }
        self.explain(error)
    }
}

/// How the database is asked for the unique keys of the table that rows are merged into.
pub trait UniqueKeys {
    /// The columns of the key `name`.
    ///
    /// # Errors
    /// When the database does not answer.
    fn columns(&mut self, name: &str) -> impl Future<Output = Result<Vec<String>>> + Send;
}

/// Adds the counts of a part of the rows.
pub fn add_written(total: &mut Written, part: &Written) {
    total.inserted += part.inserted;
    total.updated += part.updated;
    total.unchanged += part.unchanged;
    total.ignored += part.ignored;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that were asked for.
    #[derive(Default)]
    struct Asked(Vec<String>);

    impl UniqueKeys for Asked {
        async fn columns(&mut self, name: &str) -> Result<Vec<String>> {
            self.0.push(name.to_owned());
            if name == "by_email" {
                Ok(vec!["region".to_owned(), "email".to_owned()])
            } else {
                Err(Error::network("x"))
            }
        }
    }

    #[tokio::test]
    async fn the_database_is_asked_for_keys_only_where_they_are_to_blame() {
        let (mut refusing, mut asked) = (RefusingKeys::default(), Asked::default());
        let rejected = || Error::integrity("2 rows were rejected, at most 0 are allowed");
        assert!(refusing.explain_with(rejected(), &mut asked).await.context().is_empty());
        refusing.add("by_email");
        refusing.add("by_name");
        let lost = refusing.explain_with(Error::network("the connection is lost"), &mut asked).await;
        assert_eq!((lost.context().len(), lost.hint(), asked.0.len()), (0, None, 0));
        let explained = refusing.explain_with(rejected(), &mut asked).await;
        assert_eq!(explained.context(), [("unique key", "by_email (region, email), by_name".to_owned())]);
        assert_eq!(asked.0, ["by_email", "by_name"]);
    }
}
