//! Runs that have ended: which one is meant, and which may go.

use crate::{READ, project, sql, write};

#[test]
fn old_runs_are_removed_and_what_may_be_needed_stays() {
    let project = project(&[READ, &write("out", "out.csv")].concat());
    for _ in 0..3 {
        project.run(&["run", "pipeline.yaml"]).with_code(0);
    }
    let nothing = project.run(&["runs", "clean", "--keep", "0"]).with_code(0);
    assert!(nothing.stderr.contains("removed 0 runs"), "{}", nothing.stderr);
    let clean = ["runs", "clean", "--keep", "1", "--older-than", "0s"];
    let planned = project.run(&[&clean[..], &["--dry-run", "--json"]].concat()).with_code(0).json();
    assert_eq!(planned["runs"].as_array().unwrap().len(), 2);
    assert_eq!(project.runs().len(), 3);
    let removed = project.run(&clean).with_code(0);
    assert!(removed.stderr.contains("removed 2 runs"), "{}", removed.stderr);
    assert_eq!(project.runs().len(), 1);
    // What a cleaning that was killed has left is gone with the next one; what else lies there is not touched.
    project.write(".osiris/runs/20200101-000000-aaaaaa.removed/run.json", "{}");
    project.write(".osiris/runs/notes.d/a", "mine");
    project.run(&clean).with_code(0);
    assert!(!project.path(".osiris/runs/20200101-000000-aaaaaa.removed").exists());
    assert_eq!(project.read(".osiris/runs/notes.d/a"), "mine");
}

#[test]
fn the_latest_run_that_failed_can_still_be_resumed_after_cleaning() {
    let project = project(&[READ, &sql("broken", "SELECT error('x') FROM orders"), &write("out", "out.csv")].concat());
    for _ in 0..2 {
        project.run(&["run", "pipeline.yaml"]).with_code(1);
    }
    let latest = project.runs().pop();
    project.run(&["runs", "clean", "--keep", "0", "--older-than", "0s"]).with_code(0);
    assert_eq!(project.runs(), Vec::from_iter(latest));
    let resumed = project.run(&["run", "--resume"]).with_code(1);
    assert!(resumed.stderr.contains("from the resumed run"), "{}", resumed.stderr);
}

#[test]
fn an_id_that_means_several_runs_lists_them() {
    let project = project(&[READ, &write("out", "out.csv")].concat());
    for _ in 0..2 {
        project.run(&["run", "pipeline.yaml"]).with_code(0);
    }
    let refused = project.run(&["runs", "show", "2"]).with_code(2);
    let hint = "hint: give more characters of the id: 2";
    assert!(refused.stderr.contains(hint) && refused.stderr.contains("(done), 2"), "{}", refused.stderr);
}

#[test]
fn a_run_that_has_written_keeps_the_next_from_writing_again_after_cleaning() {
    let append = "  - {id: out, component: filesystem.csv_writer, mode: write, needs: [orders], config: {path: out.csv, mode: append}}\n";
    let broken = "  - {id: broken, component: duckdb.processor, mode: transform, needs: [orders, out], config: {query: \"SELECT error('x') FROM orders\"}}\n";
    let project = project(&[READ, append, broken].concat());
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    assert_eq!(project.read("out.csv").lines().count(), 4);
    let orders = project.read("orders.csv");
    std::fs::remove_file(project.path("orders.csv")).unwrap();
    project.run(&["run", "pipeline.yaml", "--force"]).with_code(1);
    project.write("orders.csv", &orders);
    project.run(&["runs", "clean", "--keep", "0", "--older-than", "0s"]).with_code(0);
    project.run(&["run", "pipeline.yaml"]).with_code(2);
    assert_eq!(project.read("out.csv").lines().count(), 4);
}
