//! The names under which the SQL of a processor can use its inputs.

use osiris_core::problem::nearest;
use osiris_core::store::{TableName, quote};
use osiris_core::{Code, Inputs, Problem, safe_name};

/// The names of a list of inputs given as step ids and keys, in order of precedence.
pub(crate) fn names_of(step: &str, key: Option<&str>, only_input: bool) -> Vec<String> {
    let mut names = vec![step.to_owned(), safe_name(step)];
    names.extend(key.map(str::to_owned));
    names.push(format!("df_{step}"));
    let safe = safe_name(step);
    if safe.starts_with(|first: char| first.is_ascii_digit()) {
        // Older versions put a `_` before such a name.
        names.push(format!("df__{safe}"));
    }
    names.push(format!("df_{safe}"));
    if only_input {
        names.extend(["input".to_owned(), "input_df".to_owned()]);
    }
    names
}

/// Every name and the table it refers to. If two inputs claim a name, the first one gets it: ids come before
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

/// Creates temporary views, one for each name.
pub(crate) fn views(tables: &[(String, String)]) -> String {
    tables.iter().map(|(name, table)| format!("CREATE TEMP VIEW {} AS FROM {table};", quote(name))).collect()
}

/// The tables that the SQL of a step may use.
pub(crate) struct KnownTables {
    /// Without a schema.
    names: Vec<String>,
    /// As `steps.<name>`: ids and their safe names. That schema has nothing else under the name of an input.
    steps: Vec<String>,
    /// The names that messages suggest.
    shown: Vec<String>,
}

impl KnownTables {
    /// Before a run: `inputs` are step ids and keys, which look the same. The aliases of one input are allowed, since
    /// there may be only one.
    pub(crate) fn planned(inputs: &[&str]) -> Self {
        let names = inputs.iter().flat_map(|name| names_of(name, None, true)).collect();
        Self { names, steps: steps(inputs.iter().copied()), shown: shown(inputs) }
    }

    /// In a run.
    pub(crate) fn of(inputs: &Inputs) -> Self {
        let ids: Vec<&str> = inputs.iter().map(|input| input.table.step()).collect();
        let names = tables(inputs).into_iter().map(|(name, _)| name).collect();
        let keys = inputs.iter().filter_map(|input| input.key.as_deref());
        Self {
            names,
            steps: steps(ids.iter().copied()),
            shown: shown(&ids.iter().copied().chain(keys).collect::<Vec<_>>()),
        }
    }

    /// Adds the result of `step`, which assertions can use.
    pub(crate) fn with_result(mut self, step: &str) -> Self {
        self.names.extend([step.to_owned(), safe_name(step), "result".to_owned()]);
        self.steps.extend(steps(std::iter::once(step)));
        self
    }

    fn has(&self, table: &TableName) -> bool {
        let among = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case(&table.name));
        match table.schema.as_deref() {
            None => among(&self.names),
            Some(schema) if schema.eq_ignore_ascii_case("steps") => among(&self.steps),
            Some(_) => false,
        }
    }

    /// A problem of the field at `pointer` for each unknown name of `tables`.
    pub(crate) fn unknown(&self, tables: &[TableName], pointer: &str) -> Vec<Problem> {
        tables.iter().filter(|table| !self.has(table)).map(|table| self.problem(table, pointer)).collect()
    }

    fn problem(&self, table: &TableName, pointer: &str) -> Problem {
        let name = match &table.schema {
            Some(schema) => format!("{schema}.{}", table.name),
            None => table.name.clone(),
        };
        let problem = Problem::error(pointer, format!("there is no table `{name}`")).with_code(Code::TableNotFound);
        let problem = table.offset.into_iter().fold(problem, |problem, offset| problem.with_offset(offset));
        let shown = self.shown.join(", ");
        problem.with_hint(match nearest(&table.name, self.shown.iter().map(String::as_str)) {
            Some(similar) => format!("did you mean `{similar}`? Tables: {shown}"),
            None if self.shown.is_empty() => "this step has no inputs: add `needs`".to_owned(),
            None => format!("tables: {shown}; add the step to `needs` to read from another"),
        })
    }
}

fn steps<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    ids.flat_map(|id| [id.to_owned(), safe_name(id)]).collect()
}

fn shown(names: &[&str]) -> Vec<String> {
    let mut shown: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    shown.sort_unstable();
    shown.dedup();
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g42_an_id_that_begins_with_a_digit_has_the_alias_of_the_original_too() {
        let names = names_of("123_records", None, true);
        assert!(names.contains(&"df__123_records".to_owned()) && names.contains(&"df_123_records".to_owned()));
        assert!(!names_of("records", None, true).contains(&"df__records".to_owned()));
    }
}
