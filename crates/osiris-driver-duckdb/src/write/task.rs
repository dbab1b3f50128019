//! One write from beginning to end: check everything, create what is missing, load, and commit.

use osiris_core::store::quote;
use osiris_core::{Code, Column, Error, ExecutionContext, Result, TableRef, Unit, Written, metric};
use osiris_sql::write::{
    MappedColumn, OnConflict, RefusingKeys, TableCheck, WriteMode, ensure_no_problems, run_ddl, show_ddl,
};
use serde_json::Value;

use super::commit::commit;
use super::faults::{Fault, of_columns, of_constraints};
use super::staging::Staging;
use super::target::{Described, describe};
use crate::client::Client;
use crate::config::WriterConfig;
use crate::types::{Conversion, conversion, create_table, new_column_type};

pub(super) type WriteColumn = osiris_sql::write::WriteColumn<Conversion>;
pub(super) type WritePlan = osiris_sql::write::WritePlan<Conversion>;

const DELETING: &str = "deleting the old rows";
const INSERTING: &str = "inserting rows";

/// What is written, and how.
pub(super) struct WriteTask<'a> {
    pub(super) config: &'a WriterConfig,
    /// The file, for messages.
    pub(super) file: String,
    pub(super) input: &'a TableRef,
    pub(super) mapped: Vec<MappedColumn>,
    pub(super) ctx: &'a ExecutionContext,
    pub(super) dry_run: bool,
}

