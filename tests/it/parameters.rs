//! Parameters and profiles: `--param`, then the environment, then the profile, then the default.

use osiris_e2e::{Program, Project};

fn large_orders(project: &Project, flags: &[&str], variable: Option<&str>) -> usize {
    let mut command = project.command(&[&["run", "pipeline.yaml"], flags].concat());
    if let Some(value) = variable {
        command.env("OSIRIS_PARAM_MIN_AMOUNT", value);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    project.read("out/large-orders.csv").lines().count() - 1
}

#[test]
fn a_parameter_takes_the_first_value_that_is_given() {
    let project = Project::starter(Program::built());
    assert_eq!(large_orders(&project, &[], None), 4, "the default is 100");
    assert_eq!(large_orders(&project, &["--profile", "large"], None), 2, "the profile says 300");
    assert_eq!(large_orders(&project, &["--profile", "large"], Some("90")), 5, "the environment says 90");
    assert_eq!(large_orders(&project, &["--profile", "large", "--param", "min_amount=400"], Some("90")), 1);
}

#[test]
fn a_resumed_run_keeps_its_parameters() {
    let project = Project::starter(Program::built());
    project.write("out", "a file where a directory is needed");
    project.run(&["run", "pipeline.yaml", "--param", "min_amount=400"]).with_code(1);
    std::fs::remove_file(project.path("out")).unwrap();
    let resumed = project.run(&["run", "--resume", "--json"]).with_code(0).json();
    assert_eq!(resumed["steps"][0]["status"], "reused");
    assert_eq!(project.read("out/large-orders.csv").lines().count(), 2);
}

#[test]
fn a_run_can_be_resumed_from_anywhere_by_naming_its_pipeline() {
    let project = Project::empty(Program::built());
    project.run(&["init", "below"]).with_code(0);
    project.write("below/out", "a file where a directory is needed");
    let failed = project.run(&["run", "below/pipeline.yaml"]).with_code(1);
    std::fs::remove_file(project.path("below/out")).unwrap();
    let hint = failed.stderr.split("`osiris ").nth(1).unwrap().split('`').next().unwrap();
    let arguments: Vec<&str> = hint.split(' ').collect();
    assert_eq!(arguments[..2], ["run", "below/pipeline.yaml"]);
    project.run(&arguments).with_code(0);
    assert!(project.path("below/out/totals.parquet").is_file());
}
