//! Whether every table of a group has the columns that its steps name.

use osiris_core::Code;

use super::FoundTable;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::yaml::{Node, NodeKind};

/// How many tables an error names.
const MAX_NAMED: usize = 10;

/// An error for each column that one of the tables lacks, among those that these fields of a configuration name, with its
/// place.
pub(super) fn missing(config: &Node, pointers: &[&str], tables: &[FoundTable]) -> Vec<(Diagnostic, Span)> {
    let named = pointers.iter().map(|field| config.find(field)).filter(|found| found.is_exact);
    let names = named.flat_map(|found| texts(found.node));
    names.filter_map(|(column, span)| Some((lacking(column, tables)?, span))).collect()
}

/// The texts of a value that is one or several.
fn texts(node: &Node) -> Vec<(&str, Span)> {
    let items = match &node.kind {
        NodeKind::Sequence(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    // What is a parameter is known only later.
    items.iter().filter_map(|item| Some((item.as_str().filter(|text| !text.contains("${"))?, item.span))).collect()
}

fn lacking(column: &str, tables: &[FoundTable]) -> Option<Diagnostic> {
    let has = |table: &&FoundTable| table.columns.iter().any(|name| name.eq_ignore_ascii_case(column));
    let without = tables.iter().filter(|table| !table.columns.is_empty() && !has(table));
    named(without).map(|(names, count)| {
        let tables = if count == 1 { "table has" } else { "tables have" };
        Diagnostic::error(format!("{count} {tables} no column `{column}`: {names}"))
            .with_code(Code::ColumnNotFound)
            .with_hint("read these in a step of their own, and exclude them here with `\"!NAME\"`")
    })
}

/// The names of tables, the first few of many, and how many they are.
pub(super) fn named<'a>(tables: impl Iterator<Item = &'a FoundTable>) -> Option<(String, usize)> {
    let all: Vec<&str> = tables.map(|table| table.name.as_str()).collect();
    let shown = all.iter().take(MAX_NAMED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let more = if all.len() > MAX_NAMED { ", ..." } else { "" };
    (!all.is_empty()).then(|| (format!("{shown}{more}"), all.len()))
}
