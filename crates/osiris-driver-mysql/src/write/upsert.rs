//! Upsert: loads the rows into a temporary staging table, and merges them into the target with one statement for new
//! and existing keys. If the target has further unique indexes, two statements are used: one statement would let a row
//! replace another by the wrong index.

use osiris_core::{Error, ExecutionContext, Reject, Result, TableRef, TableScan, Written};
use osiris_sql::write::{
    Loaded, MAX_DUPLICATES, PendingRanges, RefusingKeys, add_written, is_single, refuse_duplicates,
};

use super::answer::{Done, StatementError};
use super::encode::Field;
use super::loader::{Destination, Loader, NUMBER};
use super::plan::same;
use super::refusal::{RowFault, is_about_rows, is_harmless};
use super::session::Session;
use super::target::{TableKeys, TableName, Target, cell};
use crate::client::quote;
use crate::config::{Dedupe, OnConflict, WriterConfig};

const CONTEXT: &str = "merging rows into the table";

/// One upsert. A transaction is open when it is done.
pub(super) struct Upsert<'a> {
    pub(super) session: &'a mut Session,
    pub(super) config: &'a WriterConfig,
    pub(super) table: &'a TableName,
    pub(super) input: &'a TableRef,
    pub(super) target: &'a Target,
    pub(super) fields: std::sync::Arc<[Field]>,
    pub(super) ctx: &'a ExecutionContext,
    /// Whether the caller has already begun the transaction.
    pub(super) in_transaction: bool,
}

