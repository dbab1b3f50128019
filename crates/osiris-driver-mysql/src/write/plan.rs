//! Plans a write: maps columns and reports all problems at once, before anything is written. No I/O.

use std::sync::Arc;

use osiris_core::problem::nearest;
use osiris_core::{Column, Result, TableRef};
use osiris_sql::write::map_columns;
pub(super) use osiris_sql::write::{MappedColumn as Mapped, ensure_no_problems as ensure_none, same_name as same};

use super::convert::conversion;
use super::encode::Field;
use super::loader::NUMBER;
use super::target::{Target, TargetColumn};
use crate::config::{SchemaEvolution, WriteMode, WriterConfig};
use crate::types::ddl;

/// The columns to write, as configured.
///
/// # Errors
/// For columns that the input lacks.
pub(super) fn mapping(config: &WriterConfig, input: &TableRef) -> Result<Vec<Mapped>> {
    map_columns(config.columns.as_ref(), config.order_names(), input)
}

/// DDL that has to run first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ddl {
    Nothing,
    /// The whole table: the statement for a table of any name.
    Create(Vec<String>),
    /// Columns, each as `ADD COLUMN ...`.
    Add(Vec<String>),
}

/// The statement that creates the table `name`, quoted in SQL.
pub(super) fn create_table(name: &str, config: &WriterConfig, mapped: &[Mapped]) -> Result<String, Vec<String>> {
    let columns: Vec<(String, &Column)> = mapped.iter().map(|column| (column.target.clone(), &column.source)).collect();
    let missing: Vec<String> = config
        .key_names()
        .iter()
        .filter(|key| !columns.iter().any(|(name, _)| same(name, key)))
        .map(|key| format!("key column `{key}` is not among the columns to write"))
        .collect();
    if missing.is_empty() { ddl::create_table(name, &columns, config.key_names()) } else { Err(missing) }
}

/// Checks the input against the existing table.
pub(super) struct Check<'a> {
    pub(super) config: &'a WriterConfig,
    pub(super) mapped: &'a [Mapped],
    pub(super) target: &'a Target,
    pub(super) problems: Vec<String>,
}

impl Check<'_> {
    /// The columns to send. Columns that the table lacks are skipped if they may be added.
    pub(super) fn fields(&mut self) -> Arc<[Field]> {
        let mut fields = Vec::new();
        for Mapped { source, target } in self.mapped {
            let Some(column) = self.target.column(target) else {
                if self.config.schema_evolution == SchemaEvolution::Refuse {
                    let names = self.target.columns.iter().map(|column| column.name.as_str());
                    let similar =
                        nearest(target, names).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
                    self.problems.push(format!(
                        "no column `{target}`{similar}: set `columns`, or `schema_evolution: add_columns`"
                    ));
                }
                continue;
            };
            if column.generated {
                self.problems.push(format!("column `{}` is generated: exclude it with `columns`", column.name));
                continue;
            }
            match conversion(&source.column_type, &column.kind) {
                Ok((conversion, form)) => fields.push(Field {
                    source: source.name.clone(),
                    target: column.name.clone(),
                    conversion,
                    form,
                    not_null: !column.nullable || self.is_key(&column.name),
                }),
                Err(why) => self.problems.push(format!(
                    "column `{}` is {}, but column `{}` of the input is {}: {why}",
                    column.name, column.column_type, source.name, source.column_type
                )),
            }
        }
        fields.into()
    }

    fn is_key(&self, name: &str) -> bool {
        self.config.mode() == WriteMode::Upsert && self.config.key_names().iter().any(|key| same(key, name))
    }

    fn is_written(&self, name: &str) -> bool {
        self.mapped.iter().any(|column| same(&column.target, name))
    }

    /// Required columns without a value.
    pub(super) fn left_out(&mut self) {
        let needs = |column: &&TargetColumn| !column.nullable && !column.has_default && !column.generated;
        let missing: Vec<String> = self
            .target
            .columns
            .iter()
            .filter(needs)
            .filter(|column| !self.is_written(&column.name))
            .map(|column| {
                format!(
                    "column `{}` is NOT NULL without a default, but no column of the input is written to it",
                    column.name
                )
            })
            .collect();
        self.problems.extend(missing);
    }

    /// Checks that the server enforces the key of an upsert.
    pub(super) fn key(&mut self) {
        if self.config.mode() != WriteMode::Upsert {
            return;
        }
        let key = self.config.key_names();
        for name in key {
            if self.target.column(name).is_none() {
                self.problems.push(format!("no column `{name}`, which `key` names"));
            } else if !self.is_written(name) {
                self.problems.push(format!("no column of the input is written to key column `{name}`"));
            }
        }
        if self.target.column(NUMBER).is_some() {
            self.problems.push(format!("column `{NUMBER}`: the name is reserved for upserts"));
        }
        let is_key = |columns: &[String]| {
            columns.len() == key.len() && columns.iter().all(|name| key.iter().any(|k| same(k, name)))
        };
        if !self.target.unique.iter().any(|index| index.whole && is_key(&index.columns)) {
            let others: Vec<String> =
                self.target.unique.iter().filter(|index| index.whole).map(|index| index.columns.join(", ")).collect();
            let others = if others.is_empty() { "none".to_owned() } else { others.join("; ") };
            self.problems.push(format!(
                "no primary key or unique index on exactly the columns of `key` ({}); the table has: {others}",
                key.join(", ")
            ));
        }
    }

    /// Checks that the table supports atomic writes.
    pub(super) fn safety(&mut self, in_place: bool) {
        if self.target.is_view {
            self.problems.push("it is a view: write to the underlying table".to_owned());
            return;
        }
        if in_place && !self.target.transactional {
            let replaces = self.config.mode() == WriteMode::Overwrite;
            let otherwise = match self.target.dependents.reasons.first() {
                Some(reason) if replaces => format!("; it cannot be swapped for a new table either: {reason}"),
                _ => ", or `mode: overwrite`".to_owned(),
            };
            self.problems.push(format!(
                "its engine {} has no transactions, so an interrupted write would leave some of its rows: \
                 ALTER TABLE ... ENGINE = InnoDB{otherwise}",
                self.target.engine
            ));
        }
    }

    /// Checks for rows of other tables that would be deleted with the old rows.
    pub(super) fn cascades(&mut self) {
        let cascades = &self.target.dependents.cascades_to;
        if !cascades.is_empty() {
            self.problems.push(format!(
                "deleting its rows would delete or change rows of {} through a foreign key: use `mode: upsert`",
                cascades.join(", ")
            ));
        }
    }

    /// The columns to add, as `ADD COLUMN` clauses.
    pub(super) fn additions(&mut self) -> Vec<String> {
        let mut clauses = Vec::new();
        if self.config.schema_evolution != SchemaEvolution::AddColumns {
            return clauses;
        }
        for Mapped { source, target } in
            self.mapped.iter().filter(|column| self.target.column(&column.target).is_none())
        {
            match ddl::column_type(&source.column_type) {
                Ok(found) => {
                    clauses.push(format!("ADD COLUMN {} {found} NULL DEFAULT NULL", crate::client::quote(target)));
                }
                Err(why) => self.problems.push(format!("column `{}` cannot be added: {why}", source.name)),
            }
        }
        clauses
    }
}
