//! `mysql.extractor`: reads a statement or a table into the run store.

mod checksum;
mod cursor;
mod describe;
mod late;
mod partition;
mod reader;
mod since;
mod snapshot;
mod source;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{
    Component, ComponentSpec, ConnectionUse, DRY_RUN_ROWS, Error, ErrorKind, ExecutionContext, Extract, Extracted,
    Feature, Problem, Result, ResumeFrom, Role, Step, TableSink, Unit, metric,
};
use osiris_sql::batch::schema;
use osiris_sql::read::source::SelectSource;
use osiris_sql::read::{Counts, StatementReader as _, WaitLimits, read_ranges};
use serde_json::Value;

use self::describe::{describe, require_transactions};
use self::reader::{Reader, ReaderSession};
use self::source::{refuse_loadable, source};
use crate::client::{Client, Connect, Session, Target, connect, literal, quote};
use crate::config::{ExtractorConfig, GeometryPolicy, MysqlConnection};
use crate::error::server_code;
use crate::types::{ColumnPlan, Policies, plan};

/// Default number of ranges.
const PARTITIONS: usize = 4;

/// Reads a statement or a table.
pub struct MysqlExtractor {
    connect: Connect,
}

impl MysqlExtractor {
    /// The extractor with the default client.
    pub fn new() -> Self {
        Self::with_client(connect())
    }

    /// The same with another client.
    pub fn with_client(connect: Connect) -> Self {
        Self { connect }
    }
}

impl Default for MysqlExtractor {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for MysqlExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "mysql.extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads a table or a query of MySQL or MariaDB",
    )
    .with_connection(ConnectionUse::Required)
    .with_features(&[Feature::Incremental, Feature::ParallelReads, Feature::Streams]);

    type Connection = MysqlConnection;
    type Config = ExtractorConfig;

    fn validate(config: &ExtractorConfig) -> Vec<Problem> {
        config.problems()
    }

    fn streams(_: &ExtractorConfig, _: &MysqlConnection) -> bool {
        true
    }

    fn resume_from(_: &ExtractorConfig, _: &MysqlConnection) -> ResumeFrom {
        ResumeFrom::Source
    }

    fn warnings(config: &ExtractorConfig, _: &MysqlConnection) -> Vec<Problem> {
        let warning = config.read.cursor.as_ref().and_then(|cursor| {
            cursor.late_commits(
                "/cursor",
                "open transactions are waited for only if the account can see them",
                "or grant PROCESS to the account, which is not checked here",
            )
        });
        warning.into_iter().collect()
    }
}

#[async_trait]
impl Extract for MysqlExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        let target = Target::new(step.connection(), step.base_dir());
        let client = (self.connect)(target.clone()).await?;
        let extracted = extract(&client, &target, step, out, ctx).await?;
        client.close().await;
        Ok(extracted)
    }
}

async fn extract(
    client: &Client,
    target: &Target,
    step: &Step<'_, MysqlExtractor>,
    out: &TableSink,
    ctx: &ExecutionContext,
) -> Result<Extracted> {
    let config = step.config();
    let first_row = Duration::try_from_secs_f64(config.timeout).map_err(|error| {
        Error::validation("invalid `timeout`: expected seconds, from 0.001 to 86400").with_source(error)
    })?;
    let statement_timeout = config.statement_timeout.map(Duration::try_from_secs_f64).transpose().map_err(|error| {
        Error::validation("invalid `statement_timeout`: expected seconds, from 0.001 to 2000000").with_source(error)
    })?;
    let mut session = client.acquire().await?;
    let source = source(config, &session.facts().sql_mode)?;
    if source.has_users_sql() {
        let functions = loadable_functions(&mut session).await?;
        refuse_loadable(&source, &session.facts().sql_mode, &functions)?;
    }
    let (source, plans) = planned(config, target, source, &mut session).await?;
    let limits = WaitLimits { first_row, idle: step.connection().read_timeout, idle_field: "read_timeout" };
    if let Some(rows) = rows_of_table(&source, step, &limits, &mut session).await? {
        ctx.progress().estimate_rows(source.rows_of(rows));
    }
    let reader = Reader {
        sender: out.sender(schema(&plans)).await?,
        plans,
        batch_rows: config.read.batch_size,
        limits,
        verify: config.verify,
        is_query: source.is_query(),
        stop_after: step.dry_run().then_some(DRY_RUN_ROWS),
    };
    let read = Read { client, target, step, source, reader, statement_timeout };
    let extracted = match (&config.partition_by, &config.read.cursor) {
        (Some(column), _) if !step.dry_run() => read.partitions(session, column).await?.extracted(),
        (_, Some(cursor)) => read.since(session, cursor, ctx).await?,
        _ => read.whole(session).await?.extracted(),
    };
    ctx.log_metric(metric::BYTES_READ, ctx.progress().bytes(), Unit::Bytes, Value::Null);
    Ok(extracted)
}

