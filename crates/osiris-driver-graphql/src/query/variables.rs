//! The variables of an operation: which it declares, which it uses, which must have a value.

use std::collections::BTreeMap;

use apollo_parser::cst::{CstNode, OperationDefinition, Type, Variable};
use osiris_core::Problem;
use serde_json::Value;

use super::node::{Fragments, problem_at, start};
use super::selection::{Given, spreads, variables};

/// A variable that an operation declares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    /// Its name, without `$`.
    pub(crate) name: String,
    /// Its type, as it is written.
    pub(crate) type_name: String,
    /// Whether it must be given: its type ends in `!` and it has no default.
    pub(crate) required: bool,
    /// Its default.
    pub(crate) default: Option<Given>,
    /// Whether the operation uses it.
    pub(crate) used: bool,
    /// Where it is declared, in bytes.
    pub(crate) offset: usize,
}

impl Declared {
    pub(super) fn all(operation: &OperationDefinition) -> Vec<Self> {
        let definitions = operation.variable_definitions().into_iter().flat_map(|all| all.variable_definitions());
        let declared = definitions.filter_map(|definition| {
            let (variable, of) = (definition.variable()?, definition.ty()?);
            let default = definition.default_value();
            Some(Self {
                name: name(&variable)?,
                type_name: of.syntax().text().to_string().trim().to_owned(),
                required: matches!(of, Type::NonNullType(_)) && default.is_none(),
                default: default.and_then(|default| Some(Given::of(&default.value()?))),
                used: true,
                offset: start(&variable),
            })
        });
        declared.collect()
    }

    pub(super) fn with_use(mut self, used: &BTreeMap<String, usize>) -> Self {
        self.used = used.contains_key(&self.name);
        self
    }
}

fn name(variable: &Variable) -> Option<String> {
    Some(variable.name()?.text().to_string())
}

/// The variables that an operation and the fragments it spreads use, each with the position of its first use.
pub(super) fn used(operation: &OperationDefinition, fragments: &Fragments) -> BTreeMap<String, usize> {
    let mut used = BTreeMap::new();
    let mut nodes = vec![operation.selection_set().map(|set| set.syntax().clone())];
    nodes.push(operation.directives().map(|directives| directives.syntax().clone()));
    let mut seen = Vec::new();
    while let Some(node) = nodes.pop() {
        let Some(node) = node else { continue };
        for variable in variables(&node) {
            if let Some(name) = name(&variable) {
                let first = used.entry(name).or_insert(usize::MAX);
                *first = start(&variable).min(*first);
            }
        }
        for spread in spreads(&node) {
            if !seen.contains(&spread) {
                nodes.push(fragments.get(&spread).map(|fragment| fragment.syntax().clone()));
                seen.push(spread);
            }
        }
    }
    used
}

/// Variables that are declared twice, or not at all.
pub(super) fn problems(text: &str, declared: &[Declared], used: &BTreeMap<String, usize>) -> Vec<Problem> {
    let twice = declared
        .iter()
        .enumerate()
        .filter(|(index, variable)| declared[..*index].iter().any(|before| before.name == variable.name));
    let twice = twice.map(|(_, variable)| {
        problem_at(text, variable.offset, format!("the variable `${}` is declared twice", variable.name))
    });
    let unknown = used.iter().filter(|(name, _)| !declared.iter().any(|variable| variable.name == **name));
    let unknown = unknown.map(|(name, offset)| {
        problem_at(text, *offset, format!("the variable `${name}` is not declared"))
            .with_hint(format!("declare it: `query (${name}: String)`"))
    });
    twice.chain(unknown).collect()
}

/// Problems of the values in a configuration. `filled` are the variables that the extractor sets.
pub(crate) fn value_problems(
    text: &str,
    declared: &[Declared],
    values: &serde_json::Map<String, Value>,
    filled: &[&str],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for variable in declared {
        let (name, of) = (variable.name.as_str(), &variable.type_name);
        let given = values.get(name).is_some_and(|value| !value.is_null()) || filled.contains(&name);
        if variable.required && !given {
            let message = match values.get(name) {
                Some(_) => format!("`{name}` is null: the query declares it as `{of}`"),
                None => format!("`{name}` is missing: the query declares `${name}: {of}`"),
            };
            problems.push(
                Problem::error("/variables", message)
                    .with_hint(format!("set `variables: {{{name}: ...}}`, or a default in the query")),
            );
        }
        if !variable.used {
            let message = format!("the variable `${name}` is declared but not used");
            let problem = problem_at(text, variable.offset, message);
            problems.push(Problem { severity: osiris_core::Severity::Warning, ..problem });
        }
    }
    for name in values.keys().filter(|name| !declared.iter().any(|variable| variable.name == **name)) {
        let message = format!("the query declares no variable `${name}`");
        problems.push(Problem::warning("/variables", message).with_hint("declare it, or remove it here"));
    }
    problems
}
