//! Nodes of a parsed query: where they begin, and problems at a position.

use std::collections::BTreeMap;

use apollo_parser::cst::{CstNode, FragmentDefinition};
use osiris_core::Problem;

/// Fragments by name.
pub(super) type Fragments = BTreeMap<String, FragmentDefinition>;

/// An error at a byte of the query.
pub(super) fn problem_at(text: &str, offset: usize, message: impl std::fmt::Display) -> Problem {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Problem::error("/query", format!("line {line}, column {column}: {message}")).with_offset(offset)
}

/// Where a node begins, without the blanks and comments before it.
pub(super) fn start(node: &impl CstNode) -> usize {
    node.syntax().text_range().start().into()
}
