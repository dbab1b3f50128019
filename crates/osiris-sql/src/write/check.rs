//! The checks before anything is written: which column goes where, and everything that is in the way, all at once. No I/O.

use osiris_core::problem::nearest;
use osiris_core::{Column, ColumnType};

use super::{KeyColumn, MappedColumn, SchemaEvolution, TargetColumn, TargetTable, WriteMode};
use crate::config::WriterFields;

/// A column of the input and the column of the table that it is written to; `C` is how its values are converted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriteColumn<C> {
    /// The column of the input.
    pub source: Column,
    /// The column of the table.
    pub target: String,
    /// Its type, as it was declared.
    pub declared: String,
    /// How values are converted.
    pub conversion: C,
    /// Whether it is part of the key that rows are compared by.
    pub is_key: bool,
    /// Whether it takes no NULL: a key column, or one that is declared so.
    pub not_null: bool,
}

impl<C> WriteColumn<C> {
    /// A column of the input that is written to the column `target` of the table, of type `declared`.
    pub fn new(source: Column, target: &str, declared: &str, conversion: C) -> Self {
        let (target, declared) = (target.to_owned(), declared.to_owned());
        Self { source, target, declared, conversion, is_key: false, not_null: false }
    }
}

/// Where rows go, checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WritePlan<C> {
    /// The columns, in the order of the input.
    pub columns: Vec<WriteColumn<C>>,
    /// The key that rows are compared by; empty where they are not.
    pub key: Vec<KeyColumn>,
}

/// Checks the input against a table as it is.
#[derive(Debug)]
pub struct TableCheck<'a, D = ()> {
    fields: WriterFields<'a>,
    evolution: SchemaEvolution,
    mapped: &'a [MappedColumn],
    target: &'a TargetTable<D>,
    key: Vec<String>,
    problems: Vec<String>,
}

impl<'a, D> TableCheck<'a, D> {
    /// Of rows with these columns, written to `target` as `fields` and `evolution` say.
    pub fn new(
        fields: WriterFields<'a>,
        evolution: SchemaEvolution,
        mapped: &'a [MappedColumn],
        target: &'a TargetTable<D>,
    ) -> Self {
        let key = if fields.merges() { target.named(fields.key) } else { Vec::new() };
        Self { fields, evolution, mapped, target, key, problems: Vec::new() }
    }

    /// Rows are compared by these columns, as the table has them, whatever the mode.
    #[must_use]
    pub fn with_key(mut self, key: Vec<String>) -> Self {
        self.key = key;
        self
    }

    /// The names of the columns that rows are compared by, as the table has them; empty where they are not.
    pub fn key_names(&self) -> &[String] {
        &self.key
    }

    /// Adds a problem.
    pub fn refuse(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// The problems that were found.
    pub fn problems(self) -> Vec<String> {
        self.problems
    }

    /// The plan, as far as there are no problems. Columns that the table lacks are left out when they may be added.
    /// `conversion` says how values of a type are converted for a column, or why they cannot be.
    pub fn plan<C>(&mut self, conversion: impl Fn(&ColumnType, &TargetColumn<D>) -> Result<C, String>) -> WritePlan<C> {
        if self.target.kind != "table" {
            self.refuse(format!("it is a {}: write to the underlying table", self.target.kind));
        }
        if self.fields.mode == WriteMode::Overwrite {
            self.cascades();
        }
        let key = self.key();
        let columns = self.columns(conversion);
        self.left_out();
        WritePlan { columns, key }
    }

    /// The columns to send. Columns that the table lacks are left out when they may be added. `conversion` says how
    /// values of a type are converted for a column, or why they cannot be.
    pub fn columns<C>(
        &mut self,
        conversion: impl Fn(&ColumnType, &TargetColumn<D>) -> Result<C, String>,
    ) -> Vec<WriteColumn<C>> {
        let mut columns: Vec<WriteColumn<C>> = Vec::new();
        for MappedColumn { source, target } in self.mapped {
            let Some(column) = self.target.column(target) else {
                self.unknown(target);
                continue;
            };
            if column.is_generated {
                self.refuse(format!("column `{}` is generated: exclude it with `columns`", column.name));
            } else if columns.iter().any(|other| other.target == column.name) {
                self.refuse(format!("two columns of the input are mapped to column `{}`", column.name));
            } else {
                let is_key = self.key.contains(&column.name);
                match conversion(&source.column_type, column) {
                    Ok(conversion) => columns.push(WriteColumn {
                        is_key,
                        not_null: is_key || column.not_null,
                        ..WriteColumn::new(source.clone(), &column.name, &column.declared, conversion)
                    }),
                    Err(why) => self.refuse(column.unsuited(source, &why)),
                }
            }
        }
        columns
    }

    fn unknown(&mut self, target: &str) {
        if self.evolution == SchemaEvolution::AddColumns {
            return;
        }
        let names = self.target.columns.iter().map(|column| column.name.as_str());
        let similar = nearest(target, names).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
        self.refuse(format!("no column `{target}`{similar}: set `columns`, or `schema_evolution: add_columns`"));
    }

    /// Rows of other tables that would be deleted or changed with the old rows.
    pub fn cascades(&mut self) {
        if !self.target.cascades_to.is_empty() {
            self.refuse(format!(
                "deleting its rows would delete or change rows of {} through a foreign key: use `mode: upsert`",
                self.target.cascades_to.join(", ")
            ));
        }
    }

    /// Whether something is written to a column of the table.
    pub fn is_written(&self, column: &TargetColumn<D>) -> bool {
        self.mapped
            .iter()
            .any(|mapped| self.target.column(&mapped.target).is_some_and(|found| found.name == column.name))
    }

    /// Columns that need a value and get none.
    pub fn left_out(&mut self) {
        let needs = |column: &&TargetColumn<D>| column.not_null && !column.has_default && !column.is_generated;
        let missing =
            self.target.columns.iter().filter(needs).filter(|column| !self.is_written(column)).map(|column| {
                format!(
                    "column `{}` is NOT NULL without a default, but no column of the input is written to it",
                    column.name
                )
            });
        let missing: Vec<String> = missing.collect();
        self.problems.extend(missing);
    }

    /// The key that rows are compared by, which the database must enforce.
    pub fn key(&mut self) -> Vec<KeyColumn> {
        if self.key.is_empty() {
            return Vec::new();
        }
        for name in self.key.clone() {
            match self.target.column(&name) {
                None => self.refuse(format!("no column `{name}`, which `key` names")),
                Some(column) if !self.is_written(column) => {
                    self.refuse(format!("no column of the input is written to key column `{name}`"));
                }
                Some(_) => {}
            }
        }
        if let Some(key) = self.target.key(&self.key) {
            return key;
        }
        let list = |key: &Vec<KeyColumn>| key.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        let others: Vec<String> = self.target.keys.iter().map(list).collect();
        let others = if others.is_empty() { "none".to_owned() } else { others.join("; ") };
        self.refuse(format!(
            "no primary key or unique index on exactly the columns of `key` ({}); the table has: {others}",
            self.key.join(", ")
        ));
        Vec::new()
    }

    /// The columns to add, by the name that they get.
    pub fn additions(&self) -> Vec<(String, &'a Column)> {
        if self.evolution != SchemaEvolution::AddColumns {
            return Vec::new();
        }
        let missing = self.mapped.iter().filter(|column| self.target.column(&column.target).is_none());
        missing.map(|column| (column.target.clone(), &column.source)).collect()
    }
}
