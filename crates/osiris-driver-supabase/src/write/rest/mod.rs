//! Writes over REST: reads the schema, checks everything, creates what is missing, then sends requests.
//!
//! No transaction spans two requests: rows written before a failure stay, and the error says so. What can be sent twice
//! without harm (upserts, and appends that ignore existing keys) is sent again after a failure; a plain append never
//! is, unless the server certainly did nothing. `overwrite` upserts first and then deletes rows that are not in the
//! input.

mod check;
mod ddl;
mod encode;
mod field;
mod keys;
mod present;
mod refusal;
mod rounding;
mod send;
mod statement;
mod sweep;
mod visible;

use std::sync::Arc;
use std::time::Duration;

use osiris_core::commit::{CommitOutcome, Intent};
use osiris_core::{Code, Error, ErrorKind, Result, TableScan, Unit, Written, metric};
use osiris_http::Bytes;
use osiris_sql::write::{ensure_no_problems, refuse_nulls, same_name, show_ddl};
use serde_json::Value;

use super::WriteRequest;
use crate::client::Client;
use crate::client::rest::openapi::{Description, RestTable};
use crate::client::rest::table::TableApi;
use crate::config::{Dedupe, NulBytes, WriteMode};
use crate::error::sqlstate;
use check::Check;
use ddl::Ddl;
use encode::{Encoder, Limits, Piece};
use field::Field;
use osiris_driver_postgres::client::quote_path;
use osiris_driver_postgres::types::ddl as sql;
use send::Sender;
use statement::Statement;

/// Default number of rows per request.
const ROWS: u64 = 500;
/// Maximum size of a request: gateways accept a few megabytes.
const BYTES: usize = 2 << 20;

/// Writes the rows of `job`.
///
/// # Errors
/// When the write fails. What was written before stays; the error says how much that is.
pub(super) async fn write(client: &Client, job: &WriteRequest<'_>) -> Result<Written> {
    let config = job.config;
    let rest = client.rest()?.with_retries(config.retries)?.for_step(job.ctx);
    let api = TableApi::new(rest, config.schema(&client.target().connection), &config.table)?
        .with_timeout(config.timeout.map(Duration::from_secs));
    let work = Work { client, job, api };
    match work.prepare().await? {
        Some(ready) => work.send(ready).await,
        None => Ok(Written::default()),
    }
}

/// An interrupted append: some rows are in the table, and cannot be distinguished from existing ones.
fn in_part(table: &str, error: Error) -> Error {
    let said = error.message().to_owned();
    let ambiguous = Error::ambiguous(format!(
        "some of the rows may be in table `{table}`: the write was interrupted ({said})"
    ))
    .with_hint(format!(
        "check which rows are in `{table}`: running the step again would write those a second time, unless `key` and \
             `on_conflict: ignore` are set"
    ));
    let facts = error.context().to_vec();
    facts.into_iter().fold(ambiguous, |error, (key, value)| error.with_context(key, value)).with_source(error)
}

