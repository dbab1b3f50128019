//! One write from beginning to end: look, check everything, make what is missing, load, and make it visible in one moment.

use std::sync::Arc;

use osiris_core::{Error, Result, TableScan, Unit, Written, event, metric};
use osiris_sql::write::{Dedupe, WriteMode, ensure_no_problems};
use serde_json::json;

use super::commit::commit;
use super::link::Link;
use super::loader::{Destination, Loaded, Loader};
use super::merge::{Action, Merge};
use super::plan::{Check, key_sources};
use super::sequence;
use super::stage::{STAGE, Stage};
use super::stale;
use super::target::{TableName, Target};
use crate::config::{NulBytes, OnConflict};
use crate::types::ddl;
use crate::types::encode::Field;
use crate::write::Job;

/// What has to be made first.
enum Ddl {
    Nothing,
    Statement(String),
}

/// How the rows get into the table.
struct Way {
    table: TableName,
    target: Target,
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
pub(super) async fn run(link: &mut Link, job: &Job<'_>) -> Result<Written> {
    let table = TableName { schema: job.config.schema.clone(), table: job.config.table.clone() };
    let target = Target::read(link, &table).await?;
    let ddl = check(link, job, &table, target.as_ref()).await?;
    show_ddl(job, &table, &ddl)?;
    if job.dry_run {
        link.run("ROLLBACK", "ending the dry run").await?;
        return Ok(Written::default());
    }
    job.ctx.progress().expect_rows(job.input.rows());
    stale::clear(link, &table, job.config.end_stale_sessions).await?;
    let target = match (ddl, target) {
        (Ddl::Nothing, Some(target)) => target,
        (ddl, _) => change(link, job, &table, &ddl).await?,
    };
    let mut check = Check::new(job.config, &job.mapped, &target);
    let fields = check.fields();
    ensure_no_problems(&table.to_string(), &check.problems)?;
    let (key, replaces_by_key) = (check.key_columns(), check.replaces_by_key());
    let way = Way { table, target, fields, key, replaces_by_key };
    let (written, loaded) =
        if way.is_straight(job) { way.straight(link, job).await? } else { way.staged(link, job).await? };
    sequence::move_on(link, &way.table.sql(), &way.target, &way.fields).await?;
    job.ctx.rejects().enforce_limit()?;
    let written = Written { altered: loaded.altered, ..written };
    commit(link, job, &way.table.to_string(), written).await?;
    job.ctx.log_metric(metric::BYTES_WRITTEN, loaded.bytes, Unit::Bytes, serde_json::Value::Null);
    Ok(written)
}

/// Checks everything, and says what has to be made.
async fn check(link: &mut Link, job: &Job<'_>, table: &TableName, target: Option<&Target>) -> Result<Ddl> {
    let Some(target) = target else {
        return create(link, job, table).await;
    };
    let mut check = Check::new(job.config, &job.mapped, target);
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
    refuse_nulls(job, table, &strict).await?;
    Ok(match additions.as_slice() {
        [] => Ddl::Nothing,
        columns => Ddl::Statement(ddl::add_columns(&table.sql(), columns)),
    })
}

/// The statement for a table that is missing.
async fn create(link: &mut Link, job: &Job<'_>, table: &TableName) -> Result<Ddl> {
    if !job.config.create_if_missing {
        return Err(Error::validation(format!("there is no table `{table}`"))
            .with_hint("check `table` and `schema`, or set `create_if_missing: true` to have it created"));
    }
    match Target::schema(link, &table.schema).await? {
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
    let columns: Vec<_> = job.mapped.iter().map(|column| (column.target.clone(), &column.source)).collect();
    let sql = match ddl::create_table(&table.sql(), &columns, job.config.key_names()) {
        Ok(sql) => sql,
        Err(problems) => {
            ensure_no_problems(&table.to_string(), &problems)?;
            String::new()
        }
    };
    refuse_nulls(job, table, &key_sources(job.config.key_names(), &job.mapped)).await?;
    Ok(Ddl::Statement(sql))
}

/// NULLs where the table takes none are rejects, one by one; where no reject is allowed they need not be tried.
async fn refuse_nulls(job: &Job<'_>, table: &TableName, columns: &[&str]) -> Result<()> {
    if job.config.max_rejects > 0 || job.input.rows() == 0 {
        return Ok(());
    }
    let counts = job.ctx.store().null_counts(job.input, columns).await?;
    let problems: Vec<String> = columns
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("`{name}` of the input is NULL in {count} rows, and its column takes no NULL"))
        .collect();
    ensure_no_problems(&table.to_string(), &problems)
}

/// Leaves the statements that will be run with the step's artifacts.
fn show_ddl(job: &Job<'_>, table: &TableName, ddl: &Ddl) -> Result<()> {
    let Ddl::Statement(sql) = ddl else { return Ok(()) };
    job.ctx.log_event(event::TABLE_DDL_PLANNED, json!({"table": table.to_string()}));
    job.ctx.write_artifact("ddl_plan", "ddl_plan.sql", &format!("{sql};\n"))?;
    Ok(())
}

/// Makes what is missing, inside the transaction: nobody sees it before the rows. The REST API is told at its end.
async fn change(link: &mut Link, job: &Job<'_>, table: &TableName, ddl: &Ddl) -> Result<Target> {
    if let Ddl::Statement(sql) = ddl {
        job.ctx.log_event(event::DDL_ATTEMPT, json!({"table": table.to_string()}));
        let notice = "NOTIFY pgrst, 'reload schema'";
        if let Err(error) = link.run(&format!("{sql}; {notice}"), "changing the table").await {
            let fields = json!({"table": table.to_string(), "error": error.message()});
            job.ctx.log_event(event::DDL_FAILED, fields);
            return Err(error);
        }
        job.ctx.log_event(event::DDL_SUCCEEDED, json!({"table": table.to_string()}));
    }
    Target::read(link, table).await?.ok_or_else(|| {
        Error::validation(format!("the table `{table}` has gone")).with_hint("somebody removed it: run again")
    })
}

impl Way {
    /// Whether rows can go into the table itself: nothing of theirs has to be read by the server, nobody is met by key, and
    /// nothing is checked that COPY cannot do or that many statements would do too early.
    fn is_straight(&self, job: &Job<'_>) -> bool {
        !job.config.merges()
            && !self.replaces_by_key
            && !self.target.row_security
            && !self.target.needs_one_statement
            && !self.fields.iter().any(|field| field.conversion.is_literal())
            // With no column at all there is nothing to copy.
            && !self.fields.is_empty()
    }

