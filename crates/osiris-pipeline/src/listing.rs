//! What is known of the connections of a project without opening any: their fields as written, and whether the
//! variables they need are set. No value of a variable and no secret is in it.

use std::collections::BTreeMap;

use osiris_core::secret::{looks_secret, mask_literals_of, mask_login, may_be_secret};
use osiris_core::substitute::substitute;
use osiris_core::{ConfigSchema, Registry};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::connections_file::{ConnectionsFile, is_known_field};
use crate::environment::Environment;

/// A connection as a list shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectionListing {
    /// `@family.alias`.
    pub name: String,
    /// Whether steps of the family use it when they name none.
    pub default: bool,
    /// Whether this build has a component of the family.
    pub known: bool,
    /// Its fields as written; secrets that are written out are masked.
    pub fields: Map<String, Value>,
    /// The variables that its fields name.
    pub variables: BTreeMap<String, VariableState>,
}

/// What a variable is to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VariableState {
    /// It has a value.
    Set,
    /// It has none, and the file says what to use instead.
    Default,
    /// It has none: a step that uses the connection will be refused.
    Missing,
}

impl VariableState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Default => "default",
            Self::Missing => "missing",
        }
    }
}

/// The connections of a file, sorted by name.
pub fn list_connections(
    connections: &ConnectionsFile,
    registry: &Registry,
    environment: &Environment,
) -> Vec<ConnectionListing> {
    let all = connections.connections();
    let listings = all.iter().map(|(reference, fields)| {
        let schema = registry.connection_schema(reference.family());
        let is_default = all.find(reference.family(), None).is_ok_and(|(default, _)| default == reference);
        ConnectionListing {
            name: reference.to_string(),
            default: is_default,
            known: schema.is_some(),
            fields: shown(fields, schema),
            variables: variables(fields, environment),
        }
    });
    listings.collect()
}

fn shown(fields: &Map<String, Value>, schema: Option<&ConfigSchema>) -> Map<String, Value> {
    let is_secret = |name: &str| match schema {
        // A misspelt name may be that of a password.
        Some(schema) => looks_secret(name) || schema.is_secret(name) || !is_known_field(name, schema),
        // Nobody knows what the field is for.
        None => may_be_secret(name),
    };
    let shown = fields.iter().filter(|(name, _)| *name != "default").map(|(name, value)| {
        let mut value = value.clone();
        mask_literals_of(&mut value, is_secret(name), schema.is_none());
        if let Value::String(text) = &mut value {
            *text = mask_login(name, text).into_owned();
        }
        (name.clone(), value)
    });
    shown.collect()
}

fn variables(fields: &Map<String, Value>, environment: &Environment) -> BTreeMap<String, VariableState> {
    let lookup = |name: &str| environment.get(name);
    let substituted = |lookup: &dyn Fn(&str) -> Option<String>| substitute(&mut Value::Object(fields.clone()), lookup);
    let found = substituted(&lookup);
    // A variable is missing if a value for it would fix a problem.
    let is_missed = |wanted: &str| {
        let with_value = |name: &str| if name == wanted { Some("set".to_owned()) } else { environment.get(name) };
        substituted(&with_value).problems.len() < found.problems.len()
    };
    let state = |name: &str, is_set: bool| match is_set {
        true => VariableState::Set,
        false if is_missed(name) => VariableState::Missing,
        false => VariableState::Default,
    };
    found.variables.iter().map(|(name, is_set)| (name.clone(), state(name, *is_set))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::SourceFile;

    #[test]
    fn secrets_are_masked_and_variables_named_without_their_values() {
        let text = "version: 1\nconnections:\n  db:\n    a: {default: true, host: \"${H:-h}\", password: \"${P}\"}\n    \
                    b: {api_key: abc, headers: {token: xyz, accept: json}, port: \"${PORT}\"}\n";
        let file = ConnectionsFile::parse(SourceFile::from_text("c.yaml", text)).unwrap();
        let environment = Environment::of([("PORT", "5"), ("OTHER", "x")]);
        let listed = list_connections(&file, &Registry::new(), &environment);
        let expected = json!([
            {"name": "@db.a", "default": true, "known": false, "fields": {"host": "${H:-h}", "password": "${P}"},
             "variables": {"H": "default", "P": "missing"}},
            {"name": "@db.b", "default": false, "known": false,
             "fields": {"api_key": "***", "headers": {"token": "***", "accept": "json"}, "port": "${PORT}"},
             "variables": {"PORT": "set"}},
        ]);
        assert_eq!(serde_json::to_value(listed).unwrap(), expected);
    }

    #[test]
    fn s37_a_key_of_a_family_that_nobody_knows_is_masked() {
        let text = "version: 1\nconnections:\n  lake:\n    a: {key: eyJhbGciOi, url: \"https://u:pw@h/x?token=abc\", more: {signing_key: abc, keyboard: qwerty}, port: 1}\n";
        let file = ConnectionsFile::parse(SourceFile::from_text("c.yaml", text)).unwrap();
        let listed = list_connections(&file, &Registry::new(), &Environment::of([("A", "b")]));
        let expected = json!({"key": "***", "url": "https://u:***@h/x?token=***", "more": {"signing_key": "***", "keyboard": "qwerty"}, "port": 1});
        assert_eq!(Value::Object(listed[0].fields.clone()), expected);
    }
}
