//! How rows are written: mode, key, and what is done about rows that meet.

use osiris_core::Problem;

use crate::write::{ColumnMapping, Columns, Dedupe, OnConflict, WriteMode, repeated_names};

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
