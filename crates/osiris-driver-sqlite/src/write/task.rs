//! One write from beginning to end: check everything, create what is missing, load, and commit.

use osiris_core::{Code, Column, Error, ExecutionContext, Result, TableRef, TableScan, Unit, Written, metric};
use osiris_sql::write::{MappedColumn, WriteMode, ensure_no_problems, open_scan, run_ddl, show_ddl};
use serde_json::Value;

use super::commit::commit;
use super::loader::{Loader, insert_into};
use super::merge::Staging;
use super::target::{TargetTable, describe, is_referred_to};
use crate::client::{Client, quote};
use crate::config::WriterConfig;
use crate::types::{ColumnDetails, Conversion, column_type, conversion, create_table};

type TableCheck<'a> = osiris_sql::write::TableCheck<'a, ColumnDetails>;
pub(super) type WriteColumn = osiris_sql::write::WriteColumn<Conversion>;
pub(super) type WritePlan = osiris_sql::write::WritePlan<Conversion>;

const DELETING: &str = "deleting the old rows";

/// What is written, and how.
pub(super) struct WriteTask<'a> {
    pub(super) config: &'a WriterConfig,
    /// The file, for messages.
    pub(super) file: String,
    pub(super) input: &'a TableRef,
    pub(super) mapped: Vec<MappedColumn>,
    pub(super) ctx: &'a ExecutionContext,
    pub(super) dry_run: bool,
    /// Whether the file keeps texts in UTF-16.
    pub(super) in_utf_16: bool,
}

impl WriteTask<'_> {
    /// Runs it. The transaction ends with the client, unless it was committed.
    pub(super) async fn run(&self, client: &mut Client) -> Result<Written> {
        match self.dry_run {
            true => client.begin_snapshot().await?,
            // One writer at a time: what is checked now stays true until the commit.
            false => client.run("BEGIN IMMEDIATE", "beginning to write").await.map(|_| ())?,
        }
        let table = &self.config.table;
        let target = describe(client, table).await?;
        let ddl = self.planned_ddl(target.as_ref())?;
        self.show_ddl(&ddl)?;
        if self.dry_run {
            return Ok(Written::default());
        }
        self.ctx.progress().expect_rows(self.input.rows());
        let target = match target {
            Some(target) if ddl.is_empty() => target,
            _ => self.change(client, &ddl).await?,
        };
        let mut check = self.check(&target);
        let plan = self.plan(&mut check);
        ensure_no_problems(table, &check.problems())?;
        let (written, bytes) = match self.config.fields().merges() {
            true => self.merge(client, &plan).await?,
            false => self.insert(client, &plan).await?,
        };
        self.ctx.rejects().enforce_limit()?;
        commit(client, self, written).await?;
        self.ctx.log_metric(metric::BYTES_WRITTEN, bytes, Unit::Bytes, Value::Null);
        Ok(written)
    }

    /// Checks everything, and returns the statements that have to be run first.
    fn planned_ddl(&self, target: Option<&TargetTable>) -> Result<Vec<String>> {
        let table = &self.config.table;
        let Some(target) = target else {
            if !self.config.create_if_missing {
                return Err(Error::validation(format!("there is no table `{table}`"))
                    .with_code(Code::TableNotFound)
                    .with_hint("check `table`, or set `create_if_missing: true` to have it created"));
            }
            let columns: Vec<(String, &Column)> =
                self.mapped.iter().map(|column| (column.target.clone(), &column.source)).collect();
            return match create_table(table, &columns, self.config.fields().key) {
                Ok(sql) => Ok(vec![sql]),
                Err(problems) => ensure_no_problems(table, &problems).map(|()| Vec::new()),
            };
        };
        let mut check = self.check(target);
        self.plan(&mut check);
        let (mut statements, additions) = (Vec::new(), check.additions());
        let mut problems = check.problems();
        for (name, column) in additions {
            match column_type(&column.column_type) {
                Some(declared) => {
                    statements.push(format!("ALTER TABLE {} ADD COLUMN {} {declared}", quote(table), quote(&name)));
                }
                None => problems.push(format!("`{name}` is {}, which cannot be added", column.column_type)),
            }
        }
        ensure_no_problems(table, &problems)?;
        Ok(statements)
    }

    fn check<'a>(&'a self, target: &'a TargetTable) -> TableCheck<'a> {
        TableCheck::new(self.config.fields(), self.config.write.schema_evolution, &self.mapped, target)
    }

    fn plan(&self, check: &mut TableCheck<'_>) -> WritePlan {
        check.plan(|source, target| conversion(source, target, self.in_utf_16))
    }

    /// Leaves the statements that will be run with the step's artifacts.
    fn show_ddl(&self, ddl: &[String]) -> Result<()> {
        if ddl.is_empty() {
            return Ok(());
        }
        show_ddl(self.ctx, &self.config.table, &ddl.join(";\n"))
    }

    /// Creates what is missing, inside of the transaction.
    async fn change(&self, client: &mut Client, ddl: &[String]) -> Result<TargetTable> {
        let table = &self.config.table;
        run_ddl(self.ctx, table, client.run(&ddl.join(";\n"), "changing the table")).await?;
        let target = describe(client, table).await?;
        target.ok_or_else(|| Error::unknown(format!("the new table `{table}` cannot be found")))
    }

    /// Rows that are not compared with others.
    async fn insert(&self, client: &mut Client, plan: &WritePlan) -> Result<(Written, u64)> {
        let table = quote(&self.config.table);
        let mut deleted = 0;
        if self.config.fields().mode == WriteMode::Overwrite {
            if is_referred_to(client, &self.config.table).await? {
                // Rows may refer to the new rows as they did to the old ones.
                client.run("PRAGMA defer_foreign_keys = ON", DELETING).await?;
            }
            deleted = client.run(&format!("DELETE FROM {table}"), DELETING).await?;
            let kept = client.number(&format!("SELECT count(*) FROM {table}"), DELETING).await?;
            if kept > 0 {
                return Err(Error::validation(format!(
                    "{DELETING}: {kept} rows are still there: a trigger keeps them"
                ))
                .with_hint("remove the trigger, or use `mode: upsert`"));
            }
        }
        let mut loader = Loader::new(self, plan, insert_into(&table, &plan.columns), false);
        loader.run(client, self.scan(plan).await?).await?;
        Ok((Written { deleted, altered: loader.altered, ..Written::inserted(loader.taken) }, loader.bytes))
    }

    /// Rows that meet others by their key: through a staging table.
    async fn merge(&self, client: &mut Client, plan: &WritePlan) -> Result<(Written, u64)> {
        let staging = Staging::create(client, plan).await?;
        let mut loader = Loader::new(self, plan, staging.insert(), true);
        loader.run(client, self.scan(plan).await?).await?;
        let written = staging.merge(client, self, loader.rows).await?;
        Ok((written, loader.bytes))
    }

    async fn scan(&self, plan: &WritePlan) -> Result<TableScan> {
        open_scan(self.ctx, self.input, &plan.columns, self.config.fields()).await
    }
}
