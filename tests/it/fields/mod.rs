//! Every field of every component is set by a test, so that none is a word that nobody has tried.

mod configurations;
mod rust;

use std::collections::BTreeSet;
use std::path::PathBuf;

use osiris_e2e::{Program, Project};
use serde_json::Value;

use configurations::Configurations;

/// The drivers whose tests try fields of another one, which is built on them.
const BUILT_ON: [(&str, &str); 1] = [("supabase", "postgres")];

/// What the tests of a family set: those of its driver, and the whole pipelines of everybody.
fn tests_of(root: &std::path::Path, family: &str) -> Configurations {
    let mut found = Configurations::default();
    for directory in ["tests/it", "examples", "crates/osiris-cli/tests", "crates/osiris-pipeline/starter"] {
        found.read_pipelines(&root.join(directory));
    }
    let built_on = BUILT_ON.iter().filter(|(of, _)| *of == family).map(|(_, on)| *on);
    for family in built_on.chain([family]) {
        let package = root.join(format!("crates/osiris-driver-{family}"));
        found.read_driver(&package.join("tests"), true);
        found.read_driver(&package.join("src"), false);
    }
    found.read_driver(&root.join("crates/osiris-testkit/src/database"), true);
    found
}

/// The names of a field: its own, and its aliases.
fn names<'a>(field: &'a str, schema: &'a Value) -> impl Iterator<Item = &'a str> {
    let aliases = schema["x-aliases"].as_array().into_iter().flatten().filter_map(Value::as_str);
    aliases.chain([field])
}

#[test]
fn g18_every_field_is_set_by_a_test() {
    // Asked at run time: two checkouts may share a target directory.
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let root = package.parent().unwrap();
    let project = Project::empty(Program::built());
    let listed = project.run(&["components", "list", "--json"]).with_code(0).json();
    let mut untried = BTreeSet::new();
    for name in listed.as_array().unwrap().iter().filter_map(|component| component["name"].as_str()) {
        let shown = project.run(&["components", "show", name, "--json"]).with_code(0).json();
        let family = name.split('.').next().unwrap();
        let tests = tests_of(root, family);
        for schema in ["config_schema", "connection_schema"] {
            let fields = shown[schema]["properties"].as_object().into_iter().flatten();
            let unset =
                fields.filter(|(field, schema)| !names(field, schema).any(|field| tests.set(field, name, family)));
            untried.extend(unset.map(|(field, _)| format!("{name}: {field}")));
        }
    }
    assert!(untried.is_empty(), "no test sets these fields: {untried:#?}");
}
