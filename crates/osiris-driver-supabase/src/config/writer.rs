//! What `supabase.writer` is told: the target, the mode, and what may be done about differences. No I/O here.

use osiris_core::Problem;
pub use osiris_driver_postgres::NulBytes;
use osiris_sql::config::WriterFields;
pub use osiris_sql::write::{ColumnMapping, Columns, Dedupe, OnConflict, SchemaEvolution, WriteMode};
use schemars::JsonSchema;
use serde::Deserialize;

/// How statements that make or change a table reach the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DdlChannel {
    /// The database where the connection has an address of it, else the SQL endpoint of the project's API.
    #[default]
    Auto,
    /// The SQL endpoint of the project's API, which takes the service key only.
    HttpSql,
    /// The database itself.
    Postgres,
    /// Another name for `postgres`, from older pipelines.
    Psycopg2,
}

/// What the API is to answer to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Returning {
    /// Nothing but a status.
    #[default]
    Minimal,
    /// The rows as the table has them now. They are not used; it costs time and needs the right to read.
    Representation,
}

/// What `supabase.writer` writes, where and how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriterConfig {
    /// The table.
    #[schemars(length(min = 1, max = 63))]
    pub table: String,
    /// The schema of the table. Default `public`.
    #[serde(default = "public")]
    #[schemars(length(min = 1, max = 63))]
    pub schema: String,
    /// `append` (default; `insert` means the same) adds rows, `overwrite` (or `replace`) replaces all rows, `upsert` replaces rows
    /// by `key`. With a direct channel each is one transaction; over the API no transaction spans two requests, and `overwrite` also
    /// deletes rows that somebody else inserts while it runs.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["write_mode"]))]
    pub mode: WriteMode,
    /// The columns (of the table) that tell rows apart: those of its primary key or of a unique index. Needed for `upsert` and,
    /// over the API, for `overwrite`. A table that this step creates gets it as its primary key. Default: none.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["primary_key", "upsert_keys"]))]
    pub key: Option<Columns>,
    /// Which columns of the input are written: a list, or a map of input column to table column. Default: all, by name.
    #[serde(default)]
    pub columns: Option<ColumnMapping>,
    /// Whether a missing table is created, with types from the input. Default `false`: a typo must not make a table. A new
    /// table has no row-level security until somebody switches it on.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["create_table"]))]
    pub create_if_missing: bool,
    /// What happens to columns of the input that the table lacks: `refuse` (default) or `add_columns`.
    #[serde(default)]
    pub schema_evolution: SchemaEvolution,
    /// How a table is created or changed: `auto` (default), `http_sql` or `postgres`.
    #[serde(default)]
    pub ddl_channel: DdlChannel,
    /// Rows that are sent at a time, at most. Default: 500 over the API; about 8 MiB with a direct channel.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub batch_size: Option<u64>,
    /// What is done with a row whose key is there: `update` (default) or `ignore`. For `upsert`; `ignore` also for `append` with
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
    /// How many rows may be refused before the step fails; with a direct channel nothing is written then. Default 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// What is done about NUL characters in text: `error` (default) refuses the row, `strip` leaves them out, counted.
    #[serde(default)]
    pub nul_bytes: NulBytes,
    /// Seconds that one request, or one statement with a direct channel, may take. Default: the connection's `timeout` over the
    /// API, no limit with a direct channel.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout: Option<u64>,
    /// Whether a session that an earlier run left behind on the server in the middle of a write to this table is ended, with a direct
    /// channel: one that has its locks and has not heard from that run for 30 s. Default `false`: it is named, and waited for.
    #[serde(default)]
    pub end_stale_sessions: bool,
    /// How often a request that failed for a reason that passes is sent again, over the API. Default: 3 times at least, and as often
    /// as fits into 90 s, so that a server that is restarted is waited for.
    #[serde(default)]
    #[schemars(range(max = 20))]
    pub retries: Option<u32>,
    /// What the API answers to a write: `minimal` (default) or `representation`.
    #[serde(default)]
    pub returning: Returning,
}

fn public() -> String {
    "public".to_owned()
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

    fn fields(&self) -> WriterFields<'_> {
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

    /// Whether rows meet others by their key: an upsert, or an append that ignores keys that are there.
    pub(crate) fn merges(&self) -> bool {
        self.fields().merges()
    }

    /// What the schema cannot express, all of it.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.fields().problems();
        problems.extend(super::key_is_no_token(self.key_names()));
        problems
    }

    /// The same for the database itself.
    pub(crate) fn direct(&self) -> osiris_driver_postgres::WriterConfig {
        let mut config = osiris_driver_postgres::WriterConfig::new(&self.table);
        config.schema.clone_from(&self.schema);
        config.mode = self.mode;
        config.key.clone_from(&self.key);
        config.columns.clone_from(&self.columns);
        config.create_if_missing = self.create_if_missing;
        config.schema_evolution = self.schema_evolution;
        config.batch_size = self.batch_size;
        config.on_conflict = self.on_conflict;
        config.dedupe = self.dedupe;
        config.order_by.clone_from(&self.order_by);
        config.max_rejects = self.max_rejects;
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
    fn s36_an_api_key_as_the_key_of_a_step_is_refused_and_not_shown() {
        for key in ["sb_secret_0123456789", "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl"] {
            for given in [serde_json::json!(key), serde_json::json!(["id", key])] {
                let found = problems(serde_json::json!({"table": "t", "mode": "upsert", "key": given}));
                assert_eq!(found.len(), 1, "{found:?}");
                assert!(found[0].contains("API key") && !found[0].contains(key), "{found:?}");
            }
        }
    }

    #[test]
    fn s47_a_step_cannot_send_preferences_of_its_own() {
        let found = serde_json::from_value::<WriterConfig>(serde_json::json!({"table": "t", "prefer": "tx=rollback"}));
        assert!(found.unwrap_err().to_string().contains("unknown field `prefer`"));
    }

    #[test]
    fn an_append_may_ignore_keys_that_are_there_when_it_knows_the_key() {
        let without = serde_json::json!({"table": "t", "on_conflict": "ignore"});
        assert_eq!(problems(without).len(), 1);
        let with = config(serde_json::json!({"table": "t", "on_conflict": "ignore", "key": "id"}));
        assert!(with.problems().is_empty() && with.merges());
        assert!(!config(serde_json::json!({"table": "t", "mode": "insert"})).merges());
    }
}
