//! The configuration of `supabase.writer`: target, mode and policies. No I/O.

use osiris_core::Problem;
pub use osiris_driver_postgres::NulBytes;
use osiris_sql::config::{ConflictFields, WriterFields};
pub use osiris_sql::write::{ColumnMapping, Columns, Dedupe, OnConflict, SchemaEvolution, WriteMode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::SupabaseConnection;

/// How DDL statements reach the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DdlChannel {
    /// The database if the connection has its address, else the SQL endpoint of the project's API.
    #[default]
    Auto,
    /// The SQL endpoint of the project's API, which accepts the service key only.
    HttpSql,
    /// The database.
    Postgres,
    /// Alias of `postgres`, from older pipelines.
    Psycopg2,
}

/// Why a user should not ask for the written rows.
const RETURNED: &str =
    "the rows that the API returns are not used, and returning them takes time and the SELECT privilege";

/// What the API returns for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(from = "ReturningForm")]
pub enum Returning {
    /// Only a status.
    #[default]
    Minimal,
    /// The written rows. They are not used; it costs time and needs the SELECT privilege.
    Representation,
}

/// The forms of `returning`.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum ReturningForm {
    /// A word.
    Word(ReturningWord),
    /// The columns to return.
    Columns(#[expect(dead_code, reason = "the rows are not used")] Vec<String>),
}

/// The words of `returning`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ReturningWord {
    /// Only a status.
    Minimal,
    /// The written rows.
    Representation,
    /// All columns of the written rows.
    #[serde(rename = "*")]
    All,
}

impl From<ReturningForm> for Returning {
    fn from(form: ReturningForm) -> Self {
        match form {
            ReturningForm::Word(ReturningWord::Minimal) => Self::Minimal,
            ReturningForm::Word(ReturningWord::Representation | ReturningWord::All) | ReturningForm::Columns(_) => {
                Self::Representation
            }
        }
    }
}

/// Configuration of `supabase.writer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-refused-fields" = {"prefer": {
    "resolution=merge-duplicates": "write `mode: upsert` and `key`",
    "resolution=ignore-duplicates": "write `on_conflict: ignore` and `key`",
    "tx=": "remove it: `osiris run --dry-run` checks a write without changing anything",
    "return=": "write `returning`",
    "count=": "remove it: every run counts the rows that were written",
    "missing=": "write `columns`: a column that is not written gets its default",
    "": "remove it: the preferences of a request follow from the other fields",
}}))]
pub struct WriterConfig {
    /// The table.
    #[schemars(length(min = 1, max = 63))]
    pub table: String,
    /// The schema of the table. Default: the connection's `schema`, else `public`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 63))]
    pub schema: Option<String>,
    /// `append` (default; `insert` means the same) adds rows, `overwrite` (or `replace`) replaces all rows, `upsert`
    /// replaces rows by `key`. With a direct channel each is one transaction; over the API no transaction spans two
    /// requests, and `overwrite` also deletes rows that other clients insert while it runs.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["write_mode"]))]
    pub mode: WriteMode,
    /// The key columns of the table: its primary key or a unique index. Required for `upsert` and,
    /// over the API, for `overwrite`. A table that this step creates gets them as its primary key. Default: none.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["primary_key", "upsert_keys"]))]
    pub key: Option<Columns>,
    /// The columns of the input to write: a list, or a map of input column to table column. Default: all, by name.
    #[serde(default)]
    pub columns: Option<ColumnMapping>,
    /// Whether to create a missing table, with types from the input. Default `false`, so that a typo creates no table.
    /// A new table has no row-level security until it is enabled.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["create_table"]))]
    pub create_if_missing: bool,
    /// How to handle input columns that the table lacks: `refuse` (default) or `add_columns`.
    #[serde(default)]
    pub schema_evolution: SchemaEvolution,
    /// How a table is created or changed: `auto` (default), `http_sql` or `postgres`.
    #[serde(default)]
    pub ddl_channel: DdlChannel,
    /// Maximum rows per request. Default: 500 over the API; about 8 MiB with a direct channel.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub batch_size: Option<u64>,
    /// What is done with rows whose keys meet.
    #[serde(flatten)]
    pub conflict: ConflictFields,
    /// The input columns that order the rows of a key, for `dedupe: last`. Of rows that are equal in
    /// them, any one is kept; NULL is the greatest value. Default: none.
    #[serde(default)]
    pub order_by: Option<Columns>,
    /// Maximum number of rejected rows; beyond it the step fails, and with a direct channel nothing is written. Default
    /// 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// How to handle NUL characters in text: `error` (default) rejects the row, `strip` removes and counts them.
    #[serde(default)]
    pub nul_bytes: NulBytes,
    /// Time limit in seconds for a request, or with a direct channel for a statement. Default: the connection's
    /// `timeout` over the API, no limit with a direct channel.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout: Option<u64>,
    /// Whether to end a stale session that an earlier run left on the server in the middle of a write to this table,
    /// with a direct channel: one that holds locks on it and has been idle for 30 s. Default `false`: the step names it
    /// and waits for it.
    #[serde(default)]
    pub end_stale_sessions: bool,
    /// Number of retries of a request after a temporary failure, over the API. Default: the connection's `retries`, else
    /// at least 3, and as many as fit into 90 s, so that a restart of the server is survived.
    #[serde(default)]
    #[schemars(range(max = 20))]
    pub retries: Option<u32>,
    /// What the API returns for a write: `minimal` (default), or `representation`: the written rows, which are not used.
    /// `*` and a list of columns mean `representation`.
    #[serde(default)]
    #[schemars(extend("default" = "minimal", "x-no-effect" = RETURNED))]
    pub returning: Returning,
}

