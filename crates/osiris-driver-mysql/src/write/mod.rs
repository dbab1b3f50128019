//! `mysql.writer`: writes a table to MySQL or MariaDB, all or nothing.
//!
//! * `append`: one transaction.
//! * `overwrite`: deletes and writes the rows in one transaction. If the account can see all dependents of
//!   the table, and there are none, a new table is filled and swapped in by one `RENAME TABLE` instead.
//! * `upsert`: a staging table and one `INSERT ... ON DUPLICATE KEY UPDATE`.
//!
//! Rows are sent with `LOAD DATA LOCAL INFILE` if the server allows it, else with prepared multi-row inserts; the
//! result is the same. Values that the server would change are rejected: see `convert` and `loader`.

mod answer;
mod cell;
mod chunk;
mod convert;
mod datetime;
mod dependents;
mod encode;
mod ending;
mod loader;
mod lock;
mod marker;
mod nested;
mod number;
mod outcome;
mod plan;
mod refusal;
mod session;
mod swap;
mod target;
mod task;
#[cfg(test)]
mod tests;
mod upsert;
mod watch;

use std::path::Path;

use async_trait::async_trait;
use osiris_core::{
    CommitOutcome, Component, ComponentSpec, ConnectionUse, DestinationId, Error, ExecutionContext, Feature, Intent,
    Problem, Result, Role, Step, TableRef, Write, Written,
};
use osiris_sql::write::{Dedupe, SchemaEvolution, WriteMode};

use crate::client::{Connect, Target};
use crate::config::{Address, MysqlConnection, WriterConfig};
pub(crate) use cell::plain_cell;
use outcome::Token;
use session::Session;
use target::TableName;
use task::WriteTask;

/// `mysql.writer`.
pub struct MysqlWriter {
    connect: Connect,
}

impl MysqlWriter {
    /// The writer with the default client.
    pub fn new() -> Self {
        Self::with_client(crate::client::connect())
    }

    /// The same with another client.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for MysqlWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for MysqlWriter {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "mysql.writer",
        env!("CARGO_PKG_VERSION"),
        Role::Write,
        "Writes a table to MySQL or MariaDB: appends, replaces all rows, or replaces by key",
    )
    .with_connection(ConnectionUse::Required)
    .with_features(&[Feature::Streams]);

    type Connection = MysqlConnection;
    type Config = WriterConfig;

    fn validate(config: &WriterConfig) -> Vec<Problem> {
        config.problems()
    }

    /// An upsert looks for keys that occur twice before it writes, and columns are added before anything is read.
    fn streams(config: &WriterConfig, _: &MysqlConnection) -> bool {
        !config.fields().merges()
            && config.dedupe == Dedupe::Error
            && config.write.schema_evolution == SchemaEvolution::Refuse
    }
}

#[async_trait]
impl Write for MysqlWriter {
    fn destination(&self, config: &WriterConfig, connection: &MysqlConnection, _: &Path) -> DestinationId {
        let server = match &connection.address {
            Address::Tcp { host, port } => DestinationId::server(host, *port),
            Address::Socket(path) => path.canonicalize().as_deref().unwrap_or(path).display().to_string(),
        };
        let schema = config.schema.as_deref().or(connection.database.as_deref()).unwrap_or_default();
        DestinationId::table([server], &format!("{schema}.{}", config.table))
            .folding_case()
            .replaced(config.fields().mode == WriteMode::Overwrite)
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        ctx.rejects().set_limit(config.write.max_rejects);
        let job = WriteTask {
            config,
            table: table_name(config, step.connection())?,
            input,
            mapped: plan::mapping(config, input)?,
            ctx,
            dry_run: step.dry_run(),
            address: step.connection().address.to_string(),
        };
        let client = (self.connect)(Target::new(step.connection(), step.base_dir())).await?;
        let permit = client.permit().await?;
        let mut session = Session::open(step.connection(), step.base_dir()).await?;
        let written = job.run(&mut session).await;
        match &written {
            Ok(_) => session.close().await,
            Err(_) => session.give_up().await,
        }
        drop(permit);
        client.close().await;
        written
    }

    async fn outcome(
        &self,
        step: &Step<'_, Self>,
        intent: &Intent,
        _: Option<&TableRef>,
        _: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        let Some(token) = Token::parse(intent.token()) else { return Ok(CommitOutcome::Unknown) };
        let mut session = Session::open(step.connection(), step.base_dir()).await?;
        let outcome = token.ask(&mut session).await;
        session.close().await;
        outcome
    }
}

/// The qualified table of the configuration.
fn table_name(config: &WriterConfig, connection: &MysqlConnection) -> Result<TableName> {
    let schema = config.schema.clone().or_else(|| connection.database.clone()).ok_or_else(|| {
        Error::validation(format!("no database given for table `{}`", config.table))
            .with_hint("set `schema`, or `database` of the connection")
    })?;
    Ok(TableName { schema, table: config.table.clone() })
}
