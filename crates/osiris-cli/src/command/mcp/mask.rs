//! What a client may see: no message shows what stands in a connection. Secrets are masked before, wherever they are.

use osiris::core::substitute::substitute;
use osiris::core::{MASK, Redactor};
use osiris::{Project, Registry};
use serde_json::{Map, Value};

/// The parts of a document that are text for people: they may name a host or a user.
const MESSAGES: [&str; 9] =
    ["causes", "context", "details", "error", "hint", "label", "message", "problems", "related"];

/// Shorter values say nothing.
const SHORTEST: usize = 3;

/// The values of connections, the longest first.
pub(super) struct ConnectionValues {
    values: Vec<String>,
    secrets: Redactor,
}

impl ConnectionValues {
    /// Those of a project; none where its connections cannot be read: then nobody connects.
    pub(super) fn of(project: Option<&Project>, registry: &Registry, secrets: Redactor) -> Self {
        let mut found = Self { values: Vec::new(), secrets };
        let files = project.and_then(|project| {
            let connections = project.connections().ok()?;
            Some((project.environment(&connections).ok()?, connections))
        });
        let Some((environment, connections)) = files else { return found };
        let mut names = Vec::new();
        for (reference, fields) in connections.connections().iter() {
            names.extend([reference.family().to_owned(), reference.alias().to_owned()]);
            let schema = registry.connection_schema(reference.family());
            let is_word = |name: &str, text: &str| schema.is_some_and(|schema| schema.allows(name, text));
            let mut fields: Map<String, Value> = fields.clone();
            fields.retain(|name, value| name != "overrides" && !value.as_str().is_some_and(|text| is_word(name, text)));
            let mut fields = Value::Object(fields);
            substitute(&mut fields, &|name| environment.get(name));
            if let Some(schema) = schema {
                let secret = |(name, value): (&String, &Value)| {
                    Some(value.as_str()?.to_owned()).filter(|_| schema.is_secret(name))
                };
                fields
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter_map(secret)
                    .for_each(|secret| found.secrets.add(&secret));
            }
            collect(&fields, &mut found.values);
        }
        // The names of connections are no secret.
        found.values.retain(|value| value.chars().count() >= SHORTEST && !names.contains(value));
        found.values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        found.values.dedup();
        found
    }

    /// Masks a document.
    pub(super) fn mask(&self, document: &mut Value) {
        self.secrets.scrub_json(document);
        self.mask_messages(document, false);
    }

    fn mask_messages(&self, value: &mut Value, is_message: bool) {
        match value {
            Value::String(text) if is_message => *text = self.masked(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_messages(item, is_message)),
            Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| {
                self.mask_messages(value, is_message || MESSAGES.contains(&name.as_str()));
            }),
            _ => {}
        }
    }

    fn masked(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, value| without_word(&text, value))
    }
}

/// All texts in a value.
fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// A text with a word masked, wherever it is not a part of another.
fn without_word(text: &str, word: &str) -> String {
    let is_letter = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let last = before.chars().next_back().or_else(|| masked.chars().next_back());
        let is_part = (is_letter(last) && is_letter(word.chars().next()))
            || (is_letter(after.chars().next()) && is_letter(word.chars().next_back()));
        masked.push_str(before);
        masked.push_str(if is_part { word } else { MASK });
        rest = after;
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn u51_messages_are_masked_and_words_of_the_document_are_not() {
        let values = ConnectionValues {
            values: vec!["db.example.com".to_owned(), "data".to_owned()],
            secrets: Redactor::new(["hunter22"]),
        };
        let mut document = json!({"ok": false, "name": "data", "diagnostics": [
            {"message": "no answer from db.example.com:3306 for the database of data", "context": {"host": "db.example.com"}}
        ], "other": "hunter22"});
        values.mask(&mut document);
        let expected = json!({"ok": false, "name": "data", "diagnostics": [
            {"message": "no answer from ***:3306 for the database of ***", "context": {"host": "***"}}
        ], "other": "***"});
        assert_eq!(document, expected);
    }
}
