//! Plans a write: maps columns and reports all problems at once, before anything is written. No I/O.

use std::sync::Arc;

use osiris_core::problem::nearest;
use osiris_core::{Column, Error, Result};
use osiris_sql::write::{MappedColumn, OnConflict, SchemaEvolution, WriteMode, same_name};

use super::staging::NUMBER;
use super::target::{TargetColumn, TargetTable};
use crate::config::WriterConfig;
use crate::types::encode::{Field, conversion};

/// Checks the input against the existing table.
pub(super) struct Check<'a> {
    pub(super) config: &'a WriterConfig,
    pub(super) mapped: &'a [MappedColumn],
    pub(super) target: &'a TargetTable,
    pub(super) problems: Vec<String>,
}

impl<'a> Check<'a> {
    pub(super) fn new(config: &'a WriterConfig, mapped: &'a [MappedColumn], target: &'a TargetTable) -> Self {
        Self { config, mapped, target, problems: Vec::new() }
    }

    /// The columns to send. Columns that the table lacks are skipped if they may be added.
    pub(super) fn fields(&mut self) -> Arc<[Field]> {
        let key = self.key_columns();
        let mut fields: Vec<Field> = Vec::new();
        for MappedColumn { source, target } in self.mapped {
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
            if fields.iter().any(|field| field.target == column.name) {
                self.problems.push(format!("two columns of the input are mapped to column `{}`", column.name));
                continue;
            }
            match conversion(&source.column_type, &column.kind) {
                Ok(conversion) => fields.push(Field {
                    source: source.clone(),
                    target: column.name.clone(),
                    target_type: column.column_type.clone(),
                    conversion,
                    not_null: !column.nullable || key.contains(&column.name),
                }),
                Err(why) => self.problems.push(format!(
                    "column `{}` is {}, but column `{}` of the input is {}: {why}",
                    column.name, column.column_type, source.name, source.column_type
                )),
            }
        }
        fields.into()
    }

    /// The key columns by the names of the table: those of `key`, else of the primary key if rows have to be
    /// replaced by it.
    pub(super) fn key_columns(&self) -> Vec<String> {
        if !self.config.merges() && !self.replaces_by_key() {
            return Vec::new();
        }
        let named = self.config.key_names();
        if named.is_empty() {
            return self.target.primary_key().map(<[String]>::to_vec).unwrap_or_default();
        }
        named.iter().map(|name| self.target.column(name).map_or(name, |column| &column.name).clone()).collect()
    }

    /// Whether an overwrite cannot delete the old rows because other tables reference them.
    pub(super) fn replaces_by_key(&self) -> bool {
        self.config.mode() == WriteMode::Overwrite && !self.target.referred_by.is_empty()
    }

    fn is_written(&self, column: &TargetColumn) -> bool {
        let goes_here =
            |mapped: &MappedColumn| self.target.column(&mapped.target).is_some_and(|found| found.name == column.name);
        self.mapped.iter().any(goes_here)
    }

    /// Required columns without a value.
    pub(super) fn left_out(&mut self) {
        let needs = |column: &&TargetColumn| !column.nullable && !column.has_default && !column.generated;
        let missing: Vec<String> = self
            .target
            .columns
            .iter()
            .filter(needs)
            .filter(|column| !self.is_written(column))
            .map(|column| {
                format!(
                    "column `{}` is NOT NULL without a default, but no column of the input is written to it",
                    column.name
                )
            })
            .collect();
        self.problems.extend(missing);
    }

