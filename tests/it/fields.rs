//! Every field of every component is set by a test of its driver, so that none is a word that nobody has tried.

use std::fs;
use std::path::{Path, PathBuf};

use osiris_e2e::{Program, Project};

/// The drivers whose tests try fields of another one, which is built on them.
const BUILT_ON: [(&str, &str); 1] = [("supabase", "postgres")];

/// Everything below a directory that is Rust and a test: whole files, or what stands behind `#[cfg(test)]`.
fn texts(directory: &Path, all: bool, found: &mut String) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            texts(&path, all, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let is_whole = all || path.ends_with("tests.rs");
            let start = if is_whole { Some(0) } else { text.find("#[cfg(test)]") };
            found.push_str(start.map_or("", |start| &text[start..]));
        }
    }
}

fn tests_of(root: &Path, family: &str) -> String {
    let mut found = String::new();
    let mut directories: Vec<(PathBuf, bool)> =
        vec![(root.join("tests/it"), true), (root.join("crates/osiris-testkit/src/database"), true)];
    let built_on = BUILT_ON.iter().filter(|(of, _)| *of == family).map(|(_, on)| *on);
    for family in built_on.chain([family]) {
        let package = root.join(format!("crates/osiris-driver-{family}"));
        directories.extend([(package.join("tests"), true), (package.join("src"), false)]);
    }
    directories.iter().for_each(|(directory, all)| texts(directory, *all, &mut found));
    found
}

/// Whether a configuration in these tests has the field: as JSON or as YAML.
fn is_set(field: &str, tests: &str) -> bool {
    tests.match_indices(&format!("{field}:")).any(|(at, _)| {
        let before = tests[..at].chars().next_back().unwrap_or(' ');
        !before.is_alphanumeric() && before != '_'
    }) || tests.contains(&format!("\"{field}\""))
}

#[test]
fn g18_every_field_is_set_by_a_test() {
    // Asked at run time: two checkouts may share a target directory.
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let root = package.parent().unwrap();
    let project = Project::empty(Program::built());
    let listed = project.run(&["components", "list", "--json"]).with_code(0).json();
    let mut untried = Vec::new();
    for name in listed.as_array().unwrap().iter().filter_map(|component| component["name"].as_str()) {
        let shown = project.run(&["components", "show", name, "--json"]).with_code(0).json();
        let tests = tests_of(root, name.split('.').next().unwrap());
        for schema in ["config_schema", "connection_schema"] {
            let fields = shown[schema]["properties"].as_object().into_iter().flatten();
            let aliases = |field: &serde_json::Value| field["x-aliases"].as_array().cloned().unwrap_or_default();
            untried.extend(
                fields
                    .filter(|(field, schema)| {
                        let alias = aliases(schema);
                        let mut names = alias.iter().filter_map(serde_json::Value::as_str).chain([field.as_str()]);
                        !names.any(|name| is_set(name, &tests))
                    })
                    .map(|(field, _)| format!("{name}: {field}")),
            );
        }
    }
    untried.sort();
    untried.dedup();
    assert!(untried.is_empty(), "no test sets these fields: {untried:#?}");
}
