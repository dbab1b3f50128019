//! The one parse of a value against its schema and into its type.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Problem;
use crate::config::{ConfigSchema, unescape};

/// A value by the names of its schema, its problems, and what it is if none of them is an error.
pub(super) struct Parsed<T> {
    pub(super) problems: Vec<Problem>,
    pub(super) value: Option<T>,
    pub(super) fields: Value,
}

impl<T: DeserializeOwned> Parsed<T> {
    /// Checks `value` against its schema, deserializes it if it fits, and lets `validate` look at the result. Fields that
    /// are wrong do not hide the other problems: without them the rest is what its author means, as long as they may be
    /// left out. What is then found about such a field is not reported: its author has given it.
    pub(super) fn of(value: &Value, schema: &ConfigSchema, validate: impl FnOnce(&T) -> Vec<Problem>) -> Self {
        let mut fields = value.clone();
        let mut problems = fields.as_object_mut().map(|map| schema.rename_aliases(map)).unwrap_or_default();
        schema.drop_nulls(&mut fields);
        problems.extend(schema.violations(&fields));
        problems.extend(schema.without_effect(&fields));
        let Some((rest, left_out)) = without_wrong(&fields, &problems, schema) else {
            return Self { problems, value: None, fields };
        };
        let parsed = ConfigSchema::parse(&rest);
        let (parsed, found) = match parsed {
            Ok(value) => {
                let found = validate(&value);
                (Some(value), found)
            }
            Err(problem) => (None, vec![problem]),
        };
        problems.extend(found.into_iter().filter(|problem| !left_out.iter().any(|field| is_about(problem, field))));
        let value = parsed.filter(|_| !has_errors(&problems));
        Self { problems, value, fields }
    }
}

/// The value without the fields that nobody knows and those whose value is wrong, and the names of the latter. None where
/// what is wrong cannot be left out: the whole value, or a required field.
fn without_wrong(fields: &Value, problems: &[Problem], schema: &ConfigSchema) -> Option<(Value, BTreeSet<String>)> {
    let required: Vec<&str> =
        schema.json()["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (mut rest, mut left_out) = (fields.clone(), BTreeSet::new());
    let errors = || problems.iter().filter(|problem| problem.is_error());
    for problem in errors().filter(|problem| problem.of_name) {
        let Some((parent, name)) = problem.pointer.rsplit_once('/') else { continue };
        if let Some(object) = rest.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.remove(&unescape(name));
        }
    }
    for problem in errors().filter(|problem| !problem.of_name) {
        let field = unescape(problem.pointer.split('/').nth(1)?);
        if required.contains(&field.as_str()) {
            return None;
        }
        // A second name of a field is gone already.
        if rest.as_object_mut().is_some_and(|object| object.remove(&field).is_some()) {
            left_out.insert(field);
        }
    }
    Some((rest, left_out))
}

/// Whether a problem is about a field: it stands there, or names the field.
fn is_about(problem: &Problem, field: &str) -> bool {
    let stands_there = problem.pointer.split('/').nth(1).is_some_and(|name| unescape(name) == field);
    let names = |text: &str| {
        text.match_indices(&format!("`{field}")).any(|(at, found)| {
            text[at + found.len()..].chars().next().is_none_or(|next| !next.is_alphanumeric() && next != '_')
        })
    };
    stands_there || names(&problem.message) || problem.hint.as_deref().is_some_and(names)
}

fn has_errors(problems: &[Problem]) -> bool {
    problems.iter().any(Problem::is_error)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[schemars(extend("x-aliases" = ["name"]))]
        table: String,
        #[serde(default)]
        upsert: bool,
        key: Option<String>,
        #[expect(dead_code, reason = "its type matters")]
        batch_size: Option<u32>,
    }

    fn validate(config: &Config) -> Vec<Problem> {
        let mut problems = Vec::new();
        if config.upsert && config.key.is_none() {
            problems.push(Problem::error("", "`upsert` needs a key").with_hint("set `key`"));
        }
        if config.table.is_empty() {
            problems.push(Problem::error("/table", "must have a name"));
        }
        problems
    }

    fn problems(config: Value) -> Vec<String> {
        let parsed = Parsed::of(&config, &ConfigSchema::of::<Config>(), validate);
        assert_eq!(parsed.value.is_some(), parsed.problems.is_empty(), "{config}");
        parsed.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_with_a_field_does_not_hide_what_is_wrong_with_the_others() {
        let missing = "`upsert` needs a key (set `key`)";
        assert_eq!(problems(json!({"table": "t", "upsert": true})), [missing]);
        for (wrong, said) in [
            (json!({"batch_size": "x"}), "batch_size: expected a whole number, found a string"),
            (json!({"bogus": 1}), "bogus: unknown field `bogus`"),
            (json!({"name": "u"}), "name: `name` and `table` are the same field"),
        ] {
            let mut config = json!({"table": "t", "upsert": true});
            config.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            let found = problems(config.clone());
            assert_eq!(found.len(), 2, "{config}: {found:?}");
            assert!(found[0].starts_with(said) && found[1] == missing, "{config}: {found:?}");
        }
        let all = json!({"table": "", "upsert": true, "batch_size": -1, "bogus": 1});
        assert_eq!(problems(all).len(), 4);
    }

    #[test]
    fn a_field_that_is_given_and_wrong_is_not_reported_as_missing_too() {
        let found = problems(json!({"table": "t", "upsert": true, "key": 5}));
        assert_eq!(found, ["key: expected a string, found `5`"]);
        let found = problems(json!({"table": "t", "upsert": "yes", "batch_size": "x"}));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_required_field_that_is_missing_or_wrong_is_reported_once() {
        for config in [json!({"upsert": true}), json!({"table": 5, "upsert": true})] {
            assert_eq!(problems(config.clone()).len(), 1, "{config}");
        }
        assert_eq!(problems(json!([])).len(), 1);
    }

    /// What a connection says of all its contradictions in one text.
    #[test]
    fn a_type_that_refuses_the_rest_is_reported_beside_the_wrong_field() {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(try_from = "Config")]
        #[schemars(with = "Config")]
        struct Checked;
        impl TryFrom<Config> for Checked {
            type Error = String;
            fn try_from(config: Config) -> Result<Self, String> {
                let problems = validate(&config);
                problems.first().map_or(Ok(Self), |problem| Err(problem.message.clone()))
            }
        }
        let of = |value: Value| {
            let parsed = Parsed::<Checked>::of(&value, &ConfigSchema::of::<Checked>(), |_| Vec::new());
            parsed.problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>()
        };
        let found = of(json!({"table": "t", "upsert": true, "batch_size": "x"}));
        assert_eq!(found, ["expected a whole number, found a string", "`upsert` needs a key"]);
    }
}
