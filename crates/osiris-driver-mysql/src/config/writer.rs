//! What `mysql.writer` is told: the target, the mode, and what may be done about differences. No I/O here.

use osiris_core::Problem;
use osiris_sql::config::WriterFields;
pub use osiris_sql::write::{ColumnMapping, Columns, Dedupe, OnConflict, SchemaEvolution, WriteMode};
use schemars::JsonSchema;
use serde::Deserialize;

/// What `mysql.writer` writes, where and how.
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
    /// `append` (default) adds rows, `overwrite` (or `replace`) replaces all rows at once, `upsert` replaces rows by `key`.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["write_mode"]))]
    pub mode: WriteMode,
    /// The columns (of the table) that tell rows apart: those of its primary key or of a unique index. Needed for `upsert`. A
    /// table that this step creates gets it as its primary key. Default: none.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["upsert_keys", "primary_key"]))]
    pub key: Option<Columns>,
    /// Whether a missing table is created, with types from the input. Default `false`: a typo must not make a table.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["create_if_missing"]))]
    pub create_table: bool,
    /// Whether all rows are deleted first, in the same transaction, even where `overwrite` would exchange the table. Default `false`.
    #[serde(default)]
    pub truncate_before: bool,
    /// Rows that are sent at a time, at most. Default: as many as make up about 16 MiB, or what the server takes.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub batch_size: Option<u64>,
    /// Which columns of the input are written: a list, or a map of input column to table column. Default: all, by name.
    #[serde(default)]
    pub columns: Option<ColumnMapping>,
    /// What an upsert does with a row whose key is there: `update` (default) or `ignore`.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// What an upsert does with several rows of one key in its input: `error` (default), or `last`, which keeps the last one
    /// by `order_by`.
    #[serde(default)]
    pub dedupe: Dedupe,
    /// The columns (of the input) that say which row of a key is the last one, for `dedupe: last`. Of rows that are equal in
    /// them any one is kept; NULL counts as the greatest value. Default: none.
    #[serde(default)]
    pub order_by: Option<Columns>,
    /// How many rows may be refused before the step fails and nothing is written. Default 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// A table of the same database, created if it is missing, into which each write puts one row in its own transaction. After a
    /// connection that broke at the commit, or a run that was killed there, the row says whether the rows of an `append` have arrived.
    /// Rows are kept for 30 days. Default: none, and the outcome is then unknown.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub commit_table: Option<String>,
    /// What happens to columns of the input that the table lacks: `refuse` (default) or `add_columns`.
    #[serde(default)]
    pub schema_evolution: SchemaEvolution,
}

impl WriterConfig {
    /// The mode, by its one name.
    pub(crate) fn mode(&self) -> WriteMode {
        self.mode.canonical()
    }

    /// The names of the key columns; none when no key is given.
    pub(crate) fn key_names(&self) -> &[String] {
        self.key.as_ref().map_or(&[], Columns::names)
    }

    /// The names of the ordering columns.
    pub(crate) fn order_names(&self) -> &[String] {
        self.order_by.as_ref().map_or(&[], Columns::names)
    }

    /// What the schema cannot express, all of it.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let fields = WriterFields {
            mode: self.mode(),
            key: self.key_names(),
            on_conflict: self.on_conflict,
            append_ignores: false,
            dedupe: self.dedupe,
            order_by: self.order_by.as_ref(),
            columns: self.columns.as_ref(),
        };
        let mut problems = fields.problems();
        if self.truncate_before && self.mode() == WriteMode::Overwrite {
            problems.push(
                Problem::error("/truncate_before", "`overwrite` replaces all rows already")
                    .with_hint("leave out `truncate_before`, or take `mode: append` with it"),
            );
        }
        if self.commit_table.as_ref().is_some_and(|table| table.eq_ignore_ascii_case(&self.table)) {
            problems.push(
                Problem::error("/commit_table", "the rows would go into the table of commits")
                    .with_hint("name another table, for example `osiris_commits`; it is created"),
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
            "table": "t", "mode": "overwrite", "truncate_before": true, "dedupe": "last", "columns": ["a", "A"]
        }));
        assert_eq!(found.len(), 4, "{found:?}");
        let found = problems(serde_json::json!({"table": "t", "mode": "upsert"}));
        assert!(found[0].contains("needs `key`"), "{found:?}");
    }

    #[test]
    fn a_key_is_one_name_or_several() {
        let one: WriterConfig = serde_json::from_value(serde_json::json!({"table": "t", "key": "id"})).unwrap();
        assert_eq!(one.key_names(), ["id"]);
        assert!(one.problems().is_empty());
    }
}
