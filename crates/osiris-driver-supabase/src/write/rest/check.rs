//! Before anything is written: which column goes where, and everything that stands in the way, listed at once. No I/O. What the API
//! does not tell (unique indexes, generated columns, grants) is asked for with an empty request, see [`probe`](super::probe).

use std::sync::Arc;

use osiris_core::Column;
use osiris_core::problem::nearest;
use osiris_driver_postgres::types::encode::ColumnConversion;
use osiris_sql::write::MappedColumn;

use super::field::{Field, kind};
use crate::client::rest::openapi::RestTable;
use crate::config::{SchemaEvolution, WriteMode, WriterConfig};

/// Checks the input against the table as the API describes it.
pub(super) struct Check<'a> {
    pub(super) config: &'a WriterConfig,
    pub(super) mapped: &'a [MappedColumn],
    pub(super) table: &'a RestTable,
    pub(super) problems: Vec<String>,
}

impl Check<'_> {
    /// The columns as they will be sent. Columns that the table lacks are left out when they may be added.
    pub(super) fn fields(&mut self, key: &[String]) -> Arc<[Field]> {
        let mut fields = Vec::new();
        for MappedColumn { source, target } in self.mapped {
            let Some(column) = self.table.column(target) else {
                if self.config.schema_evolution == SchemaEvolution::Refuse {
                    self.lacks(target);
                }
                continue;
            };
            match ColumnConversion::between(&source.column_type, &kind(column)) {
                Ok(conversion) => fields.push(Field {
                    source: source.clone(),
                    target: column.name.clone(),
                    conversion,
                    not_null: !column.nullable || key.contains(&column.name),
                }),
                Err(why) => self.problems.push(format!(
                    "its column `{}` is {} and `{}` of the input is {}: {why}",
                    column.name, column.format, source.name, source.column_type
                )),
            }
        }
        fields.into()
    }

    fn lacks(&mut self, target: &str) {
        let names = self.table.columns.iter().map(|column| column.name.as_str());
        let similar = nearest(target, names).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
        self.problems
            .push(format!("it has no column `{target}`{similar}: set `columns`, or `schema_evolution: add_columns`"));
    }

    /// The columns that tell rows apart: those of the configuration, else of the primary key where rows have to be found again.
    pub(super) fn key(&mut self) -> Vec<String> {
        let named = self.config.key_names();
        let key = match self.config.mode() {
            WriteMode::Overwrite if named.is_empty() => self.table.primary_key(),
            _ => named.to_vec(),
        };
        if key.is_empty() && self.config.mode() == WriteMode::Overwrite {
            self.problems.push(
                "it has no primary key that the API knows of, and over REST `mode: overwrite` finds old rows by their key: set `key`, \
                 or write over the database (`dsn`)"
                    .to_owned(),
            );
        }
        for name in &key {
            if self.table.column(name).is_none() && !self.is_written(name) {
                self.problems.push(format!("it has no column `{name}`, which `key` names"));
            } else if !self.is_written(name) {
                self.problems.push(format!("nothing is written to its key column `{name}`"));
            } else if self.config.mode() == WriteMode::Overwrite
                && self.table.column(name).is_some_and(|column| column.nullable)
            {
                self.problems.push(format!(
                    "its key column `{name}` may be NULL, and a row without a key cannot be found again: set NOT NULL"
                ));
            }
        }
        key
    }

    /// The primary key, where all of it is written: by it the table can be asked for rows of the input.
    pub(super) fn identity(&self) -> Vec<String> {
        let key = self.table.primary_key();
        if key.iter().all(|name| self.is_written(name)) { key } else { Vec::new() }
    }

    fn is_written(&self, name: &str) -> bool {
        self.mapped.iter().any(|column| column.target == name)
    }

    /// The columns to add.
    pub(super) fn additions(&self) -> Vec<(String, &Column)> {
        if self.config.schema_evolution != SchemaEvolution::AddColumns {
            return Vec::new();
        }
        let lacking = self.mapped.iter().filter(|column| self.table.column(&column.target).is_none());
        lacking.map(|column| (column.target.clone(), &column.source)).collect()
    }

    /// Columns that need a value and get none, as far as the API tells: generated ones look the same.
    pub(super) fn perhaps_left_out(&self) -> Vec<String> {
        let needs = self.table.columns.iter().filter(|column| !column.nullable && !column.has_default);
        needs.filter(|column| !self.is_written(&column.name)).map(|column| column.name.clone()).collect()
    }
}
