//! The fields of a component's schema as they may be written in a file: by another name, as a variable or parameter, or
//! as null where they may be absent.

use serde_json::{Map, Value, json};

/// The definitions that schemas of components refer to, under names of their own.
#[derive(Default)]
pub(super) struct Definitions(Map<String, Value>);

impl Definitions {
    /// The fields of the schema `schema` of `owner`, whose definitions are kept.
    pub(super) fn fields(&mut self, owner: &str, schema: &Value) -> Map<String, Value> {
        for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
            self.0.insert(format!("{owner}.{name}"), written(definition, owner));
        }
        let mut fields = Map::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let field = may_be_reference(written(field, owner));
            for alias in field["x-aliases"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                fields.insert(alias.to_owned(), field.clone());
            }
            fields.insert(name.clone(), field);
        }
        fields
    }

    pub(super) fn into_json(self) -> Value {
        Value::Object(self.0)
    }
}

/// A schema that also takes `${...}`, whose value is not known before a run, and null.
pub(super) fn may_be_reference(schema: Value) -> Value {
    let mut outer = Map::new();
    for key in ["description", "default", "x-aliases"] {
        if let Some(value) = schema.get(key) {
            outer.insert(key.to_owned(), value.clone());
        }
    }
    outer.insert("anyOf".to_owned(), json!([schema, {"type": "string", "pattern": "\\$\\{"}, {"type": "null"}]));
    Value::Object(outer)
}

/// A schema as its values may be written, with references into the definitions of `owner`.
fn written(schema: &Value, owner: &str) -> Value {
    match schema {
        Value::Object(keys) => {
            let written = |(key, value): (&String, &Value)| {
                let value = match (key.as_str(), value) {
                    ("$ref", Value::String(path)) => {
                        json!(path.replace("#/$defs/", &format!("#/definitions/components/{owner}.")))
                    }
                    ("properties", Value::Object(fields)) => {
                        let fields =
                            fields.iter().map(|(name, field)| (name.clone(), may_be_reference(written(field, owner))));
                        Value::Object(fields.collect())
                    }
                    ("items" | "additionalProperties", Value::Object(_)) => may_be_reference(written(value, owner)),
                    // What is written there is a value, not a schema.
                    ("const" | "default" | "enum" | "examples", _) => value.clone(),
                    _ => written(value, owner),
                };
                (key.clone(), value)
            };
            Value::Object(keys.iter().map(written).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| written(item, owner)).collect()),
        other => other.clone(),
    }
}
