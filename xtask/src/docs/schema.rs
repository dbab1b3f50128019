//! A JSON Schema as the rows of a table for people.

use serde_json::Value;

/// One field, nested ones with their path.
pub(crate) struct Field {
    name: String,
    aliases: Vec<String>,
    kind: String,
    default: String,
    about: String,
}

/// The fields of an object's schema, nested objects after the field that holds them.
pub(crate) fn fields(schema: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    collect(schema, "", &mut fields);
    fields
}

fn collect(schema: &Value, prefix: &str, fields: &mut Vec<Field>) {
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|other| other == name));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        fields.push(Field {
            name: format!("{prefix}{name}"),
            aliases: field["x-aliases"].as_array().into_iter().flatten().map(plain).collect(),
            kind: kind(field),
            default: if required(name) { "required".to_owned() } else { default(field) },
            about: about(field),
        });
        collect(field, &format!("{prefix}{name}."), fields);
        collect(&field["items"], &format!("{prefix}{name}[]."), fields);
        for alternative in alternatives(field) {
            collect(alternative, &format!("{prefix}{name}."), fields);
            collect(&alternative["items"], &format!("{prefix}{name}[]."), fields);
        }
    }
}

/// The table; a sentence when there are no fields.
pub(crate) fn table(fields: &[Field]) -> String {
    if fields.is_empty() {
        return "No fields.\n".to_owned();
    }
    let mut text = "| field | type | default | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    for field in fields {
        let aliases: String = field.aliases.iter().map(|alias| format!(" [`{alias}`]")).collect();
        let cells =
            [format!("`{}`{aliases}", field.name), field.kind.clone(), field.default.clone(), field.about.clone()];
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', r"\|")).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The type in the words of the error messages, or the values where these are few.
fn kind(schema: &Value) -> String {
    if schema["writeOnly"] == true {
        return "secret".to_owned();
    }
    if let Some(value) = schema.get("const") {
        return format!("`{}`", plain(value));
    }
    if let Some(values) = schema["enum"].as_array() {
        let values = values.iter().filter(|value| !value.is_null()).map(|value| format!("`{}`", plain(value)));
        return values.collect::<Vec<_>>().join(" | ");
    }
    let mut kinds: Vec<String> = match &schema["type"] {
        Value::String(one) => vec![named(one, schema)],
        Value::Array(many) => {
            many.iter().filter_map(Value::as_str).filter(|one| *one != "null").map(|one| named(one, schema)).collect()
        }
        _ => Vec::new(),
    };
    if kinds.is_empty() {
        kinds = alternatives(schema).filter(|one| one["type"] != "null").map(kind).collect();
    }
    let mut seen: Vec<String> = Vec::new();
    for kind in kinds {
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    if seen.is_empty() { "any".to_owned() } else { seen.join(" | ") }
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

fn default(schema: &Value) -> String {
    match schema.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(value) => format!("`{}`", plain(value)),
    }
}

/// The description in one line, with what each of the listed values means.
fn about(schema: &Value) -> String {
    let one_line = |value: &Value| value.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = one_line(&schema["description"]);
    for alternative in alternatives(schema) {
        let meaning = one_line(&alternative["description"]);
        if let (Some(value), false) = (alternative.get("const"), meaning.is_empty()) {
            text.push_str(&format!("{}`{}`: {meaning}", if text.is_empty() { "" } else { " " }, plain(value)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_defaults_aliases_and_nested_fields_are_shown() {
        let schema = json!({
            "required": ["path"],
            "properties": {
                "path": {"type": "string", "description": "Where\nit is."},
                "rows": {"type": ["integer", "null"], "minimum": 1, "default": 5, "x-aliases": ["n"]},
                "mode": {"default": "a", "oneOf": [{"const": "a", "description": "One."}, {"const": "b"}]},
                "names": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
                "checks": {"type": "array", "items": {"type": "object", "properties": {"sql": {"type": "string"}}}},
                "key": {"type": "string", "writeOnly": true},
                "left": {"enum": ["x", "y", null]},
            },
        });
        let expected = "\
| field | type | default | meaning |
| --- | --- | --- | --- |
| `path` | text | required | Where it is. |
| `rows` [`n`] | whole number, 1 or more | `5` |  |
| `mode` | `a` \\| `b` | `a` | `a`: One. |
| `names` | list of text |  |  |
| `checks` | list of mapping |  |  |
| `checks[].sql` | text |  |  |
| `key` | secret |  |  |
| `left` | `x` \\| `y` |  |  |
";
        assert_eq!(table(&fields(&schema)), expected);
    }
}
