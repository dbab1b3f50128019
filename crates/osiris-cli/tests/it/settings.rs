//! Settings: flag, then variable, then file, then default.

use osiris_e2e::{Ended, Project};

use crate::program;

/// What a plan says of jobs.
fn jobs(ended: &Ended) -> &str {
    let line = ended.stdout.lines().last().unwrap_or_else(|| panic!("{}", ended.stderr));
    line.rsplit("; ").next().unwrap()
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let project = Project::starter(program());
    let plan = |flags: &[&str], variable: &str| {
        let arguments = [&["plan", "pipeline.yaml"], flags].concat();
        let output = project.command(&arguments).env("OSIRIS_JOBS", variable).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: 0, stdout: text(output.stdout), stderr: text(output.stderr) }
    };
    assert_eq!(jobs(&plan(&[], "")), "steps in parallel: 4");
    project.write("osiris.yaml", "jobs: 3\n");
    assert_eq!(jobs(&plan(&[], "")), "steps in parallel: 3");
    assert_eq!(jobs(&plan(&[], "2")), "steps in parallel: 2");
    assert_eq!(jobs(&plan(&["--jobs", "1"], "2")), "steps in parallel: 1");
}

#[test]
fn a_setting_that_does_not_fit_is_refused_wherever_it_stands() {
    let project = Project::starter(program());
    let flag = project.run(&["plan", "pipeline.yaml", "--memory-limit", "2XB"]).with_code(2);
    insta::assert_snapshot!(flag.stderr, @r"
    error: invalid value '2XB' for '--memory-limit <SIZE>': expected a size such as `2GB`, `512MiB` or a number of bytes

    For more information, try '--help'.
    ");
    project.write("osiris.yaml", "job: 3\nmemory_limit: lots\n");
    let file = project.run(&["plan", "pipeline.yaml"]).with_code(2);
    insta::assert_snapshot!(file.stderr, @r"
    error: unknown setting `job`
     --> osiris.yaml:1:1
      |
    1 | job: 3
      | ^^^
      |
      = hint: did you mean `jobs`?

    error: `memory_limit`: expected a size such as `2GB`, `512MiB` or a number of bytes, found `lots`
     --> osiris.yaml:2:15
      |
    2 | memory_limit: lots
      |               ^^^^
    for more: osiris explain E0202 E0204
    ");
}

#[test]
fn runs_and_state_go_where_they_are_told() {
    let project = Project::starter(program());
    project.run(&["run", "pipeline.yaml", "--run-dir", "elsewhere"]).with_code(0);
    assert!(project.path("elsewhere/runs").is_dir());
    assert!(!project.path(".osiris").exists());
    assert_eq!(project.run(&["runs", "list", "--json", "--run-dir", "elsewhere"]).json().as_array().unwrap().len(), 1);
}

#[test]
fn another_connections_file_can_be_named() {
    let project = Project::starter(program());
    project.write("other/c.yaml", "version: 1\nconnections: {filesystem: {data: {base_dir: nowhere}}}\n");
    let run = project.run(&["run", "pipeline.yaml", "--connections", "other/c.yaml"]).with_code(1);
    assert!(run.stderr.contains("the connection's base_dir `./nowhere` does not exist"), "{}", run.stderr);
    let missing = project.run(&["validate", "pipeline.yaml", "--connections", "no.yaml"]).with_code(2);
    assert!(missing.stderr.contains("no file `no.yaml`"), "{}", missing.stderr);
}

#[test]
fn the_store_can_live_in_memory() {
    let project = Project::starter(program());
    project.run(&["run", "pipeline.yaml", "--store", "memory", "--keep"]).with_code(0);
    project.run(&["run", "pipeline.yaml", "--keep"]).with_code(0);
    let stores: Vec<bool> = project.runs().iter().map(|run| run.join("store.duckdb").exists()).collect();
    let mut sorted = stores.clone();
    sorted.sort();
    assert_eq!(sorted, [false, true], "only a file store is kept");
}

#[test]
fn old_runs_are_removed_after_a_run_if_a_setting_says_how_long_they_are_kept() {
    let project = Project::starter(program());
    let run = || project.run(&["run", "pipeline.yaml"]).with_code(0);
    (0..21).for_each(|_| drop(run()));
    assert_eq!(project.runs().len(), 21, "without the setting all are kept");
    project.write("osiris.yaml", "run_retention: 30\n");
    let refused = project.run(&["run", "pipeline.yaml"]).with_code(2);
    assert!(refused.stderr.contains("expected a duration with its unit"), "{}", refused.stderr);
    project.write("osiris.yaml", "run_retention: 1d\n");
    run();
    assert_eq!(project.runs().len(), 22, "none is a day old");
    project.write("osiris.yaml", "run_retention: 1ms\n");
    run();
    assert_eq!(project.runs().len(), 20, "the newest 20 stay");
}
