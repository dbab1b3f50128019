//! The checks before anything is written: which column goes where, and everything that is in the way, all at once. No I/O.

use osiris_core::Column;
use osiris_core::problem::nearest;

use super::{KeyColumn, MappedColumn, SchemaEvolution, TargetColumn, TargetTable, WriteMode};
use crate::config::WriterFields;

/// A column of the input and the column of the table that it is written to; `C` is how its values are converted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriteColumn<C> {
    /// The column of the input.
    pub source: String,
    /// The column of the table.
    pub target: String,
    /// Its type, as it was declared.
    pub declared: String,
    /// How values are converted.
    pub conversion: C,
    /// Whether it is part of the key that rows are compared by, and takes no NULL.
    pub is_key: bool,
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
pub struct TableCheck<'a> {
    fields: WriterFields<'a>,
    evolution: SchemaEvolution,
    mapped: &'a [MappedColumn],
    target: &'a TargetTable,
    problems: Vec<String>,
}

impl<'a> TableCheck<'a> {
    /// Of rows with these columns, written to `target` as `fields` and `evolution` say.
    pub fn new(
        fields: WriterFields<'a>,
        evolution: SchemaEvolution,
        mapped: &'a [MappedColumn],
        target: &'a TargetTable,
    ) -> Self {
        Self { fields, evolution, mapped, target, problems: Vec::new() }
    }

    /// The problems that were found.
    pub fn problems(self) -> Vec<String> {
        self.problems
    }

    /// The plan, as far as there are no problems. Columns that the table lacks are left out when they may be added.
    /// `conversion` says how a column is converted, or why it cannot be.
    pub fn plan<C>(&mut self, conversion: impl Fn(&Column, &TargetColumn) -> Result<C, String>) -> WritePlan<C> {
        self.safety();
        let key = self.key();
        let mut columns: Vec<WriteColumn<C>> = Vec::new();
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
                match conversion(source, column) {
                    Ok(conversion) => columns.push(WriteColumn {
                        source: source.name.clone(),
                        target: column.name.clone(),
                        declared: column.declared.clone(),
                        conversion,
                        is_key: key.iter().any(|key| key.name == column.name),
                    }),
                    Err(problem) => self.problems.push(problem),
                }
            }
        }
        self.left_out();
        WritePlan { columns, key }
    }

    fn unknown(&mut self, target: &str) {
        if self.evolution == SchemaEvolution::AddColumns {
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
        if self.fields.mode == WriteMode::Overwrite && !self.target.cascades_to.is_empty() {
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

    /// The key that rows are compared by, which the database must enforce.
    fn key(&mut self) -> Vec<KeyColumn> {
        if !self.fields.merges() {
            return Vec::new();
        }
        let names = self.fields.key;
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

    /// The columns to add, by the name that they get.
    pub fn additions(&self) -> Vec<(String, &'a Column)> {
        if self.evolution != SchemaEvolution::AddColumns {
            return Vec::new();
        }
        let missing = self.mapped.iter().filter(|column| self.target.column(&column.target).is_none());
        missing.map(|column| (column.target.clone(), &column.source)).collect()
    }
}
