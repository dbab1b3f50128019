//! The configuration of `duckdb.writer`: the target, the mode, and what may be done about differences.

use osiris_core::Problem;
use osiris_sql::config::{ConflictFields, WriteFields, WriterFields};
use schemars::JsonSchema;
use serde::Deserialize;

use super::extractor::MAIN;

/// What `duckdb.writer` writes, where and how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WriterConfig {
    /// The table.
    #[schemars(length(min = 1))]
    pub table: String,
    /// The schema of the table, which must be there. Default `main`.
    #[serde(default = "main")]
    #[schemars(length(min = 1))]
    pub schema: String,
    /// How rows are written.
    #[serde(flatten)]
    pub write: WriteFields,
    /// What is done with rows whose keys meet.
    #[serde(flatten)]
    pub conflict: ConflictFields,
    /// Whether a missing table is created, with types from the input. Default `false`: a typo must not make a table.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["create_table"]))]
    pub create_if_missing: bool,
    /// A table of the same schema, created if it is missing, into which each write puts one row in its own transaction. After a run
    /// that was killed at the commit, the row says whether the rows of an `append` have arrived. Rows are kept for 30 days.
    /// Default: none, and the outcome is then unknown.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub commit_table: Option<String>,
}

impl WriterConfig {
    /// The fields that depend on each other.
    pub(crate) fn fields(&self) -> WriterFields<'_> {
        self.write.with(self.conflict.on_conflict, self.conflict.dedupe, true)
    }

    /// The table as messages name it.
    pub(crate) fn shown(&self) -> String {
        if self.schema == MAIN { self.table.clone() } else { format!("{}.{}", self.schema, self.table) }
    }

    /// The problems that the schema cannot express. Pure.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.fields().problems();
        if self.commit_table.as_ref().is_some_and(|table| table.eq_ignore_ascii_case(&self.table)) {
            problems.push(
                Problem::error("/commit_table", "the rows would go into the table of commits")
                    .with_hint("name another table, for example `osiris_commits`; it is created"),
            );
        }
        problems
    }
}

fn main() -> String {
    MAIN.to_owned()
}
