//! Plans a write: maps columns and reports all problems at once, before anything is written. No I/O.

use std::sync::Arc;

use osiris_core::{Error, Result};
use osiris_sql::write::{MappedColumn, OnConflict, TableCheck, WriteMode};

use super::staging::NUMBER;
use super::target::{ColumnDetails, Target};
use crate::config::WriterConfig;
use crate::types::encode::{Field, conversion};

/// The checks of the input against the existing table.
pub(super) type Check<'a> = TableCheck<'a, ColumnDetails>;

/// A check of the input against `target`. Rows are compared by `key`, else by the primary key if rows have to be
/// replaced by it.
pub(super) fn check<'a>(config: &'a WriterConfig, mapped: &'a [MappedColumn], target: &'a Target) -> Check<'a> {
    let check = Check::new(config.fields(), config.write.schema_evolution, mapped, &target.table);
    match config.fields().key {
        _ if !replaces_by_key(config, target) => check,
        [] => check.with_key(target.primary_key.clone()),
        names => check.with_key(target.table.named(names)),
    }
}

/// The columns to send. Columns that the table lacks are skipped if they may be added.
pub(super) fn fields(check: &mut Check<'_>) -> Arc<[Field]> {
    check.columns(|source, column| conversion(source, &column.details.kind)).into()
}

/// Whether an overwrite cannot delete the old rows because other tables reference them.
pub(super) fn replaces_by_key(config: &WriterConfig, target: &Target) -> bool {
    config.fields().mode == WriteMode::Overwrite && !target.referred_by.is_empty()
}

/// Checks that the server enforces the key.
pub(super) fn key(check: &mut Check<'_>, config: &WriterConfig, target: &Target) {
    let key = check.key_names().to_vec();
    if key.is_empty() {
        if replaces_by_key(config, target) {
            check.refuse(format!(
                "{} reference it, so its rows can only be replaced by key: set `key`",
                target.referred_by.join(", ")
            ));
        }
        return;
    }
    check.key();
    // A GENERATED ALWAYS identity column cannot be updated.
    let fixed = target.table.columns.iter().filter(|column| column.details.always_identity);
    for column in
        fixed.filter(|column| config.conflict.on_conflict == OnConflict::Update && !key.contains(&column.name))
    {
        if check.is_written(column) {
            check.refuse(format!(
                "column `{}` is GENERATED ALWAYS AS IDENTITY, which an update cannot set: exclude it with `columns`",
                column.name
            ));
        }
    }
}

/// Checks the kind of the table.
pub(super) fn safety(check: &mut Check<'_>, target: &Target) {
    let no_table = match target.table.kind.as_str() {
        "view" => Some("it is a view: write to the underlying table"),
        "foreign table" => Some("it is a foreign table: write to the underlying table on its own server"),
        _ if target.has_rules => {
            Some("it has rules (CREATE RULE), which COPY ignores: drop them, or write to a table without rules")
        }
        _ => None,
    };
    if let Some(no_table) = no_table {
        check.refuse(no_table);
    }
    if target.table.columns.iter().any(|column| column.name == NUMBER) {
        check.refuse(format!("column `{NUMBER}`: the name is reserved for the writer"));
    }
}

/// Checks the privileges for the mode.
///
/// # Errors
/// When some are missing; names all of them.
pub(super) fn grants(config: &WriterConfig, target: &Target, table: &str) -> Result<()> {
    let replaces_by_key = replaces_by_key(config, target);
    let by_key = config.fields().merges() || replaces_by_key;
    let updates = replaces_by_key || (config.fields().merges() && config.conflict.on_conflict == OnConflict::Update);
    let needed = |right: &&String| match right.as_str() {
        "INSERT" => true,
        "SELECT" => by_key,
        "UPDATE" => updates,
        _ => config.fields().mode == WriteMode::Overwrite,
    };
    let missing: Vec<&str> = target.forbidden.iter().filter(needed).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(Error::permission(format!("the role lacks {missing} on table `{table}`"))
        .with_hint(format!("grant it: GRANT {missing} ON {table} TO the role, and USAGE on its schema")))
}
