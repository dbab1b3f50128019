//! An expression of a user, to be embedded in generated SQL.

use std::sync::Arc;

use serde_json::Value;

use super::deep::deep;
use super::functions::varies;
use super::parser::{deserialize, serialize};
use super::tree::{Purpose, Walk};
use super::{OFFSET, SelectStatement, TableName};
use crate::{Code, Error, Result};

const BARE: &str = "SELECT * FROM x WHERE ";
const OPEN: &str = "SELECT * FROM x WHERE (";

/// A condition over the columns of a row, as pipelines state it: exactly one expression for DuckDB's own parser,
/// without subqueries, aggregates and window functions, and with functions only that compute from their arguments.
///
/// What [`sql`](Self::sql) returns was written by DuckDB from what it parsed, or is the text as it stands where DuckDB
/// reads it as the same expression with and without parentheses around it: nothing in it can end the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlExpression {
    sql: String,
    is_repeatable: bool,
}

impl SqlExpression {
    /// Parses `text`. Nothing is bound or executed.
    ///
    /// # Errors
    /// Anything but one expression, or one that does more than compute. The context of the error has the `offset` in
    /// bytes.
    pub fn parse(text: &str) -> Result<Self> {
        let mut is_repeatable = true;
        let check = |node: &Value| {
            is_repeatable = !calls_what_varies(node);
            Walk::new(Purpose::Condition, 0, &[]).over(node).map_err(|error| moved(error, OPEN.len())).map(drop)
        };
        let sql = deep(|| sole(text, BARE, OPEN, check))?;
        Ok(Self { sql, is_repeatable })
    }

    /// Whether it has the same value for the same row each time: it calls neither `random()` nor a clock.
    pub fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// The expression, in parentheses.
    pub fn sql(&self) -> &str {
        &self.sql
    }
}

/// Whether a function anywhere in the tree may have another value in the next statement.
fn calls_what_varies(node: &Value) -> bool {
    match node {
        Value::Object(fields) => {
            fields.get("function_name").and_then(Value::as_str).is_some_and(varies)
                || fields.values().any(calls_what_varies)
        }
        Value::Array(items) => items.iter().any(calls_what_varies),
        _ => false,
    }
}

/// An expression in parentheses that may hold anything a query may: the body of a macro, or a default.
pub(super) fn of_query(text: &str, base: usize, macros: &[String]) -> Result<(String, Vec<TableName>)> {
    let mut tables = Vec::new();
    let sql = sole(text, BARE, OPEN, |node| {
        tables = Walk::new(Purpose::Query, 0, macros).over(node).map_err(|error| moved(error, OPEN.len()))?;
        Ok(())
    })
    .map_err(|error| shifted(error, base))?;
    for table in &mut tables {
        table.offset = table.offset.map(|offset| offset.saturating_sub(OPEN.len()) + base);
    }
    Ok((sql, tables))
}

/// The expression `text` for SQL, once `check` has found nothing in its tree.
fn sole(text: &str, bare: &str, open: &str, check: impl FnOnce(&Value) -> Result<()>) -> Result<String> {
    let more = || {
        Error::validation("expected exactly one expression")
            .with_code(Code::SqlNotAllowed)
            .with_hint("write one condition over the columns, such as `year >= 2020 AND country = 'CZ'`")
            .with_context(OFFSET, 0)
    };
    let read = |sql: String, by: usize| {
        // A statement of another kind behind ours cannot be serialized at all.
        serialize(&sql, 0).map_err(|error| if is_refusal(&error) { more() } else { moved(error, by) })
    };
    let inside = read(format!("{open}{text}\n)"), open.len())?;
    let alone = read(format!("{bare}{text}"), bare.len())?;
    let expression = condition(&inside).filter(|inside| {
        // The same tree in both places: it neither closes our parenthesis nor goes on behind it.
        condition(&alone).is_some_and(|alone| without_places(alone) == without_places(inside))
    });
    let expression = expression.ok_or_else(more)?;
    check(expression)?;
    Ok(canonical(&inside, expression).unwrap_or_else(|| format!("({text}\n)")))
}

/// Whether DuckDB's serializer found a statement that it does not take.
fn is_refusal(error: &Error) -> bool {
    error.message().ends_with(super::ONLY_READS)
}

/// The WHERE of a statement that is nothing but `SELECT * FROM x WHERE ...`.
fn condition(tree: &Value) -> Option<&Value> {
    let [statement] = tree["statements"].as_array()?.as_slice() else { return None };
    let node = &statement["node"];
    let empty = |key: &str| node[key].as_array().is_some_and(Vec::is_empty);
    let [star] = node["select_list"].as_array()?.as_slice() else { return None };
    let plain = node["type"] == "SELECT_NODE"
        && statement["named_param_map"].as_array().is_some_and(Vec::is_empty)
        && ["modifiers", "group_expressions", "group_sets"].iter().all(|key| empty(key))
        && node["cte_map"]["map"].as_array().is_some_and(Vec::is_empty)
        && ["having", "qualify", "sample"].iter().all(|key| node[*key].is_null())
        && node["aggregate_handling"] == "STANDARD_HANDLING"
        && star["class"] == "STAR"
        && node["from_table"]["type"] == "BASE_TABLE"
        && node["from_table"]["table_name"] == "x"
        && node["from_table"]["sample"].is_null()
        && node["from_table"]["at_clause"].is_null()
        && node["from_table"]["alias"] == "";
    Some(&node["where_clause"]).filter(|condition| plain && condition.is_object())
}

/// What DuckDB writes for the tree, if it reads it back as the same.
fn canonical(tree: &Arc<Value>, expression: &Value) -> Option<String> {
    let statement = deserialize(tree).ok()?;
    let text = statement.strip_prefix(BARE)?.to_owned();
    let again = serialize(&format!("{OPEN}{text}\n)"), 0).ok()?;
    (without_places(condition(&again)?) == without_places(expression)).then(|| format!("({text})"))
}

/// A tree without the places in the text.
fn without_places(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_places).collect(),
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| !key.starts_with("query_location"))
            .map(|(key, value)| (key.clone(), without_places(value)))
            .collect(),
        other => other.clone(),
    }
}

/// The error with its place `by` bytes further to the front.
fn moved(error: Error, by: usize) -> Error {
    replace_offset(error, |offset| offset.saturating_sub(by))
}

fn shifted(error: Error, by: usize) -> Error {
    replace_offset(error, |offset| offset.saturating_add(by))
}

fn replace_offset(error: Error, change: impl Fn(usize) -> usize) -> Error {
    let found = error.context().iter().find(|(key, _)| *key == OFFSET).and_then(|(_, offset)| offset.parse().ok());
    let Some(offset) = found else { return error };
    let changed = Error::new(error.kind(), error.message().to_owned()).with_code(error.code());
    let changed = match error.hint() {
        Some(hint) => changed.with_hint(hint.to_owned()),
        None => changed,
    };
    changed.with_context(OFFSET, change(offset))
}

impl SelectStatement {
    /// Refuses text that is not exactly one statement that reads, by DuckDB's parser. For SQL that a driver has made
    /// itself: its functions and tables are not looked at.
    ///
    /// # Errors
    /// SQL that does not parse, several statements, a statement of another kind.
    pub(in crate::store) fn check_sole(sql: &str) -> Result<()> {
        deep(|| Self::checked(sql, 0, Purpose::Trusted, &[]).map(drop))
    }
}
