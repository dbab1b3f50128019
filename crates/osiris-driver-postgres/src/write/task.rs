//! One write from beginning to end: look, check everything, make what is missing, load, and make it visible in one moment.

use std::sync::Arc;

use osiris_core::{Error, Result, TableScan, Unit, Written, event, metric};
use osiris_sql::write::{Dedupe, OnConflict, WriteMode, ensure_no_problems};
use serde_json::json;

use super::WriteTask;
use super::commit::commit;
use super::loader::{Destination, Loaded, Loader};
use super::merge::{Action, Merge};
use super::plan::{Check, key_sources};
use super::sequence;
use super::staging::{STAGING_TABLE, StagingTable};
use super::stale;
use super::target::{TableName, TargetTable};
use super::transaction::Transaction;
use crate::config::NulBytes;
use crate::types::ddl;
use crate::types::encode::Field;

/// What has to be made first.
enum Ddl {
    Nothing,
    Statement(String),
}

/// How the rows get into the table.
struct WriteStrategy {
    table: TableName,
    target: TargetTable,
    fields: Arc<[Field]>,
    /// The key by the names of the table; none where rows meet nobody.
    key: Vec<String>,
    /// Whether rows that are there and not in the input go, by their key.
    replaces_by_key: bool,
}

/// Does it.
///
/// # Errors
/// Whatever kept it from being done.
pub(super) async fn run(tx: &mut Transaction, task: &WriteTask<'_>) -> Result<Written> {
    let table = TableName { schema: task.config.schema.clone(), table: task.config.table.clone() };
    let target = TargetTable::read(tx, &table).await?;
    let ddl = check(tx, task, &table, target.as_ref()).await?;
    show_ddl(task, &table, &ddl)?;
    if task.dry_run {
        tx.run("ROLLBACK", "ending the dry run").await?;
        return Ok(Written::default());
    }
    task.ctx.progress().expect_rows(task.input.rows());
    stale::clear(tx, &table, task.config.end_stale_sessions).await?;
    let target = match (ddl, target) {
        (Ddl::Nothing, Some(target)) => target,
        (ddl, _) => change(tx, task, &table, &ddl).await?,
    };
    let mut check = Check::new(task.config, &task.mapped, &target);
    let fields = check.fields();
    ensure_no_problems(&table.to_string(), &check.problems)?;
    let (key, replaces_by_key) = (check.key_columns(), check.replaces_by_key());
    let strategy = WriteStrategy { table, target, fields, key, replaces_by_key };
    let (written, loaded) =
        if strategy.is_straight(task) { strategy.straight(tx, task).await? } else { strategy.staged(tx, task).await? };
    sequence::move_on(tx, &strategy.table.sql(), &strategy.target, &strategy.fields).await?;
    task.ctx.rejects().enforce_limit()?;
    let written = Written { altered: loaded.altered, ..written };
    commit(tx, task, &strategy.table.to_string(), written).await?;
    task.ctx.log_metric(metric::BYTES_WRITTEN, loaded.bytes, Unit::Bytes, serde_json::Value::Null);
    Ok(written)
}

/// Checks everything, and says what has to be made.
async fn check(
    tx: &mut Transaction,
    task: &WriteTask<'_>,
    table: &TableName,
    target: Option<&TargetTable>,
) -> Result<Ddl> {
    let Some(target) = target else {
        return create(tx, task, table).await;
    };
    let mut check = Check::new(task.config, &task.mapped, target);
    check.safety();
    let fields = check.fields();
    check.left_out();
    check.key();
    check.cascades();
    let additions = check.additions();
    ensure_no_problems(&table.to_string(), &check.problems)?;
    check.grants(&table.to_string())?;
    let strict: Vec<&str> =
        fields.iter().filter(|field| field.not_null).map(|field| field.source.name.as_str()).collect();
    refuse_nulls(task, table, &strict).await?;
    Ok(match additions.as_slice() {
        [] => Ddl::Nothing,
        columns => Ddl::Statement(ddl::add_columns(&table.sql(), columns)),
    })
}

