//! The files that a copy stands for, as text. JSON is YAML: values are written as JSON, the structure in lines.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use crate::model::OML_VERSION;

/// The pipeline file.
pub(super) fn pipeline(name: &str, steps_: &[Value]) -> String {
    format!("{}{}", head(name), steps(steps_))
}

/// What comes before its steps.
pub(super) fn head(name: &str) -> String {
    format!("oml_version: \"{OML_VERSION}\"\nname: {name}\nsteps:\n")
}

/// Its steps.
pub(super) fn steps(steps: &[Value]) -> String {
    let mut text = String::new();
    for step in steps {
        for (index, (name, value)) in step.as_object().into_iter().flatten().enumerate() {
            let indent = if index == 0 { "  - " } else { "    " };
            match value {
                Value::Object(fields) => {
                    let _ = writeln!(text, "{indent}{name}:");
                    for (name, value) in fields {
                        let _ = writeln!(text, "      {name}: {value}");
                    }
                }
                Value::String(word) if name != "config" => {
                    let _ = writeln!(text, "{indent}{name}: {word}");
                }
                Value::Array(words) => {
                    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                    let _ = writeln!(text, "{indent}{name}: [{}]", words.join(", "));
                }
                _ => {
                    let _ = writeln!(text, "{indent}{name}: {value}");
                }
            }
        }
    }
    text
}

/// The connections of the addresses, as a connections file; none where there are none. As they may be `shown`, or as they are.
pub(super) fn connections(endpoints: &[Endpoint], shown: bool) -> Option<Value> {
    let mut families = Map::new();
    for endpoint in endpoints {
        let Some(fields) = (if shown { &endpoint.shown } else { &endpoint.connection }) else { continue };
        let family = families.entry(endpoint.family).or_insert_with(|| json!({}));
        family[endpoint.alias()] = Value::Object(fields.clone());
    }
    (!families.is_empty()).then(|| json!({"version": 1, "connections": families}))
}

/// The same as a comment for people.
pub(super) fn comment(file: &Value) -> String {
    let mut text = "# osiris_connections.yaml:\n#   connections:\n".to_owned();
    for (family, aliases) in file["connections"].as_object().into_iter().flatten() {
        let _ = writeln!(text, "#     {family}:");
        for (alias, fields) in aliases.as_object().into_iter().flatten() {
            let _ = writeln!(text, "#       {alias}:");
            for (name, value) in fields.as_object().into_iter().flatten() {
                let _ = writeln!(text, "#         {name}: {value}");
            }
        }
    }
    text
}
