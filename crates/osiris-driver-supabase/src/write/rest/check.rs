//! Plans a write: maps columns and reports all problems at once, before anything is written. No I/O. What the API does
//! not report (unique indexes, generated columns, privileges) is checked with an empty request, see
//! [`probe`](super::probe).

use std::sync::Arc;

use osiris_core::Column;
use osiris_core::problem::nearest;
use osiris_driver_postgres::types::encode::ColumnConversion;
use osiris_sql::write::MappedColumn;

use super::field::{Field, kind};
use crate::client::rest::openapi::RestTable;
use crate::config::{SchemaEvolution, WriteMode, WriterConfig};

/// Checks the input against the API's schema of the table.
pub(super) struct Check<'a> {
    pub(super) config: &'a WriterConfig,
    pub(super) mapped: &'a [MappedColumn],
    pub(super) table: &'a RestTable,
    pub(super) problems: Vec<String>,
}

impl Check<'_> {
    /// The columns to send. Columns that the table lacks are skipped if they may be added.
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
                Ok(conversion) => {
                    let mut field = Field::new(source.clone(), &column.name, &column.format, conversion);
                    field.not_null = !column.nullable || key.contains(&column.name);
                    fields.push(field);
                }
                Err(why) => self.problems.push(format!(
                    "column `{}` is {}, but column `{}` of the input is {}: {why}",
                    column.name, column.format, source.name, source.column_type
                )),
            }
        }
        fields.into()
    }

    fn lacks(&mut self, target: &str) {
        let names = self.table.columns.iter().map(|column| column.name.as_str());
        let similar = nearest(target, names).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
        self.problems.push(format!("no column `{target}`{similar}: set `columns`, or `schema_evolution: add_columns`"));
    }

    /// The key columns: those of the configuration, else of the primary key if rows have to be found again.
    pub(super) fn key(&mut self) -> Vec<String> {
        let named = self.config.fields().key;
        let key = match self.config.fields().mode {
            WriteMode::Overwrite if named.is_empty() => self.table.primary_key(),
            _ => named.to_vec(),
        };
        if key.is_empty() && self.config.fields().mode == WriteMode::Overwrite {
            self.problems.push(
                "the API reports no primary key, and over REST `mode: overwrite` finds old rows by key: set `key`, \
                 or write over the database (`dsn`)"
                    .to_owned(),
            );
        }
        for name in &key {
            if self.table.column(name).is_none() && !self.is_written(name) {
                self.problems.push(format!("no column `{name}`, which `key` names"));
            } else if !self.is_written(name) {
                self.problems.push(format!("no column of the input is written to key column `{name}`"));
            } else if self.config.fields().mode == WriteMode::Overwrite
                && self.table.column(name).is_some_and(|column| column.nullable)
            {
                self.problems.push(format!(
                    "key column `{name}` is nullable, and a row with a NULL key cannot be found again: make it NOT NULL"
                ));
            }
        }
        key
    }

    /// The primary key, if all of it is written: rows of the input can be looked up by it.
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

    /// Required columns without a value, as far as the API reports: generated ones look the same.
    pub(super) fn perhaps_left_out(&self) -> Vec<String> {
        let needs = self.table.columns.iter().filter(|column| !column.nullable && !column.has_default);
        needs.filter(|column| !self.is_written(&column.name)).map(|column| column.name.clone()).collect()
    }
}
