//! One write from beginning to end: look, check everything, make what is missing, load, and make it visible in one moment.

use std::sync::Arc;

use osiris_core::{Commit, Error, ExecutionContext, Intent, Result, TableRef, TableScan, Unit, Written, event, metric};
use serde_json::json;

use super::answer::Failure;
use super::encode::Field;
use super::loader::{Destination, Loaded, Loader};
use super::lock;
use super::marker::Marker;
use super::outcome::{Sign, Token, after_its_end, unknown_outcome};
use super::plan::{self, Check, Ddl, Mapped, ensure_none};
use super::session::Session;
use super::swap::{Beside, SwapFailure};
use super::target::{TableName, Target};
use super::upsert::Upsert;
use crate::config::{Dedupe, WriteMode, WriterConfig};

const COMMITTING: &str = "committing the rows";

/// What a write is about.
pub(super) struct Job<'a> {
    pub(super) config: &'a WriterConfig,
    pub(super) table: TableName,
    pub(super) input: &'a TableRef,
    pub(super) mapped: Vec<Mapped>,
    pub(super) ctx: &'a ExecutionContext,
    pub(super) dry_run: bool,
    /// The server, in words.
    pub(super) address: String,
}

/// How the table is written.
struct Way {
    /// Whether a new table is built beside, to be exchanged.
    beside: bool,
    /// Whether the old rows are deleted first, in the same transaction.
    clear: bool,
    ddl: Ddl,
    /// Whether doing it twice leaves the same rows.
    repeatable: bool,
}