    /// Into the table itself.
    async fn straight(&self, link: &mut Link, job: &Job<'_>) -> Result<(Written, Loaded)> {
        let deleted = if job.config.mode() == WriteMode::Overwrite { self.clear(link).await? } else { 0 };
        let loaded = self.load(link, job, self.table.sql(), false).await?;
        Ok((Written { deleted, ..Written::inserted(loaded.taken) }, loaded))
    }

    /// By way of the staging table.
    async fn staged(&self, link: &mut Link, job: &Job<'_>) -> Result<(Written, Loaded)> {
        let mut stage = Stage::create(link, &self.target, Arc::clone(&self.fields), self.key.clone()).await?;
        let loaded = self.load(link, job, STAGE.to_owned(), true).await?;
        let mut dropped = 0;
        if job.config.merges() && job.config.dedupe == Dedupe::Last {
            dropped = stage.keep_last(link).await?;
        }
        // A statement that updates notices such keys itself; where it does not, somebody has to look.
        let updates = job.config.on_conflict == OnConflict::Update && self.fields.len() > self.key.len();
        let quiet = !self.key.is_empty() && !updates;
        let sure = self.key.is_empty() || job.config.dedupe == Dedupe::Last || quiet;
        if quiet && job.config.dedupe == Dedupe::Error {
            stage.refuse_duplicates(link, job.ctx).await?;
        }
        // Constraints that wait for the end would name no row then.
        link.run("SET CONSTRAINTS ALL IMMEDIATE", "checking constraints").await?;
        let overwrites = job.config.mode() == WriteMode::Overwrite;
        let mut deleted = 0;
        if overwrites && !self.replaces_by_key {
            deleted = self.clear(link).await?;
        } else if overwrites {
            deleted = self.delete_others(link, &stage).await?;
        }
        let action = if self.key.is_empty() { Action::Insert } else { Action::ByKey(job.config.on_conflict) };
        let before = job.ctx.rejects().len();
        let table = self.table.sql();
        let mut merge = Merge {
            link,
            ctx: job.ctx,
            table,
            target: &self.target,
            stage: &mut stage,
            action,
            unsure_of_keys: !sure,
            rows: loaded.taken - dropped,
            last: job.input.rows(),
        };
        let mut written = merge.run().await?;
        if self.replaces_by_key && job.ctx.rejects().len() > before {
            // The rows that were refused are not in the new set either.
            deleted += self.delete_others(link, &stage).await?;
        }
        written.ignored += dropped;
        written.deleted = deleted;
        Ok((written, loaded))
    }

    /// Deletes the old rows. Until the end nobody else may write, so that nobody's rows end up among the new ones; reading goes on.
    async fn clear(&self, link: &mut Link) -> Result<u64> {
        const DOING: &str = "deleting the old rows";
        let table = self.table.sql();
        link.run(&format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"), DOING).await?;
        link.run(&format!("DELETE FROM {table}"), DOING).await
    }

    /// Deletes the rows whose key is not in the staging table.
    async fn delete_others(&self, link: &mut Link, stage: &Stage) -> Result<u64> {
        const DOING: &str = "deleting rows that are not in the input";
        let table = self.table.sql();
        link.run(&format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; ANALYZE {STAGE}"), DOING).await?;
        let sql = format!("DELETE FROM {table} t WHERE NOT EXISTS (SELECT FROM {STAGE} s WHERE {})", stage.joined("t"));
        link.run(&sql, DOING).await
    }

    async fn load(&self, link: &mut Link, job: &Job<'_>, table: String, numbered: bool) -> Result<Loaded> {
        let strip_nul = job.config.nul_bytes == NulBytes::Strip;
        let destination = Destination { table, fields: Arc::clone(&self.fields), numbered, strip_nul };
        let scan = self.scan(job).await?;
        Loader::new(link, destination, job.ctx).run(scan, job.config.batch_size).await
    }

    async fn scan(&self, job: &Job<'_>) -> Result<TableScan> {
        let columns: Vec<&str> = self.fields.iter().map(|field| field.source.name.as_str()).collect();
        let mut scan = job.ctx.store().scan(job.input).columns(columns);
        if job.config.dedupe == Dedupe::Last {
            scan = scan.order_by(job.config.order_names());
        }
        scan.open().await
    }
}