impl Upsert<'_> {
    /// Loads the rows of `scan` and merges them.
    ///
    /// # Errors
    /// On duplicate keys, on any failure other than single rows, or when too many rows are rejected.
    pub(super) async fn run(&mut self, scan: TableScan) -> Result<(Written, Loaded)> {
        let fields = std::sync::Arc::clone(&self.fields);
        let looks_for_duplicates = match key_in_store(self.config, &fields) {
            _ if self.config.dedupe != Dedupe::Error => false,
            None => true,
            Some(key) => !self.session.meanwhile(self.ctx.store().is_unique(self.input, &key)).await??,
        };
        let stage = self.table.sibling("osiris_stage".to_owned()).sql();
        self.session.run(&format!("DROP TEMPORARY TABLE IF EXISTS {stage}"), CONTEXT).await?;
        self.session.run(&self.create_stage(&stage), "creating the staging table").await?;
        if !self.in_transaction {
            self.session.run("START TRANSACTION", CONTEXT).await?;
        }
        let destination = Destination {
            table: stage.clone(),
            fields: std::sync::Arc::clone(&self.fields),
            numbered: true,
            replace: self.config.dedupe == Dedupe::Last,
            commit_each: false,
        };
        let loader = Loader::new(self.session, destination, self.ctx);
        let loaded = loader.run(scan, self.config.batch_size).await?;
        if looks_for_duplicates {
            self.refuse_duplicates(&stage).await?;
        }
        let mut written = Written { ignored: loaded.replaced, ..Written::default() };
        let mut refusing = RefusingKeys::default();
        self.merge(&stage, &mut written, &mut refusing).await?;
        if let Err(error) = refusing.enforce_limit(self.ctx) {
            return Err(self.explained(error, &mut refusing).await);
        }
        Ok((written, loaded))
    }

    /// The error of too many rejects, with the unique keys that are at fault and their columns.
    async fn explained(&mut self, error: Error, refusing: &mut RefusingKeys) -> Error {
        let mut keys = TableKeys { session: self.session, table: self.table };
        refusing.explain_with(error, &mut keys).await
    }

    fn create_stage(&self, stage: &str) -> String {
        let mut lines = vec![format!("{} BIGINT UNSIGNED NOT NULL PRIMARY KEY", quote(NUMBER))];
        for field in self.fields.iter() {
            let Some(column) = self.target.table.column(&field.target) else { continue };
            let collation = column.details.collation.as_ref();
            let collation = collation
                .map(|(charset, collation)| format!(" CHARACTER SET {charset} COLLATE {collation}"))
                .unwrap_or_default();
            let null = if field.not_null { "NOT NULL" } else { "NULL" };
            lines.push(format!("{} {}{collation} {null}", quote(&column.name), column.declared));
        }
        if self.config.dedupe == Dedupe::Last {
            lines.push(format!("UNIQUE KEY ({})", self.key_list("")));
        }
        format!("CREATE TEMPORARY TABLE {stage} ({}) ENGINE=InnoDB", lines.join(", "))
    }

    fn key_list(&self, prefix: &str) -> String {
        let names: Vec<String> =
            self.config.fields().key.iter().map(|name| format!("{prefix}{}", quote(name))).collect();
        names.join(", ")
    }

    async fn refuse_duplicates(&mut self, stage: &str) -> Result<()> {
        let key = self.key_list("");
        let sql = format!(
            "SELECT MIN({0}), MAX({0}), COUNT(*) FROM {stage} GROUP BY {key} HAVING COUNT(*) > 1 LIMIT {MAX_DUPLICATES}",
            quote(NUMBER)
        );
        let config = self.config;
        refuse_duplicates(self.ctx, config.fields().key, &self.session.rows(&sql).await?).await
    }

    /// Merges everything by one go; if rows are at fault, halves it until they are isolated.
    async fn merge(&mut self, stage: &str, written: &mut Written, refusing: &mut RefusingKeys) -> Result<()> {
        let bounds = self.session.rows(&format!("SELECT MIN({0}), MAX({0}) FROM {stage}", quote(NUMBER))).await?;
        let Some((first, last)) =
            bounds.first().and_then(|row| Some((cell(row, 0).parse::<u64>().ok()?, cell(row, 1).parse::<u64>().ok()?)))
        else {
            return Ok(());
        };
        let mut pending = PendingRanges::new(first..last + 1);
        while let Some(rows) = pending.next_range() {
            let range = format!("s.{} BETWEEN {} AND {}", quote(NUMBER), rows.start, rows.end - 1);
            if self.count(stage, &range).await? == 0 {
                continue;
            }
            self.session.run("SAVEPOINT osiris_merge", CONTEXT).await?;
            let merged = self.merge_range(stage, &range).await?;
            if let Ok(part) = merged {
                add_written(written, &part);
                continue;
            }
            self.session.run("ROLLBACK TO SAVEPOINT osiris_merge", CONTEXT).await?;
            match merged {
                Err(RowFault { column, reason, key }) if is_single(&rows) => {
                    if let Some(key) = key {
                        let of_table = format!("{}.", self.table.table);
                        refusing.add(key.strip_prefix(&of_table).unwrap_or(&key));
                    }
                    let row = self.shown(stage, rows.start).await?;
                    let reject = Reject { row_number: Some(rows.start), column, reason, row };
                    if let Err(error) = self.ctx.rejects().push(vec![reject]).await {
                        return Err(self.explained(error, refusing).await);
                    }
                }
                _ => pending.split(&rows, None),
            }
        }
        Ok(())
    }

    async fn count(&mut self, stage: &str, range: &str) -> Result<u64> {
        let sql = format!("SELECT COUNT(*) FROM {stage} AS s WHERE {range}");
        let rows = self.session.rows(&sql).await?;
        Ok(rows.first().and_then(|row| cell(row, 0).parse().ok()).unwrap_or(0))
    }

    /// Merges one range; returns the counts or the server's error.
    async fn merge_range(&mut self, stage: &str, range: &str) -> Result<Result<Written, RowFault>> {
        let single = self.target.unique_indexes == 1;
        let mut part = Written::default();
        let steps: &[Step] = match (single, self.config.on_conflict) {
            (true, _) => &[Step::InsertOrUpdate],
            (false, OnConflict::Update) => &[Step::Update, Step::InsertMissing],
            (false, OnConflict::Ignore) => &[Step::InsertMissing],
        };
        // Rows that no statement touches are counted by a separate query.
        let mut left_alone = 0;
        if !single && self.sql(Step::Update, stage, range).is_none() {
            left_alone = self.count_present(stage, range).await?;
        }
        for step in steps {
            let Some(sql) = self.sql(*step, stage, range) else { continue };
            let done = match self.session.attempt(&sql, CONTEXT).await {
                Ok(done) => done,
                Err(StatementError::Server { code, state, message }) if is_about_rows(code, &state) => {
                    return Ok(Err(RowFault::of(code, &message)));
                }
                Err(failure) => return Err(failure.into_error(CONTEXT)),
            };
            if done.warnings > 0 {
                let warnings = self.session.warnings().await?;
                if let Some(warning) = warnings.iter().find(|warning| !is_harmless(warning)) {
                    return Ok(Err(RowFault::of(warning.code, &warning.message)));
                }
            }
            left_alone += step.count(&done, &mut part)?;
        }
        match self.config.on_conflict {
            OnConflict::Update => part.unchanged = left_alone,
            OnConflict::Ignore => part.ignored = left_alone,
        }
        Ok(Ok(part))
    }

    /// The number of rows of a range whose key is in the table.
    async fn count_present(&mut self, stage: &str, range: &str) -> Result<u64> {
        let keys = self.joined("t");
        let sql = format!(
            "SELECT COUNT(*) FROM {stage} AS s WHERE {range} AND EXISTS (SELECT 1 FROM {} AS t WHERE {keys})",
            self.table.sql()
        );
        let rows = self.session.rows(&sql).await?;
        rows.first().and_then(|row| cell(row, 0).parse().ok()).ok_or_else(uncounted)
    }

    /// The join condition of the staging table and the table.
    fn joined(&self, table: &str) -> String {
        let keys = self.config.fields().key.iter().map(|name| quote(name));
        keys.map(|key| format!("{table}.{key} = s.{key}")).collect::<Vec<_>>().join(" AND ")
    }

    fn sql(&self, step: Step, stage: &str, range: &str) -> Option<String> {
        let table = self.table.sql();
        let names: Vec<String> = self.fields.iter().map(|field| quote(&field.target)).collect();
        let is_key = |name: &str| self.config.fields().key.iter().any(|key| same(key, name));
        let update = self.config.on_conflict == OnConflict::Update;
        let others: Vec<String> = self
            .fields
            .iter()
            .filter(|field| update && !is_key(&field.target))
            .map(|field| quote(&field.target))
            .collect();
        let keys: Vec<String> = self.config.fields().key.iter().map(|name| quote(name)).collect();
        let (into, from) =
            (names.join(", "), names.iter().map(|name| format!("s.{name}")).collect::<Vec<_>>().join(", "));
        match step {
            Step::InsertOrUpdate => {
                // Assigning the key to itself changes nothing: the existing row stays.
                let assignments: Vec<String> = if others.is_empty() {
                    keys.iter().take(1).map(|key| format!("{key} = {table}.{key}")).collect()
                } else {
                    others.iter().map(|name| format!("{name} = s.{name}")).collect()
                };
                Some(format!(
                    "INSERT INTO {table} ({into}) SELECT {from} FROM {stage} AS s WHERE {range} ORDER BY s.{} \
                     ON DUPLICATE KEY UPDATE {}",
                    quote(NUMBER),
                    assignments.join(", ")
                ))
            }
            Step::Update if others.is_empty() => None,
            Step::Update => {
                let assignments: Vec<String> = others.iter().map(|name| format!("t.{name} = s.{name}")).collect();
                Some(format!(
                    "UPDATE {table} AS t JOIN {stage} AS s ON {} SET {} WHERE {range}",
                    self.joined("t"),
                    assignments.join(", ")
                ))
            }
            Step::InsertMissing => Some(format!(
                "INSERT INTO {table} ({into}) SELECT {from} FROM {stage} AS s \
                 WHERE {range} AND NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {}) ORDER BY s.{}",
                self.joined("t"),
                quote(NUMBER)
            )),
        }
    }

    /// A row of the staging table as JSON.
    async fn shown(&mut self, stage: &str, number: u64) -> Result<Option<String>> {
        let names: Vec<String> = self.fields.iter().map(|field| quote(&field.target)).collect();
        let sql = format!("SELECT {} FROM {stage} WHERE {} = {number}", names.join(", "), quote(NUMBER));
        let Some(row) = self.session.rows(&sql).await?.pop() else { return Ok(None) };
        let fields =
            self.fields.iter().map(|field| field.target.clone()).zip(row.into_iter().map(serde_json::Value::from));
        Ok(Some(serde_json::Value::Object(fields.collect()).to_string()))
    }
}