impl WriterConfig {
    /// The fields that depend on each other.
    pub(crate) fn fields(&self) -> WriterFields<'_> {
        WriterFields {
            mode: self.mode.canonical(),
            key: Columns::list(self.key.as_ref()),
            on_conflict: self.conflict.on_conflict,
            append_ignores: true,
            dedupe: self.conflict.dedupe,
            order_by: self.order_by.as_ref(),
            columns: self.columns.as_ref(),
        }
    }

    /// All problems that the JSON schema cannot express.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        self.fields().problems()
    }

    /// The schema of the table.
    pub(crate) fn schema<'a>(&'a self, connection: &'a SupabaseConnection) -> &'a str {
        self.schema.as_deref().unwrap_or_else(|| connection.schema())
    }

    /// The same for the database itself.
    pub(crate) fn direct(&self, connection: &SupabaseConnection) -> osiris_driver_postgres::WriterConfig {
        let mut config = osiris_driver_postgres::WriterConfig::new(&self.table);
        self.schema(connection).clone_into(&mut config.schema);
        config.write.mode = self.mode;
        config.write.key.clone_from(&self.key);
        config.write.columns.clone_from(&self.columns);
        config.write.schema_evolution = self.schema_evolution;
        config.write.order_by.clone_from(&self.order_by);
        config.write.max_rejects = self.max_rejects;
        config.conflict = self.conflict;
        config.create_if_missing = self.create_if_missing;
        config.batch_size = self.batch_size;
        config.nul_bytes = self.nul_bytes;
        config.timeout = self.timeout;
        config.end_stale_sessions = self.end_stale_sessions;
        config
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
    fn s47_a_step_cannot_send_preferences_of_its_own() {
        let found = serde_json::from_value::<WriterConfig>(serde_json::json!({"table": "t", "prefer": "tx=rollback"}));
        assert!(found.unwrap_err().to_string().contains("unknown field `prefer`"));
    }

    #[test]
    fn g14_a_preference_says_which_field_does_it() {
        let schema = osiris_core::ConfigSchema::of::<WriterConfig>();
        for (prefer, field) in [
            ("resolution=merge-duplicates", "`mode: upsert`"),
            ("resolution=ignore-duplicates", "`on_conflict: ignore`"),
            ("tx=rollback", "`osiris run --dry-run`"),
            ("return=representation", "`returning`"),
            ("missing=default", "`columns`"),
            ("handling=strict", "the other fields"),
        ] {
            let found = schema.violations(&serde_json::json!({"table": "t", "prefer": prefer}));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!((found[0].pointer.as_str(), found[0].is_error()), ("/prefer", true));
            let hint = found[0].hint.as_deref().unwrap();
            assert!(hint.contains(field), "{prefer}: {hint}");
        }
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
