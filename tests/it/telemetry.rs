//! Every line of telemetry of whole runs fits the published schemas, and the contract's metrics are there, once each.

use jsonschema::Validator;
use osiris_e2e::{Program, Project};
use serde_json::Value;

use crate::{READ, project, sql, write};

#[track_caller]
fn assert_fits(schema: &str, lines: &[Value]) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator: Validator = jsonschema::validator_for(&schema).unwrap();
    assert!(!lines.is_empty());
    for line in lines {
        let errors: Vec<String> = validator.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:?}");
    }
}

/// The events and metrics of the latest run, checked.
#[track_caller]
fn telemetry(project: &Project) -> (Vec<Value>, Vec<Value>) {
    let run = project.runs().pop().unwrap();
    let (events, metrics) = (project.lines(&run, "events.jsonl"), project.lines(&run, "metrics.jsonl"));
    assert_fits(include_str!("../../crates/osiris-core/schemas/events.schema.json"), &events);
    assert_fits(include_str!("../../crates/osiris-core/schemas/metrics.schema.json"), &metrics);
    (events, metrics)
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn a_run_that_ends_well_tells_its_rows_once() {
    let project = Project::starter(Program::built());
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let (events, metrics) = telemetry(&project);
    assert_eq!(names(&events)[0], "run_start");
    assert!(names(&events).contains(&"run_complete"), "{events:?}");
    let rows = |metric: &str, step: &str| -> Vec<u64> {
        let of_step = metrics.iter().filter(|line| line["metric"] == metric && line["tags"]["step"] == step);
        of_step.map(|line| line["value"].as_u64().unwrap()).collect()
    };
    assert_eq!(rows("rows_read", "orders"), [8]);
    assert_eq!(rows("rows_processed", "totals"), [4]);
    assert_eq!(rows("rows_written", "write-totals"), [4]);
}

#[test]
fn a_run_that_fails_says_why() {
    let project = project(&[READ, &sql("sums", "SELECT nothing FROM orders"), &write("out", "out.csv")].concat());
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    let (events, _) = telemetry(&project);
    let failed = events.iter().find(|event| event["event"] == "step_failed").unwrap();
    assert_eq!((&failed["step_id"], &failed["category"]), (&"sums".into(), &"validation".into()));
    let failed = events.iter().find(|event| event["event"] == "run_failed").unwrap();
    assert_eq!(failed["exit_code"], 1);
}

#[test]
fn a_resumed_run_says_what_it_took_over() {
    let project = Project::starter(Program::built());
    project.write("out", "a file where a directory is needed");
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    std::fs::remove_file(project.path("out")).unwrap();
    project.run(&["run", "--resume"]).with_code(0);
    let (events, _) = telemetry(&project);
    let reused: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "step_reused")
        .map(|event| event["step_id"].as_str().unwrap())
        .collect();
    assert!(reused.contains(&"orders") && reused.contains(&"customers"), "{reused:?}");
    assert_eq!(names(&events).iter().filter(|name| **name == "run_start").count(), 2, "one file for both tries");
}
