//! Strict configuration: a value against the JSON Schema of its type, every violation reported, then deserialized.

mod aliases;
mod effect;
mod refused;

use std::collections::BTreeSet;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::{KNOWN_FIELDS, nearest};
use crate::{Code, Problem};

/// The schema of one configuration or connection type, compiled once.
pub struct ConfigSchema {
    json: Value,
    validator: Validator,
}

impl ConfigSchema {
    /// The schema of `T`.
    ///
    /// # Panics
    /// When `T`'s schema is invalid, which is a mistake in the driver that its first test shows.
    #[expect(
        clippy::expect_used,
        reason = "a derived schema is valid; the first test of a driver shows one that is not"
    )]
    pub fn of<T: JsonSchema>() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.inline_subschemas = true;
        let json = settings.into_generator().into_root_schema_for::<T>().to_value();
        let validator = jsonschema::validator_for(&json).expect("a derived schema is valid");
        Self { json, validator }
    }

    /// The JSON Schema itself.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The fields, with their schemas, in the order of the schema.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.json["properties"].as_object().into_iter().flatten().map(|(name, schema)| (name.as_str(), schema))
    }

    /// The other names that a field is known by.
    pub fn aliases<'a>(&'a self, field: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.json["properties"][field]["x-aliases"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether `name` is a field or an alias of one; returns the field's name.
    pub fn field_named(&self, name: &str) -> Option<&str> {
        self.fields()
            .map(|(field, _)| field)
            .find(|field| *field == name || self.aliases(field).any(|alias| alias == name))
    }

    /// Whether the field holds a secret: `writeOnly` in its schema, directly or in one of the alternatives.
    pub fn is_secret(&self, name: &str) -> bool {
        self.field_named(name).is_some_and(|field| has_write_only(&self.json["properties"][field]))
    }

    /// Calls `found` with every field of `value` that selects the rows of a step, nested ones by their path: all except
    /// those whose schema has `x-source: false`. Fields that are null or have their default are left out.
    pub(crate) fn source_fields(&self, value: &Value, found: &mut dyn FnMut(&str, &Value)) {
        collect_source(&self.json, value, "", found);
    }

    /// Removes fields that are null: they are as good as absent, where they may be. A field that must be there stays, and so does what
    /// the schema does not name.
    pub fn drop_nulls(&self, value: &mut Value) {
        drop_nulls(&self.json, value);
    }

    /// Converts strings at `pointers` to the type of the field: they consist of a single `${VAR}`, so that YAML could
    /// not tell a number from a string.
    pub fn coerce(&self, value: &mut Value, pointers: &BTreeSet<String>) {
        for pointer in pointers {
            let types = self.types_at(pointer);
            if let Some(slot) = value.pointer_mut(pointer)
                && let Value::String(text) = slot
                && !types.contains("string")
                && let Ok(parsed) = serde_json::from_str::<Value>(&text.to_lowercase())
                && types.contains(json_type(&parsed))
            {
                *slot = parsed;
            }
        }
    }

    fn types_at(&self, pointer: &str) -> BTreeSet<&str> {
        let mut schema = &self.json;
        for segment in pointer.split('/').skip(1) {
            let next = &schema["properties"][unescape(segment).as_str()];
            schema = if next.is_null() { &schema["items"] } else { next };
        }
        let mut types = BTreeSet::new();
        collect_types(schema, &mut types);
        if types.contains("number") {
            types.insert("integer");
        }
        types
    }

    /// Every violation of the schema. Unknown fields suggest the nearest known one.
    pub fn violations(&self, value: &Value) -> Vec<Problem> {
        let mut problems: Vec<Problem> =
            self.validator.iter_errors(value).flat_map(|error| self.explain(&error)).collect();
        // What is neither unknown nor missing is a value.
        problems.iter_mut().for_each(|problem| problem.code = problem.code.or(Some(Code::InvalidValue)));
        problems.sort_by(|a, b| a.pointer.cmp(&b.pointer).then_with(|| a.message.cmp(&b.message)));
        problems.dedup();
        problems
    }

    fn explain(&self, error: &jsonschema::ValidationError<'_>) -> Vec<Problem> {
        let pointer = error.instance_path().to_string();
        let field = pointer.split('/').nth(1).map(unescape);
        // A number that YAML made of a password is no less secret.
        if let Some(field) = field.filter(|field| self.is_secret(field)) {
            let message = match error.kind() {
                ValidationErrorKind::MinLength { .. } => "must not be empty".to_owned(),
                _ => format!("expected {}: put it in quotes", self.wanted(&format!("/{}", escape(&field)))),
            };
            return vec![Problem::error(pointer, message)];
        }
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                unexpected.iter().map(|name| self.unknown(&pointer, name, &error.instance()[name.as_str()])).collect()
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().map_or_else(|| property.to_string(), str::to_owned);
                vec![Problem::error(pointer, format!("missing field `{name}`")).with_code(Code::MissingField)]
            }
            ValidationErrorKind::Type { .. } => {
                vec![Problem::error(
                    pointer.clone(),
                    format!("expected {}, found {}", self.wanted(&pointer), describe(error.instance())),
                )]
            }
            ValidationErrorKind::AnyOf { .. }
            | ValidationErrorKind::OneOfNotValid { .. }
            | ValidationErrorKind::Enum { .. } => {
                vec![self.not_one_of(pointer, error.instance())]
            }
            ValidationErrorKind::Minimum { limit } => {
                vec![Problem::error(pointer, format!("{} is too small: at least {limit}", error.instance()))]
            }
            ValidationErrorKind::Maximum { limit } => {
                vec![Problem::error(pointer, format!("{} is too large: at most {limit}", error.instance()))]
            }
            ValidationErrorKind::ExclusiveMinimum { limit } => {
                vec![Problem::error(pointer, format!("{} is too small: more than {limit}", error.instance()))]
            }
            ValidationErrorKind::MinLength { .. } => vec![Problem::error(pointer, "must not be empty")],
            ValidationErrorKind::MinItems { .. } => vec![Problem::error(pointer, "needs at least one item")],
            _ => vec![Problem::error(pointer, error.masked().to_string())],
        }
    }

    /// A field that the object at `pointer` does not have.
    fn unknown(&self, pointer: &str, name: &str, value: &Value) -> Problem {
        let problem = Problem::error(format!("{pointer}/{}", escape(name)), format!("unknown field `{name}`"))
            .of_name()
            .with_code(Code::UnknownField);
        if let Some(instead) = refused::instead(self.schema_at(pointer), name, value) {
            return problem.with_hint(instead);
        }
        let known = self.names_at(pointer);
        match nearest(name, known.iter().map(String::as_str)) {
            Some(similar) => problem.with_hint(format!("did you mean `{similar}`?")),
            None if known.is_empty() => problem,
            None => problem.with_hint(format!("{KNOWN_FIELDS}{}", known.join(", "))),
        }
    }

    /// A value that fits none of the alternatives. Where these are a list of words, the nearest one is suggested.
    fn not_one_of(&self, pointer: String, found: &Value) -> Problem {
        let mut options = Vec::new();
        collect_options(self.schema_at(&pointer), &mut options);
        let (Value::String(word), false) = (found, options.is_empty()) else {
            let wanted = self.wanted(&pointer);
            return Problem::error(pointer, format!("expected {wanted}, found {}", describe(found)));
        };
        // A word that others know is refused with the reason: the nearest word would do something else.
        if let Some(reason) = refused::reason(self.schema_at(&pointer), word) {
            return Problem::error(pointer, format!("`{word}` is not supported: {reason}"))
                .with_hint(format!("supported: {}", options.join(", ")));
        }
        let problem = Problem::error(pointer, format!("`{word}` is not one of {}", options.join(", ")));
        match nearest(word, options.iter().map(String::as_str)) {
            Some(similar) => problem.with_hint(format!("did you mean `{similar}`?")),
            None => problem,
        }
    }

    /// The words that a field may hold, where its schema lists them.
    pub fn options(&self, field: &str) -> Vec<String> {
        let mut options = Vec::new();
        collect_options(self.schema_at(&format!("/{}", escape(field))), &mut options);
        options
    }

    /// Whether a field may hold this word, by its list of words.
    pub fn allows(&self, field: &str, word: &str) -> bool {
        self.options(field).iter().any(|option| option == word)
    }

    fn schema_at(&self, pointer: &str) -> &Value {
        let mut schema = &self.json;
        for segment in pointer.split('/').skip(1) {
            schema = step_into(schema, &unescape(segment));
        }
        schema
    }

    fn names_at(&self, pointer: &str) -> Vec<String> {
        let mut names = Vec::new();
        collect_names(self.schema_at(pointer), &mut names);
        names.sort();
        names.dedup();
        names
    }

    fn wanted(&self, pointer: &str) -> String {
        let mut wanted = Vec::new();
        collect_wanted(self.schema_at(pointer), &mut wanted);
        wanted.dedup();
        if wanted.is_empty() { "another type".to_owned() } else { wanted.join(" or ") }
    }

    /// Deserializes a value that has no violations.
    ///
    /// # Errors
    /// One problem, if the type requires more than its schema expresses.
    pub fn parse<T: DeserializeOwned>(value: &Value) -> Result<T, Problem> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let pointer = if path == "." { String::new() } else { format!("/{}", path.replace('.', "/")) };
            Problem::error(pointer, error.into_inner().to_string()).with_code(Code::InvalidValue)
        })
    }
}