/// The statement for a table that is missing.
async fn create(tx: &mut Transaction, task: &WriteTask<'_>, table: &TableName) -> Result<Ddl> {
    if !task.config.create_if_missing {
        return Err(Error::validation(format!("there is no table `{table}`"))
            .with_hint("check `table` and `schema`, or set `create_if_missing: true` to have it created"));
    }
    match TargetTable::schema(tx, &table.schema).await? {
        None => {
            return Err(Error::validation(format!("there is no schema `{}`", table.schema))
                .with_hint("check `schema`, or make it: CREATE SCHEMA"));
        }
        Some(false) => {
            return Err(Error::permission(format!("the role may not create tables in the schema `{}`", table.schema))
                .with_hint(format!("ask for the grant: GRANT CREATE ON SCHEMA {} TO the role", table.schema)));
        }
        Some(true) => {}
    }
    let columns: Vec<_> = task.mapped.iter().map(|column| (column.target.clone(), &column.source)).collect();
    let sql = match ddl::create_table(&table.sql(), &columns, task.config.key_names()) {
        Ok(sql) => sql,
        Err(problems) => {
            ensure_no_problems(&table.to_string(), &problems)?;
            String::new()
        }
    };
    refuse_nulls(task, table, &key_sources(task.config.key_names(), &task.mapped)).await?;
    Ok(Ddl::Statement(sql))
}

/// NULLs where the table takes none are rejects, one by one; where no reject is allowed they need not be tried.
async fn refuse_nulls(task: &WriteTask<'_>, table: &TableName, columns: &[&str]) -> Result<()> {
    if task.config.max_rejects > 0 || task.input.rows() == 0 {
        return Ok(());
    }
    let counts = task.ctx.store().null_counts(task.input, columns).await?;
    let problems: Vec<String> = columns
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("`{name}` of the input is NULL in {count} rows, and its column takes no NULL"))
        .collect();
    ensure_no_problems(&table.to_string(), &problems)
}

/// Leaves the statements that will be run with the step's artifacts.
fn show_ddl(task: &WriteTask<'_>, table: &TableName, ddl: &Ddl) -> Result<()> {
    let Ddl::Statement(sql) = ddl else { return Ok(()) };
    task.ctx.log_event(event::TABLE_DDL_PLANNED, json!({"table": table.to_string()}));
    task.ctx.write_artifact("ddl_plan", "ddl_plan.sql", &format!("{sql};\n"))?;
    Ok(())
}

/// Makes what is missing, inside the transaction: nobody sees it before the rows.
async fn change(tx: &mut Transaction, task: &WriteTask<'_>, table: &TableName, ddl: &Ddl) -> Result<TargetTable> {
    if let Ddl::Statement(sql) = ddl {
        task.ctx.log_event(event::DDL_ATTEMPT, json!({"table": table.to_string()}));
        let after = task.after_ddl.map(|sql| format!("; {sql}")).unwrap_or_default();
        if let Err(error) = tx.run(&format!("{sql}{after}"), "changing the table").await {
            let fields = json!({"table": table.to_string(), "error": error.message()});
            task.ctx.log_event(event::DDL_FAILED, fields);
            return Err(error);
        }
        task.ctx.log_event(event::DDL_SUCCEEDED, json!({"table": table.to_string()}));
    }
    TargetTable::read(tx, table).await?.ok_or_else(|| {
        Error::validation(format!("the table `{table}` has gone")).with_hint("somebody removed it: run again")
    })
}

impl WriteStrategy {
    /// Whether rows can go into the table itself: nothing of theirs has to be read by the server, nobody is met by key, and
    /// nothing is checked that COPY cannot do or that many statements would do too early.
    fn is_straight(&self, task: &WriteTask<'_>) -> bool {
        !task.config.merges()
            && !self.replaces_by_key
            && !self.target.row_security
            && !self.target.needs_one_statement
            && !self.fields.iter().any(|field| field.conversion.is_literal())
            // With no column at all there is nothing to copy.
            && !self.fields.is_empty()
    }

    /// Into the table itself.
    async fn straight(&self, tx: &mut Transaction, task: &WriteTask<'_>) -> Result<(Written, Loaded)> {
        let deleted = if task.config.mode() == WriteMode::Overwrite { self.clear(tx).await? } else { 0 };
        let loaded = self.load(tx, task, self.table.sql(), false).await?;
        Ok((Written { deleted, ..Written::inserted(loaded.taken) }, loaded))
    }

