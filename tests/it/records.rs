//! What a run says on the screen and what its record says are the same, whatever fails while it is written.

use std::process::Command;

use osiris_e2e::{Ended, Project};

use crate::{READ, project};

/// Rows that a second write would double.
const APPEND: &str =
    "  - {id: out, component: filesystem.csv_writer, mode: write, config: {path: out.csv, mode: append}}\n";

/// Runs the pipeline with an error at one of the calls that make something durable.
fn without_space(project: &Project, nth: u32) -> Ended {
    let plain = project.command(&["run", "pipeline.yaml"]);
    let inject = format!("inject=fsync,fdatasync:error=ENOSPC:when={nth}");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject]);
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(project.directory());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ended::of(command.output().unwrap())
}

#[test]
fn s60_a_run_that_says_that_it_failed_can_be_resumed_whatever_could_not_be_synced() {
    if !Command::new("strace").args(["-o", "/dev/null", "true"]).output().is_ok_and(|output| output.status.success()) {
        return;
    }
    let mut failed = 0;
    for nth in 1.. {
        let project = project(&[READ, APPEND].concat());
        let run = without_space(&project, nth);
        let runs = project.run(&["runs", "list", "--json"]).json();
        let outcome = runs[0]["outcome"].as_str().unwrap_or("none").to_owned();
        assert_eq!(run.code == 0, outcome == "done", "sync {nth}: {}\n{}", runs[0], run.stderr);
        if run.code == 0 {
            break;
        }
        failed += 1;
        // As its user would go on: from where it failed, or where nothing of it was kept, anew.
        if project.run(&["run", "--resume"]).code != 0 {
            project.run(&["run", "pipeline.yaml"]).with_code(0);
        }
        assert_eq!(project.read("out.csv").lines().count(), 4, "sync {nth}: {}", run.stderr);
    }
    assert!(failed > 5, "{failed} syncs failed");
}
