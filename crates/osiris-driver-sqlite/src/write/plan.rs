//! The checks before anything is written: which column goes where, and everything that is in the way, all at once. No I/O.

use osiris_core::Column;
use osiris_core::problem::nearest;
use osiris_sql::write::{MappedColumn, SchemaEvolution, WriteMode};

use super::target::{KeyColumn, TargetColumn, TargetTable};
use crate::config::WriterConfig;
use crate::types::{Conversion, conversion};

/// The column that numbers the rows of the staging table.
pub(super) const ROW: &str = "osiris_row";

/// A column of the input and the column of the table that it is written to.
#[derive(Debug, Clone)]
pub(super) struct WriteColumn {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) declared: String,
    pub(super) conversion: Conversion,
    /// Whether NULL is refused: part of the key that rows are compared by.
    pub(super) is_key: bool,
}

/// Where rows go, checked.
#[derive(Debug, Clone)]
pub(super) struct WritePlan {
    pub(super) columns: Vec<WriteColumn>,
    /// The key that rows are compared by; empty where they are not.
    pub(super) key: Vec<KeyColumn>,
}

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

    /// The plan, as far as there are no problems. Columns that the table lacks are left out when they may be added.
    pub(super) fn plan(&mut self) -> WritePlan {
        self.safety();
        let key = self.key();
        let mut columns: Vec<WriteColumn> = Vec::new();
        for MappedColumn { source, target } in self.mapped {
            let Some(column) = self.target.column(target) else {
                self.unknown(target);
                continue;
            };
            if column.is_generated {
                self.problems.push(format!("its column `{}` is generated: leave it out with `columns`", column.name));
            } else if columns.iter().any(|other| other.target == column.name) {
                self.problems.push(format!("two columns of the input go to its column `{}`", column.name));
            } else {
                match self.column(source, column, &key) {
                    Ok(column) => columns.push(column),
                    Err(problem) => self.problems.push(problem),
                }
            }
        }
        self.left_out();
        WritePlan { columns, key }
    }

    fn column(&self, source: &Column, target: &TargetColumn, key: &[KeyColumn]) -> Result<WriteColumn, String> {
        Ok(WriteColumn {
            source: source.name.clone(),
            target: target.name.clone(),
            declared: target.declared.clone(),
            conversion: conversion(&source.name, &source.column_type, &target.declared)?,
            is_key: key.iter().any(|column| column.name == target.name),
        })
    }

    fn unknown(&mut self, target: &str) {
        if self.config.schema_evolution == SchemaEvolution::AddColumns {
            return;
        }
        let names = self.target.columns.iter().map(|column| column.name.as_str());
        let similar = nearest(target, names).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
        self.problems
            .push(format!("it has no column `{target}`{similar}: set `columns`, or `schema_evolution: add_columns`"));
    }

    /// What a table must be to be written.
    fn safety(&mut self) {
        if self.target.kind != "table" {
            self.problems.push(format!("it is a {}: write to the table behind it", self.target.kind));
        }
        if self.config.merges() && self.target.column(ROW).is_some() {
            self.problems.push(format!("it has a column `{ROW}`, a name that the writer uses itself"));
        }
        if self.config.mode() == WriteMode::Overwrite && !self.target.cascades_to.is_empty() {
            self.problems.push(format!(
                "removing its rows would remove or change rows of {} by a foreign key: use `mode: upsert`",
                self.target.cascades_to.join(", ")
            ));
        }
    }

    fn is_written(&self, column: &TargetColumn) -> bool {
        self.mapped
            .iter()
            .any(|mapped| self.target.column(&mapped.target).is_some_and(|found| found.name == column.name))
    }

    /// Columns that need a value and get none.
    fn left_out(&mut self) {
        let needs = |column: &&TargetColumn| column.not_null && !column.has_default && !column.is_generated;
        let missing =
            self.target.columns.iter().filter(needs).filter(|column| !self.is_written(column)).map(|column| {
                format!("its column `{}` is NOT NULL without a default, and nothing is written to it", column.name)
            });
        let missing: Vec<String> = missing.collect();
        self.problems.extend(missing);
    }

    /// The key that rows are compared by, which SQLite must enforce.
    fn key(&mut self) -> Vec<KeyColumn> {
        if !self.config.merges() {
            return Vec::new();
        }
        let names = self.config.key_names();
        for name in names {
            match self.target.column(name) {
                None => self.problems.push(format!("it has no column `{name}`, which `key` names")),
                Some(column) if !self.is_written(column) => {
                    self.problems.push(format!("nothing is written to its key column `{name}`"));
                }
                Some(_) => {}
            }
        }
        if let Some(key) = self.target.key(names) {
            return key;
        }
        let list = |key: &Vec<KeyColumn>| key.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        let others: Vec<String> = self.target.keys.iter().map(list).collect();
        let others = if others.is_empty() { "none".to_owned() } else { others.join("; ") };
        self.problems.push(format!(
            "it has no primary key or unique index on exactly ({}), which `key` names; it has: {others}",
            names.join(", ")
        ));
        Vec::new()
    }

    /// The columns to add.
    pub(super) fn additions(&self) -> Vec<(String, &'a Column)> {
        if self.config.schema_evolution != SchemaEvolution::AddColumns {
            return Vec::new();
        }
        let missing = self.mapped.iter().filter(|column| self.target.column(&column.target).is_none());
        missing.map(|column| (column.target.clone(), &column.source)).collect()
    }
}
