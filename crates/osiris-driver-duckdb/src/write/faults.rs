//! What may be wrong with a row, as conditions over the staging table: what the columns and the constraints of the table would refuse.
//! What cannot be said here, such as a key whose values have defaults, is left to DuckDB, and fails the step.

use osiris_core::store::quote;
use osiris_sql::write::{KeyColumn, NULL_REFUSED};

use super::staging::{ROW, TABLE, converted, raw};
use super::target::{Described, Parent};
use super::task::{WriteColumn, WritePlan};

/// Why rows are refused.
pub(super) struct Fault {
    /// The column of the input.
    pub(super) column: Option<String>,
    pub(super) reason: String,
    /// The condition that they meet.
    pub(super) condition: String,
    /// The unique key that they violate.
    pub(super) key: Option<String>,
}

impl Fault {
    fn of_column(column: &WriteColumn, reason: impl Into<String>, condition: String) -> Self {
        Self { column: Some(column.source.name.clone()), reason: reason.into(), condition, key: None }
    }
}

/// What the columns refuse, each by itself.
pub(super) fn of_columns(plan: &WritePlan) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, column) in plan.columns.iter().enumerate() {
        let value = raw(index);
        if column.not_null {
            let reason = if column.is_key { "key column is NULL" } else { NULL_REFUSED };
            faults.push(Fault::of_column(column, reason, format!("{value} IS NULL")));
        }
        if column.conversion.is_checked {
            let (to, from) = (converted(index, column), &column.conversion.from);
            let reason = format!("value does not fit {} exactly", column.declared);
            let condition =
                format!("{value} IS NOT NULL AND ({to} IS NULL OR CAST({to} AS {from}) IS DISTINCT FROM {value})");
            faults.push(Fault::of_column(column, reason, condition));
        }
    }
    faults
}

/// What the constraints of `target` refuse of rows that go into `table`. `is_emptied` is whether its old rows are deleted before.
pub(super) fn of_constraints(plan: &WritePlan, target: &Described, table: &str, is_emptied: bool) -> Vec<Fault> {
    let mut faults: Vec<Fault> = target.checks.iter().map(|check| of_check(plan, target, check)).collect();
    faults.extend(target.parents.iter().filter_map(|parent| of_parent(plan, parent, table)));
    for key in target.table.keys.iter().filter(|key| !is_same(key, &plan.key)) {
        faults.extend(of_key(plan, key, table, is_emptied).into_iter().flatten());
    }
    faults
}

fn is_same(key: &[KeyColumn], other: &[KeyColumn]) -> bool {
    key.len() == other.len() && key.iter().all(|column| other.iter().any(|other| other.name == column.name))
}

/// The value that is written to a column of the table.
fn value_of(plan: &WritePlan, name: &str) -> Option<String> {
    let index = plan.columns.iter().position(|column| column.target == name)?;
    Some(converted(index, &plan.columns[index]))
}

/// A condition of the table, over the row as it will be there. Generated columns are computed from the others.
fn of_check(plan: &WritePlan, target: &Described, check: &str) -> Fault {
    // A name of its own, which no column of the table is likely to have.
    let (mut columns, mut generated) = (vec![format!("i.{ROW} AS \"osiris row\"")], vec!["*".to_owned()]);
    for (column, default) in target.table.columns.iter().zip(&target.defaults) {
        let name = quote(&column.name);
        let default = default.as_deref().unwrap_or("NULL");
        if column.is_generated {
            generated.push(format!("{default} AS {name}"));
            continue;
        }
        let value = value_of(plan, &column.name).unwrap_or_else(|| format!("CAST(({default}) AS {})", column.declared));
        columns.push(format!("{value} AS {name}"));
    }
    let (columns, generated) = (columns.join(", "), generated.join(", "));
    let condition = format!(
        "i.{ROW} IN (SELECT \"osiris row\" FROM (SELECT {generated} FROM (SELECT {columns} FROM {TABLE} AS i)) WHERE NOT ({check}))"
    );
    Fault { column: None, reason: format!("CHECK constraint failed: {check}"), condition, key: None }
}

/// A foreign key: rows whose parent is missing. None where a part of it is not written, or rows may be parents of each other.
fn of_parent(plan: &WritePlan, parent: &Parent, table: &str) -> Option<Fault> {
    let referenced = &parent.table;
    if referenced.eq_ignore_ascii_case(table) {
        return None;
    }
    let pairs: Option<Vec<(String, String)>> =
        parent.columns.iter().map(|(own, other)| Some((value_of(plan, own)?, quote(other)))).collect();
    let pairs = pairs?;
    let given: Vec<String> = pairs.iter().map(|(value, _)| format!("{value} IS NOT NULL")).collect();
    let equal: Vec<String> = pairs.iter().map(|(value, other)| format!("p.{other} = {value}")).collect();
    let condition = format!(
        "{} AND NOT EXISTS (SELECT 1 FROM {referenced} AS p WHERE {})",
        given.join(" AND "),
        equal.join(" AND ")
    );
    Some(Fault { column: None, reason: format!("constraint failed: {}", parent.text), condition, key: None })
}

/// A unique key: rows that have it in common with an earlier row of the input, or with a row of the table. None where a part of it is
/// not written.
fn of_key(plan: &WritePlan, key: &[KeyColumn], table: &str, is_emptied: bool) -> Option<Vec<Fault>> {
    let pairs: Option<Vec<(String, String)>> =
        key.iter().map(|column| Some((value_of(plan, &column.name)?, quote(&column.name)))).collect();
    let pairs = pairs?;
    let names = key.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    let single = plan.columns.iter().find(|column| key.len() == 1 && column.target == key[0].name);
    let fault = |condition: String| Fault {
        column: single.map(|column| column.source.name.clone()),
        reason: format!("UNIQUE constraint failed: {names}"),
        condition,
        key: Some(names.clone()),
    };
    let values = pairs.iter().map(|(value, _)| value.as_str()).collect::<Vec<_>>().join(", ");
    let given = pairs.iter().map(|(value, _)| format!("{value} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
    let first = format!("SELECT min(i.{ROW}) FROM {TABLE} AS i WHERE {given} GROUP BY {values}");
    let repeated = fault(format!("{given} AND i.{ROW} NOT IN ({first})"));
    if is_emptied {
        return Some(vec![repeated]);
    }
    let mut equal: Vec<String> = pairs.iter().map(|(value, name)| format!("t.{name} = {value}")).collect();
    // A row that is merged with the one in the table may keep what that has.
    let own: Vec<String> = plan
        .key
        .iter()
        .filter_map(|column| Some(format!("t.{} = {}", quote(&column.name), value_of(plan, &column.name)?)))
        .collect();
    if !own.is_empty() {
        equal.push(format!("NOT ({})", own.join(" AND ")));
    }
    let taken = fault(format!("EXISTS (SELECT 1 FROM {table} AS t WHERE {})", equal.join(" AND ")));
    // First those that are there: of the others the first one stays.
    Some(vec![taken, repeated])
}
