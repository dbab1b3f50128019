//! The query, parsed before anything is sent: its syntax, the operation that will run, the variables it declares, what
//! it selects. What needs the server's schema is left to the server.

mod data_path;
mod names;
mod node;
mod selection;
mod variables;

pub(crate) use data_path::{DataPath, Found};
pub(crate) use names::leading_names;
pub(crate) use selection::{Effect, Given, Selected};
pub(crate) use variables::{Declared, value_problems};

use apollo_parser::cst::{Definition, Document, OperationDefinition};
use apollo_parser::{Parser, SyntaxTree};
use osiris_core::Problem;
use osiris_core::problem::nearest;

use node::{Fragments, problem_at, start};

/// How many syntax errors are shown: the first one is often the cause of the others.
const MAX_ERRORS: usize = 3;

/// An operation that may run.
#[derive(Debug)]
pub(crate) struct Query {
    /// Its name, where it has one.
    pub(crate) name: Option<String>,
    /// The variables it declares, in order.
    pub(crate) variables: Vec<Declared>,
    /// What it selects, fragments put in.
    pub(crate) selected: Vec<Selected>,
}

impl Query {
    /// Reads `text` and finds the operation called `name`, or the only one.
    ///
    /// # Errors
    /// Everything that is wrong with it, with positions in the text.
    pub(crate) fn parse(text: &str, name: Option<&str>) -> Result<Self, Vec<Problem>> {
        let tree = Parser::new(text).recursion_limit(200).parse();
        syntax(text, &tree)?;
        let document = tree.document();
        let fragments = fragments(&document);
        let operation = operation(text, &document, name)?;
        let variables = Declared::all(&operation);
        let used = variables::used(&operation, &fragments);
        let mut problems = variables::problems(text, &variables, &used);
        let selected = selection::of(text, &operation, &fragments, &mut problems);
        problems.retain(Problem::is_error);
        if !problems.is_empty() {
            return Err(problems);
        }
        let name = operation.name().map(|name| name.text().to_string());
        let variables = variables.into_iter().map(|declared| declared.with_use(&used)).collect();
        Ok(Self { name, variables, selected })
    }

    /// A value that it gives, where `given` are the values of its variables: that of a variable, or its default.
    pub(crate) fn value(&self, value: &Given, given: &serde_json::Map<String, serde_json::Value>) -> Given {
        let Given::Variable(name) = value else { return value.clone() };
        let default = || self.variable(name).and_then(|variable| variable.default.clone()).unwrap_or(Given::Null);
        given.get(name).map_or_else(default, Given::of_json)
    }

    /// The variable of this name.
    pub(crate) fn variable(&self, name: &str) -> Option<&Declared> {
        self.variables.iter().find(|declared| declared.name == name)
    }
}

fn syntax(text: &str, tree: &SyntaxTree<Document>) -> Result<(), Vec<Problem>> {
    let mut problems: Vec<Problem> =
        tree.errors().map(|error| problem_at(text, error.index(), in_words(error.message()))).collect();
    problems.dedup();
    problems.truncate(MAX_ERRORS);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A message of the parser, with the characters of a query instead of the names of tokens.
fn in_words(message: &str) -> String {
    let tokens = [
        ("L_CURLY", "`{`"),
        ("R_CURLY", "`}`"),
        ("L_PAREN", "`(`"),
        ("R_PAREN", "`)`"),
        ("L_BRACK", "`[`"),
        ("R_BRACK", "`]`"),
        ("got EOF", "found the end of the query"),
    ];
    tokens.iter().fold(message.to_owned(), |message, (token, words)| message.replace(token, words))
}

fn fragments(document: &Document) -> Fragments {
    let fragments = document.definitions().filter_map(|definition| match definition {
        Definition::FragmentDefinition(fragment) => {
            Some((fragment.fragment_name()?.name()?.text().to_string(), fragment))
        }
        _ => None,
    });
    fragments.collect()
}

/// The operation to run. All operations of the document must be queries.
fn operation(text: &str, document: &Document, wanted: Option<&str>) -> Result<OperationDefinition, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut operations = Vec::new();
    for definition in document.definitions() {
        match definition {
            Definition::OperationDefinition(operation) => {
                problems.extend(refusal(text, &operation));
                operations.push(operation);
            }
            Definition::FragmentDefinition(_) => {}
            other => problems.push(problem_at(text, start(&other), "expected a query, found a type definition")),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    choose(operations, wanted).map_err(|problem| vec![problem])
}

/// Only queries are run: this component reads.
fn refusal(text: &str, operation: &OperationDefinition) -> Option<Problem> {
    let kind = operation.operation_type()?;
    let word = if kind.mutation_token().is_some() {
        "mutation"
    } else if kind.subscription_token().is_some() {
        "subscription"
    } else {
        return None;
    };
    let problem = problem_at(text, start(operation), format!("a {word} is not allowed: an extractor only reads"));
    Some(problem.with_hint("write a `query`"))
}

fn choose(mut operations: Vec<OperationDefinition>, wanted: Option<&str>) -> Result<OperationDefinition, Problem> {
    let names: Vec<String> = operations
        .iter()
        .map(|operation| operation.name().map_or_else(|| "(without a name)".to_owned(), |name| name.text().to_string()))
        .collect();
    let Some(wanted) = wanted else {
        return match operations.len() {
            1 => Ok(operations.remove(0)),
            0 => Err(Problem::error("/query", "the query has no operation").with_hint("write `query { ... }`")),
            _ => Err(Problem::error("/operation_name", "missing: the query has several operations")
                .with_hint(format!("expected one of: {}", names.join(", ")))),
        };
    };
    match names.iter().position(|name| name == wanted) {
        Some(index) => Ok(operations.remove(index)),
        None => {
            let problem = Problem::error("/operation_name", format!("the query has no operation `{wanted}`"));
            Err(match nearest(wanted, names.iter().map(String::as_str)) {
                Some(similar) => problem.with_hint(format!("did you mean `{similar}`?")),
                None => problem.with_hint(format!("it has: {}", names.join(", "))),
            })
        }
    }
}

#[cfg(test)]
mod tests;
