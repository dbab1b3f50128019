//! Runs one write: reads the table, checks everything, creates what is missing, loads the rows, and commits.

use std::sync::Arc;

use osiris_core::{Code, Error, Result, Unit, Written, metric};
use osiris_sql::write::{
    self, Dedupe, Loaded, OnConflict, RefusingKeys, WriteMode, ensure_no_problems, key_sources, open_scan,
    problems_error, run_ddl, show_ddl, table_is_gone,
};

use super::WriteTask;
use super::commit::commit;
use super::loader::{Destination, Loader};
use super::merge::{Action, Merge};
use super::plan;
use super::sequence;
use super::staging::{STAGING_TABLE, StagingTable};
use super::stale;
use super::target::{TableName, Target};
use super::transaction::Transaction;
use crate::config::NulBytes;
use crate::types::ddl;
use crate::types::encode::Field;

/// DDL that has to run first.
enum Ddl {
    Nothing,
    Statement(String),
}

/// The write strategy.
struct WriteStrategy {
    table: TableName,
    target: Target,
    fields: Arc<[Field]>,
    /// The key columns by the names of the table; empty if rows are not matched.
    key: Vec<String>,
    /// Whether rows that are not in the input are deleted, by key.
    replaces_by_key: bool,
}

/// Runs the write.
///
/// # Errors
/// When the write fails.
pub(super) async fn run(tx: &mut Transaction, task: &WriteTask<'_>) -> Result<Written> {
    let table = TableName { schema: task.config.schema.clone(), table: task.config.table.clone() };
    let target = Target::read(tx, &table).await?;
    let ddl = check(tx, task, &table, target.as_ref()).await?;
    if let Ddl::Statement(sql) = &ddl {
        show_ddl(task.ctx, &table.to_string(), sql)?;
    }
    if task.dry_run {
        tx.run("ROLLBACK", "ending the dry run").await?;
        return Ok(Written::default());
    }
    task.ctx.progress().expect_rows(task.input.expected_rows());
    stale::clear(tx, &table, task.config.end_stale_sessions).await?;
    let target = match (ddl, target) {
        (Ddl::Nothing, Some(target)) => target,
        (ddl, _) => change(tx, task, &table, &ddl).await?,
    };
    let mut check = plan::check(task.config, &task.mapped, &target);
    let fields = plan::fields(&mut check);
    let (key, replaces_by_key) = (check.key_names().to_vec(), plan::replaces_by_key(task.config, &target));
    ensure_no_problems(&table.to_string(), &check.problems())?;
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

/// Checks everything, and returns the DDL to run.
async fn check(tx: &mut Transaction, task: &WriteTask<'_>, table: &TableName, target: Option<&Target>) -> Result<Ddl> {
    let Some(target) = target else {
        return create(tx, task, table).await;
    };
    let mut check = plan::check(task.config, &task.mapped, target);
    plan::safety(&mut check, target);
    let fields = plan::fields(&mut check);
    check.left_out();
    plan::key(&mut check, task.config, target);
    if task.config.fields().mode == WriteMode::Overwrite {
        check.cascades();
    }
    let additions = check.additions();
    ensure_no_problems(&table.to_string(), &check.problems())?;
    plan::grants(task.config, target, &table.to_string())?;
    let strict: Vec<&str> =
        fields.iter().filter(|field| field.not_null).map(|field| field.source.name.as_str()).collect();
    refuse_nulls(task, table, &strict).await?;
    Ok(match additions.as_slice() {
        [] => Ddl::Nothing,
        columns => Ddl::Statement(ddl::add_columns(&table.sql(), columns)),
    })
}

/// The CREATE statement for a missing table.
async fn create(tx: &mut Transaction, task: &WriteTask<'_>, table: &TableName) -> Result<Ddl> {
    if !task.config.create_if_missing {
        return Err(Error::validation(format!("there is no table `{table}`"))
            .with_code(Code::TableNotFound)
            .with_hint("check `table` and `schema`, or set `create_if_missing: true` to create it"));
    }
    match Target::schema(tx, &table.schema).await? {
        None => {
            return Err(Error::validation(format!("there is no schema `{}`", table.schema))
                .with_hint("check `schema`, or create it: CREATE SCHEMA"));
        }
        Some(false) => {
            return Err(Error::permission(format!("the role lacks CREATE on schema `{}`", table.schema))
                .with_hint(format!("grant it: GRANT CREATE ON SCHEMA {} TO the role", table.schema)));
        }
        Some(true) => {}
    }
    let columns: Vec<_> = task.mapped.iter().map(|column| (column.target.clone(), &column.source)).collect();
    let sql = ddl::create_table(&table.sql(), &columns, task.config.fields().key)
        .map_err(|problems| problems_error(&table.to_string(), &problems))?;
    refuse_nulls(task, table, &key_sources(task.config.fields().key, &task.mapped)).await?;
    Ok(Ddl::Statement(sql))
}

/// NULLs in NOT NULL columns are rejects; if no rejects are allowed, they are reported before loading.
async fn refuse_nulls(task: &WriteTask<'_>, table: &TableName, columns: &[&str]) -> Result<()> {
    write::refuse_nulls(task.ctx, task.input, &table.to_string(), task.config.write.max_rejects, columns).await
}

/// Runs the DDL inside the transaction, so that it becomes visible together with the rows.
async fn change(tx: &mut Transaction, task: &WriteTask<'_>, table: &TableName, ddl: &Ddl) -> Result<Target> {
    if let Ddl::Statement(sql) = ddl {
        let after = task.after_ddl.map(|sql| format!("; {sql}")).unwrap_or_default();
        let sql = format!("{sql}{after}");
        run_ddl(task.ctx, &table.to_string(), tx.run(&sql, "changing the table")).await?;
    }
    Target::read(tx, table).await?.ok_or_else(|| table_is_gone(table))
}

impl WriteStrategy {
    /// Whether rows can be copied directly into the table: no value has to be parsed by the server, rows are not
    /// matched by key, and no check is unsupported by COPY or would run too early with several statements.
    fn is_straight(&self, task: &WriteTask<'_>) -> bool {
        !task.config.fields().merges()
            && !self.replaces_by_key
            && !self.target.row_security
            && !self.target.needs_one_statement
            && !self.fields.iter().any(|field| field.conversion.is_literal())
            // COPY needs at least one column.
            && !self.fields.is_empty()
    }

    /// Copies directly into the table.
    async fn straight(&self, tx: &mut Transaction, task: &WriteTask<'_>) -> Result<(Written, Loaded)> {
        let deleted = if task.config.fields().mode == WriteMode::Overwrite { self.clear(tx).await? } else { 0 };
        let loaded = self.load(tx, task, self.table.sql(), false).await?;
        Ok((Written { deleted, ..Written::inserted(loaded.taken) }, loaded))
    }

    /// Copies into the staging table, then merges.
    async fn staged(&self, tx: &mut Transaction, task: &WriteTask<'_>) -> Result<(Written, Loaded)> {
        let mut stage = StagingTable::create(tx, &self.target, Arc::clone(&self.fields), self.key.clone()).await?;
        let loaded = self.load(tx, task, STAGING_TABLE.to_owned(), true).await?;
        let mut dropped = 0;
        if task.config.fields().merges() && task.config.conflict.dedupe == Dedupe::Last {
            dropped = stage.keep_last(tx).await?;
        }
        // A statement that updates detects most duplicate keys itself, and the merge the others; otherwise they are checked here.
        let updates = task.config.conflict.on_conflict == OnConflict::Update && self.fields.len() > self.key.len();
        let quiet = !self.key.is_empty() && !updates;
        let sure = self.key.is_empty() || task.config.conflict.dedupe == Dedupe::Last || quiet;
        if quiet && task.config.conflict.dedupe == Dedupe::Error {
            stage.refuse_duplicates(tx, task.ctx).await?;
        }
        // Deferred constraints would not name a row at the commit.
        tx.run("SET CONSTRAINTS ALL IMMEDIATE", "checking constraints").await?;
        let overwrites = task.config.fields().mode == WriteMode::Overwrite;
        let mut deleted = 0;
        if overwrites && !self.replaces_by_key {
            deleted = self.clear(tx).await?;
        } else if overwrites {
            deleted = self.delete_others(tx, &stage).await?;
        }
        let action = if self.key.is_empty() { Action::Insert } else { Action::ByKey(task.config.conflict.on_conflict) };
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
            refusing: RefusingKeys::default(),
        };
        let mut written = merge.run().await?;
        if self.replaces_by_key && task.ctx.rejects().len() > before {
            // Rejected rows are not in the new set either.
            deleted += self.delete_others(tx, &stage).await?;
        }
        written.ignored += dropped;
        written.deleted = deleted;
        Ok((written, loaded))
    }

    /// Deletes the old rows. Locks out other writers until the end, so that their rows do not end up among the new
    /// ones; readers are not blocked.
    async fn clear(&self, tx: &mut Transaction) -> Result<u64> {
        const CONTEXT: &str = "deleting the old rows";
        let table = self.table.sql();
        tx.run(&format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"), CONTEXT).await?;
        tx.run(&format!("DELETE FROM {table}"), CONTEXT).await
    }

    /// Deletes the rows whose key is not in the staging table.
    async fn delete_others(&self, tx: &mut Transaction, stage: &StagingTable) -> Result<u64> {
        const CONTEXT: &str = "deleting rows that are not in the input";
        let table = self.table.sql();
        tx.run(&format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; ANALYZE {STAGING_TABLE}"), CONTEXT).await?;
        let sql = format!(
            "DELETE FROM {table} t WHERE NOT EXISTS (SELECT FROM {STAGING_TABLE} s WHERE {})",
            stage.joined("t")
        );
        tx.run(&sql, CONTEXT).await
    }

    async fn load(&self, tx: &mut Transaction, task: &WriteTask<'_>, table: String, numbered: bool) -> Result<Loaded> {
        let strip_nul = task.config.nul_bytes == NulBytes::Strip;
        let destination = Destination { table, fields: Arc::clone(&self.fields), numbered, strip_nul };
        let scan = open_scan(task.ctx, task.input, &self.fields, task.config.fields()).await?;
        Loader::new(tx, destination, task.ctx).run(scan, task.config.batch_size).await
    }
}
