//! Pipelines and connections that a program makes, without a file.

use std::sync::Arc;

use insta::assert_snapshot;
use osiris_pipeline::{ConnectionsFile, Diagnostic, Diagnostics, Environment, Plan, PlanOptions, SourceFile};
use serde_json::{Value, json};

use crate::components::registry;

fn plan(pipeline: &Value, connections: &Value) -> Result<Plan, Diagnostics> {
    let connections = ConnectionsFile::parse(SourceFile::from_value("connections", connections))?;
    let environment = Environment::of([("DB_PASSWORD", "hunter2-long")]);
    let source = Arc::new(SourceFile::from_value("pipeline", pipeline));
    Plan::new(&source, &registry(), &connections, &environment, &PlanOptions::default())
}

fn connections() -> Value {
    json!({"version": 1, "connections": {"db": {"movies": {"host": "h", "password": "${DB_PASSWORD}"}}}})
}

fn pipeline(mode: &str, config: &Value) -> Value {
    json!({
        "oml_version": "0.1.0",
        "name": "made",
        "steps": [
            {"id": "a", "component": "db.extractor", "config": {"connection": "@db.movies", "query": "say \"x\"\n\u{7f}\u{2028}é"}},
            {"id": "b", "component": "file.writer", "mode": mode, "needs": ["a"], "config": config},
        ],
    })
}

#[test]
fn p15_a_value_is_planned_like_a_file() {
    let plan = plan(&pipeline("write", &json!({"path": "out"})), &connections()).unwrap();
    let ids: Vec<&str> = plan.steps().iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    let query = plan.pipeline().steps[0].config.find("/query").node.as_str().unwrap();
    assert_eq!(query, "say \"x\"\n\u{7f}\u{2028}é", "no value changes on its way");
}

#[test]
fn p15_what_is_wrong_with_a_value_is_named_by_its_path() {
    let wrong = plan(&pipeline("wrote", &json!({"pth": "out"})), &connections()).unwrap_err();
    assert_snapshot!(wrong.to_string());
    let paths: Vec<Option<String>> = wrong.iter().map(Diagnostic::path).collect();
    assert!(paths.contains(&Some("steps[1].config.pth".to_owned())), "{paths:?}");
    assert_eq!(wrong.to_json()[0]["path"], json!(paths[0]));
    let secret = json!({"version": 1, "connections": {"db": {"movies": {"hostt": "hunter2-long", "password": 5}}}});
    let wrong = plan(&pipeline("write", &json!({"path": "out"})), &secret).unwrap_err().to_string();
    assert!(wrong.contains("connections.db.movies.hostt") && !wrong.contains("hunter2"), "{wrong}");
}