/// The outcome of the rows of `job`, which an earlier attempt or run may have sent: their keys are looked up in the
/// table, if it has a primary key that was written. Such rows cannot be duplicated, so a request still in flight does
/// no harm.
///
/// # Errors
/// When the request fails.
pub(super) async fn outcome(client: &Client, job: &WriteRequest<'_>) -> Result<CommitOutcome> {
    let config = job.config;
    let rest = client.rest()?.with_retries(config.retries)?.for_step(job.ctx);
    let api = TableApi::new(rest, config.schema(&client.target().connection), &config.table)?;
    let work = Work { client, job, api };
    let description = Description::read(work.api.rest(), work.api.schema()).await?;
    let Some(table) = description.table(work.api.name()) else { return Ok(CommitOutcome::Unknown) };
    let mut check = work.check(table);
    let key = check.identity();
    let fields: Arc<[Field]> = check.fields(&key).iter().filter(|field| key.contains(&field.target)).cloned().collect();
    if key.is_empty() || fields.len() != key.len() {
        return Ok(CommitOutcome::Unknown);
    }
    let names: Vec<&str> = fields.iter().map(|field| field.source.name.as_str()).collect();
    let scan = job.ctx.store().scan(job.input).columns(names).open().await?;
    let limits = Limits { rows: 5000, bytes: BYTES };
    let mut pieces = encode::encoded(scan, Encoder { fields, limits, strip_nul: true, last_of: None });
    let (mut rows, mut found) = (0, 0);
    while let Some(piece) = pieces.recv().await {
        if let Piece::Chunk(chunk) = piece? {
            rows += u64::try_from(chunk.rows()).unwrap_or(0);
            found += present::rows(&work.api, &key, &chunk.body(&(0..chunk.rows()))).await?;
        }
    }
    Ok(match found {
        0 => CommitOutcome::NotCommitted,
        found if found == rows && rows == job.input.rows() => {
            CommitOutcome::Committed { written: Some(Written::inserted(found)) }
        }
        _ => CommitOutcome::Unknown,
    })
}

/// Sends an empty request: the server reports errors that apply to any row.
async fn probe(statement: &Statement) -> Result<()> {
    statement.send(Bytes::from_static(b"[]"), 0).await.map(|_| ())
}

/// The result of the checks.
struct Ready {
    /// The columns to send.
    fields: Arc<[Field]>,
    /// The key columns.
    key: Vec<String>,
    /// Possibly required columns without a value.
    left_out: Vec<String>,
    /// The primary key, if all of it is written.
    identity: Vec<String>,
}

struct Work<'a> {
    client: &'a Client,
    job: &'a WriteRequest<'a>,
    api: TableApi,
}