impl WriteTask<'_> {
    /// Runs it. The transaction ends with the client, unless it was committed.
    pub(super) async fn run(&self, client: &mut Client) -> Result<Written> {
        let begin = if self.dry_run { "BEGIN TRANSACTION READ ONLY" } else { "BEGIN TRANSACTION" };
        client.run(begin, "beginning to write").await?;
        let target = describe(client, self.config).await?;
        let ddl = self.planned_ddl(client, target.as_ref())?;
        if !ddl.is_empty() {
            show_ddl(self.ctx, &self.config.shown(), &ddl.join(";\n"))?;
        }
        if self.dry_run {
            return Ok(Written::default());
        }
        self.ctx.progress().expect_rows(self.input.rows());
        let target = match target {
            Some(target) if ddl.is_empty() => target,
            _ => self.change(client, &ddl).await?,
        };
        let mut check = self.check(&target);
        let plan = check.plan(conversion);
        ensure_no_problems(&self.config.shown(), &check.problems())?;
        let (written, bytes) = self.load(client, &plan, &target).await?;
        commit(client, self, written).await?;
        self.ctx.log_metric(metric::BYTES_WRITTEN, bytes, Unit::Bytes, Value::Null);
        Ok(written)
    }

    /// Checks everything, and returns the statements that have to be run first.
    fn planned_ddl(&self, client: &Client, target: Option<&Described>) -> Result<Vec<String>> {
        let shown = self.config.shown();
        let table = client.table(&self.config.schema, &self.config.table);
        let Some(target) = target else {
            if !self.config.create_if_missing {
                return Err(Error::validation(format!("there is no table `{shown}`"))
                    .with_code(Code::TableNotFound)
                    .with_hint("check `table`, or set `create_if_missing: true` to have it created"));
            }
            let columns: Vec<(String, &Column)> =
                self.mapped.iter().map(|column| (column.target.clone(), &column.source)).collect();
            return match create_table(&table, &columns, self.config.fields().key) {
                Ok(sql) => Ok(vec![sql]),
                Err(problems) => ensure_no_problems(&shown, &problems).map(|()| Vec::new()),
            };
        };
        let mut check = self.check(target);
        check.plan(conversion);
        let (mut statements, additions) = (Vec::new(), check.additions());
        let mut problems = check.problems();
        for (name, column) in additions {
            match new_column_type(&column.column_type) {
                Ok(declared) => statements.push(format!("ALTER TABLE {table} ADD COLUMN {} {declared}", quote(&name))),
                Err(why) => problems.push(format!("`{name}` is {}: {why}", column.column_type)),
            }
        }
        ensure_no_problems(&shown, &problems)?;
        Ok(statements)
    }

    fn check<'a>(&'a self, target: &'a Described) -> TableCheck<'a> {
        TableCheck::new(self.config.fields(), self.config.write.schema_evolution, &self.mapped, &target.table)
    }

    /// Creates what is missing, inside of the transaction.
    async fn change(&self, client: &mut Client, ddl: &[String]) -> Result<Described> {
        let table = self.config.shown();
        run_ddl(self.ctx, &table, client.run(ddl.join(";\n"), "changing the table")).await?;
        let target = describe(client, self.config).await?;
        target.ok_or_else(|| Error::unknown(format!("the new table `{table}` cannot be found")))
    }

    /// Moves the rows into the table. Returns what was written, and the bytes of it.
    async fn load(&self, client: &mut Client, plan: &WritePlan, target: &Described) -> Result<(Written, u64)> {
        let table = client.table(&self.config.schema, &self.config.table);
        let fields = self.config.fields();
        let is_emptied = fields.mode == WriteMode::Overwrite;
        let mut written = Written::default();
        if is_emptied {
            written.deleted = client.execute(format!("DELETE FROM {table}"), DELETING).await.map_err(still_needed)?;
        }
        let staging = Staging::load(client, self, plan).await?;
        let mut refusing = RefusingKeys::default();
        self.reject(client, &staging, of_columns(plan), &mut refusing).await?;
        if fields.merges() {
            written.ignored = staging.deduplicate(client, self).await?;
        }
        self.reject(client, &staging, of_constraints(plan, target, &table, is_emptied), &mut refusing).await?;
        self.ctx.rejects().enforce_limit().map_err(|error| refusing.explain(error))?;
        let (rows, existing) = staging.counts(client, &table).await?;
        let updates = fields.merges() && self.updates(plan);
        let action = fields.merges().then(|| if updates { update(plan) } else { "NOTHING".to_owned() });
        let changed = client.execute(staging.insert(&table, action.as_deref()), INSERTING).await?;
        written.inserted = rows - existing;
        *(if updates { &mut written.updated } else { &mut written.ignored }) += existing;
        let expected = if updates { rows } else { rows - existing };
        if changed != expected {
            return Err(Error::integrity(format!("{INSERTING}: DuckDB changed {changed} rows instead of {expected}"))
                .with_hint("nothing was written; look for a trigger on the table"));
        }
        Ok((written, staging.bytes))
    }

    async fn reject(
        &self,
        client: &mut Client,
        staging: &Staging<'_>,
        faults: Vec<Fault>,
        refusing: &mut RefusingKeys,
    ) -> Result<()> {
        for fault in faults {
            let rejected = staging.reject(client, self, &fault).await;
            if let Some(key) = fault.key.filter(|_| !matches!(rejected, Ok(0))) {
                refusing.add(key);
            }
            rejected.map_err(|error| refusing.explain(error))?;
        }
        Ok(())
    }

    /// Whether rows that exist are replaced; a row that is all key has nothing to replace.
    fn updates(&self, plan: &WritePlan) -> bool {
        self.config.conflict.on_conflict == OnConflict::Update && plan.columns.iter().any(|column| !column.is_key)
    }
}

/// What is done with a row that exists.
fn update(plan: &WritePlan) -> String {
    let set = |column: &WriteColumn| format!("{0} = excluded.{0}", quote(&column.target));
    let set: Vec<String> = plan.columns.iter().filter(|column| !column.is_key).map(set).collect();
    format!("UPDATE SET {}", set.join(", "))
}

fn still_needed(error: Error) -> Error {
    match error.code() {
        Code::ConstraintViolated => {
            error.with_hint("other tables refer to its rows: use `mode: upsert`, or write those tables first")
        }
        _ => error,
    }
}
