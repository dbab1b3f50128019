//! Every line of telemetry of whole runs fits the published schemas, and the contract's metrics are there, once each.

use std::collections::BTreeSet;

use jsonschema::Validator;
use osiris_e2e::{Program, Project, Running};
use osiris_stand_ins::graphql::{Api, Options};
use serde_json::{Value, json};

use crate::outcome::{append, blocked, forget_the_end};
use crate::{READ, project, sql, write};

const EVENTS: &str = include_str!("../../crates/osiris-core/schemas/events.schema.json");
const METRICS: &str = include_str!("../../crates/osiris-core/schemas/metrics.schema.json");

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
    assert_fits(EVENTS, &events);
    assert_fits(METRICS, &metrics);
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

/// The names of the events of all runs of a project, all of them checked.
fn all_events(project: &Project) -> BTreeSet<String> {
    let lines: Vec<Value> = project.runs().iter().flat_map(|run| project.lines(run, "events.jsonl")).collect();
    assert_fits(EVENTS, &lines);
    lines.iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect()
}

/// A run whose write is asked for by the one that resumes it, and then one that an operator confirms.
fn of_outcomes() -> BTreeSet<String> {
    let project = project(&[READ, &append("load", "out.csv"), &blocked("load")].concat());
    project.write("out.csv", "order_id,customer,amount\n0,z,5\n");
    for somebody_else_writes in [false, true] {
        project.run(&["run", "pipeline.yaml"]).with_code(1);
        forget_the_end(&project.runs().pop().unwrap());
        std::fs::create_dir(project.path("later")).unwrap();
        let mut arguments = vec!["run", "--resume"];
        if somebody_else_writes {
            project.write("out.csv", "order_id,customer,amount\n");
            arguments.extend(["--assume-written", "load"]);
        }
        project.run(&arguments).with_code(0);
        std::fs::remove_dir_all(project.path("later")).unwrap();
    }
    all_events(&project)
}

/// Runs that make a table, fail to make one, and state a false assertion.
fn of_tables() -> BTreeSet<String> {
    let checked = "  - {id: checked, component: duckdb.processor, mode: transform, config: {query: SELECT 1 AS n, assertions: \
                   [{row_count: {min: 2}, severity: warn}]}}\n";
    let load = |id: &str, table: &str| {
        format!(
            "  - {{id: {id}, component: sqlite.writer, mode: write, needs: [checked], config: {{table: {table}, create_if_missing: true}}}}\n"
        )
    };
    let project = project(&[checked, &load("good", "t"), &load("bad", "sqlite_reserved")].concat());
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: a.db}}}\n");
    project.write("a.db", "");
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    all_events(&project)
}

/// Runs over an API that answers in pages, and over one that nobody listens at.
fn of_an_api() -> BTreeSet<String> {
    let api = Api::with_items(200, Options::default());
    let project = Project::copy_of(Program::built(), "examples/graphql");
    let run = |arguments: &[&str], url: &str| {
        let mut command = project.command(arguments);
        Running::start(command.env("GRAPHQL_URL", url).env("GRAPHQL_TOKEN", "none")).ended()
    };
    run(&["run", "pipeline.yaml"], &api.endpoint()).with_code(0);
    project.write(
        "nobody.yaml",
        "oml_version: \"0.1.0\"\nname: nobody\nsteps:\n  - {id: items, component: graphql.extractor, mode: read, config: \
         {query: \"{ items { nodes { id } } }\", data_path: data.items.nodes}, retry: {max_attempts: 2, initial_delay_ms: 1}}\n  \
         - {id: out, component: filesystem.csv_writer, mode: write, config: {path: out.csv}}\n",
    );
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    run(&["run", "nobody.yaml"], &format!("http://{nobody}/graphql")).with_code(4);
    all_events(&project)
}

#[test]
fn s52_every_event_that_the_schema_names_is_emitted_and_no_other() {
    let schema: Value = serde_json::from_str(EVENTS).unwrap();
    let named = schema.pointer("/properties/event/enum").and_then(Value::as_array).unwrap();
    let named: BTreeSet<String> = named.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let seen: BTreeSet<String> = [of_outcomes(), of_tables(), of_an_api()].into_iter().flatten().collect();
    assert_eq!(named.difference(&seen).collect::<Vec<_>>(), Vec::<&String>::new(), "nothing emits them");
    assert_eq!(seen, named);
}

#[test]
fn s52_the_connection_of_a_step_is_told_once_and_before_it_is_used() {
    let steps = "  - {id: rows, component: sqlite.extractor, mode: read, config: {table: t}}
  - {id: out, component: filesystem.csv_writer, mode: write, config: {path: out.csv}}
";
    let project = Project::with_steps(Program::built(), steps);
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: none.db}}}\n");
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    let (events, _) = telemetry(&project);
    let of: Vec<&Value> = events.iter().filter(|event| event["event"] == "connection_resolved").collect();
    assert_eq!(of.len(), 1, "{of:?}");
    assert_eq!(
        (&of[0]["step_id"], &of[0]["family"], &of[0]["alias"]),
        (&"rows".into(), &"sqlite".into(), &"main".into())
    );
    // It is said to be resolved, which it was, and nobody says that it could be opened.
    assert_eq!(of[0].get("ok"), None);
    let at = |name: &str| names(&events).iter().position(|event| *event == name).unwrap();
    assert!(at("connection_resolved") < at("step_start"), "{events:?}");
}

#[test]
fn s52_altered_values_are_values_and_not_rows() {
    let rows = sql("rows", "SELECT CAST('-0.0' AS DOUBLE) AS a, CAST('-0.0' AS DOUBLE) AS b");
    let load = "  - {id: load, component: sqlite.writer, mode: write, config: {table: t, create_if_missing: true}}\n";
    let project = project(&[READ, &rows, load].concat());
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: a.db}}}\n");
    project.write("a.db", "");
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let (_, metrics) = telemetry(&project);
    let altered: Vec<&Value> = metrics.iter().filter(|line| line["metric"] == "values_altered").collect();
    assert_eq!(altered.len(), 1, "{metrics:?}");
    assert_eq!((&altered[0]["value"], &altered[0]["unit"]), (&json!(2), &json!("values")));
}
