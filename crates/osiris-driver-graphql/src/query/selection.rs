//! What an operation selects, in the form of the response: response keys, with fragments expanded.

use apollo_parser::cst::{self, CstNode, OperationDefinition, Selection, SelectionSet};
use osiris_core::Problem;

use super::node::{Fragments, problem_at, start};

/// Arguments that request a part of a list.
const LIMITING: [&str; 9] = ["after", "before", "first", "last", "limit", "pageSize", "perPage", "per_page", "take"];

/// Those of them that give the largest number of items.
const SIZES: [&str; 7] = ["first", "last", "limit", "pageSize", "perPage", "per_page", "take"];

/// The largest number of items that a query requests of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Limit {
    Items(u64),
    /// The value of a variable.
    Variable(String),
}

/// A field of the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selected {
    /// Its name in the response: the alias, if there is one.
    pub(crate) key: String,
    /// Its name in the server's schema.
    pub(crate) field: String,
    /// Whether only a part of its list is requested.
    pub(crate) limited: bool,
    /// How many items are requested, if the query says so.
    pub(crate) limit: Option<Limit>,
    /// What is selected of it; nothing for a scalar.
    pub(crate) inside: Vec<Selected>,
}

impl Selected {
    /// The field of the response that `names` lead to.
    pub(crate) fn at<'a>(selected: &'a [Self], names: &[String]) -> Option<&'a Self> {
        let (first, rest) = names.split_first()?;
        let found = selected.iter().find(|field| field.key == *first)?;
        if rest.is_empty() { Some(found) } else { Self::at(&found.inside, rest) }
    }

    /// The field inside of this one that the server calls `name`.
    pub(crate) fn inner(&self, name: &str) -> Option<&Self> {
        self.inside.iter().find(|field| field.field == name)
    }
}

/// What an operation selects. Fragments that are not defined, or contain themselves, are problems.
pub(super) fn of(
    text: &str,
    operation: &OperationDefinition,
    fragments: &Fragments,
    problems: &mut Vec<Problem>,
) -> Vec<Selected> {
    let mut walk = Walk { text, fragments, problems, within: Vec::new() };
    let mut selected = Vec::new();
    if let Some(set) = operation.selection_set() {
        walk.set(&set, &mut selected);
    }
    selected
}

struct Walk<'a> {
    text: &'a str,
    fragments: &'a Fragments,
    problems: &'a mut Vec<Problem>,
    /// The fragments that are being expanded.
    within: Vec<String>,
}

impl Walk<'_> {
    fn set(&mut self, set: &SelectionSet, selected: &mut Vec<Selected>) {
        for selection in set.selections() {
            match selection {
                Selection::Field(field) => self.field(&field, selected),
                Selection::InlineFragment(fragment) => {
                    if let Some(set) = fragment.selection_set() {
                        self.set(&set, selected);
                    }
                }
                Selection::FragmentSpread(spread) => self.spread(&spread, selected),
            }
        }
    }

    fn field(&mut self, field: &cst::Field, selected: &mut Vec<Selected>) {
        let Some(name) = field.name().map(|name| name.text().to_string()) else { return };
        let alias = field.alias().and_then(|alias| alias.name()).map(|name| name.text().to_string());
        let key = alias.unwrap_or_else(|| name.clone());
        let arguments = field.arguments().into_iter().flat_map(|arguments| arguments.arguments());
        let arguments: Vec<(String, cst::Argument)> =
            arguments.filter_map(|argument| Some((argument.name()?.text().to_string(), argument))).collect();
        let limited = arguments.iter().any(|(name, _)| LIMITING.contains(&name.as_str()));
        let sizes = arguments.iter().filter(|(name, _)| SIZES.contains(&name.as_str()));
        let limit = sizes.filter_map(|(_, argument)| limit(argument)).next();
        // A field that is selected twice occurs once, with what both select.
        let index = selected.iter().position(|other| other.key == key).unwrap_or_else(|| {
            selected.push(Selected { key, field: name, limited, limit, inside: Vec::new() });
            selected.len() - 1
        });
        if let Some(set) = field.selection_set() {
            let mut inside = std::mem::take(&mut selected[index].inside);
            self.set(&set, &mut inside);
            selected[index].inside = inside;
        }
    }

    fn spread(&mut self, spread: &cst::FragmentSpread, selected: &mut Vec<Selected>) {
        let Some(name) = spread.fragment_name().and_then(|name| name.name()) else { return };
        let (offset, name) = (start(&name), name.text().to_string());
        let Some(fragment) = self.fragments.get(&name) else {
            self.problems.push(problem_at(self.text, offset, format!("the fragment `{name}` is not defined")));
            return;
        };
        if self.within.contains(&name) {
            let message = format!("the fragment `{name}` contains itself");
            self.problems.push(problem_at(self.text, offset, message));
            return;
        }
        if let Some(set) = fragment.selection_set() {
            self.within.push(name);
            self.set(&set, selected);
            self.within.pop();
        }
    }
}

fn limit(argument: &cst::Argument) -> Option<Limit> {
    match argument.value()? {
        cst::Value::Variable(variable) => Some(Limit::Variable(variable.name()?.text().to_string())),
        value => value.syntax().text().to_string().trim().parse().ok().map(Limit::Items),
    }
}

/// The variables used anywhere below a node.
pub(super) fn variables(node: &apollo_parser::SyntaxNode) -> impl Iterator<Item = cst::Variable> {
    node.descendants().filter_map(cst::Variable::cast)
}

/// The fragments spread anywhere below a node.
pub(super) fn spreads(node: &apollo_parser::SyntaxNode) -> impl Iterator<Item = String> {
    node.descendants()
        .filter_map(cst::FragmentSpread::cast)
        .filter_map(|spread| Some(spread.fragment_name()?.name()?.text().to_string()))
}
