//! Ctrl-C, SIGTERM and SIGHUP: the first stops cleanly with exit code 130, the second at once.

use std::process::Stdio;
use std::time::Duration;

use osiris_e2e::{Project, Running, Signal};
use serde_json::Value;

use crate::{READ, SLOW, project, sql, write};

/// Whether a step of any run of the project has begun.
pub(crate) fn has_started(project: &Project, step: &str) -> bool {
    let runs = project.runs();
    let events: Vec<Value> = runs.iter().flat_map(|run| project.lines(run, "events.jsonl")).collect();
    events.iter().any(|event| event["event"] == "step_start" && event["step_id"] == step)
}

#[test]
fn s5_a_signal_rolls_back_and_the_run_can_be_resumed() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let project = project(&[READ, &sql("slow", SLOW), &write("out", "out.csv")].concat());
        let mut running = project.start(&["run", "pipeline.yaml"]);
        running.wait_until("the query runs", || has_started(&project, "slow"));
        running.signal(signal);
        let ended = running.ended().with_code(130);
        assert!(ended.stderr.contains("interrupted: the stopped steps have written no rows"), "{}", ended.stderr);
        assert!(!project.path("out.csv").exists());
        let listed = project.run(&["runs", "list", "--json"]).with_code(0).json();
        assert_eq!(listed[0]["outcome"], "interrupted");

        let quick = project.read("pipeline.yaml").replace(SLOW, "SELECT sum(amount) AS n FROM orders");
        project.write("pipeline.yaml", quick);
        let resumed = project.run(&["run", "--resume", "--json"]).with_code(0).json();
        let statuses: Vec<&str> =
            resumed["steps"].as_array().unwrap().iter().map(|step| step["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["reused", "done", "done"]);
        assert_eq!(project.read("out.csv"), "n\n60\n");
    }
}

#[test]
fn a_run_that_waits_to_try_again_is_interrupted_and_not_failed() {
    let project = project(READ);
    let waits = || {
        let runs = project.runs();
        let mut events = runs.iter().flat_map(|run| project.lines(run, "events.jsonl"));
        events.any(|event| event["event"] == "step_retry_attempt")
    };
    for (signal, destination) in [(Signal::TERM, "-"), (Signal::INT, "out.csv")] {
        let mut running = project.start(&["copy", "mysql://u@127.0.0.1:1/db.t", destination]);
        running.wait_until("it waits to try again", waits);
        running.signal(signal);
        let ended = running.ended().with_code(130);
        assert!(ended.stderr.contains("interrupted: the stopped steps have written no rows"), "{}", ended.stderr);
        let listed = project.run(&["runs", "list", "--json"]).with_code(0).json();
        assert_eq!(listed[0]["outcome"], "interrupted");
        std::fs::remove_dir_all(project.path(".osiris")).unwrap();
    }
}

#[test]
fn a_run_that_waits_for_its_standard_input_can_be_interrupted() {
    let read = READ.replace("orders.csv", "\"-\"");
    let project = project(&[read.as_str(), &write("out", "out.csv")].concat());
    let mut command = project.command(&["run", "pipeline.yaml"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    running.wait_until("it reads", || has_started(&project, "orders"));
    running.signal(Signal::INT);
    running.ended().with_code(130);
    assert!(!project.path("out.csv").exists());
}

#[test]
fn a_run_whose_messages_nobody_reads_ends_at_a_signal() {
    for more in [&["--progress", "json"][..], &[]] {
        let project = project(&[READ, &sql("slow", SLOW), &write("out", "out.csv")].concat());
        let arguments = [&["run", "pipeline.yaml"], more].concat();
        let (mut running, _unread) = Running::start_unread(&mut project.command(&arguments));
        running.wait_until("the query runs", || has_started(&project, "slow"));
        running.signal(Signal::INT);
        running.ended_within(Duration::from_secs(30)).expect("it waits for its reader").with_code(130);
        let listed = project.run(&["runs", "list", "--json"]).with_code(0).json();
        assert_eq!(listed[0]["outcome"], "interrupted");
    }
}

#[test]
fn a_run_in_one_process_cannot_be_resumed_in_another() {
    let project = project(&[READ, &sql("slow", SLOW)].concat());
    let mut running = project.start(&["run", "pipeline.yaml"]);
    running.wait_until("the query runs", || has_started(&project, "slow"));
    let id = project.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let refused = project.run(&["run", "--resume", &id]).with_code(2);
    assert!(refused.stderr.contains("is still running"), "{}", refused.stderr);
}

#[test]
fn without_a_terminal_a_line_says_every_ten_seconds_how_far_a_step_has_come() {
    let project = project(&[READ, &sql("slow", SLOW), &write("out", "out.csv")].concat());
    let mut running = project.start(&["run", "pipeline.yaml"]);
    std::thread::sleep(Duration::from_secs(11));
    running.signal(Signal::INT);
    let ended = running.ended().with_code(130);
    assert!(ended.stderr.contains("  running slow: "), "{}", ended.stderr);
    let mut quiet = project.start(&["run", "pipeline.yaml", "--quiet"]);
    std::thread::sleep(Duration::from_secs(11));
    quiet.signal(Signal::INT);
    assert!(!quiet.ended().stderr.contains("running slow"));
}
