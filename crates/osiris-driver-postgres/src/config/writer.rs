//! The configuration of `postgres.writer`: target, mode and policies. No I/O.

use osiris_core::Problem;
use osiris_sql::config::{ConflictFields, WriteFields, WriterFields};
use schemars::JsonSchema;
use serde::Deserialize;

/// How to handle NUL characters in text, which PostgreSQL cannot store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NulBytes {
    /// The row is rejected.
    #[default]
    Error,
    /// They are removed; the values are counted as changed.
    Strip,
}

/// Configuration of `postgres.writer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WriterConfig {
    /// The table.
    #[schemars(length(min = 1, max = 63))]
    pub table: String,
    /// The schema of the table. Default `public`.
    #[serde(default = "public")]
    #[schemars(length(min = 1, max = 63))]
    pub schema: String,
    /// How rows are written.
    #[serde(flatten)]
    pub write: WriteFields,
    /// What is done with rows whose keys meet.
    #[serde(flatten)]
    pub conflict: ConflictFields,
    /// Whether to create a missing table, with types from the input. Default `false`, so that a typo creates no table.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["create_table"]))]
    pub create_if_missing: bool,
    /// Maximum rows per request. Default: about 8 MiB.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub batch_size: Option<u64>,
    /// How to handle NUL characters in text: `error` (default) rejects the row, `strip` removes and counts them.
    #[serde(default)]
    pub nul_bytes: NulBytes,
    /// Statement timeout in seconds. Default: no limit.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout: Option<u64>,
    /// Whether to end a stale session that an earlier run left on the server in the middle of a write to this table:
    /// one that holds locks on it and has been idle for 30 s. Default `false`: the step names it and waits for it.
    #[serde(default)]
    pub end_stale_sessions: bool,
}

fn public() -> String {
    "public".to_owned()
}

impl WriterConfig {
    /// Appends to a table of the schema `public`, with the defaults of every other field.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            schema: public(),
            write: WriteFields::default(),
            conflict: ConflictFields::default(),
            create_if_missing: false,
            batch_size: None,
            nul_bytes: NulBytes::default(),
            timeout: None,
            end_stale_sessions: false,
        }
    }

    /// The fields that depend on each other.
    pub(crate) fn fields(&self) -> WriterFields<'_> {
        self.write.with(self.conflict.on_conflict, self.conflict.dedupe, true)
    }

    /// All problems that the JSON schema cannot express.
    pub fn problems(&self) -> Vec<Problem> {
        self.fields().problems()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: serde_json::Value) -> WriterConfig {
        serde_json::from_value(json).unwrap()
    }

    fn problems(json: serde_json::Value) -> Vec<String> {
        config(json).problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn contradictions_are_all_reported_at_once() {
        let found = problems(serde_json::json!({
            "table": "t", "mode": "overwrite", "on_conflict": "ignore", "dedupe": "last", "columns": ["a", "A"]
        }));
        assert_eq!(found.len(), 4, "{found:?}");
        let found = problems(serde_json::json!({"table": "t", "mode": "upsert"}));
        assert!(found[0].contains("needs `key`"), "{found:?}");
    }

    #[test]
    fn an_append_may_ignore_keys_that_are_there_when_it_knows_the_key() {
        let without = serde_json::json!({"table": "t", "on_conflict": "ignore"});
        assert_eq!(problems(without).len(), 1);
        let with = config(serde_json::json!({"table": "t", "on_conflict": "ignore", "key": "id"}));
        assert!(with.problems().is_empty() && with.fields().merges());
        assert!(!config(serde_json::json!({"table": "t", "mode": "insert"})).fields().merges());
    }
}
