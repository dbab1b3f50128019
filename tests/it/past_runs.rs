//! Runs that have ended: which one is meant, and which may go.

use std::path::Path;

use serde_json::{Value, json};

use crate::{READ, project, sql, write};

const APPEND: &str = "  - {id: out, component: filesystem.csv_writer, mode: write, needs: [orders], config: {path: out.csv, mode: append}}\n";
/// Fails until there is the file `later.csv`.
const LATER: &str =
    "  - {id: later, component: filesystem.csv_extractor, mode: read, needs: [out], config: {path: later.csv}}\n";

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
    // One without tables cannot be resumed: it does not take the place of the one that can.
    project.run(&["run", "pipeline.yaml", "--store", "memory"]).with_code(1);
    project.run(&["runs", "clean", "--keep", "0", "--older-than", "0s"]).with_code(0);
    assert_eq!(project.runs(), Vec::from_iter(latest));
    let resumed = project.run(&["run", "--resume"]).with_code(1);
    assert!(resumed.stderr.contains("from the resumed run"), "{}", resumed.stderr);
}

#[test]
fn a_step_has_another_name_when_its_run_is_resumed() {
    for (before, after) in [("the-step", "the_step"), ("Sums", "sums")] {
        let steps = [
            READ,
            &sql(before, "SELECT sum(amount) AS amount FROM orders"),
            &sql("last", "SELECT error('x') FROM input"),
            &write("out", "out.csv"),
        ];
        let project = project(&steps.concat());
        project.run(&["run", "pipeline.yaml"]).with_code(1);
        let renamed = project.read("pipeline.yaml").replace(before, after).replace("error('x')", "amount");
        project.write("pipeline.yaml", renamed);
        project.run(&["run", "--resume"]).with_code(0);
        assert_eq!(project.read("out.csv"), "amount\n60\n");
    }
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
    let broken = "  - {id: broken, component: duckdb.processor, mode: transform, needs: [orders, out], config: {query: \"SELECT error('x') FROM orders\"}}\n";
    let project = project(&[READ, APPEND, broken].concat());
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

/// Makes a run look as if the clock had been far ahead when it ran.
fn move_into_the_future(run: &Path) {
    let record = std::fs::read_to_string(run.join("run.json")).unwrap();
    let mut record: Value = serde_json::from_str(&record).unwrap();
    for name in ["started_at", "finished_at"] {
        record[name] = json!("2100-01-01T00:00:00Z");
    }
    std::fs::write(run.join("run.json"), record.to_string()).unwrap();
}

fn id(run: &Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_success_from_before_the_clock_was_set_back_hides_no_failed_run() {
    let project = project(&[READ, APPEND, LATER].concat());
    project.write("later.csv", "a\n1\n");
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    move_into_the_future(&project.runs()[0]);
    std::fs::remove_file(project.path("later.csv")).unwrap();
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    assert_eq!(project.read("out.csv").lines().count(), 7);
    let failed = id(&project.runs()[1]);
    let refused = project.run(&["run", "pipeline.yaml"]).with_code(2);
    assert!(refused.stderr.contains(&format!("run {failed} of this pipeline failed after")), "{}", refused.stderr);
    let listed = project.run(&["runs", "list", "--json"]).with_code(0).json();
    assert_eq!(listed[0]["run_id"], json!(failed));
    project.write("later.csv", "a\n1\n");
    let resumed = project.run(&["run", "--resume"]).with_code(0);
    assert!(resumed.stderr.contains(&failed), "{}", resumed.stderr);
    assert_eq!(project.read("out.csv").lines().count(), 7);
}

#[test]
fn a_run_that_was_later_than_the_clock_says_is_the_one_to_resume() {
    let project = project(&[READ, APPEND, LATER].concat());
    let orders = project.read("orders.csv");
    project.write("orders.csv", "order_id,customer,amount\n1,a\n");
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    move_into_the_future(&project.runs()[0]);
    let first = id(&project.runs()[0]);
    project.write("orders.csv", &orders);
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    let second = project.runs().iter().map(|run| id(run)).find(|run| *run != first).unwrap();
    project.write("later.csv", "a\n1\n");
    let refused = project.run(&["run", "--resume", &first]).with_code(2);
    assert!(refused.stderr.contains("is obsolete"), "{}", refused.stderr);
    let resumed = project.run(&["run", "--resume"]).with_code(0);
    assert!(resumed.stderr.contains(&second), "{}", resumed.stderr);
    assert_eq!(project.read("out.csv").lines().count(), 4);
}
