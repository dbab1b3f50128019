//! Before anything is written: which column goes where, and everything that stands in the way, listed at once. No I/O.

use std::sync::Arc;

use osiris_core::problem::nearest;
use osiris_core::{Column, Error, Result};
use osiris_sql::write::{MappedColumn, OnConflict, SchemaEvolution, WriteMode, same_name};

use super::staging::NUMBER;
use super::target::{TargetColumn, TargetTable};
use crate::config::WriterConfig;
use crate::types::encode::{Field, conversion};

/// Checks the input against the table as it is.
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

    /// The columns as they will be sent. Columns that the table lacks are left out when they may be added.
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
                        "it has no column `{target}`{similar}: set `columns`, or `schema_evolution: add_columns`"
                    ));
                }
                continue;
            };
            if column.generated {
                self.problems.push(format!("its column `{}` is generated: leave it out with `columns`", column.name));
                continue;
            }
            if fields.iter().any(|field| field.target == column.name) {
                self.problems.push(format!("two columns of the input go to its column `{}`", column.name));
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
                    "its column `{}` is {} and `{}` of the input is {}: {why}",
                    column.name, column.column_type, source.name, source.column_type
                )),
            }
        }
        fields.into()
    }

    /// The columns that tell rows apart, by the names of the table: those of `key`, else of the primary key where rows have to be
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

    /// Whether an overwrite cannot delete the old rows, since others refer to them.
    pub(super) fn replaces_by_key(&self) -> bool {
        self.config.mode() == WriteMode::Overwrite && !self.target.referred_by.is_empty()
    }

    fn is_written(&self, column: &TargetColumn) -> bool {
        let goes_here =
            |mapped: &MappedColumn| self.target.column(&mapped.target).is_some_and(|found| found.name == column.name);
        self.mapped.iter().any(goes_here)
    }

    /// Columns that need a value and get none.
    pub(super) fn left_out(&mut self) {
        let needs = |column: &&TargetColumn| !column.nullable && !column.has_default && !column.generated;
        let missing: Vec<String> = self
            .target
            .columns
            .iter()
            .filter(needs)
            .filter(|column| !self.is_written(column))
            .map(|column| {
                format!("its column `{}` is NOT NULL without a default, and nothing is written to it", column.name)
            })
            .collect();
        self.problems.extend(missing);
    }

    /// Whether the key is one that the server enforces.
    pub(super) fn key(&mut self) {
        let key = self.key_columns();
        if !self.config.merges() && !self.replaces_by_key() {
            return;
        }
        if key.is_empty() {
            self.problems.push(format!(
                "{} refer to it, so its rows can be replaced by a key only, and it has none: set `key`",
                self.target.referred_by.join(", ")
            ));
            return;
        }
        for name in &key {
            match self.target.column(name) {
                None => self.problems.push(format!("it has no column `{name}`, which `key` names")),
                Some(column) if !self.is_written(column) => {
                    self.problems.push(format!("nothing is written to its key column `{name}`"));
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
                "it has no primary key or unique index on exactly ({}), which `key` names; it has: {others}",
                key.join(", ")
            ));
        }
        self.identities(&key);
    }

    /// A column that only the server may number cannot be updated to another number.
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
                    "its column `{}` is GENERATED ALWAYS AS IDENTITY, which no update may set: leave it out with `columns`",
                    column.name
                )
            })
            .collect();
        self.problems.extend(fixed);
    }

    /// What a table must be to be written.
    pub(super) fn safety(&mut self) {
        let no_table = match self.target.kind.as_str() {
            "v" | "m" => Some("it is a view: write to the table behind it"),
            "f" => Some("it is a foreign table: write to the table behind it, where it is"),
            _ if self.target.has_rules => Some(
                "it has rules (CREATE RULE), which COPY does not follow: drop them, or write to a table without any",
            ),
            _ => None,
        };
        self.problems.extend(no_table.map(str::to_owned));
        if self.target.columns.iter().any(|column| column.name == NUMBER) {
            self.problems.push(format!("it has a column called `{NUMBER}`, a name that the writer uses itself"));
        }
    }

    /// Rows of other tables that would go with the old rows.
    pub(super) fn cascades(&mut self) {
        if self.config.mode() == WriteMode::Overwrite && !self.target.cascades_to.is_empty() {
            self.problems.push(format!(
                "removing its rows would remove or change rows of {} by a foreign key: use `mode: upsert`",
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

    /// Grants that the mode needs.
    ///
    /// # Errors
    /// Those that are missing, all of them named.
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
        Err(Error::permission(format!("the role may not {missing} on the table `{table}`"))
            .with_hint(format!("ask for the grant: GRANT {missing} ON {table} TO the role, and USAGE on its schema")))
    }
}

/// The columns of the input that end up in the key.
pub(super) fn key_sources<'a>(key: &[String], mapped: &'a [MappedColumn]) -> Vec<&'a str> {
    let is_key = |name: &str| key.iter().any(|key| same_name(key, name));
    mapped.iter().filter(|column| is_key(&column.target)).map(|column| column.source.name.as_str()).collect()
}
