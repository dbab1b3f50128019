//! The names by which a processor's SQL knows its inputs.

use osiris_core::problem::nearest;
use osiris_core::store::{SqlScript, TableName, quote};
use osiris_core::{Inputs, Problem, safe_name};

/// The names of a list of inputs given as step ids and keys, in order of precedence.
pub(crate) fn names_of(step: &str, key: Option<&str>, only_input: bool) -> Vec<String> {
    let mut names = vec![step.to_owned(), safe_name(step)];
    names.extend(key.map(str::to_owned));
    names.push(format!("df_{step}"));
    names.push(format!("df_{}", safe_name(step)));
    if only_input {
        names.extend(["input".to_owned(), "input_df".to_owned()]);
    }
    names
}

/// Every name and the table of the store it stands for. A name that two inputs claim is the first one's: ids come before
/// keys, keys before the aliases of old pipelines.
pub(crate) fn tables(inputs: &Inputs) -> Vec<(String, String)> {
    let only = inputs.len() == 1;
    let mut tables: Vec<(String, String)> = Vec::new();
    let claims: Vec<Vec<String>> =
        inputs.iter().map(|input| names_of(input.table.step(), input.key.as_deref(), only)).collect();
    let longest = claims.iter().map(Vec::len).max().unwrap_or(0);
    for rank in 0..longest {
        for (input, names) in inputs.iter().zip(&claims) {
            if let Some(name) = names.get(rank)
                && !tables.iter().any(|(taken, _)| taken.eq_ignore_ascii_case(name))
            {
                tables.push((name.clone(), input.table.sql()));
            }
        }
    }
    tables
}

/// Temporary views, one for each name.
pub(crate) fn views(tables: &[(String, String)]) -> String {
    tables.iter().map(|(name, table)| format!("CREATE TEMP VIEW {} AS FROM {table};", quote(name))).collect()
}

/// Tables that the SQL names and that are no input. `inputs` are step ids and keys.
pub(crate) fn unknown_tables(script: &SqlScript, inputs: &[&str]) -> Vec<Problem> {
    // Keys and ids cannot be told apart here: each counts as a step, and the aliases of one input are allowed when there
    // may be only one.
    let known: Vec<String> = inputs.iter().flat_map(|name| names_of(name, None, true)).collect();
    script.tables().iter().filter(|table| !is_known(table, &known)).map(|table| unknown(table, inputs)).collect()
}

fn is_known(table: &TableName, known: &[String]) -> bool {
    let ours = table.schema.as_deref().is_none_or(|schema| schema == "steps");
    ours && known.iter().any(|name| name.eq_ignore_ascii_case(&table.name))
        || table.schema.as_deref().is_some_and(|schema| schema.eq_ignore_ascii_case("information_schema"))
}

fn unknown(table: &TableName, inputs: &[&str]) -> Problem {
    let mut present: Vec<&str> = inputs.to_vec();
    present.sort_unstable();
    present.dedup();
    let problem = Problem::error("/query", format!("there is no table `{}`", table.name));
    let problem = table.offset.into_iter().fold(problem, |problem, offset| problem.with_offset(offset));
    problem.with_hint(match nearest(&table.name, present.iter().copied()) {
        Some(similar) => format!("did you mean `{similar}`? Tables: {}", present.join(", ")),
        None if present.is_empty() => "this step reads from no step: add `needs`".to_owned(),
        None => format!("tables: {}; add the step to `needs` to read from another", present.join(", ")),
    })
}
