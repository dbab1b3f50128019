//! `${VAR}` and `${VAR:-default}` in connection fields and parameters, over a given map: never the environment itself.
//!
//! Substitution works on parsed values, so that a value cannot change the structure of a file.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::escape;
use crate::{Code, Problem};

/// What became of a value.
#[derive(Debug, Default)]
pub struct Substituted {
    /// JSON Pointers of the scalars that were wholly one substitution: they take the type their field wants.
    pub whole: BTreeSet<String>,
    /// Names of the variables that were used, with whether they had a value (as opposed to a default).
    pub variables: BTreeSet<(String, bool)>,
    /// Variables without a value and without a default.
    pub problems: Vec<Problem>,
}

/// Replaces every `${NAME}` in the strings of `value`. An empty variable counts as unset. `$${` stays as `${`.
///
/// Names of the form `NAME` (letters, digits, `_`, `.`) are looked up; anything else after `${` is a problem.
pub fn substitute(value: &mut Value, lookup: &dyn Fn(&str) -> Option<String>) -> Substituted {
    let mut result = Substituted::default();
    walk(value, String::new(), lookup, &mut result);
    result
}

fn walk(value: &mut Value, pointer: String, lookup: &dyn Fn(&str) -> Option<String>, result: &mut Substituted) {
    match value {
        Value::String(text) if text.contains("${") => {
            let (replaced, whole) = replace(text, &pointer, lookup, result);
            if whole {
                result.whole.insert(pointer);
            }
            *text = replaced;
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, format!("{pointer}/{index}"), lookup, result);
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                walk(item, format!("{pointer}/{}", escape(key)), lookup, result);
            }
        }
        _ => {}
    }
}

fn replace(
    text: &str,
    pointer: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    result: &mut Substituted,
) -> (String, bool) {
    let mut output = String::with_capacity(text.len());
    let mut whole = false;
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = rest.split_at(start);
        if let Some(literal) = before.strip_suffix('$') {
            output.push_str(literal);
            output.push_str("${");
            rest = &after[2..];
            continue;
        }
        output.push_str(before);
        let Some(end) = after.find('}') else {
            result.problems.push(
                Problem::error(pointer, "`${` without a closing `}`").with_hint("write `$${` for a literal `${`"),
            );
            output.push_str(after);
            return (output, false);
        };
        let expression = &after[2..end];
        rest = &after[end + 1..];
        let (name, default) = match expression.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (expression, None),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')) {
            result.problems.push(
                Problem::error(pointer, format!("`${{{expression}}}` does not name a variable"))
                    .with_hint("write `${NAME}`, `${NAME:-default}`, or `$${` for a literal `${`"),
            );
            continue;
        }
        let found = lookup(name).filter(|value| !value.is_empty());
        result.variables.insert((name.to_owned(), found.is_some()));
        match found.or_else(|| default.map(str::to_owned)) {
            Some(value) => {
                whole = before.is_empty() && rest.is_empty() && output.is_empty();
                output.push_str(&value);
            }
            None => result.problems.push(
                Problem::error(pointer, format!("`${{{name}}}` has no value"))
                    .with_hint(format!("set {name} in the environment or in .env, or write `${{{name}:-default}}`"))
                    .with_code(Code::VariableNotSet)
                    .of_environment(),
            ),
        }
    }
    output.push_str(rest);
    (output, whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db".to_owned()),
            "PORT" => Some("3307".to_owned()),
            "EMPTY" => Some(String::new()),
            "SNEAKY" => Some("${HOST}: x".to_owned()),
            _ => None,
        }
    }

    fn run(mut value: Value) -> (Value, Substituted) {
        let result = substitute(&mut value, &environment);
        (value, result)
    }

    #[test]
    fn values_and_defaults_are_put_in() {
        let (value, result) = run(json!({"url": "http://${HOST}:${PORT}/${NAME:-x}", "port": "${PORT}"}));
        assert_eq!(value, json!({"url": "http://db:3307/x", "port": "3307"}));
        assert_eq!(result.whole.into_iter().collect::<Vec<_>>(), ["/port"]);
        assert!(result.problems.is_empty());
    }

    #[test]
    fn unset_and_empty_variables_are_named_with_their_field() {
        let (_, result) = run(json!({"a": ["${EMPTY}"], "b": "${NOPE}"}));
        let found: Vec<_> = result.problems.iter().map(|p| (p.pointer.as_str(), p.message.as_str())).collect();
        assert_eq!(found, [("/a/0", "`${EMPTY}` has no value"), ("/b", "`${NOPE}` has no value")]);
    }

    #[test]
    fn a_value_is_not_substituted_again_and_a_doubled_dollar_is_literal() {
        let (value, result) = run(json!(["${SNEAKY}", "$${HOST}", "cost $5"]));
        assert_eq!(value, json!(["${HOST}: x", "${HOST}", "cost $5"]));
        assert!(result.problems.is_empty());
    }

    #[test]
    fn what_is_not_a_name_is_a_problem() {
        let (_, result) = run(json!(["${a b}", "${", "${}"]));
        assert_eq!(result.problems.len(), 3);
    }
}
