//! `osiris head` and `osiris exec`: rows on the screen, and nothing left behind.

use std::process::Stdio;

use osiris_e2e::{Ended, Program, Project, shape};
use serde_json::json;

fn project() -> Project {
    let project = Project::empty(Program::built());
    project.write("orders.csv", "order_id,customer,amount\n1,a,10.5\n2,,20\n3,\u{1b}[2J,30\n");
    project.run(&["copy", "orders.csv", "sqlite:app.db#orders"]).with_code(0);
    project.write("osiris_connections.yaml", "version: 1\nconnections:\n  sqlite:\n    app: {path: app.db}\n");
    std::fs::remove_dir_all(project.path(".osiris")).unwrap();
    project
}

fn with_input(project: &Project, arguments: &[&str], input: &str) -> Ended {
    let mut command = project.command(arguments);
    let mut running = osiris_e2e::Running::start(command.stdin(Stdio::piped()));
    running.give_input(input.as_bytes());
    running.ended()
}

#[test]
fn u11_the_head_of_a_file_has_types_and_marks_what_is_not_there() {
    let project = project();
    let head = project.run(&["head", "orders.csv"]).with_code(0);
    let rows = shape(&head.stdout, 0);
    assert_eq!(rows[0], ["order_id", "customer", "amount"]);
    assert_eq!(rows[1], ["BIGINT", "VARCHAR", "DOUBLE"]);
    assert_eq!(rows[2], ["1", "a", "10.5"]);
    assert_eq!(rows[3], ["2", "NULL", "20.0"]);
    assert_eq!(rows[4], ["3", "\\u{1b}[2J", "30.0"]);
    assert_eq!(head.stderr, "3 rows\n");
    assert!(!project.path(".osiris").exists(), "no run is left");
}

#[test]
fn u11_every_address_of_a_copy_has_a_head() {
    let project = project();
    for address in ["orders.csv", "sqlite:app.db#orders", "@sqlite.app.orders"] {
        let head = project.run(&["head", address, "-n", "2", "--json"]).with_code(0).json();
        assert_eq!(head["more"], true, "{address}");
        assert_eq!(head["columns"][0]["name"], "order_id", "{address}");
        let ids: Vec<_> = head["rows"].as_array().unwrap().iter().map(|row| row["order_id"].clone()).collect();
        assert_eq!(ids, [json!(1), json!(2)], "{address}");
        assert_eq!(head["rows"][1]["customer"], json!(null), "{address}");
    }
    let piped = with_input(&project, &["head", "-", "--csv"], "a,b\n1,\"x,y\"\n").with_code(0);
    assert_eq!(piped.stdout, "a,b\n1,\"x,y\"\n");
    let few = project.run(&["head", "orders.csv", "-n", "1"]).with_code(0);
    assert_eq!(few.stderr, "the first 1 row: -n shows more\n");
    let refused = project.run(&["head", "@sqlite.app.ordes", "--json"]);
    assert_ne!(refused.code, 0);
    assert_eq!(refused.json()["ok"], false);
    assert!(!project.path(".osiris").exists(), "no run is left");
}

#[test]
fn u11_a_statement_that_reads_is_run_and_one_that_writes_is_refused() {
    let project = project();
    let count = "SELECT count(*) AS n, sum(order_id) AS total FROM orders";
    let counted = project.run(&["exec", "@sqlite.app", count, "--csv"]).with_code(0);
    assert_eq!(counted.stdout, "n,total\n3,6\n");
    let piped = with_input(&project, &["exec", "sqlite.app", "-", "--json"], count).with_code(0).json();
    assert_eq!(piped["rows"], json!([{"n": 3, "total": 6}]));
    let first = project.run(&["exec", "@sqlite.app", "SELECT order_id FROM orders", "-n", "2"]).with_code(0);
    assert!(first.stderr.contains("the first 2 of 3 rows"), "{}", first.stderr);
    let refused = project.run(&["exec", "@sqlite.app", "DELETE FROM orders"]).with_code(2);
    assert!(refused.stderr.contains("DELETE"), "{}", refused.stderr);
    let left = project.run(&["exec", "@sqlite.app", count, "--csv"]).with_code(0);
    assert_eq!(left.stdout, "n,total\n3,6\n");
    let refused = project.run(&["exec", "@sqlite.none", count]).with_code(2);
    assert!(refused.stderr.contains("@sqlite.none"), "{}", refused.stderr);
    let refused = project.run(&["exec", "@filesystem.data", count]).with_code(2);
    assert!(refused.stderr.contains("connections of `filesystem` have no queries"), "{}", refused.stderr);
    assert!(!project.path(".osiris").exists(), "no run is left");
}