fn step_into<'a>(schema: &'a Value, segment: &str) -> &'a Value {
    static NOTHING: Value = Value::Null;
    if let Some(next) = schema["properties"].get(segment) {
        return next;
    }
    if segment.parse::<usize>().is_ok() && schema.get("items").is_some() {
        return &schema["items"];
    }
    for alternative in alternatives(schema) {
        let next = step_into(alternative, segment);
        if !next.is_null() {
            return next;
        }
    }
    schema.get("additionalProperties").filter(|schema| schema.is_object()).unwrap_or(&NOTHING)
}

fn drop_nulls(schema: &Value, value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut names = Vec::new();
    collect_names(schema, &mut names);
    object.retain(|name, value| !value.is_null() || required.contains(&name.as_str()) || !names.contains(name));
    for name in names {
        if let Some(value) = object.get_mut(&name) {
            drop_nulls(step_into(schema, &name), value);
        }
    }
}

fn collect_source(schema: &Value, value: &Value, path: &str, found: &mut dyn FnMut(&str, &Value)) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let schema = step_into(schema, name);
        if schema["x-source"] == Value::Bool(false) || value.is_null() || schema.get("default") == Some(value) {
            continue;
        }
        let path = format!("{path}{name}");
        let mut names = Vec::new();
        collect_names(schema, &mut names);
        if value.is_object() && !names.is_empty() {
            collect_source(schema, value, &format!("{path}."), found);
        } else {
            found(&path, value);
        }
    }
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten()
}

