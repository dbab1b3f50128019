//! Fields that are written by another name.

use serde_json::{Map, Value};

use super::{ConfigSchema, escape};
use crate::{Code, Problem};

/// The aliases of a field that give way to its other aliases: files of other programs have both, and one of them is the
/// one that counts.
const YIELDING: &str = "x-yielding-aliases";

impl ConfigSchema {
    /// Replaces aliases by the names of their fields. A field given by two names is a problem, unless one of them gives
    /// way.
    pub fn rename_aliases(&self, object: &mut Map<String, Value>) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.take_yielding(object);
        for (field, _) in self.fields() {
            let written = self.names_in(field, object);
            // A name with null is as good as one that is not written.
            let kept = written.iter().find(|name| !object[**name].is_null()).or(written.first()).copied();
            let Some(kept) = kept else { continue };
            let twice = |name: &&&str| **name != kept && !object[**name].is_null();
            problems.extend(written.iter().filter(twice).map(|name| given_twice(name, kept)));
            let value = object.remove(kept);
            written.iter().for_each(|name| drop(object.remove(*name)));
            object.extend(value.map(|value| (field.to_owned(), value)));
        }
        problems
    }

    /// Removes the fields whose names give way to other names that are written, and returns them: they are not used, but
    /// they may be secret.
    pub(crate) fn take_yielding(&self, object: &mut Map<String, Value>) -> Map<String, Value> {
        let mut taken = Map::new();
        for (field, schema) in self.fields() {
            let yields = |name: &str| schema[YIELDING].as_array().is_some_and(|all| all.iter().any(|one| one == name));
            let written = self.names_in(field, object);
            let others = written.iter().any(|name| *name != field && !yields(name) && !object[*name].is_null());
            for name in written.into_iter().filter(|name| others && yields(name)) {
                taken.extend(object.remove(name).map(|value| (name.to_owned(), value)));
            }
        }
        taken
    }

    /// The names of a field that are written, its own first.
    fn names_in<'a>(&'a self, field: &'a str, object: &Map<String, Value>) -> Vec<&'a str> {
        std::iter::once(field).chain(self.aliases(field)).filter(|name| object.contains_key(*name)).collect()
    }
}

fn given_twice(name: &str, kept: &str) -> Problem {
    Problem::error(format!("/{}", escape(name)), format!("`{name}` and `{kept}` are the same field"))
        .with_hint(format!("keep `{kept}`"))
        .with_code(Code::DuplicateName)
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;
    use crate::Secret;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Fields {
        #[schemars(extend("x-aliases" = ["service_role_key", "anon_key"], "x-yielding-aliases" = ["anon_key"]))]
        key: Option<Secret>,
        #[schemars(extend("x-aliases" = ["name", "title"]))]
        label: Option<String>,
    }

    fn renamed(fields: Value) -> (Value, Vec<String>) {
        let mut fields = fields.as_object().unwrap().clone();
        let problems = ConfigSchema::of::<Fields>().rename_aliases(&mut fields);
        (Value::Object(fields), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn g27_an_alias_may_give_way_to_another_but_not_to_the_field_itself() {
        let (fields, problems) = renamed(json!({"anon_key": "a", "service_role_key": "s"}));
        assert_eq!((fields, problems.len()), (json!({"key": "s"}), 0));
        let (fields, problems) = renamed(json!({"anon_key": "a", "service_role_key": null}));
        assert_eq!((fields, problems.len()), (json!({"key": "a"}), 0));
        let (fields, problems) = renamed(json!({"key": "k", "anon_key": "a"}));
        assert_eq!(fields, json!({"key": "k"}));
        assert_eq!(problems, ["anon_key: `anon_key` and `key` are the same field (keep `key`)"]);
        let (_, problems) = renamed(json!({"key": "k", "anon_key": "a", "service_role_key": "s"}));
        assert_eq!(problems, ["service_role_key: `service_role_key` and `key` are the same field (keep `key`)"]);
    }

    #[test]
    fn g22_a_field_given_twice_is_named_as_it_is_written() {
        let (fields, problems) = renamed(json!({"name": "n", "title": "t"}));
        assert_eq!(fields, json!({"label": "n"}));
        assert_eq!(problems, ["title: `title` and `name` are the same field (keep `name`)"]);
        let (fields, problems) = renamed(json!({"label": null, "title": "t"}));
        assert_eq!((fields, problems.len()), (json!({"label": "t"}), 0));
    }
}
