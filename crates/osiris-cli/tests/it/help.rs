//! The help of every command, and its examples, which work as they stand.

use osiris_e2e::Project;

use crate::program;

/// Every command, found by following the lists of subcommands, and the one that no list shows.
fn commands() -> Vec<Vec<String>> {
    let mut found = vec![words("components reference")];
    let mut waiting = vec![Vec::new()];
    while let Some(command) = waiting.pop() {
        let help = help(&command);
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        for line in listed.filter(|line| !line.starts_with("   ")) {
            waiting.push([command.clone(), words(line).into_iter().take(1).collect()].concat());
        }
        found.push(command);
    }
    found.sort();
    found
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn help(command: &[String]) -> String {
    let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let project = Project::empty(program());
    let output = project.command(&arguments).env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_every_command_is_this() {
    let commands = commands();
    assert!(commands.len() > 12, "{commands:?}");
    for command in commands {
        let name = if command.is_empty() { "osiris".to_owned() } else { command.join("-") };
        insta::assert_snapshot!(name, help(&command));
    }
}

#[test]
fn every_command_has_an_example_and_each_works() {
    for command in commands() {
        let help = help(&command);
        let examples: Vec<&str> = help.lines().filter_map(|line| line.trim().strip_prefix("$ osiris ")).collect();
        assert!(!examples.is_empty(), "no example: {command:?}");
        // Those that need a server are run by the tests of whole pipelines, which start one.
        for example in examples.into_iter().filter(|example| !example.contains("mysql.")) {
            let project = project_with_a_failed_run();
            let arguments = words(example);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let ended = project.run(&arguments);
            assert_eq!(ended.code, 0, "osiris {example}\n{}{}", ended.stdout, ended.stderr);
        }
    }
}

/// The starter project after a run that failed because of its surroundings, which have been mended.
fn project_with_a_failed_run() -> Project {
    let project = Project::starter(program());
    project.write("out", "a file where a directory is needed");
    let failed = project.run(&["run", "pipeline.yaml", "--quiet"]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    std::fs::remove_file(project.path("out")).unwrap();
    project
}