    /// Checks that the server enforces the key.
    pub(super) fn key(&mut self) {
        let key = self.key_columns();
        if !self.config.merges() && !self.replaces_by_key() {
            return;
        }
        if key.is_empty() {
            self.problems.push(format!(
                "{} reference it, so its rows can only be replaced by key: set `key`",
                self.target.referred_by.join(", ")
            ));
            return;
        }
        for name in &key {
            match self.target.column(name) {
                None => self.problems.push(format!("no column `{name}`, which `key` names")),
                Some(column) if !self.is_written(column) => {
                    self.problems.push(format!("no column of the input is written to key column `{name}`"));
                }
                Some(_) => {}
            }
        }
        let is_key = |columns: &[String]| columns.len() == key.len() && columns.iter().all(|name| key.contains(name));
        if !self.target.unique.iter().any(|index| index.usable && is_key(&index.columns)) {
            let others: Vec<String> =
                self.target.unique.iter().filter(|index| index.usable).map(|index| index.columns.join(", ")).collect();
            let others = if others.is_empty() { "none".to_owned() } else { others.join("; ") };
            self.problems.push(format!(
                "no primary key or unique index on exactly the columns of `key` ({}); the table has: {others}",
                key.join(", ")
            ));
        }
        self.identities(&key);
    }

    /// A GENERATED ALWAYS identity column cannot be updated.
    fn identities(&mut self, key: &[String]) {
        if self.config.on_conflict == OnConflict::Ignore {
            return;
        }
        let fixed: Vec<String> = self
            .target
            .columns
            .iter()
            .filter(|column| column.always_identity && !key.contains(&column.name) && self.is_written(column))
            .map(|column| {
                format!(
                    "column `{}` is GENERATED ALWAYS AS IDENTITY, which an update cannot set: exclude it with `columns`",
                    column.name
                )
            })
            .collect();
        self.problems.extend(fixed);
    }

    /// Checks the kind of the table.
    pub(super) fn safety(&mut self) {
        let no_table = match self.target.kind.as_str() {
            "v" | "m" => Some("it is a view: write to the underlying table"),
            "f" => Some("it is a foreign table: write to the underlying table on its own server"),
            _ if self.target.has_rules => {
                Some("it has rules (CREATE RULE), which COPY ignores: drop them, or write to a table without rules")
            }
            _ => None,
        };
        self.problems.extend(no_table.map(str::to_owned));
        if self.target.columns.iter().any(|column| column.name == NUMBER) {
            self.problems.push(format!("column `{NUMBER}`: the name is reserved for the writer"));
        }
    }

    /// Checks for rows of other tables that would be deleted with the old rows.
    pub(super) fn cascades(&mut self) {
        if self.config.mode() == WriteMode::Overwrite && !self.target.cascades_to.is_empty() {
            self.problems.push(format!(
                "deleting its rows would delete or change rows of {} through a foreign key: use `mode: upsert`",
                self.target.cascades_to.join(", ")
            ));
        }
    }

    /// The columns to add.
    pub(super) fn additions(&self) -> Vec<(String, &'a Column)> {
        if self.config.schema_evolution != SchemaEvolution::AddColumns {
            return Vec::new();
        }
        let missing = self.mapped.iter().filter(|column| self.target.column(&column.target).is_none());
        missing.map(|column| (column.target.clone(), &column.source)).collect()
    }

    /// Checks the privileges for the mode.
    ///
    /// # Errors
    /// When some are missing; names all of them.
    pub(super) fn grants(&self, table: &str) -> Result<()> {
        let by_key = self.config.merges() || self.replaces_by_key();
        let updates = self.replaces_by_key() || (self.config.merges() && self.config.on_conflict == OnConflict::Update);
        let overwrites = self.config.mode() == WriteMode::Overwrite;
        let needed = |right: &&String| match right.as_str() {
            "INSERT" => true,
            "SELECT" => by_key,
            "UPDATE" => updates,
            _ => overwrites,
        };
        let missing: Vec<&str> = self.target.forbidden.iter().filter(needed).map(String::as_str).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join(", ");
        Err(Error::permission(format!("the role lacks {missing} on table `{table}`"))
            .with_hint(format!("grant it: GRANT {missing} ON {table} TO the role, and USAGE on its schema")))
    }
}

/// The input columns of the key.
pub(super) fn key_sources<'a>(key: &[String], mapped: &'a [MappedColumn]) -> Vec<&'a str> {
    let is_key = |name: &str| key.iter().any(|key| same_name(key, name));
    mapped.iter().filter(|column| is_key(&column.target)).map(|column| column.source.name.as_str()).collect()
}