/// The key columns in the run store, if it can check for duplicates in place of the server: it can for values
/// that are stored unchanged and not compared by a collation. Grouping a million rows takes the server seconds.
fn key_in_store<'a>(config: &WriterConfig, fields: &'a [Field]) -> Option<Vec<&'a str>> {
    config
        .fields()
        .key
        .iter()
        .map(|name| fields.iter().find(|field| same(&field.target, name)))
        .map(|field| field.filter(|field| field.conversion.0.keeps_apart()).map(|field| field.source.name.as_str()))
        .collect()
}

#[derive(Debug, Clone, Copy)]
enum Step {
    InsertOrUpdate,
    Update,
    InsertMissing,
}

impl Step {
    /// Adds the server's counts, and returns how many rows it matched without changing them.
    fn count(self, done: &Done, part: &mut Written) -> Result<u64> {
        let number = |name: &str| done.number(name).ok_or_else(uncounted);
        let (met, changed) = match self {
            // One affected row for each new one, two for each changed one, none for an identical one.
            Self::InsertOrUpdate => {
                part.updated = number("Duplicates")?;
                part.inserted = done.affected.checked_sub(2 * part.updated).ok_or_else(uncounted)?;
                (number("Records")?, part.inserted + part.updated)
            }
            Self::Update => {
                part.updated = number("Changed")?;
                (number("Rows matched")?, part.updated)
            }
            Self::InsertMissing => {
                part.inserted = done.affected;
                (number("Records")?, part.inserted)
            }
        };
        met.checked_sub(changed).ok_or_else(uncounted)
    }
}

