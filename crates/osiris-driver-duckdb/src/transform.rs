//! The processor: names for the inputs, the statements of the query, the table, the assertions.

use async_trait::async_trait;
use osiris_core::store::{SqlScript, StoreTransaction, quote};
use osiris_core::{
    Column, ColumnType, Component, ComponentSpec, Error, ExecutionContext, Inputs, NoConnection, Problem, Result, Role,
    Step, TableSink, Transform, event, safe_name,
};
use serde_json::json;

use crate::assertions::{self, Failed};
use crate::config::{self, Materialize, ProcessorConfig, Severity};
use crate::error::{query_error, sql_error};
use crate::names;

/// `duckdb.processor`.
#[derive(Debug, Default)]
pub struct Processor(());

impl Processor {
    /// The processor. It has no client: its engine is the run's own store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Component for Processor {
    const SPEC: ComponentSpec =
        ComponentSpec::new("duckdb.processor", env!("CARGO_PKG_VERSION"), Role::Transform, "SQL over upstream tables");
    type Connection = NoConnection;
    type Config = ProcessorConfig;

    fn validate(config: &ProcessorConfig) -> Vec<Problem> {
        config::validate(config)
    }

    fn check_inputs(config: &ProcessorConfig, inputs: &[&str]) -> Vec<Problem> {
        SqlScript::parse(&config.query).map(|script| names::unknown_tables(&script, inputs)).unwrap_or_default()
    }
}

#[async_trait]
impl Transform for Processor {
    async fn transform(
        &self,
        step: &Step<'_, Self>,
        inputs: &Inputs,
        out: &TableSink,
        ctx: &ExecutionContext,
    ) -> Result<()> {
        let job = Job::new(step, inputs)?;
        let assertions = step.config().assertions.clone();
        let name = step.id().to_owned();
        // A sample cannot fail an assertion of the whole.
        let checked = !step.dry_run();
        let failed = out
            .call(move |tx| {
                job.run(tx)?;
                let result = job.name_result(tx, &name)?;
                if checked { assertions::check(tx, &result, &assertions) } else { Ok(Vec::new()) }
            })
            .await?;
        report(failed, ctx).await
    }
}

/// The work of one step, ready to move to the sink's thread.
struct Job {
    query: String,
    script: SqlScript,
    tables: Vec<(String, String)>,
    marks: Vec<Column>,
    instants: Vec<String>,
    materialize: Materialize,
}

impl Job {
    fn new(step: &Step<'_, Processor>, inputs: &Inputs) -> Result<Self> {
        let script = SqlScript::parse(&step.config().query)?;
        let known: Vec<&str> =
            inputs.iter().flat_map(|input| [Some(input.table.step()), input.key.as_deref()]).flatten().collect();
        osiris_core::problem::ensure_none(&names::unknown_tables(&script, &known), "the query")?;
        let marks = inputs
            .iter()
            .flat_map(|input| input.table.schema().columns())
            .filter(|column| column.column_type == ColumnType::Instant);
        Ok(Self {
            query: step.config().query.clone(),
            script,
            tables: names::tables(inputs),
            marks: marks.cloned().collect(),
            instants: step.config().instants.clone(),
            materialize: step.config().materialize,
        })
    }

    fn run(&self, tx: &mut StoreTransaction<'_>) -> Result<()> {
        let views = names::views(&self.tables);
        tx.connection().execute_batch(&views).map_err(|error| sql_error(error, &views, usize::MAX))?;
        for statement in self.script.setup() {
            tx.connection()
                .execute_batch(statement)
                .map_err(|error| query_error(error, &self.query, self.start_of(statement), 0))?;
        }
        let select = self.script.select().text();
        self.check_columns(tx, select)?;
        let is_instant = |column: &Column| self.is_instant(column);
        match self.materialize {
            Materialize::Table => tx.create_table_as(select, &is_instant)?,
            Materialize::View => tx.create_view_as(&self.standalone(select), &is_instant)?,
        };
        Ok(())
    }

