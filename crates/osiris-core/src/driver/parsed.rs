//! The one parse of a value against its schema and into its type.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Problem;
use crate::config::ConfigSchema;

/// A value by the names of its schema, its problems, and what it is if none of them is an error.
pub(super) struct Parsed<T> {
    pub(super) problems: Vec<Problem>,
    pub(super) value: Option<T>,
    pub(super) fields: Value,
}

impl<T: DeserializeOwned> Parsed<T> {
    /// Checks `value` against its schema, deserializes it if it fits, and lets `validate` look at the result. Fields that nobody knows
    /// do not hide the other problems: without them the value is what its author means.
    pub(super) fn of(value: &Value, schema: &ConfigSchema, validate: impl FnOnce(&T) -> Vec<Problem>) -> Self {
        let mut fields = value.clone();
        let mut problems = fields.as_object_mut().map(|map| schema.rename_aliases(map)).unwrap_or_default();
        schema.drop_nulls(&mut fields);
        problems.extend(schema.violations(&fields));
        problems.extend(schema.without_effect(&fields));
        let mut parsed = None;
        if problems.iter().all(|problem| !problem.is_error() || problem.of_name) {
            match ConfigSchema::parse(&without_unknown(&fields, &problems)) {
                Ok(value) => {
                    problems.extend(validate(&value));
                    parsed = Some(value).filter(|_| !has_errors(&problems));
                }
                Err(problem) => problems.push(problem),
            }
        }
        Self { problems, value: parsed, fields }
    }
}

/// The value without the fields that nobody knows.
fn without_unknown(fields: &Value, problems: &[Problem]) -> Value {
    let mut known = fields.clone();
    for problem in problems.iter().filter(|problem| problem.of_name) {
        let Some((parent, name)) = problem.pointer.rsplit_once('/') else { continue };
        if let Some(object) = known.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.remove(&crate::config::unescape(name));
        }
    }
    known
}

fn has_errors(problems: &[Problem]) -> bool {
    problems.iter().any(Problem::is_error)
}
