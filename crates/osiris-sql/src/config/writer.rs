//! How rows are written: mode, key, and what is done about rows that meet.

use osiris_core::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::write::{ColumnMapping, Columns, Dedupe, OnConflict, SchemaEvolution, WriteMode, repeated_names};

/// The fields of a writer that every SQL database has. Flattened into the configuration of a driver, which adds where
/// the rows go.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct WriteFields {
    /// `append` (default; `insert` means the same) adds rows, `overwrite` (or `replace`) replaces all rows, `upsert`
    /// replaces rows by `key`. Each is done as a whole or not at all.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["write_mode"]))]
    pub mode: WriteMode,
    /// The key columns of the table: its primary key or a unique index. Required for `upsert`. A
    /// table that this step creates gets them as its primary key. Default: none.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["primary_key", "upsert_keys"]))]
    pub key: Option<Columns>,
    /// The columns of the input to write: a list, or a map of input column to table column. Default: all, by name.
    #[serde(default)]
    pub columns: Option<ColumnMapping>,
    /// How to handle input columns that the table lacks: `refuse` (default) or `add_columns`.
    #[serde(default)]
    pub schema_evolution: SchemaEvolution,
    /// Maximum number of rejected rows; beyond it the step fails and nothing is written. Default 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// The input columns that order the rows of a key, for `dedupe: last`. Of rows that are equal in
    /// them, any one is kept; NULL is the greatest value. Default: none.
    #[serde(default)]
    pub order_by: Option<Columns>,
}

/// What a writer does with rows whose keys meet, where an append may ignore keys that are there. Flattened into the
/// configuration of a driver.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ConflictFields {
    /// How to handle a row whose key exists in the table: `update` (default) or `ignore`. For `upsert`; `ignore` also
    /// for `append` with a `key`.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// How to handle several input rows with the same key: `error` (default), or `last`, which keeps the last one by
    /// `order_by`. For `upsert`, and for `append` with `on_conflict: ignore`.
    #[serde(default)]
    pub dedupe: Dedupe,
}

impl WriteFields {
    /// Together with what is done with rows whose keys meet. `append_ignores` is whether `on_conflict: ignore` is
    /// possible for `append` too.
    pub fn with(&self, on_conflict: OnConflict, dedupe: Dedupe, append_ignores: bool) -> WriterFields<'_> {
        WriterFields {
            mode: self.mode.canonical(),
            key: Columns::list(self.key.as_ref()),
            on_conflict,
            append_ignores,
            dedupe,
            order_by: self.order_by.as_ref(),
            columns: self.columns.as_ref(),
        }
    }
}

/// The fields of a writer that depend on each other.
#[derive(Debug, Clone, Copy)]
pub struct WriterFields<'a> {
    /// The mode, by its one name.
    pub mode: WriteMode,
    /// The columns that tell rows apart.
    pub key: &'a [String],
    /// What is done with a row whose key is there.
    pub on_conflict: OnConflict,
    /// Whether `on_conflict: ignore` is possible for `append` too.
    pub append_ignores: bool,
    /// What is done with several rows of one key.
    pub dedupe: Dedupe,
    /// Which of them is the last.
    pub order_by: Option<&'a Columns>,
    /// Which columns are written.
    pub columns: Option<&'a ColumnMapping>,
}

impl<'a> WriterFields<'a> {
    /// The names of the ordering columns.
    pub fn order_names(&self) -> &'a [String] {
        Columns::list(self.order_by)
    }

    /// Whether rows meet others by their key: an upsert, or an append that ignores keys that are there.
    pub fn merges(&self) -> bool {
        match self.mode {
            WriteMode::Upsert => true,
            WriteMode::Append => self.append_ignores && self.on_conflict == OnConflict::Ignore,
            _ => false,
        }
    }

    /// Every contradiction.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::from_iter(self.key_problems());
        let order_by = self.order_names();
        if self.dedupe == Dedupe::Last && !self.merges() {
            problems.push(Problem::error("/dedupe", format!("`dedupe` needs {}", self.merging())));
        }
        if self.dedupe == Dedupe::Last && order_by.is_empty() {
            problems.push(
                Problem::error("/order_by", "`dedupe: last` needs `order_by`")
                    .with_hint("name the columns that say which row is the last one"),
            );
        }
        if self.order_by.is_some() && self.dedupe != Dedupe::Last {
            problems.push(Problem::error("/order_by", "`order_by` needs `dedupe: last`"));
        }
        for (pointer, names) in [("/key", self.key), ("/order_by", order_by)] {
            problems.extend(repeated_names(pointer, names));
        }
        problems.extend(self.columns.iter().flat_map(|columns| repeated_names("/columns", columns.targets())));
        problems
    }

    fn key_problems(&self) -> Option<Problem> {
        let problem = match (self.mode, self.on_conflict) {
            (WriteMode::Upsert, _) if self.key.is_empty() => Problem::error("/key", "`mode: upsert` needs `key`"),
            (WriteMode::Upsert, _) | (_, OnConflict::Update) => return None,
            (WriteMode::Append, OnConflict::Ignore) if self.append_ignores && !self.key.is_empty() => return None,
            (WriteMode::Append, OnConflict::Ignore) if self.append_ignores => {
                Problem::error("/key", "`on_conflict: ignore` needs `key`")
            }
            _ => return Some(Problem::error("/on_conflict", format!("`on_conflict` needs {}", self.conflicting()))),
        };
        Some(problem.with_hint("name the columns of the primary key or of a unique index"))
    }

    fn merging(&self) -> &'static str {
        if self.append_ignores {
            "`mode: upsert`, or `mode: append` with `on_conflict: ignore`"
        } else {
            "`mode: upsert`"
        }
    }

    fn conflicting(&self) -> &'static str {
        if self.append_ignores { "`mode: upsert`, or `mode: append` with a `key`" } else { "`mode: upsert`" }
    }
}