/// The counts of a response are inconsistent.
fn uncounted() -> Error {
    Error::integrity("the server did not report how many rows it merged")
        .with_hint("report a bug, with the server's version")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(affected: u64, numbers: &[(&str, u64)]) -> Done {
        let info = numbers.iter().map(|&(name, number)| (name.to_owned(), number)).collect();
        Done { affected, info, warnings: 0 }
    }

    #[test]
    fn s49_rows_that_are_left_alone_are_counted_by_the_server_and_not_the_rest() {
        let mut part = Written::default();
        let answer = done(5, &[("Records", 10), ("Duplicates", 2), ("Warnings", 0)]);
        assert_eq!(Step::InsertOrUpdate.count(&answer, &mut part).unwrap(), 7);
        assert_eq!((part.inserted, part.updated), (1, 2));
        let answer = done(1, &[("Rows matched", 4), ("Changed", 1)]);
        assert_eq!(Step::Update.count(&answer, &mut part).unwrap(), 3);
        for silent in
            [done(5, &[]), done(5, &[("Records", 1), ("Duplicates", 2)]), done(1, &[("Records", 9), ("Duplicates", 2)])]
        {
            let error = Step::InsertOrUpdate.count(&silent, &mut Written::default()).unwrap_err();
            assert_eq!(error.kind(), osiris_core::ErrorKind::Integrity);
        }
    }
}