/// The loadable functions of the server that the account can see.
async fn loadable_functions(session: &mut Session) -> Result<Vec<String>> {
    let sql = match session.facts().mariadb {
        true => "SELECT name FROM mysql.func",
        false => "SELECT UDF_NAME FROM performance_schema.user_defined_functions",
    };
    match session.rows(sql, "listing functions").await {
        Ok(rows) => Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()),
        Err(error) if matches!(error.kind(), ErrorKind::Permission | ErrorKind::Validation) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// About how many rows a table has, by the server's statistics, where all of them are read. It is a number for the
/// screen: without it the rows are read all the same.
async fn rows_of_table(
    source: &SelectSource,
    step: &Step<'_, MysqlExtractor>,
    limits: &WaitLimits,
    session: &mut Session,
) -> Result<Option<u64>> {
    const CONTEXT: &str = "estimating the number of rows";
    let config = step.config();
    let is_whole = source.whole_table().is_some() && !step.dry_run() && config.read.cursor.is_none();
    let Some(table) = config.read.table.as_ref().filter(|_| is_whole) else { return Ok(None) };
    let mode = session.facts().sql_mode.clone();
    let schema = config.schema.as_ref().map_or_else(|| "DATABASE()".to_owned(), |schema| literal(schema, &mode));
    let sql = format!(
        "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {}",
        literal(table, &mode)
    );
    match limits.first(CONTEXT, session.rows(&sql, CONTEXT)).await {
        Ok(rows) => Ok(rows.first().and_then(|row| row.first()?.as_deref()?.parse().ok())),
        Err(error) if is_survived(&error) => {
            tracing::debug!(error = error.message(), "the number of rows is not estimated");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether the session is usable after an error: the server has answered, and has not ended the connection.
fn is_survived(error: &Error) -> bool {
    server_code(error).is_some() && error.kind() != ErrorKind::Network
}

/// Plans the columns. With `geometry: wkt` geometries are selected as text.
async fn planned(
    config: &ExtractorConfig,
    target: &Target,
    source: SelectSource,
    session: &mut Session,
) -> Result<(SelectSource, Arc<[ColumnPlan]>)> {
    let policies = Policies::from(config);
    let columns = describe(target, &source.select(None, None), session).await?;
    if config.partition_by.is_some() {
        require_transactions(&columns, session).await?;
    }
    let plans = plan(&columns, policies)?;
    let as_text = config.geometry == GeometryPolicy::Wkt && source.is_query();
    if !as_text || plans.iter().all(|plan| !plan.decoder.is_geometry) {
        return Ok((source, plans.into()));
    }
    let list: Vec<String> = plans
        .iter()
        .map(|plan| match (quote(plan.name()), plan.decoder.is_geometry) {
            (name, true) => format!("ST_AsText({name}) AS {name}"),
            (name, false) => name,
        })
        .collect();
    let source = source.with_list(list.join(", "));
    let columns = describe(target, &source.select(None, None), session).await?;
    let plans = plan(&columns, policies)?;
    Ok((source, plans.into()))
}

/// An extraction with planned columns.
struct Read<'a> {
    client: &'a Client,
    target: &'a Target,
    step: &'a Step<'a, MysqlExtractor>,
    source: SelectSource,
    reader: Reader,
    statement_timeout: Option<Duration>,
}

impl Read<'_> {
    /// Reads one statement over one session.
    async fn whole(&self, mut session: Session) -> Result<Counts> {
        snapshot::begin(&mut session, self.statement_timeout).await?;
        let limit = self.reader.stop_after.filter(|_| self.source.is_query());
        let counts = self.reader.read(&mut session, self.source.select(None, limit), None).await?;
        if self.reader.stop_after.is_some() && limit.is_none() {
            // The rest of the listing is unread: drop the session with it.
            return Ok(counts);
        }
        snapshot::end(session).await?;
        Ok(counts)
    }

    /// Reads the rows in ranges over several sessions.
    async fn partitions(&self, mut session: Session, column: &str) -> Result<Counts> {
        let count = self.step.config().partitions.unwrap_or(PARTITIONS);
        let name = quote(column);
        let bounds = self.source.aggregate(&format!("MIN({name}), MAX({name})"), None);
        let described = describe(self.target, &bounds, &mut session).await?;
        let Some(first) = described.first() else { return Err(Error::unknown("an aggregate has no column")) };
        let kind = partition::kind(column, first)?;
        session.release().await;
        let limit = self.reader.limits.first_row;
        let mut sessions = partition::sessions(self.client, &self.source, count, limit, self.statement_timeout).await?;
        let Some(any) = sessions.first_mut() else { return Err(Error::unknown("no session to read from")) };
        const CONTEXT: &str = "computing the ranges";
        let bounds = self.reader.limits.first(CONTEXT, any.rows(&bounds, CONTEXT)).await?;
        let point = |value| partition::split_point(kind, value);
        let conditions = kind.conditions(&name, bounds.first(), count, point);
        let sessions = sessions.into_iter().map(|session| ReaderSession::new(session, &self.reader)).collect();
        let end = |session: ReaderSession| snapshot::end(session.session);
        Ok(read_ranges(sessions, &self.source, &conditions, self.reader.stop_after, end).await?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::server_error;

    #[test]
    fn an_estimate_fails_no_step_unless_the_connection_is_lost() {
        for (code, state, expected) in [
            (1142, "42000", true),
            (1227, "42000", true),
            (1205, "HY000", true),
            (1969, "70100", true),
            (3024, "HY000", true),
            (1030, "HY000", true),
            (1927, "70100", false),
            (1053, "08S01", false),
        ] {
            assert_eq!(is_survived(&server_error(code, state, "no", "estimating")), expected, "{code}");
        }
        // The answer may still come, and would be that of the next statement.
        assert!(!is_survived(&Error::timeout("estimating: no response within 30000 ms")));
    }
}
