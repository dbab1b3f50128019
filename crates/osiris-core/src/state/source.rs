//! The identity of the source that a step reads, as a list of fields that can be shown: the component, the pipeline
//! file and profile, the address of the connection, and every field of the configuration that selects the rows.
//!
//! A field belongs to the source unless its schema says `x-source: false`, so that a driver that forgets one is too
//! strict, never too lax.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::config::ConfigSchema;
use crate::{ComponentSpec, Redactor};

/// Longer values are shown shortened.
const MAX_SHOWN_CHARS: usize = 160;
/// The name of the field that holds the pipeline file.
const FILE: &str = "pipeline file";

/// The pipeline that a step belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepOrigin {
    /// The pipeline file, relative to the project where it is below it.
    pub file: Option<String>,
    /// The profile that the user chose.
    pub profile: Option<String>,
}

/// A source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceIdentity(BTreeMap<String, String>);

/// A field in which two sources differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDifference {
    /// The field, such as `table` or `connection.host`.
    pub field: String,
    /// What the state was taken from.
    pub saved: Option<String>,
    /// What the step reads now.
    pub now: Option<String>,
}

impl fmt::Display for SourceDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.as_ref().map_or("(none)".to_owned(), |value| format!("`{value}`"));
        write!(f, "{}: {} -> {}", self.field, shown(&self.saved), shown(&self.now))
    }
}

impl SourceIdentity {
    /// The source of a component in a pipeline.
    pub(crate) fn new(spec: &ComponentSpec, origin: &StepOrigin) -> Self {
        let mut fields = BTreeMap::from([("component".to_owned(), spec.name.to_owned())]);
        fields.extend(origin.file.iter().map(|file| (FILE.to_owned(), file.clone())));
        fields.extend(origin.profile.iter().map(|profile| ("profile".to_owned(), profile.clone())));
        Self(fields)
    }

    /// Adds a field.
    pub(crate) fn insert(&mut self, name: String, value: &str, redactor: &Redactor) {
        self.0.insert(name, shortened(&redactor.scrub_value(value)));
    }

    /// The pipeline file.
    pub fn file(&self) -> Option<&str> {
        self.0.get(FILE).map(String::as_str)
    }

    /// The fields with their values, by name.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every field in which this source, that of a state, and `now` differ.
    pub fn differences(&self, now: &Self) -> Vec<SourceDifference> {
        let names: BTreeSet<&String> = self.0.keys().chain(now.0.keys()).collect();
        let differs = |name: &&&String| self.0.get(**name) != now.0.get(**name);
        let difference = |name: &String| SourceDifference {
            field: name.clone(),
            saved: self.0.get(name).cloned(),
            now: now.0.get(name).cloned(),
        };
        names.iter().filter(differs).map(|name| difference(name)).collect()
    }
}

/// The fields of `values` that belong to the source, by their schema; secrets never do.
pub(crate) fn source_fields(prefix: &str, schema: &ConfigSchema, values: &Value) -> Vec<(String, String)> {
    let fields = values.as_object().into_iter().flatten().filter(|(name, _)| !schema.is_secret(name));
    let kept: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut found = Vec::new();
    schema.source_fields(&Value::Object(kept), &mut |name, value| found.push((format!("{prefix}{name}"), text(value))));
    found
}

fn text(value: &Value) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    sorted.as_str().map_or_else(|| sorted.to_string(), str::to_owned)
}

/// A long text by its beginning and a digest of all of it.
fn shortened(text: &str) -> String {
    if text.chars().count() <= MAX_SHOWN_CHARS {
        return text.to_owned();
    }
    let start: String = text.chars().take(MAX_SHOWN_CHARS / 2).collect();
    let digest: String = Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{start}... (sha256 {digest})")
}
