//! Plans a write: maps columns and reports all problems at once, before anything is written. No I/O.

use std::sync::Arc;

use osiris_core::{Column, Result, TableRef};
pub(super) use osiris_sql::write::{MappedColumn as Mapped, ensure_no_problems as ensure_none, same_name as same};
use osiris_sql::write::{TableCheck, map_columns};

use super::convert::conversion;
use super::encode::Field;
use super::loader::NUMBER;
use super::target::{ColumnDetails, Target};
use crate::config::{WriteMode, WriterConfig};
use crate::types::ddl;

/// The columns to write, as configured.
///
/// # Errors
/// For columns that the input lacks.
pub(super) fn mapping(config: &WriterConfig, input: &TableRef) -> Result<Vec<Mapped>> {
    map_columns(config.write.columns.as_ref(), config.fields().order_names(), input)
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
        .fields()
        .key
        .iter()
        .filter(|key| !columns.iter().any(|(name, _)| same(name, key)))
        .map(|key| format!("key column `{key}` is not among the columns to write"))
        .collect();
    if missing.is_empty() { ddl::create_table(name, &columns, config.fields().key) } else { Err(missing) }
}

/// The checks of the input against the existing table.
pub(super) type Check<'a> = TableCheck<'a, ColumnDetails>;

/// A check of the input against `target`.
pub(super) fn check<'a>(config: &'a WriterConfig, mapped: &'a [Mapped], target: &'a Target) -> Check<'a> {
    Check::new(config.fields(), config.write.schema_evolution, mapped, &target.table)
}

/// The columns to send. Columns that the table lacks are skipped if they may be added.
pub(super) fn fields(check: &mut Check<'_>) -> Arc<[Field]> {
    check.columns(|source, column| conversion(source, &column.details.kind)).into()
}

/// Checks that the server enforces the key of an upsert.
pub(super) fn key(check: &mut Check<'_>, target: &Target) {
    if !check.key_names().is_empty() && target.table.column(NUMBER).is_some() {
        check.refuse(format!("column `{NUMBER}`: the name is reserved for upserts"));
    }
    check.key();
}

/// Checks that the table supports atomic writes.
pub(super) fn safety(check: &mut Check<'_>, config: &WriterConfig, target: &Target, in_place: bool) {
    if target.table.kind != "table" {
        check.refuse("it is a view: write to the underlying table");
        return;
    }
    if in_place && !target.transactional {
        let replaces = config.fields().mode == WriteMode::Overwrite;
        let otherwise = match target.dependents.reasons.first() {
            Some(reason) if replaces => format!("; it cannot be swapped for a new table either: {reason}"),
            _ => ", or `mode: overwrite`".to_owned(),
        };
        check.refuse(format!(
            "its engine {} has no transactions, so an interrupted write would leave some of its rows: \
             ALTER TABLE ... ENGINE = InnoDB{otherwise}",
            target.engine
        ));
    }
}

/// The columns to add, as `ADD COLUMN` clauses.
pub(super) fn additions(check: &mut Check<'_>) -> Vec<String> {
    let mut clauses = Vec::new();
    for (target, source) in check.additions() {
        match ddl::column_type(&source.column_type) {
            Ok(found) => {
                clauses.push(format!("ADD COLUMN {} {found} NULL DEFAULT NULL", crate::client::quote(&target)));
            }
            Err(why) => check.refuse(format!("column `{}` cannot be added: {why}", source.name)),
        }
    }
    clauses
}
