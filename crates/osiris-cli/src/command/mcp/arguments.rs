//! The arguments of a tool, checked against its schema.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use osiris::Error;
use osiris::core::Code;
use osiris::core::problem::nearest;
use serde_json::{Map, Value};

/// What a client has sent.
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Checks that `schema`, that of the tool, has them all and that none is missing.
    ///
    /// # Errors
    /// An argument that the tool does not have, or lacks.
    pub(super) fn new(given: Option<Map<String, Value>>, schema: &Value) -> Result<Self, Error> {
        let given = given.unwrap_or_default();
        let known = || schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        if let Some(unknown) = given.keys().find(|name| !known().any(|known| known == name.as_str())) {
            let error = Error::validation(format!("unknown argument `{unknown}`")).with_code(Code::UnknownField);
            return Err(match nearest(unknown, known()) {
                Some(similar) => error.with_hint(format!("did you mean `{similar}`?")),
                None => error.with_hint(format!("arguments: {}", known().collect::<Vec<_>>().join(", "))),
            });
        }
        let mut required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        match required.find(|name| given.get(*name).is_none_or(Value::is_null)) {
            Some(missing) => {
                Err(Error::validation(format!("missing argument `{missing}`")).with_code(Code::MissingField))
            }
            None => Ok(Self(given)),
        }
    }

    fn get<'a, T>(&'a self, name: &str, what: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, Error> {
        let given = self.0.get(name).filter(|value| !value.is_null());
        let wrong = || Error::validation(format!("`{name}` must be {what}")).with_code(Code::InvalidValue);
        let value = |value| read(value).ok_or_else(wrong);
        given.map(value).transpose()
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        self.get(name, "a text", Value::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Error> {
        self.get(name, "true or false", Value::as_bool).map(Option::unwrap_or_default)
    }

    /// An object whose values are texts, numbers or truth values.
    pub(super) fn texts(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        let pairs = |value: &Value| {
            let pair = |(name, value): (&String, &Value)| {
                let text = value.as_str().map(str::to_owned);
                let is_plain = value.is_number() || value.is_boolean();
                Some((name.clone(), text.or_else(|| is_plain.then(|| value.to_string()))?))
            };
            value.as_object()?.iter().map(pair).collect::<Option<BTreeMap<_, _>>>()
        };
        self.get(name, "an object of texts", pairs).map(Option::unwrap_or_default)
    }

    /// A path of a file in `directory`, relative to it.
    pub(super) fn path(&self, name: &str, directory: &Path) -> Result<Option<PathBuf>, Error> {
        self.text(name)?.map(|text| confined(text, directory)).transpose()
    }
}

/// A path that does not lead out of `directory`, not by a link either.
fn confined(text: &str, directory: &Path) -> Result<PathBuf, Error> {
    let outside = || {
        Error::validation(format!("`{text}` is not in the project's directory"))
            .with_hint("name a file below it, by a relative path")
    };
    let path = Path::new(text);
    let relative = path.strip_prefix(directory).unwrap_or(path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    match directory.join(relative).canonicalize() {
        Ok(real) if !real.starts_with(directory) => Err(outside()),
        // What is not there is found out by who reads it.
        _ => Ok(relative.to_path_buf()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(given: Value) -> Result<Arguments, Error> {
        let schema = json!({"properties": {"path": {}, "params": {}, "dry_run": {}}, "required": ["path"]});
        Arguments::new(given.as_object().cloned(), &schema)
    }

    #[test]
    fn u51_arguments_are_known_there_and_of_their_type() {
        let message = |given| arguments(given).err().map(|error| error.message().to_owned());
        assert_eq!(message(json!({"path": "a", "dryrun": true})).as_deref(), Some("unknown argument `dryrun`"));
        assert_eq!(message(json!({"dry_run": true})).as_deref(), Some("missing argument `path`"));
        let given = arguments(json!({"path": 5, "params": {"a": 1, "b": "x"}, "dry_run": null})).unwrap();
        assert_eq!(given.text("path").unwrap_err().message(), "`path` must be a text");
        assert_eq!(given.texts("params").unwrap().into_values().collect::<Vec<_>>(), ["1", "x"]);
        assert!(!given.flag("dry_run").unwrap());
    }

    #[test]
    fn u51_a_path_stays_in_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().canonicalize().unwrap().join("project");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(root.path().join("secret.yaml"), "").unwrap();
        std::os::unix::fs::symlink(root.path().join("secret.yaml"), directory.join("link.yaml")).unwrap();
        for outside in ["../secret.yaml", "/etc/passwd", "a/../../secret.yaml", "link.yaml"] {
            assert!(confined(outside, &directory).is_err(), "{outside}");
        }
        for inside in ["a.yaml", "./a/b.yaml", directory.join("a.yaml").to_str().unwrap()] {
            assert!(confined(inside, &directory).is_ok(), "{inside}");
        }
    }
}
