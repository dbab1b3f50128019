//! The configuration of `duckdb.processor`. The doc comments end up in the component reference.

use osiris_core::Problem;
use osiris_core::store::{SelectStatement, SqlScript};
use schemars::JsonSchema;
use serde::Deserialize;

/// Configuration of `duckdb.processor`: SQL over the upstream tables, and assertions on the result.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessorConfig {
    /// One SELECT, or CREATE TEMP TABLE, VIEW and MACRO statements and a final SELECT, in DuckDB's SQL. It may refer to
    /// every upstream step by its id (quoted if it has special characters, or with `_` in their place), by its key
    /// under `inputs`, as `df_<step>`, and a single input also as `input` or `input_df`. `now()`, `today()` and
    /// `current_date` are the start of the run.
    #[schemars(length(min = 1), extend("x-aliases" = ["sql"]))]
    pub query: String,
    /// Assertions on the result. Failing rows are kept in the rejects of the step; a failed assertion fails the step
    /// (exit code 3) unless its severity is `warn`. Default: none.
    #[serde(default)]
    pub assertions: Vec<Assertion>,
    /// TIMESTAMP columns of the result that are timestamps in UTC. A column that keeps the name and type of such an
    /// upstream column needs no entry. Default: none.
    #[serde(default)]
    pub instants: Vec<String>,
    /// Whether the result is stored (`table`) or computed when it is read (`view`, only for a single SELECT). Default:
    /// stored, except where the only reader is a writer that takes rows directly and there are no assertions.
    #[serde(default)]
    pub materialize: Option<Materialize>,
}

/// Whether a result is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Materialize {
    /// Stored in the run's database.
    Table,
    /// Computed whenever it is read.
    View,
}

/// One assertion on the result: exactly one of `sql`, `not_null`, `unique`, `accepted_values`, `row_count`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// The name for messages. Default: derived from the assertion.
    #[serde(default)]
    pub name: Option<String>,
    /// A SELECT that must return no rows. It may refer to the result as `result` or by the step's id, and to every
    /// input.
    #[serde(default)]
    pub sql: Option<String>,
    /// Columns that must not be NULL.
    #[serde(default)]
    pub not_null: Option<OneOrMany>,
    /// Columns that must be unique together. Rows with a NULL in one of them are ignored.
    #[serde(default)]
    pub unique: Option<OneOrMany>,
    /// A column that may only have these values, or NULL.
    #[serde(default)]
    pub accepted_values: Option<AcceptedValues>,
    /// Bounds of the row count.
    #[serde(default)]
    pub row_count: Option<RowCount>,
    /// The effect of a failure: `fail` (default) fails the step, `warn` logs a warning.
    #[serde(default)]
    pub severity: Severity,
}

/// One column or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn columns(&self) -> &[String] {
        match self {
            Self::One(column) => std::slice::from_ref(column),
            Self::Many(columns) => columns,
        }
    }
}

/// A column and its allowed values.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptedValues {
    /// The column.
    pub column: String,
    /// The values, compared as text.
    #[schemars(length(min = 1))]
    pub values: Vec<serde_json::Value>,
}

/// Bounds of a row count; at least one of them.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowCount {
    /// Minimum number of rows.
    #[serde(default)]
    pub min: Option<u64>,
    /// Maximum number of rows.
    #[serde(default)]
    pub max: Option<u64>,
    /// Exact number of rows.
    #[serde(default)]
    pub equals: Option<u64>,
}

/// The effect of a failed assertion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The step fails.
    #[default]
    Fail,
    /// A warning is logged.
    Warn,
}

/// All problems that the JSON schema cannot express.
pub(crate) fn validate(config: &ProcessorConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let script = SqlScript::parse(&config.query);
    match &script {
        Err(error) => problems.push(Problem::from_sql("/query", error)),
        Ok(script) if config.materialize == Some(Materialize::View) && !script.setup().is_empty() => problems.push(
            Problem::error("/materialize", "a view can be made of a single SELECT only")
                .with_hint("use `materialize: table`, or WITH instead of CREATE TEMP TABLE"),
        ),
        Ok(_) => {}
    }
    for (index, assertion) in config.assertions.iter().enumerate() {
        problems.extend(validate_assertion(assertion, script.as_ref().ok(), &format!("/assertions/{index}")));
    }
    problems
}

fn validate_assertion(assertion: &Assertion, script: Option<&SqlScript>, pointer: &str) -> Option<Problem> {
    let checks = [
        assertion.sql.is_some(),
        assertion.not_null.is_some(),
        assertion.unique.is_some(),
        assertion.accepted_values.is_some(),
        assertion.row_count.is_some(),
    ];
    if checks.iter().filter(|given| **given).count() != 1 {
        let message = "an assertion needs exactly one of sql, not_null, unique, accepted_values, row_count";
        return Some(Problem::error(pointer, message));
    }
    if let Some(sql) = &assertion.sql {
        // It may call macros of the query, which is checked separately.
        let parsed = match script {
            Some(script) => script.parse_with(sql),
            None => SelectStatement::parse(sql),
        };
        return parsed.err().map(|error| Problem::from_sql(format!("{pointer}/sql"), &error));
    }
    if let Some(RowCount { min: None, max: None, equals: None }) = assertion.row_count {
        return Some(Problem::error(format!("{pointer}/row_count"), "needs min, max or equals"));
    }
    let empty = |columns: &Option<OneOrMany>| columns.as_ref().is_some_and(|columns| columns.columns().is_empty());
    (empty(&assertion.not_null) || empty(&assertion.unique)).then(|| Problem::error(pointer, "names no column"))
}
