//! The fields of a JSON Schema, flat, in the words of the error messages.

use serde_json::Value;

/// One field of a configuration or connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldReference {
    /// Its name; a nested one with its path, such as `cursor.column` or `assertions[].name`.
    pub path: String,
    /// Other names it is known by.
    pub aliases: Vec<String>,
    /// Its type, or the values where these are few.
    pub kind: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it is when it is not given, where the schema says.
    pub default: Option<String>,
    /// What it means, in one line.
    pub about: String,
    /// The values it may have, where these are few, with what each means.
    pub values: Vec<(String, String)>,
}

/// The fields of an object's schema, required ones first, nested ones after the field that holds them.
pub(super) fn fields(schema: &Value) -> Vec<FieldReference> {
    let mut found = Vec::new();
    collect(schema, "", &mut found);
    found
}

fn collect(schema: &Value, prefix: &str, found: &mut Vec<FieldReference>) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = || schema["properties"].as_object().into_iter().flatten();
    let (first, rest): (Vec<_>, Vec<_>) = properties().partition(|(name, _)| required.contains(&name.as_str()));
    for (name, field) in first.into_iter().chain(rest) {
        let path = format!("{prefix}{name}");
        if found.iter().any(|known| known.path == path) {
            continue;
        }
        found.push(FieldReference {
            aliases: field["x-aliases"].as_array().into_iter().flatten().map(plain).collect(),
            kind: kind(field),
            required: required.contains(&name.as_str()),
            default: field.get("default").filter(|value| !value.is_null()).map(plain),
            about: one_line(&field["description"]),
            values: values(field),
            path: path.clone(),
        });
        nested(field, &path, found);
    }
}

/// The fields inside a field: of an object, of the items of a list, of the values of a mapping, of any alternative.
fn nested(schema: &Value, path: &str, found: &mut Vec<FieldReference>) {
    collect(schema, &format!("{path}."), found);
    if schema["items"].is_object() {
        nested(&schema["items"], &format!("{path}[]"), found);
    }
    if schema["additionalProperties"].is_object() {
        nested(&schema["additionalProperties"], &format!("{path}.*"), found);
    }
    alternatives(schema).for_each(|alternative| nested(alternative, path, found));
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten()
}

/// The constants of a field with their descriptions, also inside an optional one.
fn values(schema: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for alternative in alternatives(schema) {
        match alternative.get("const") {
            Some(value) => found.push((plain(value), one_line(&alternative["description"]))),
            None => found.extend(values(alternative)),
        }
    }
    found
}

fn kind(schema: &Value) -> String {
    if is_secret(schema) {
        return "secret".to_owned();
    }
    if let Some(value) = schema.get("const") {
        return format!("`{}`", plain(value));
    }
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().filter(|value| !value.is_null()).map(|value| format!("`{}`", plain(value)));
        return values.collect::<Vec<_>>().join(" | ");
    }
    let named_types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect(),
        _ => Vec::new(),
    };
    let mut kinds: Vec<String> = named_types.into_iter().map(|name| named(name, schema)).collect();
    if kinds.is_empty() {
        kinds = alternatives(schema).filter(|one| one["type"] != "null").map(kind).collect();
    }
    let mut seen: Vec<String> = Vec::new();
    kinds.into_iter().for_each(|kind| {
        if !seen.contains(&kind) {
            seen.push(kind)
        }
    });
    if seen.is_empty() { "any value".to_owned() } else { seen.join(" | ") }
}

fn is_secret(schema: &Value) -> bool {
    schema["writeOnly"] == true || alternatives(schema).any(is_secret)
}

fn named(json_type: &str, schema: &Value) -> String {
    match json_type {
        "string" => "text".to_owned(),
        "integer" => format!("whole number{}", range(schema)),
        "number" => format!("number{}", range(schema)),
        "boolean" => "true or false".to_owned(),
        "array" if schema["items"].is_object() => format!("list of {}", kind(&schema["items"])),
        "array" => "list".to_owned(),
        "object" if schema["additionalProperties"].is_object() => {
            format!("mapping to {}", kind(&schema["additionalProperties"]))
        }
        "object" => "mapping".to_owned(),
        other => other.to_owned(),
    }
}

fn range(schema: &Value) -> String {
    match (schema.get("minimum").filter(|minimum| **minimum != 0), schema.get("maximum")) {
        (Some(low), Some(high)) => format!(", {low} to {high}"),
        (Some(low), None) => format!(", {low} or more"),
        (None, Some(high)) => format!(", up to {high}"),
        (None, None) => String::new(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A description without its line breaks.
pub(super) fn one_line(value: &Value) -> String {
    value.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_fields_values_aliases_and_defaults_are_found() {
        let schema = json!({
            "required": ["path"],
            "properties": {
                "rows": {"type": ["integer", "null"], "minimum": 1, "default": 5, "x-aliases": ["n"]},
                "mode": {"default": "a", "oneOf": [{"const": "a", "description": "One\nthing."}, {"const": "b"}]},
                "level": {"anyOf": [{"oneOf": [{"const": 1, "description": "Low."}]}, {"type": "null"}]},
                "names": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
                "checks": {"type": "array", "items": {"type": "object", "properties": {"sql": {"type": "string"}}}},
                "key": {"anyOf": [{"type": "string", "writeOnly": true}, {"type": "null"}]},
                "path": {"type": "string", "description": "Where\nit is."},
                "left": {"enum": ["x", "y", null]},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"z": {}}}},
            },
        });
        let lines: Vec<String> = fields(&schema)
            .iter()
            .map(|field| {
                let default = field.default.as_deref().unwrap_or(if field.required { "!" } else { "-" });
                format!(
                    "{} {:?} ({}) {default} {:?} {:?}",
                    field.path, field.aliases, field.kind, field.about, field.values
                )
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        path [] (text) ! "Where it is." []
        rows ["n"] (whole number, 1 or more) 5 "" []
        mode [] (`a` | `b`) a "" [("a", "One thing."), ("b", "")]
        level [] (`1`) - "" [("1", "Low.")]
        names [] (list of text) - "" []
        checks [] (list of mapping) - "" []
        checks[].sql [] (text) - "" []
        key [] (secret) - "" []
        left [] (`x` | `y`) - "" []
        map [] (mapping to mapping) - "" []
        map.*.z [] (any value) - "" []
        "#);
    }
}