    /// Binds the query alone first: its errors then have positions in it, and nothing has run yet.
    fn check_columns(&self, tx: &StoreTransaction<'_>, select: &str) -> Result<()> {
        const DESCRIBE: &str = "DESCRIBE ";
        tx.connection()
            .prepare(&format!("{DESCRIBE}{select}"))
            .map_err(|error| query_error(error, &self.query, self.start_of(select), DESCRIBE.len()))?;
        let columns = tx.describe(select)?;
        let wrong: Vec<&str> = self
            .instants
            .iter()
            .filter(|name| {
                let found = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
                found.is_none_or(|column| {
                    let zoned = column.column_type == ColumnType::Other("TIMESTAMP WITH TIME ZONE".to_owned());
                    column.column_type != ColumnType::Timestamp && !zoned
                })
            })
            .map(String::as_str)
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let present: Vec<String> =
            columns.iter().map(|column| format!("{} {}", column.name, column.column_type)).collect();
        Err(Error::validation(format!(
            "`instants` names what is no TIMESTAMP column of the result: {}",
            wrong.join(", ")
        ))
        .with_hint(format!("the result has: {}", present.join(", "))))
    }

    /// Where a statement begins in the query: statements are parts of it, letter by letter.
    fn start_of(&self, statement: &str) -> usize {
        self.query.find(statement).unwrap_or_default()
    }

    /// A point in time stays one through SQL by unchanged name and type; others are listed.
    fn is_instant(&self, column: &Column) -> bool {
        self.marks.iter().any(|mark| mark.name.eq_ignore_ascii_case(&column.name))
            || self.instants.iter().any(|name| name.eq_ignore_ascii_case(&column.name))
    }

    /// The SELECT without temporary views: every name becomes a common table expression.
    fn standalone(&self, select: &str) -> String {
        let tables: Vec<String> =
            self.tables.iter().map(|(name, table)| format!("{} AS (FROM {table})", quote(name))).collect();
        if tables.is_empty() { select.to_owned() } else { format!("WITH {} FROM ({select}\n)", tables.join(", ")) }
    }

    /// The result, under the names that assertions know it by; a name that an input has stays the input's.
    fn name_result(&self, tx: &StoreTransaction<'_>, step: &str) -> Result<String> {
        let table = format!("steps.{}", quote(step));
        let free = |name: &String| !self.tables.iter().any(|(taken, _)| taken.eq_ignore_ascii_case(name));
        let mut names = vec![step.to_owned(), safe_name(step), "result".to_owned()];
        names.dedup();
        let views: Vec<_> = names.into_iter().filter(free).map(|name| (name, table.clone())).collect();
        let sql = names::views(&views);
        tx.connection().execute_batch(&sql).map_err(|error| sql_error(error, &sql, usize::MAX))?;
        Ok(table)
    }
}

/// Keeps the offenders, says which assertions did not hold, and fails the step if one of them must hold.
async fn report(failed: Vec<Failed>, ctx: &ExecutionContext) -> Result<()> {
    let mut fatal = Vec::new();
    for assertion in failed {
        let severity = if assertion.severity == Severity::Fail { "fail" } else { "warn" };
        ctx.log_event(
            event::ASSERTION_FAILED,
            json!({"assertion": assertion.name, "severity": severity, "rows": assertion.rows}),
        );
        match assertion.severity {
            Severity::Fail => fatal.push(format!(
                "`{}` ({} {})",
                assertion.name,
                assertion.rows,
                if assertion.rows == 1 { "row" } else { "rows" }
            )),
            Severity::Warn => {
                tracing::warn!(
                    step = ctx.step_id(),
                    assertion = assertion.name,
                    rows = assertion.rows,
                    "assertion failed"
                );
            }
        }
        ctx.rejects().note(assertion.offenders).await?;
    }
    if fatal.is_empty() {
        return Ok(());
    }
    Err(Error::integrity(format!("assertion failed: {}", fatal.join(", ")))
        .with_hint("the offending rows are with the step's rejects in the run directory"))
}
