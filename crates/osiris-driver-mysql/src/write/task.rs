//! Runs one write: reads the table, checks everything, creates what is missing, loads the rows, and commits.

use osiris_core::{Code, Commit, Error, ExecutionContext, Intent, Result, TableRef, Unit, Written, metric};
use osiris_sql::write::{
    Loaded, WriteMode, key_sources, open_scan, problems_error, refuse_nulls, run_ddl, show_ddl, table_is_gone,
};

use super::answer::StatementError;
use super::loader::{Destination, Loader};
use super::lock;
use super::marker::Marker;
use super::outcome::{Sign, Token, after_its_end, unknown_outcome};
use super::plan::{self, Ddl, Mapped, ensure_none};
use super::session::Session;
use super::swap::{ShadowTable, SwapFailure};
use super::target::{TableName, Target};
use super::upsert::Upsert;
use crate::config::WriterConfig;

const COMMITTING: &str = "committing the rows";

/// The context of a write.
pub(super) struct WriteTask<'a> {
    pub(super) config: &'a WriterConfig,
    pub(super) table: TableName,
    pub(super) input: &'a TableRef,
    pub(super) mapped: Vec<Mapped>,
    pub(super) ctx: &'a ExecutionContext,
    pub(super) dry_run: bool,
    /// The address of the server, for messages.
    pub(super) address: String,
}

/// The write strategy.
struct WriteStrategy {
    /// Whether a new table is built and swapped in.
    swap_table: bool,
    /// Whether the old rows are deleted first, in the same transaction.
    clear: bool,
    ddl: Ddl,
    /// Whether repeating the write leaves the same rows.
    repeatable: bool,
}