fn collect_names(schema: &Value, names: &mut Vec<String>) {
    names.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    alternatives(schema).for_each(|alternative| collect_names(alternative, names));
}

/// The words that a field may hold, from `enum` and from alternatives with a `const`.
fn collect_options(schema: &Value, options: &mut Vec<String>) {
    options.extend(schema["enum"].as_array().into_iter().flatten().filter(|option| !option.is_null()).map(plain));
    options.extend(schema.get("const").map(plain));
    alternatives(schema).for_each(|alternative| collect_options(alternative, options));
}

fn collect_types<'a>(schema: &'a Value, types: &mut BTreeSet<&'a str>) {
    own_types(schema, types);
    alternatives(schema).for_each(|alternative| collect_types(alternative, types));
}

fn own_types<'a>(schema: &'a Value, types: &mut BTreeSet<&'a str>) {
    match &schema["type"] {
        Value::String(one) => drop(types.insert(one)),
        Value::Array(many) => types.extend(many.iter().filter_map(Value::as_str)),
        _ => {}
    }
}

fn collect_wanted(schema: &Value, wanted: &mut Vec<String>) {
    if let Some(options) = schema["enum"].as_array() {
        wanted.push(format!(
            "one of {}",
            options.iter().filter(|option| !option.is_null()).map(plain).collect::<Vec<_>>().join(", ")
        ));
        return;
    }
    if let Some(constant) = schema.get("const") {
        wanted.push(format!("`{}`", plain(constant)));
        return;
    }
    let mut types = BTreeSet::new();
    own_types(schema, &mut types);
    if !types.is_empty() {
        wanted.extend(types.into_iter().filter(|name| *name != "null").map(|name| article(name).to_owned()));
        return;
    }
    alternatives(schema).for_each(|alternative| collect_wanted(alternative, wanted));
}

fn article(json_type: &str) -> &'static str {
    match json_type {
        "string" => "a string",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "nothing",
    }
}

/// The JSON Schema name of a value's type.
fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("`{number}`"),
        // The text itself may be a secret put into the wrong field.
        other => article(json_type(other)).to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn has_write_only(schema: &Value) -> bool {
    schema["writeOnly"] == Value::Bool(true) || alternatives(schema).any(has_write_only)
}

/// A segment of a JSON Pointer (RFC 6901, section 3).
pub(crate) fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

pub(crate) fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}