    /// By way of the staging table.
    async fn staged(&self, tx: &mut Transaction, task: &WriteTask<'_>) -> Result<(Written, Loaded)> {
        let mut stage = StagingTable::create(tx, &self.target, Arc::clone(&self.fields), self.key.clone()).await?;
        let loaded = self.load(tx, task, STAGING_TABLE.to_owned(), true).await?;
        let mut dropped = 0;
        if task.config.merges() && task.config.dedupe == Dedupe::Last {
            dropped = stage.keep_last(tx).await?;
        }
        // A statement that updates notices such keys itself; where it does not, somebody has to look.
        let updates = task.config.on_conflict == OnConflict::Update && self.fields.len() > self.key.len();
        let quiet = !self.key.is_empty() && !updates;
        let sure = self.key.is_empty() || task.config.dedupe == Dedupe::Last || quiet;
        if quiet && task.config.dedupe == Dedupe::Error {
            stage.refuse_duplicates(tx, task.ctx).await?;
        }
        // Constraints that wait for the end would name no row then.
        tx.run("SET CONSTRAINTS ALL IMMEDIATE", "checking constraints").await?;
        let overwrites = task.config.mode() == WriteMode::Overwrite;
        let mut deleted = 0;
        if overwrites && !self.replaces_by_key {
            deleted = self.clear(tx).await?;
        } else if overwrites {
            deleted = self.delete_others(tx, &stage).await?;
        }
        let action = if self.key.is_empty() { Action::Insert } else { Action::ByKey(task.config.on_conflict) };
        let before = task.ctx.rejects().len();
        let table = self.table.sql();
        let mut merge = Merge {
            tx,
            ctx: task.ctx,
            table,
            target: &self.target,
            stage: &mut stage,
            action,
            unsure_of_keys: !sure,
            rows: loaded.taken - dropped,
            last: task.input.rows(),
        };
        let mut written = merge.run().await?;
        if self.replaces_by_key && task.ctx.rejects().len() > before {
            // The rows that were refused are not in the new set either.
            deleted += self.delete_others(tx, &stage).await?;
        }
        written.ignored += dropped;
        written.deleted = deleted;
        Ok((written, loaded))
    }

    /// Deletes the old rows. Until the end nobody else may write, so that nobody's rows end up among the new ones; reading goes on.
    async fn clear(&self, tx: &mut Transaction) -> Result<u64> {
        const DOING: &str = "deleting the old rows";
        let table = self.table.sql();
        tx.run(&format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"), DOING).await?;
        tx.run(&format!("DELETE FROM {table}"), DOING).await
    }

    /// Deletes the rows whose key is not in the staging table.
    async fn delete_others(&self, tx: &mut Transaction, stage: &StagingTable) -> Result<u64> {
        const DOING: &str = "deleting rows that are not in the input";
        let table = self.table.sql();
        tx.run(&format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; ANALYZE {STAGING_TABLE}"), DOING).await?;
        let sql = format!(
            "DELETE FROM {table} t WHERE NOT EXISTS (SELECT FROM {STAGING_TABLE} s WHERE {})",
            stage.joined("t")
        );
        tx.run(&sql, DOING).await
    }

    async fn load(&self, tx: &mut Transaction, task: &WriteTask<'_>, table: String, numbered: bool) -> Result<Loaded> {
        let strip_nul = task.config.nul_bytes == NulBytes::Strip;
        let destination = Destination { table, fields: Arc::clone(&self.fields), numbered, strip_nul };
        let scan = self.scan(task).await?;
        Loader::new(tx, destination, task.ctx).run(scan, task.config.batch_size).await
    }

    async fn scan(&self, task: &WriteTask<'_>) -> Result<TableScan> {
        let columns: Vec<&str> = self.fields.iter().map(|field| field.source.name.as_str()).collect();
        let mut scan = task.ctx.store().scan(task.input).columns(columns);
        if task.config.dedupe == Dedupe::Last {
            scan = scan.order_by(task.config.order_names());
        }
        scan.open().await
    }
}
