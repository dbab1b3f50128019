//! What a program reads: one document on the standard output, also when a command is refused or a step fails.

use serde_json::{Value, json};

use crate::{READ, project, sql, write};

#[test]
fn a_refused_command_prints_its_diagnostics_as_json() {
    let project =
        project(&[READ, "  - {id: out, component: filesystem.csv_wrtier, mode: write, config: {path: x}}\n"].concat());
    for command in ["validate", "plan", "run"] {
        let refused = project.run(&[command, "pipeline.yaml", "--json"]).with_code(2);
        let document = refused.json();
        assert_eq!(
            (&document["version"], &document["ok"], &document["exit_code"]),
            (&json!(1), &json!(false), &json!(2))
        );
        let found = &document["diagnostics"][0];
        assert_eq!(found["severity"], "error");
        assert_eq!(found["message"], "unknown component `filesystem.csv_wrtier`");
        assert!(found["hint"].as_str().unwrap().contains("did you mean `filesystem.csv_writer`?"), "{found}");
        assert_eq!(found["file"], "pipeline.yaml");
        let (line, column) = (found["line"].as_u64().unwrap(), found["column"].as_u64().unwrap());
        let text = project.read("pipeline.yaml");
        let marked =
            &text.lines().nth(usize::try_from(line).unwrap() - 1).unwrap()[usize::try_from(column).unwrap() - 1..];
        assert!(marked.starts_with("filesystem.csv_wrtier"), "{marked}");
        assert_eq!(found["end"]["column"].as_u64().unwrap(), column + 21);
        assert_eq!(keys(&document), keys(&documented()), "docs/json.md");
        assert_eq!(keys(found), keys(&documented()["diagnostics"][0]), "docs/json.md");
        // For the person who looks at the terminal.
        assert!(refused.stderr.contains("unknown component"), "{}", refused.stderr);
    }
    let missing = project.run(&["run", "nothing.yaml", "--json"]).with_code(2).json();
    assert_eq!(missing["diagnostics"][0]["severity"], "error", "{missing}");
}

/// The refusal that the documentation shows.
fn documented() -> Value {
    let page = include_str!("../../docs/json.md");
    let block = page.split("```json\n").nth(2).unwrap();
    serde_json::from_str(block.split("```").next().unwrap()).unwrap()
}

fn keys(value: &Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn a_valid_pipeline_is_a_document_with_its_warnings() {
    let project = project(&[READ, &write("out", "out.csv")].concat());
    let valid = project.run(&["validate", "pipeline.yaml", "--json"]).with_code(0).json();
    assert_eq!((&valid["version"], &valid["ok"], &valid["steps"]), (&json!(1), &json!(true), &json!(2)));
    assert_eq!(valid["diagnostics"], json!([]));
}

#[test]
fn the_error_of_a_step_is_an_object_with_its_place() {
    let project = project(&[READ, &sql("sums", "SELECT nothing FROM orders"), &write("out", "out.csv")].concat());
    let run = project.run(&["run", "pipeline.yaml", "--json"]).with_code(1).json();
    let error = &run["steps"][1]["error"];
    assert_eq!(error["kind"], "validation");
    assert_eq!(error["retryable"], false);
    assert!(error["message"].as_str().unwrap().contains("nothing"), "{error}");
    assert_eq!(error["location"]["file"], "pipeline.yaml");
    assert!(error["location"]["line"].is_u64() && error["location"]["column"].is_u64(), "{error}");
    assert_eq!(run["steps"][0]["error"], Value::Null);
}

#[test]
fn a_report_that_cannot_be_printed_is_no_refusal() {
    let project = project(&[READ, &write("out", "out.csv")].concat());
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = project.command(&["run", "pipeline.yaml", "--json"]).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(project.read("out.csv").lines().count(), 4);
}
