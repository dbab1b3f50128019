//! A connection that cannot be opened while a step runs: the error names the connection and the file that defines it,
//! whatever the family.

use osiris_e2e::{Program, Project};
use serde_json::{Value, json};

use crate::READ;

/// Nobody listens on this port.
const NOBODY: &str = "http://127.0.0.1:1";

/// A component, its configuration, and a connection to nothing. PostHog is left out: it is asked again for 90 s.
fn unreachable() -> [(&'static str, Value, Value); 8] {
    let table = json!({"table": "t"});
    let server = json!({"host": "127.0.0.1", "port": 1, "user": "u", "database": "d"});
    let supabase = json!({"url": NOBODY, "key": "${KEY}"});
    let once = json!({"table": "t", "retries": 0});
    [
        ("mysql.extractor", table.clone(), server.clone()),
        ("mysql.writer", table.clone(), server.clone()),
        ("postgres.extractor", table.clone(), server.clone()),
        ("postgres.writer", table.clone(), server),
        ("supabase.extractor", once.clone(), supabase.clone()),
        ("supabase.writer", once, supabase),
        ("sqlite.extractor", table, json!({"path": "missing.db"})),
        (
            "graphql.extractor",
            json!({"query": "{ items { nodes { id } } }", "data_path": "data.items.nodes", "max_retries": 0}),
            json!({"endpoint": format!("{NOBODY}/graphql")}),
        ),
    ]
}

#[test]
fn a_connection_that_fails_in_a_run_is_named_with_its_file() {
    for (component, config, mut fields) in unreachable() {
        let family = component.split('.').next().unwrap();
        fields["default"] = json!(true);
        let once = json!({"max_attempts": 1});
        let is_writer = component.ends_with(".writer");
        let (mode, needs) = if is_writer { ("write", json!(["orders"])) } else { ("read", json!([])) };
        let step =
            json!({"id": "it", "component": component, "mode": mode, "needs": needs, "config": config, "retry": once});
        let rest = match is_writer {
            true => String::new(),
            false => crate::write("out", "out.csv"),
        };
        let steps = format!("{}  - {step}\n{rest}", if is_writer { READ } else { "" });
        let project = Project::with_steps(Program::built(), &steps);
        project.write("orders.csv", "order_id\n1\n");
        project.write("osiris_connections.yaml", json!({"connections": {family: {"far": fields}}}).to_string());
        let mut command = project.command(&["run", "pipeline.yaml", "--json"]);
        command.env("KEY", "k-not-shown");
        let ended = osiris_e2e::Ended::of(command.output().unwrap());
        assert_ne!(ended.code, 0, "{component}");
        for part in [&format!("connection: @{family}.far"), "osiris_connections.yaml"] {
            assert!(ended.stderr.contains(part), "{component}: {part}: {}", ended.stderr);
        }
        let steps = ended.json();
        let steps = steps["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["id"] == "it").unwrap();
        assert_eq!(step["error"]["context"]["connection"], json!(format!("@{family}.far")), "{component}: {step}");
    }
}
