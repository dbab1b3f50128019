//! The fields that configurations in tests set: JSON and YAML in Rust, and files in YAML.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use osiris_pipeline::{Diagnostics, SourceFile, yaml};
use serde_json::Value;

use super::rust::Tokens;

/// Fields that are set, by what they belong to.
#[derive(Default)]
pub(super) struct Configurations {
    /// Fields of steps, with the component.
    steps: BTreeSet<(String, String)>,
    /// Fields of connections, with the family.
    connections: BTreeSet<(String, String)>,
    /// Fields that a driver's own tests set, of whichever of its components.
    of_driver: BTreeSet<String>,
}

impl Configurations {
    /// Whether a field of the component, or of its connections, is set.
    pub(super) fn set(&self, field: &str, component: &str, family: &str) -> bool {
        let of = |owner: &str| (owner.to_owned(), field.to_owned());
        self.of_driver.contains(field) || self.steps.contains(&of(component)) || self.connections.contains(&of(family))
    }

    /// Reads the pipelines and the connections below a directory.
    pub(super) fn read_pipelines(&mut self, directory: &Path) {
        each_file(directory, &mut |path, text| match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") => self.add_pipeline(text),
            Some("rs") => Tokens::of(text).strings().for_each(|text| self.add_pipeline(text)),
            _ => {}
        });
    }

    /// Reads the tests of a driver below a directory: of whole files, or what stands behind `#[cfg(test)]`.
    pub(super) fn read_driver(&mut self, directory: &Path, all: bool) {
        each_file(directory, &mut |path, text| {
            let is_whole = all || path.ends_with("tests.rs");
            let start = if is_whole { Some(0) } else { text.find("#[cfg(test)]") };
            if let Some(start) = start.filter(|_| path.extension().is_some_and(|extension| extension == "rs")) {
                self.add_rust(&text[start..]);
            }
        });
    }

    fn add_rust(&mut self, text: &str) {
        let tokens = Tokens::of(text);
        self.of_driver.extend(tokens.keys());
        for value in tokens.strings().filter_map(parsed) {
            self.add_keys(&value);
        }
    }

    fn add_keys(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.add_keys(item)),
            Value::Object(fields) => {
                let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                for (name, value) in fields.iter().filter(|(name, _)| is_name(name)) {
                    self.of_driver.insert(name.clone());
                    self.add_keys(value);
                }
            }
            _ => {}
        }
    }

    fn add_pipeline(&mut self, text: &str) {
        if let Some(value) = parsed(text) {
            self.add_steps(&value);
        }
    }

    fn add_steps(&mut self, value: &Value) {
        if let (Some(component), Some(config)) = (value["component"].as_str(), value["config"].as_object()) {
            self.steps.extend(config.keys().map(|field| (component.to_owned(), field.clone())));
        }
        for (family, aliases) in value["connections"].as_object().into_iter().flatten() {
            let fields = aliases.as_object().into_iter().flatten().filter_map(|(_, fields)| fields.as_object());
            self.connections.extend(fields.flatten().map(|(field, _)| (family.clone(), field.clone())));
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.add_steps(item)),
            Value::Object(fields) => fields.values().for_each(|item| self.add_steps(item)),
            _ => {}
        }
    }
}

/// A text as YAML with fields: as it is, as what `format!` makes of it, or as a part of a mapping on one line.
fn parsed(text: &str) -> Option<Value> {
    if !text.contains(':') {
        return None;
    }
    let formatted = formatted(text);
    // Doubled braces are those of `format!`.
    let texts = if text.contains("{{") { [formatted.as_str(), formatted.as_str()] } else { [text, formatted.as_str()] };
    let parts = texts.map(|text| format!("{{{}}}", text.trim().trim_matches(',')));
    texts.into_iter().chain(parts.iter().map(String::as_str)).find_map(|text| {
        let source = Arc::new(SourceFile::from_text("test.yaml", text));
        let value = yaml::load(&source, &mut Diagnostics::default())?.to_json();
        (value.is_object() || value.is_array()).then_some(value)
    })
}

/// The text without what `format!` replaces.
fn formatted(text: &str) -> String {
    let (mut formatted, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        formatted.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            formatted.push_str(brace);
            rest = after;
            continue;
        }
        formatted.push('x');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    formatted + rest
}

fn each_file(directory: &Path, found: &mut dyn FnMut(&Path, &str)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            each_file(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            found(&path, &text);
        }
    }
}

#[test]
fn configurations_are_found_where_they_are_set_and_nowhere_else() {
    let mut found = Configurations::default();
    found.add_rust(
        r##"
        struct Other { port: u16 }
        // "comment": 1, {host: x}
        let config = json!({"table": name, "nested": {"deep": 1}});
        let text = format!("{{mode: {mode}, columns: [a]}}") + "key: id, batch_size: 5";
        config["offset"] = json!(1);
        for (field, value) in [("limit", 5)] {}
        let config = with(config, "null_items", json!("skip"));
        assert!(error.contains("schema"), "schema and {charset: none");
        let raw = r#"query: "SELECT 1""#;
        "##,
    );
    let set =
        ["table", "nested", "deep", "mode", "columns", "key", "batch_size", "offset", "limit", "null_items", "query"];
    assert_eq!(found.of_driver, set.map(str::to_owned).into());
    let mut found = Configurations::default();
    found.add_pipeline("steps: [{component: a.b, config: {path: x}}]\nnote: {path: y}");
    found.add_pipeline("  - id: x\n    component: c.d\n    config: {{file: {name}}}\n");
    found.add_pipeline("connections: {a: {main: {host: h}}}");
    assert!(found.set("path", "a.b", "a") && found.set("file", "c.d", "c") && found.set("host", "a.x", "a"));
    assert!(!found.set("path", "a.c", "a") && !found.set("note", "a.b", "a") && !found.set("host", "c.d", "c"));
}