impl Work<'_> {
    fn table(&self) -> String {
        self.api.shown()
    }

    /// Checks everything and creates what is missing, except in a dry run.
    async fn prepare(&self) -> Result<Option<Ready>> {
        let description = Description::read(self.api.rest(), self.api.schema()).await?;
        let Some(table) = description.table(self.api.name()) else { return self.create(&description).await };
        let check = self.check(table);
        let additions = check.additions();
        let ready = self.checked(table).await?;
        if !additions.is_empty() {
            return self.change(&sql::add_columns(&self.qualified(), &additions)).await;
        }
        Ok((!self.job.dry_run).then_some(ready))
    }

    /// Checks that need no request.
    async fn checked(&self, table: &RestTable) -> Result<Ready> {
        let mut check = self.check(table);
        let key = check.key();
        let fields = check.fields(&key);
        ensure_no_problems(&self.table(), &check.problems)?;
        let ready = Ready { fields, key, left_out: check.perhaps_left_out(), identity: check.identity() };
        self.refuse_nulls(&ready.fields).await?;
        self.refuse_duplicates(&ready).await?;
        Ok(ready)
    }

    fn check<'b>(&'b self, table: &'b RestTable) -> Check<'b> {
        Check { config: self.job.config, mapped: &self.job.mapped, table, problems: Vec::new() }
    }

    async fn create(&self, description: &Description) -> Result<Option<Ready>> {
        let config = self.job.config;
        visible::ensure_absent(&self.api).await?;
        if !config.create_if_missing {
            let hint = match description.similar(self.api.name()) {
                Some(similar) => format!("did you mean `{similar}`? Or set `create_if_missing: true` to create it"),
                None => "check `table` and `schema`, or set `create_if_missing: true` to create it".to_owned(),
            };
            let error = Error::validation(format!("there is no table `{}`", self.table()));
            return Err(error.with_code(Code::TableNotFound).with_hint(hint));
        }
        let columns: Vec<_> = self.job.mapped.iter().map(|column| (column.target.clone(), &column.source)).collect();
        let mut problems = Vec::new();
        if config.fields().mode == WriteMode::Overwrite && config.fields().key.is_empty() {
            problems.push("over REST `mode: overwrite` finds old rows by key: set `key`".to_owned());
        }
        let create = sql::create_table(&self.qualified(), &columns, config.fields().key).unwrap_or_else(|more| {
            problems.extend(more);
            String::new()
        });
        ensure_no_problems(&self.table(), &problems)?;
        self.change(&create).await.map_err(|error| visible::of_creating(&self.api, error))
    }

    /// Runs `sql` and reads the schema again.
    async fn change(&self, sql: &str) -> Result<Option<Ready>> {
        show_ddl(self.job.ctx, &self.table(), sql)?;
        if self.job.dry_run {
            return Ok(None);
        }
        let ddl = Ddl {
            client: self.client,
            rest: self.api.rest(),
            ctx: self.job.ctx,
            channel: self.job.config.ddl_channel,
            table: self.table(),
        };
        ddl.run(sql).await?;
        let targets: Vec<&str> = self.job.mapped.iter().map(|column| column.target.as_str()).collect();
        let key = self.job.config.fields().key.to_vec();
        ddl.wait(&Statement::new(self.api.clone(), self.job.config, &targets, key)).await?;
        let description = Description::read(self.api.rest(), self.api.schema()).await?;
        let table = description.table(self.api.name()).ok_or_else(|| {
            Error::validation(format!("the new table `{}` is not visible to this key", self.table()))
                .with_hint("grant privileges to the role of the key, or use the service key")
        })?;
        Ok(Some(self.checked(table).await?))
    }

    fn qualified(&self) -> String {
        quote_path(self.api.schema(), self.api.name())
    }

    fn statement(&self, ready: &Ready) -> Statement {
        let columns: Vec<&str> = ready.fields.iter().map(|field| field.target.as_str()).collect();
        Statement::new(self.api.clone(), self.job.config, &columns, ready.key.clone())
            .comparing(rounding::at_risk(&ready.fields))
    }

    /// Checks whether the server accepts rows. Returns the statement that requests no more than the table and the key
    /// allow.
    async fn settled(&self, ready: &Ready) -> Result<Statement> {
        let statement = self.statement(ready);
        let error = match probe(&statement).await {
            Ok(()) => return Ok(statement),
            Err(error) => error,
        };
        let less = match sqlstate(&error) {
            Some("42703" | "0A000") => statement.without_marks(),
            Some("42501") => statement.blind(),
            _ => return Err(self.explained(error)),
        };
        match probe(&less).await {
            Ok(()) => Ok(less),
            Err(_) => Err(self.explained(error)),
        }
    }

    fn explained(&self, error: Error) -> Error {
        match sqlstate(&error) {
            Some("42P10") => {
                let problem = "no primary key or unique index on exactly the columns of `key`".to_owned();
                ensure_no_problems(&self.table(), &[problem]).err().unwrap_or(error)
            }
            Some("428C9") => error.with_hint("the column is generated: exclude it with `columns`"),
            _ => error,
        }
    }

    /// NULLs in NOT NULL columns are rejects; if no rejects are allowed, they are reported before loading.
    async fn refuse_nulls(&self, fields: &[Field]) -> Result<()> {
        let strict: Vec<&str> =
            fields.iter().filter(|field| field.not_null).map(|field| field.source.name.as_str()).collect();
        let max_rejects = self.job.config.max_rejects;
        refuse_nulls(self.job.ctx, self.job.input, &self.table(), max_rejects, &strict).await
    }

    /// Several rows with one key would replace one another.
    async fn refuse_duplicates(&self, ready: &Ready) -> Result<()> {
        let config = self.job.config;
        let merges = config.fields().merges() || config.fields().mode == WriteMode::Overwrite;
        if !merges || config.conflict.dedupe == Dedupe::Last || self.job.input.rows() == 0 {
            return Ok(());
        }
        let fields: Arc<[Field]> = key_fields(ready).cloned().collect();
        let names: Vec<&str> = fields.iter().map(|field| field.source.name.as_str()).collect();
        let scan = self.job.ctx.store().scan(self.job.input).columns(names.clone()).order_by(names).open().await?;
        keys::refuse_duplicates(self.job.ctx, scan, fields).await
    }

    async fn send(&self, ready: Ready) -> Result<Written> {
        let (config, ctx) = (self.job.config, self.job.ctx);
        ctx.progress().expect_rows(self.job.input.rows());
        let overwrites = config.fields().mode == WriteMode::Overwrite;
        let rows = usize::try_from(config.batch_size.unwrap_or(ROWS)).unwrap_or(usize::MAX);
        let mut sender = Sender {
            statement: self.settled(&ready).await?,
            ctx,
            max_rejects: config.max_rejects,
            left_out: ready.left_out.clone(),
            keys: if overwrites { Some(sweep::keys_written(ctx).await?) } else { None },
            most: rows,
            stuck_since: None,
            bytes: 0,
            written: Written::default(),
            identity: ready.identity.clone(),
            is_uncertain: false,
            has_sent: false,
        };
        let scan = self.scan(&ready).await?;
        let repeatable = sender.statement.is_repeatable();
        let destination = format!("table `{}` of {}", self.table(), self.api.rest().http().base_url());
        let intent = Intent::new(destination).with_repeatable(repeatable).with_parts();
        let commit = ctx.begin_commit(intent).await?;
        let sent = sender.run(encode::encoded(scan, self.encoder(&ready, rows))).await;
        // The commit began before the first row was read. Of other rows there must be no sweep.
        if let Err(error) = sent.and_then(|()| self.job.input.ensure_unchanged()) {
            // A cancelled request may have arrived.
            let dropped = sender.has_sent && error.kind() == ErrorKind::Cancelled;
            if !sender.is_uncertain && !dropped && sender.written.inserted + sender.written.updated == 0 {
                commit.not_committed().await;
                return Err(error);
            }
            return Err(if repeatable { error } else { in_part(&self.table(), error) });
        }
        ctx.log_metric(metric::BYTES_WRITTEN, sender.bytes, Unit::Bytes, Value::Null);
        ctx.rejects().enforce_limit().map_err(|error| {
            error.with_context("other rows", "written: over REST no transaction spans two requests")
        })?;
        let mut written = sender.written;
        if let Some(keys) = sender.keys.take() {
            written.deleted = sweep::sweep(&self.api, &ready.key, keys, ctx).await?;
        }
        commit.committed(written).await;
        Ok(written)
    }

    fn encoder(&self, ready: &Ready, rows: usize) -> Encoder {
        let key_places = || {
            let fields = ready.fields.iter().enumerate();
            fields.filter(|(_, field)| ready.key.contains(&field.target)).map(|(index, _)| index).collect()
        };
        Encoder {
            fields: Arc::clone(&ready.fields),
            limits: Limits { rows, bytes: BYTES },
            strip_nul: self.job.config.nul_bytes == NulBytes::Strip,
            last_of: (self.job.config.conflict.dedupe == Dedupe::Last).then(key_places),
        }
    }

    async fn scan(&self, ready: &Ready) -> Result<TableScan> {
        let names: Vec<&str> = ready.fields.iter().map(|field| field.source.name.as_str()).collect();
        let scan = self.job.ctx.store().scan(self.job.input).columns(names);
        if self.job.config.conflict.dedupe != Dedupe::Last {
            return scan.open().await;
        }
        let keys = key_fields(ready).map(|field| &field.source.name);
        let mut order: Vec<String> = Vec::new();
        for name in keys.chain(self.job.config.fields().order_names()) {
            if !order.iter().any(|known| same_name(known, name)) {
                order.push(name.clone());
            }
        }
        scan.order_by(order).open().await
    }
}

fn key_fields(ready: &Ready) -> impl Iterator<Item = &Field> {
    ready.fields.iter().filter(|field| ready.key.contains(&field.target))
}
