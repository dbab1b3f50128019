//! The configuration of `mysql.writer`: target, mode and policies. No I/O.

use osiris_core::Problem;
use osiris_sql::config::{WriteFields, WriterFields};
pub use osiris_sql::write::{ColumnMapping, Columns, Dedupe, OnConflict, SchemaEvolution, WriteMode};
use schemars::JsonSchema;
use serde::Deserialize;

/// Configuration of `mysql.writer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriterConfig {
    /// The table.
    #[schemars(length(min = 1, max = 64))]
    pub table: String,
    /// The schema (database) of the table. Default: the connection's `database`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub schema: Option<String>,
    /// How rows are written.
    #[serde(flatten)]
    pub write: WriteFields,
    /// Whether to create a missing table, with types from the input. Default `false`, so that a typo creates no table.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["create_if_missing"]))]
    pub create_table: bool,
    /// Whether an `append` or an `upsert` deletes all rows first, in the same transaction. Nothing changes for `overwrite`
    /// and `replace`, which replace all rows anyway. Default `false`.
    #[serde(default)]
    pub truncate_before: bool,
    /// Maximum rows per request. Default: about 16 MiB, or what the server accepts.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub batch_size: Option<u64>,
    /// How an upsert handles a row whose key exists in the table: `update` (default) or `ignore`.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// How an upsert handles several input rows with the same key: `error` (default), or `last`, which keeps the last
    /// one by `order_by`.
    #[serde(default)]
    pub dedupe: Dedupe,
    /// A table of the same database, created if missing, into which each write inserts one row in its own transaction.
    /// If the connection is lost or the run is killed during the commit, the row tells whether the rows of an `append`
    /// were committed. Rows are kept for 30 days. Default: none, and the outcome is then unknown.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub commit_table: Option<String>,
}

impl WriterConfig {
    /// The fields that depend on each other.
    pub(crate) fn fields(&self) -> WriterFields<'_> {
        self.write.with(self.on_conflict, self.dedupe, false)
    }

    /// All problems that the JSON schema cannot express.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.fields().problems();
        if self.commit_table.as_ref().is_some_and(|table| table.eq_ignore_ascii_case(&self.table)) {
            problems.push(
                Problem::error("/commit_table", "is the table that the rows are written to")
                    .with_hint("name another table, such as `osiris_commits`; it is created if missing"),
            );
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: serde_json::Value) -> Vec<String> {
        let config: WriterConfig = serde_json::from_value(json).unwrap();
        config.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn contradictions_are_all_reported_at_once() {
        let found = problems(serde_json::json!({
            "table": "t", "mode": "overwrite", "commit_table": "T", "dedupe": "last", "columns": ["a", "A"]
        }));
        assert_eq!(found.len(), 4, "{found:?}");
        let found = problems(serde_json::json!({"table": "t", "mode": "upsert"}));
        assert!(found[0].contains("needs `key`"), "{found:?}");
    }

    #[test]
    fn a_key_is_one_name_or_several() {
        let one: WriterConfig = serde_json::from_value(serde_json::json!({"table": "t", "key": "id"})).unwrap();
        assert_eq!(one.fields().key, ["id"]);
        assert!(one.problems().is_empty());
    }
}