impl WriteTask<'_> {
    /// Runs the write.
    ///
    /// # Errors
    /// When the write fails: the table is unchanged, or the error says that the outcome is unknown.
    pub(super) async fn run(&self, session: &mut Session) -> Result<Written> {
        if !self.dry_run {
            lock::take(session, &self.table).await?;
        }
        let mut target = Target::read(session, &self.table).await?;
        if target.is_none() && !self.dry_run {
            // The old table may be left over from a server that crashed during a swap.
            ShadowTable::of(&self.table).clear(session).await?;
            target = Target::read(session, &self.table).await?;
        } else if self.config.fields().mode == WriteMode::Overwrite
            && !self.dry_run
            && let Err(error) = ShadowTable::of(&self.table).clear(session).await
        {
            if !session.is_alive() {
                return Err(error);
            }
            // Something may reference it. It only blocks another swap, which checks again.
            tracing::warn!(table = %self.table, %error, "failed to remove tables left by an earlier write");
        }
        let strategy = session.meanwhile(self.strategy(target.as_ref())).await??;
        self.show_ddl(&strategy.ddl)?;
        if self.dry_run {
            return Ok(Written::default());
        }
        self.ctx.progress().expect_rows(self.input.expected_rows());
        if strategy.swap_table {
            self.replace_table(session, target, &strategy).await
        } else {
            self.in_place(session, &strategy).await
        }
    }

    /// Checks everything and chooses the strategy.
    async fn strategy(&self, target: Option<&Target>) -> Result<WriteStrategy> {
        let config = self.config;
        let Some(target) = target else {
            if !config.create_table {
                return Err(Error::validation(format!("there is no table `{}`", self.table))
                    .with_code(Code::TableNotFound)
                    .with_hint("check `table` and `schema`, or set `create_table: true` to create it"));
            }
            let sql = self.create_table(&self.table)?;
            self.refuse_nulls(&key_sources(config.fields().key, &self.mapped)).await?;
            let repeatable = config.fields().mode != WriteMode::Append;
            return Ok(WriteStrategy { swap_table: true, clear: false, ddl: Ddl::Create(vec![sql]), repeatable });
        };
        let replaces = config.fields().mode == WriteMode::Overwrite;
        // A new table has neither triggers nor foreign keys: to keep them the rows are deleted instead.
        let reasons = &target.dependents.reasons;
        let swap_table = replaces && reasons.is_empty();
        if replaces && !swap_table {
            tracing::info!(table = %self.table, ?reasons, "replacing the rows in one transaction instead of swapping the table");
        }
        let clear = if replaces { !swap_table } else { config.truncate_before };
        let mut check = plan::check(config, &self.mapped, target);
        plan::safety(&mut check, config, target, !swap_table);
        let fields = plan::fields(&mut check);
        check.left_out();
        plan::key(&mut check, target);
        if clear {
            check.cascades();
        }
        let additions = plan::additions(&mut check);
        ensure_none(&self.table.to_string(), &check.problems())?;
        let strict: Vec<&str> =
            fields.iter().filter(|field| field.not_null).map(|field| field.source.name.as_str()).collect();
        self.refuse_nulls(&strict).await?;
        let ddl = if additions.is_empty() { Ddl::Nothing } else { Ddl::Add(additions) };
        // A trigger may count, or write to other tables.
        let repeatable = (clear || config.fields().mode != WriteMode::Append) && !target.dependents.may_have_triggers;
        Ok(WriteStrategy { swap_table, clear, ddl, repeatable })
    }

    /// The statement that creates a table for the rows.
    fn create_table(&self, name: &TableName) -> Result<String> {
        plan::create_table(&name.sql(), self.config, &self.mapped)
            .map_err(|problems| problems_error(&self.table.to_string(), &problems))
    }

    /// NULLs in NOT NULL columns are rejects; if no rejects are allowed, they are reported before loading.
    async fn refuse_nulls(&self, columns: &[&str]) -> Result<()> {
        refuse_nulls(self.ctx, self.input, &self.table.to_string(), self.config.write.max_rejects, columns).await
    }

    /// Writes the DDL to the artifacts of the step.
    fn show_ddl(&self, ddl: &Ddl) -> Result<()> {
        let sql = match ddl {
            Ddl::Nothing => return Ok(()),
            Ddl::Create(statements) => statements.join(";\n"),
            Ddl::Add(clauses) => format!("ALTER TABLE {} {}", self.table.sql(), clauses.join(", ")),
        };
        show_ddl(self.ctx, &self.table.to_string(), &sql)
    }

    async fn ddl(&self, session: &mut Session, sql: &str) -> Result<()> {
        run_ddl(self.ctx, &self.table.to_string(), session.run(sql, "changing the table")).await.map(drop)
    }

    /// Fills a new table and swaps it with the old one, or renames it if there was none.
    async fn replace_table(
        &self,
        session: &mut Session,
        target: Option<Target>,
        strategy: &WriteStrategy,
    ) -> Result<Written> {
        let shadow = ShadowTable::of(&self.table);
        shadow.claim(session).await?;
        let built = self.build(session, &shadow, strategy).await;
        let mut written = match built {
            Ok(written) => written,
            Err(error) => {
                shadow.discard_new(session).await;
                return Err(error);
            }
        };
        let sign = Sign::Rename { from: shadow.new.clone(), to: self.table.clone() };
        let commit = self.begin_commit(session, strategy, sign, written).await?;
        match shadow.swap(session, target.is_some()).await {
            Ok(()) => commit.committed(written).await,
            Err(SwapFailure::NotDone(error)) => {
                commit.not_committed().await;
                if session.is_alive() {
                    shadow.discard_new(session).await;
                }
                return Err(error);
            }
            Err(SwapFailure::Unknown(error)) => return Err(error),
        }
        session.set_cleanup(None);
        if target.is_some() {
            written.deleted = shadow.discard_old(session).await;
        }
        Ok(written)
    }

    /// Creates and fills the new table.
    async fn build(&self, session: &mut Session, shadow: &ShadowTable, strategy: &WriteStrategy) -> Result<Written> {
        let new = shadow.new.sql();
        match &strategy.ddl {
            Ddl::Create(_) => {
                self.ddl(session, &self.create_table(&shadow.new)?).await?;
            }
            other => {
                self.ddl(session, &format!("CREATE TABLE {new} LIKE {}", self.table.sql())).await?;
                self.add_columns(session, &shadow.new, other).await?;
                shadow.carry_numbers_over(session).await?;
            }
        }
        let written = self.fill(session, &shadow.new, true, false).await?;
        self.ctx.rejects().enforce_limit()?;
        session.run("COMMIT", COMMITTING).await?;
        if !matches!(strategy.ddl, Ddl::Create(_)) {
            // Other clients may have inserted rows and used numbers meanwhile.
            shadow.carry_numbers_over(session).await?;
        }
        Ok(written)
    }

    /// Writes to the table in one transaction.
    async fn in_place(&self, session: &mut Session, strategy: &WriteStrategy) -> Result<Written> {
        let marker = match &self.config.commit_table {
            Some(table) => Some(Marker::prepare(session, self.table.sibling(table.clone())).await?),
            None => None,
        };
        self.add_columns(session, &self.table, &strategy.ddl).await?;
        let written = self.fill(session, &self.table, false, strategy.clear).await?;
        self.ctx.rejects().enforce_limit()?;
        let sign = match marker {
            Some(marker) => {
                marker.write(session).await?;
                Sign::Marker(marker)
            }
            None => Sign::None,
        };
        let commit = self.begin_commit(session, strategy, sign, written).await?;
        match session.attempt("COMMIT", COMMITTING).await {
            Ok(_) => {
                commit.committed(written).await;
                Ok(written)
            }
            Err(StatementError::Server { code, state, message }) if ended_while_committing(code) => {
                let error = crate::error::server_error(code, &state, &message, COMMITTING);
                Err(self.unanswered(session, error).await)
            }
            Err(failure @ StatementError::Server { .. }) => {
                // The server has rolled back, or does so when the session ends.
                commit.not_committed().await;
                Err(failure.into_error(COMMITTING))
            }
            Err(StatementError::Lost(error)) => Err(self.unanswered(session, error).await),
        }
    }

    /// Records the intent and commits.
    async fn begin_commit(
        &self,
        session: &mut Session,
        strategy: &WriteStrategy,
        sign: Sign,
        written: Written,
    ) -> Result<Commit> {
        let intent = Intent::new(format!("table `{}` of {}", self.table, self.address))
            .with_repeatable(strategy.repeatable)
            .with_token(Token::new(session, sign).to_value())
            .with_written(written);
        session.meanwhile(self.ctx.begin_commit(intent)).await?
    }

    /// The outcome of a commit without a response.
    async fn unanswered(&self, session: &Session, error: Error) -> Error {
        let ended = match after_its_end(session).await {
            Ok(other) => {
                other.close().await;
                true
            }
            Err(second) => {
                tracing::debug!(error = %second, "failed to look up the session");
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

    /// Loads the rows into `table`, which has all its columns. A transaction is open when this returns.
    async fn fill(&self, session: &mut Session, table: &TableName, is_new: bool, clear: bool) -> Result<Written> {
        let target = Target::read(session, table).await?;
        let target = target.ok_or_else(|| table_is_gone(table))?;
        let mut check = plan::check(self.config, &self.mapped, &target);
        let fields = plan::fields(&mut check);
        ensure_none(&table.to_string(), &check.problems())?;
        let scan = open_scan(self.ctx, self.input, &fields, self.config.fields()).await?;
        let mut deleted = 0;
        if clear {
            session.run("START TRANSACTION", COMMITTING).await?;
            deleted = session.run(&format!("DELETE FROM {}", table.sql()), "deleting the old rows").await?.affected;
        }
        let (mut written, loaded) = if self.config.fields().mode == WriteMode::Upsert {
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

    fn log_bytes(&self, loaded: &Loaded) {
        self.ctx.log_metric(metric::BYTES_WRITTEN, loaded.bytes, Unit::Bytes, serde_json::Value::Null);
    }
}

/// Whether the server killed the session, so that it is unknown whether the commit came first.
fn ended_while_committing(code: u16) -> bool {
    // Shutdown, query interrupted, connection killed, time limit: the commit may have succeeded.
    matches!(code, 1053 | 1317 | 1927 | 1969 | 3024 | 3169)
}
