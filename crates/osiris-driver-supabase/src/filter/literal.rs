//! Converts configuration values to text that PostgreSQL parses.

use serde_json::Value;

/// A list as a PostgreSQL array: `{"a",NULL,{"b"}}`.
pub(super) fn array(values: &[Value]) -> String {
    let items: Vec<String> = values
        .iter()
        .map(|value| match value {
            Value::Null => "NULL".to_owned(),
            Value::Array(inner) => array(inner),
            other => super::name::quote_text(&scalar(other)),
        })
        .collect();
    format!("{{{}}}", items.join(","))
}

/// A value as text that PostgreSQL parses.
pub(super) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
