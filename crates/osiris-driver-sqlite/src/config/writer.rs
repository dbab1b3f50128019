//! The configuration of `sqlite.writer`: the target, the mode, and what may be done about differences.

use osiris_core::Problem;
use osiris_sql::config::WriterFields;
use osiris_sql::write::{ColumnMapping, Columns, Dedupe, OnConflict, SchemaEvolution, WriteMode};
use schemars::JsonSchema;
use serde::Deserialize;

/// What `sqlite.writer` writes, where and how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WriterConfig {
    /// The table.
    #[schemars(length(min = 1))]
    pub table: String,
    /// `append` (default; `insert` means the same) adds rows, `overwrite` (or `replace`) replaces all rows, `upsert` replaces rows
    /// by `key`. Each is one transaction.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["write_mode"]))]
    pub mode: WriteMode,
    /// The columns (of the table) that identify a row: those of its primary key or of a unique index. Needed for `upsert`. A
    /// table that this step creates gets it as its primary key. Default: none.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["primary_key", "upsert_keys"]))]
    pub key: Option<Columns>,
    /// Which columns of the input are written: a list, or a map of input column to table column. Default: all, by name.
    #[serde(default)]
    pub columns: Option<ColumnMapping>,
    /// Whether a missing table is created, with types from the input. Default `false`: a typo must not make a table.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["create_table"]))]
    pub create_if_missing: bool,
    /// What happens to columns of the input that the table lacks: `refuse` (default) or `add_columns`.
    #[serde(default)]
    pub schema_evolution: SchemaEvolution,
    /// The most rows of one INSERT.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 32_766))]
    pub batch_size: usize,
    /// What is done with a row whose key exists: `update` (default) or `ignore`. For `upsert`; `ignore` also for `append` with
    /// a `key`.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// What is done with several rows of one key in the input: `error` (default), or `last`, which keeps the last one by
    /// `order_by`. For `upsert`, and for `append` with `on_conflict: ignore`.
    #[serde(default)]
    pub dedupe: Dedupe,
    /// The columns (of the input) that say which row of a key is the last one, for `dedupe: last`. Of rows that are equal in
    /// them any one is kept; NULL counts as the greatest value. Default: none.
    #[serde(default)]
    pub order_by: Option<Columns>,
    /// How many rows may be rejected before the step fails and nothing is written. Default 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// A table of the same file, created if it is missing, into which each write puts one row in its own transaction. After a run
    /// that was killed at the commit, the row says whether the rows of an `append` have arrived. Rows are kept for 30 days.
    /// Default: none, and the outcome is then unknown.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub commit_table: Option<String>,
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

    /// Whether rows are compared by key: an upsert, or an append that ignores existing keys.
    pub(crate) fn merges(&self) -> bool {
        self.fields().merges()
    }

    /// The fields that depend on each other.
    pub(crate) fn fields(&self) -> WriterFields<'_> {
        WriterFields {
            mode: self.mode(),
            key: self.key_names(),
            on_conflict: self.on_conflict,
            append_ignores: true,
            dedupe: self.dedupe,
            order_by: self.order_by.as_ref(),
            columns: self.columns.as_ref(),
        }
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

fn default_batch_size() -> usize {
    500
}