impl Job<'_> {
    /// Does it.
    ///
    /// # Errors
    /// Whatever kept it from being done: the table is then as it was, or the error says that nobody knows.
    pub(super) async fn run(&self, session: &mut Session) -> Result<Written> {
        if !self.dry_run {
            lock::take(session, &self.table).await?;
        }
        let mut target = Target::read(session, &self.table).await?;
        if target.is_none() && !self.dry_run {
            // It may stand beside, left there by a server that died in the middle of an exchange.
            Beside::of(&self.table).clear(session).await?;
            target = Target::read(session, &self.table).await?;
        } else if self.config.mode() == WriteMode::Overwrite
            && !self.dry_run
            && let Err(error) = Beside::of(&self.table).clear(session).await
        {
            if !session.is_alive() {
                return Err(error);
            }
            // Something may refer to it. It is in the way of nothing but another exchange, which looks again.
            tracing::warn!(table = %self.table, %error, "what an earlier write left stays");
        }
        let way = session.meanwhile(self.way(target.as_ref())).await??;
        self.show_ddl(&way.ddl)?;
        if self.dry_run {
            return Ok(Written::default());
        }
        self.ctx.progress().expect_rows(self.input.rows());
        if way.beside { self.beside(session, target, &way).await } else { self.in_place(session, &way).await }
    }

    /// Checks everything and decides how to write.
    async fn way(&self, target: Option<&Target>) -> Result<Way> {
        let config = self.config;
        let Some(target) = target else {
            if !config.create_table {
                return Err(Error::validation(format!("there is no table `{}`", self.table))
                    .with_hint("check `table` and `schema`, or set `create_table: true` to have it created"));
            }
            let sql = plan::create_table(&self.table.sql(), config, &self.mapped);
            let sql =
                sql.or_else(|problems| ensure_none(&self.table.to_string(), &problems).map(|()| String::new()))?;
            self.refuse_nulls(&self.key_sources()).await?;
            let repeatable = config.mode() != WriteMode::Append;
            return Ok(Way { beside: true, clear: false, ddl: Ddl::Create(vec![sql]), repeatable });
        };
        let replaces = config.mode() == WriteMode::Overwrite;
        // A table of another name has neither triggers nor foreign keys: what may be there is kept by deleting instead.
        let reasons = &target.dependents.reasons;
        let beside = replaces && reasons.is_empty();
        if replaces && !beside {
            tracing::info!(table = %self.table, ?reasons, "the rows are replaced in one transaction, not the table");
        }
        let clear = config.truncate_before || (replaces && !beside);
        let mut check = Check { config, mapped: &self.mapped, target, problems: Vec::new() };
        check.safety(!beside);
        let fields = check.fields();
        check.left_out();
        check.key();
        if clear {
            check.cascades();
        }
        let additions = check.additions();
        ensure_none(&self.table.to_string(), &check.problems)?;
        let strict: Vec<&str> =
            fields.iter().filter(|field| field.not_null).map(|field| field.source.as_str()).collect();
        self.refuse_nulls(&strict).await?;
        let ddl = if additions.is_empty() { Ddl::Nothing } else { Ddl::Add(additions) };
        // A trigger may count, or write elsewhere.
        let repeatable = (clear || config.mode() != WriteMode::Append) && !target.dependents.may_have_triggers;
        Ok(Way { beside, clear, ddl, repeatable })
    }

    fn key_sources(&self) -> Vec<&str> {
        let is_key = |name: &str| self.config.key_names().iter().any(|key| plan::same(key, name));
        self.mapped.iter().filter(|column| is_key(&column.target)).map(|column| column.source.name.as_str()).collect()
    }

    /// NULLs where the table takes none are rejects, one by one; where no reject is allowed they need not be tried.
    async fn refuse_nulls(&self, columns: &[&str]) -> Result<()> {
        if self.config.max_rejects > 0 || self.input.rows() == 0 {
            return Ok(());
        }
        let counts = self.ctx.store().null_counts(self.input, columns).await?;
        let problems: Vec<String> = columns
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("`{name}` of the input is NULL in {count} rows, and its column takes no NULL"))
            .collect();
        ensure_none(&self.table.to_string(), &problems)
    }

    /// Leaves the statements that will be run with the step's artifacts.
    fn show_ddl(&self, ddl: &Ddl) -> Result<()> {
        let text = match ddl {
            Ddl::Nothing => return Ok(()),
            Ddl::Create(statements) => format!("{};\n", statements.join(";\n")),
            Ddl::Add(clauses) => format!("ALTER TABLE {} {};\n", self.table.sql(), clauses.join(", ")),
        };
        self.ctx.log_event(event::TABLE_DDL_PLANNED, json!({"table": self.table.to_string()}));
        self.ctx.write_artifact("ddl_plan", "ddl_plan.sql", &text)?;
        Ok(())
    }

    async fn ddl(&self, session: &mut Session, sql: &str) -> Result<()> {
        let table = self.table.to_string();
        self.ctx.log_event(event::DDL_ATTEMPT, json!({"table": table}));
        match session.run(sql, "changing the table").await {
            Ok(_) => {
                self.ctx.log_event(event::DDL_SUCCEEDED, json!({"table": table}));
                Ok(())
            }
            Err(error) => {
                self.ctx.log_event(event::DDL_FAILED, json!({"table": table, "error": error.message()}));
                Err(error)
            }
        }
    }

    /// A table beside, filled and then exchanged for the old one, or put where none was.
    async fn beside(&self, session: &mut Session, target: Option<Target>, way: &Way) -> Result<Written> {
        let beside = Beside::of(&self.table);
        beside.claim(session).await?;
        let built = self.build(session, &beside, way).await;
        let mut written = match built {
            Ok(written) => written,
            Err(error) => {
                beside.discard_new(session).await;
                return Err(error);
            }
        };
        let sign = Sign::Rename { from: beside.new.clone(), to: self.table.clone() };
        let commit = self.begin_commit(session, way, sign, written).await?;
        match beside.swap(session, target.is_some()).await {
            Ok(()) => commit.committed(written).await,
            Err(SwapFailure::NotDone(error)) => {
                commit.not_committed().await;
                if session.is_alive() {
                    beside.discard_new(session).await;
                }
                return Err(error);
            }
            Err(SwapFailure::Unknown(error)) => return Err(error),
        }
        session.set_cleanup(None);
        if target.is_some() {
            written.deleted = beside.discard_old(session).await;
        }
        Ok(written)
    }

    /// Makes and fills the table beside.
    async fn build(&self, session: &mut Session, beside: &Beside, way: &Way) -> Result<Written> {
        let new = beside.new.sql();
        match &way.ddl {
            Ddl::Create(_) => {
                let sql = plan::create_table(&new, self.config, &self.mapped);
                let sql =
                    sql.or_else(|problems| ensure_none(&self.table.to_string(), &problems).map(|()| String::new()))?;
                self.ddl(session, &sql).await?;
            }
            other => {
                self.ddl(session, &format!("CREATE TABLE {new} LIKE {}", self.table.sql())).await?;
                self.add_columns(session, &beside.new, other).await?;
                beside.carry_numbers_over(session).await?;
            }
        }
        let written = self.fill(session, &beside.new, true, false).await?;
        self.ctx.rejects().enforce_limit()?;
        session.run("COMMIT", COMMITTING).await?;
        if !matches!(way.ddl, Ddl::Create(_)) {
            // Rows may have come in meanwhile, and have got numbers.
            beside.carry_numbers_over(session).await?;
        }
        Ok(written)
    }

    /// The table itself, in one transaction.
    async fn in_place(&self, session: &mut Session, way: &Way) -> Result<Written> {
        let marker = match &self.config.commit_table {
            Some(table) => Some(Marker::prepare(session, self.table.sibling(table.clone())).await?),
            None => None,
        };
        self.add_columns(session, &self.table, &way.ddl).await?;
        let written = self.fill(session, &self.table, false, way.clear).await?;
        self.ctx.rejects().enforce_limit()?;
        let sign = match marker {
            Some(marker) => {
                marker.write(session).await?;
                Sign::Marker(marker)
            }
            None => Sign::None,
        };
        let commit = self.begin_commit(session, way, sign, written).await?;
        match session.attempt("COMMIT", COMMITTING).await {
            Ok(_) => {
                commit.committed(written).await;
                Ok(written)
            }
            Err(Failure::Server { code, state, message }) if ended_while_committing(code) => {
                let error = crate::error::server_error(code, &state, &message, COMMITTING);
                Err(self.unanswered(session, error).await)
            }
            Err(failure @ Failure::Server { .. }) => {
                // The server has undone it, or does so as the session ends.
                commit.not_committed().await;
                Err(failure.into_error(COMMITTING))
            }
            Err(Failure::Lost(error)) => Err(self.unanswered(session, error).await),
        }
    }

    /// Goes beyond the point of no return.
    async fn begin_commit(&self, session: &mut Session, way: &Way, sign: Sign, written: Written) -> Result<Commit> {
        let intent = Intent::new(format!("table `{}` of {}", self.table, self.address))
            .with_repeatable(way.repeatable)
            .with_token(Token::new(session, sign).to_value())
            .with_written(written);
        session.meanwhile(self.ctx.begin_commit(intent)).await?
    }

    /// What is known of a commit that got no answer.
    async fn unanswered(&self, session: &Session, error: Error) -> Error {
        let ended = match after_its_end(session).await {
            Ok(other) => {
                other.close().await;
                true
            }
            Err(second) => {
                tracing::debug!(error = %second, "the session could not be looked for");
                false
            }
        };
        unknown_outcome(&self.table, error, ended)
    }

    async fn add_columns(&self, session: &mut Session, table: &TableName, ddl: &Ddl) -> Result<()> {
        match ddl {
            Ddl::Add(clauses) => {
                self.ddl(session, &format!("ALTER TABLE {} {}", table.sql(), clauses.join(", "))).await
            }
            _ => Ok(()),
        }
    }

    /// Loads the rows into `table`, which has all its columns by now. A transaction is open when this returns.
    async fn fill(&self, session: &mut Session, table: &TableName, is_new: bool, clear: bool) -> Result<Written> {
        let target = Target::read(session, table).await?;
        let target = target.ok_or_else(|| {
            Error::validation(format!("the table `{table}` has gone")).with_hint("somebody removed it: run again")
        })?;
        let mut check = Check { config: self.config, mapped: &self.mapped, target: &target, problems: Vec::new() };
        let fields = check.fields();
        ensure_none(&table.to_string(), &check.problems)?;
        let scan = self.scan(&fields).await?;
        let mut deleted = 0;
        if clear {
            session.run("START TRANSACTION", COMMITTING).await?;
            deleted = session.run(&format!("DELETE FROM {}", table.sql()), "deleting the old rows").await?.affected;
        }
        let (mut written, loaded) = if self.config.mode() == WriteMode::Upsert {
            let config = self.config;
            let mut upsert = Upsert {
                session,
                config,
                table,
                input: self.input,
                target: &target,
                fields,
                ctx: self.ctx,
                in_transaction: clear,
            };
            upsert.run(scan).await?
        } else {
            if !clear {
                session.run("START TRANSACTION", COMMITTING).await?;
            }
            let destination =
                Destination { table: table.sql(), fields, numbered: false, replace: false, commit_each: is_new };
            let loaded = Loader::new(session, destination, self.ctx).run(scan, self.config.batch_size).await?;
            (Written::inserted(loaded.taken), loaded)
        };
        written.deleted = deleted;
        self.log_bytes(&loaded);
        Ok(written)
    }

    async fn scan(&self, fields: &Arc<[Field]>) -> Result<TableScan> {
        let columns: Vec<&str> = fields.iter().map(|field| field.source.as_str()).collect();
        let mut scan = self.ctx.store().scan(self.input).columns(columns);
        if self.config.dedupe == Dedupe::Last {
            scan = scan.order_by(self.config.order_names());
        }
        scan.open().await
    }

    fn log_bytes(&self, loaded: &Loaded) {
        self.ctx.log_metric(metric::BYTES_WRITTEN, loaded.bytes, Unit::Bytes, serde_json::Value::Null);
    }
}

/// Whether the server ended the session, so that nobody knows whether the commit came before.
fn ended_while_committing(code: u16) -> bool {
    // Shutdown, query interrupted, connection killed, time limit: the commit may have been through.
    matches!(code, 1053 | 1317 | 1927 | 1969 | 3024 | 3169)
}
