//! The JSON Schemas: what the program accepts they accept, and the usual mistakes they find.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonschema::Validator;
use osiris::SourceFile;
use osiris::pipeline::{Diagnostics, yaml};
use osiris_e2e::Project;
use serde_json::Value;

use crate::program;

fn schema(file: &str) -> Validator {
    let printed = Project::empty(program()).run(&["schema", file]).with_code(0).json();
    jsonschema::validator_for(&printed).unwrap()
}

fn json(text: &str) -> Value {
    let source = Arc::new(SourceFile::from_text("file.yaml", text));
    yaml::load(&source, &mut Diagnostics::default()).unwrap().to_json()
}

fn problems(schema: &Validator, text: &str) -> Vec<String> {
    schema.iter_errors(&json(text)).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn files_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            // The files of the driver in a workspace of its own are for its program.
            if !entry.ends_with("own-driver") {
                files_below(&entry, found);
            }
        } else if entry.extension().is_some_and(|extension| extension == "yaml") {
            found.push(entry);
        }
    }
}

#[test]
fn every_example_and_the_starter_fit() {
    let (pipeline, connections) = (schema("pipeline"), schema("connections"));
    let starter = Project::starter(program());
    let mut files = Vec::new();
    files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples"), &mut files);
    files_below(starter.directory(), &mut files);
    assert!(files.len() > 15, "{files:?}");
    for file in files {
        let schema = if file.ends_with("osiris_connections.yaml") { &connections } else { &pipeline };
        let found = problems(schema, &std::fs::read_to_string(&file).unwrap());
        assert!(found.is_empty(), "{}: {found:#?}", file.display());
    }
}

const PIPELINE: &str = "oml_version: \"0.1.0\"
name: x
params: {rows: 5}
steps:
  - id: a
    component: filesystem.csv_extractor
    mode: read
    config: {path: a.csv, limit: 10, separator: \";\", na_values: [\"-\"]}
  - id: b
    component: filesystem.csv_writer
    mode: write
    needs: [a]
    retry: {max_attempts: 2}
    config: {path: b.csv, mode: append}
";

/// The reader of a file.
const FILE: &str = "component: filesystem.csv_extractor
    mode: read
    config: {path: a.csv, limit: 10, separator: \";\", na_values: [\"-\"]}";

#[test]
fn what_may_be_written_fits_and_the_usual_mistakes_do_not() {
    let schema = schema("pipeline");
    assert_eq!(problems(&schema, PIPELINE), Vec::<String>::new());
    for (written, instead) in [
        ("limit: 10", "limit: \"${params.rows}\""),
        ("limit: 10", "limit: null"),
        ("mode: append", "mode: \"${MODE:-append}\""),
        ("needs: [a]", "needs: a"),
        ("filesystem.csv_writer", "filesystem.writer"),
        ("path: a.csv,", "path: a.csv, connection: \"@filesystem.lake\", base_dir: data, dry_run: true,"),
        ("mode: read", "mode: extract"),
        (FILE, "component: sqlite.extractor\n    config: {tables: [\"*\", \"!tmp_*\"], cursor: {column: id}}"),
    ] {
        let text = PIPELINE.replace(written, instead);
        assert_eq!(problems(&schema, &text), Vec::<String>::new(), "{instead}");
    }
    for (written, instead) in [
        ("oml_version: \"0.1.0\"", "version: 1"),
        ("name: x", "nmae: x"),
        ("filesystem.csv_writer", "filesystem.csv_wrtier"),
        ("limit: 10", "limti: 10"),
        ("limit: 10", "limit: ten"),
        ("mode: append", "mode: apend"),
        ("path: b.csv, ", ""),
        ("needs: [a]", "need: [a]"),
        ("max_attempts: 2", "max_attempts: 0"),
        ("id: a", "id: \"a b\""),
        ("mode: read", "mode: reed"),
        ("mode: write", "resume: later"),
    ] {
        let text = PIPELINE.replace(written, instead);
        assert_ne!(text, PIPELINE, "{written}");
        assert_ne!(problems(&schema, &text), Vec::<String>::new(), "{instead}");
    }
}

#[test]
fn connections_and_settings_have_one_too() {
    let connections = schema("connections");
    for (text, fits) in [
        (
            "version: 1\nconnections: {mysql: {shop: {host: db, database: shop, user: me, password: \"${PW}\", default: true}}}\n",
            true,
        ),
        ("connections: {mysql: {shop: {port: \"${PORT:-3306}\"}}}\n", true),
        ("connections: {mysqll: {shop: {}}}\n", false),
        ("connections: {mysql: {shop: {hots: db}}}\n", false),
        ("mysql: {shop: {}}\n", false),
    ] {
        assert_eq!(problems(&connections, text).is_empty(), fits, "{text}: {:?}", problems(&connections, text));
    }
    let settings = schema("settings");
    for (text, fits) in
        [("memory_limit: 4GB\njobs: 2\nstore: memory\n", true), ("store: disk\n", false), ("job: 2\n", false)]
    {
        assert_eq!(problems(&settings, text).is_empty(), fits, "{text}");
    }
}

#[test]
fn g83_a_component_that_works_without_a_connection_has_no_default_one() {
    let printed = Project::empty(program()).run(&["schema", "pipeline"]).with_code(0).json().to_string();
    let default = |text: &str| format!("The connection to use, as `@family.alias`. Default: {text}.");
    assert!(printed.contains(&default("none")), "files");
    assert!(printed.contains(&default("the family's default connection")), "databases");
    let reference = Project::empty(program()).run(&["components", "reference"]).with_code(0).stdout;
    assert!(reference.contains("for them a connection counts only where it is named"));
}

#[test]
fn g45_a_connections_file_of_the_original_fits() {
    let found =
        problems(&schema("connections"), "version:\ngroups: {nightly: [a]}\nconnections: {mysql: {m: {host: h}}}\n");
    assert!(found.is_empty(), "{found:#?}");
}
