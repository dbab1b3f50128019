//! The processor: creates names for the inputs, runs the query, stores the table and checks the assertions.

use async_trait::async_trait;
use osiris_core::problem::ensure_none;
use osiris_core::store::{SqlScript, StoreTransaction, TableName, quote, with_cast_hint};
use osiris_core::{
    Code, Column, ColumnType, Component, ComponentSpec, Error, ExecutionContext, Feature, Inputs, NoConnection,
    Problem, Result, ResumeFrom, Role, Step, TableRef, TableSink, Transform, event, safe_name,
};
use serde_json::json;

use crate::assertions::{self, Failed};
use crate::config::{self, Assertion, Materialize, ProcessorConfig, Severity};
use crate::error::{query_error, sql_error};
use crate::names::{self, KnownTables};
use crate::text_columns;

/// `duckdb.processor`.
#[derive(Debug, Default)]
pub struct Processor(());

impl Processor {
    /// The processor. It has no client: it runs in the run store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Component for Processor {
    const SPEC: ComponentSpec =
        ComponentSpec::new("duckdb.processor", env!("CARGO_PKG_VERSION"), Role::Transform, "SQL over upstream tables")
            .with_features(&[Feature::Streams]);
    type Connection = NoConnection;
    type Config = ProcessorConfig;

    fn validate(config: &ProcessorConfig) -> Vec<Problem> {
        config::validate(config)
    }

    /// An assertion reads the whole result, and a table or a view was asked for where either is configured.
    fn streams(config: &ProcessorConfig, _: &NoConnection) -> bool {
        config.assertions.is_empty() && config.materialize.is_none()
    }

    fn resume_from(_: &ProcessorConfig, _: &NoConnection) -> ResumeFrom {
        ResumeFrom::Source
    }

    fn check_inputs(config: &ProcessorConfig, inputs: &[&str]) -> Vec<Problem> {
        let Ok(script) = SqlScript::parse(&config.query) else { return Vec::new() };
        let known = KnownTables::planned(inputs);
        let mut problems = known.unknown(script.tables(), "/query");
        for (index, assertion) in config.assertions.iter().enumerate() {
            let Some(Ok(select)) = assertion.sql.as_deref().map(|sql| script.parse_with(sql)) else { continue };
            // The step's own id, by which an assertion may refer to the result, is unknown here. Names of other schemas
            // are known.
            let foreign = select.tables().iter().filter(|table| table.schema.is_some() && !is_steps(table));
            problems.extend(known.unknown(&foreign.cloned().collect::<Vec<_>>(), &format!("/assertions/{index}/sql")));
        }
        problems
    }
}

#[async_trait]
impl Transform for Processor {
    /// A query may make its rows itself.
    const NEEDS_INPUT: bool = false;

    async fn transform(
        &self,
        step: &Step<'_, Self>,
        inputs: &Inputs,
        out: &TableSink,
        ctx: &ExecutionContext,
    ) -> Result<()> {
        let job = TransformTask::new(step, inputs)?;
        let assertions = job.assertions(step, inputs)?;
        let name = step.id().to_owned();
        // A sample cannot fail an assertion about the whole table.
        let checked = !step.dry_run();
        let failed = out
            .call(move |tx| {
                job.run(tx)?;
                if !checked || assertions.is_empty() {
                    return Ok(Vec::new());
                }
                let result = job.name_result(tx, &name)?;
                assertions::check(tx, &result, &assertions)
            })
            .await?;
        report(failed, ctx).await
    }
}

fn is_steps(table: &TableName) -> bool {
    table.schema.as_deref().is_some_and(|schema| schema.eq_ignore_ascii_case("steps"))
}

/// One transformation, ready to move to the sink's thread.
struct TransformTask {
    query: String,
    script: SqlScript,
    tables: Vec<(String, String)>,
    inputs: Vec<TableRef>,
    marks: Vec<Column>,
    instants: Vec<String>,
    materialize: Option<Materialize>,
}

impl TransformTask {
    fn new(step: &Step<'_, Processor>, inputs: &Inputs) -> Result<Self> {
        let script = SqlScript::parse(&step.config().query)?;
        ensure_none(&KnownTables::of(inputs).unknown(script.tables(), "/query"), "the query")?;
        let marks = inputs
            .iter()
            .flat_map(|input| input.table.schema().columns())
            .filter(|column| column.column_type == ColumnType::Instant);
        Ok(Self {
            query: step.config().query.clone(),
            script,
            tables: names::tables(inputs),
            inputs: inputs.iter().map(|input| input.table.clone()).collect(),
            marks: marks.cloned().collect(),
            instants: step.config().instants.clone(),
            materialize: step.config().materialize,
        })
    }

    /// The assertions, after checking that their SQL uses only the inputs, definitions of the query, and the result.
    fn assertions(&self, step: &Step<'_, Processor>, inputs: &Inputs) -> Result<Vec<Assertion>> {
        let known = KnownTables::of(inputs).with_result(step.id());
        for (index, assertion) in step.config().assertions.iter().enumerate() {
            let Some(sql) = &assertion.sql else { continue };
            let unknown = known.unknown(self.script.parse_with(sql)?.tables(), &format!("/assertions/{index}/sql"));
            ensure_none(&unknown, "an assertion")?;
        }
        Ok(step.config().assertions.clone())
    }

    fn run(&self, tx: &mut StoreTransaction<'_>) -> Result<()> {
        tx.of_script(&self.query);
        let views = names::views(&self.tables);
        tx.connection().execute_batch(&views).map_err(|error| sql_error(error, &views, usize::MAX))?;
        for definition in self.script.setup() {
            tx.connection()
                .execute_batch(definition.sql())
                .map_err(|error| query_error(error, &self.query, |offset| definition.place_in_script(offset)))
                .map_err(|error| self.explained(error, tx))?;
        }
        let select = self.script.select().text();
        self.check_columns(tx)?;
        let is_instant = |column: &Column| self.is_instant(column);
        let made = match self.materialize {
            None | Some(Materialize::Table) => tx.create_table_as(select, &is_instant),
            Some(Materialize::View) => tx.create_view_as(&self.standalone(select), &is_instant),
        };
        made.map(drop).map_err(|error| with_cast_hint(error, &self.query))
    }

    /// Binds the query on its own first, so that errors have positions in it and nothing has run yet.
    fn check_columns(&self, tx: &StoreTransaction<'_>) -> Result<()> {
        const DESCRIBE: &str = "DESCRIBE ";
        let select = self.script.select();
        let place = |offset: usize| offset.checked_sub(DESCRIBE.len()).map(|below| select.offset() + below);
        tx.connection()
            .prepare(&format!("{DESCRIBE}{}", select.text()))
            .map_err(|error| self.explained(query_error(error, &self.query, place), tx))?;
        let columns = tx.describe(select.text())?;
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
            "`instants` names columns that are not TIMESTAMP columns of the result: {}",
            wrong.join(", ")
        ))
        .with_hint(format!("the result has: {}", present.join(", "))))
    }

    /// The error with the row because of which a column is text, where that may be why.
    fn explained(&self, error: Error, tx: &StoreTransaction<'_>) -> Error {
        text_columns::with_cause(error, &self.query, &self.inputs, tx.connection())
    }

    /// A timestamp in UTC stays one if its name and type are unchanged; others must be listed.
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

    /// The result under its names in assertions; names of inputs take precedence.
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

/// Stores the failing rows, reports failed assertions, and fails the step if one has the severity `fail`.
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
        .with_code(Code::AssertionFailed)
        .with_hint("`osiris runs rejects` shows the failing rows"))
}
