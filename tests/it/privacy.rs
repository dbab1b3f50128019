//! What a run leaves is for its owner's eyes, and holds no secret.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use osiris_e2e::{Ended, Program, Project};

use crate::{READ, SLOW, project, sql, write};

fn run(project: &Project, arguments: &[&str]) -> Ended {
    Ended::of(with_umask(project.command(arguments)).output().unwrap())
}

/// As a shell has it that lets everybody read.
fn with_umask(command: std::process::Command) -> std::process::Command {
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg("umask 022; exec \"$0\" \"$@\"").arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap()).stdin(std::process::Stdio::null()).process_group(0);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Everything below the run directory that others could read, with its mode.
fn open_to_others(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            found.push(format!("{} {mode:o}", path.display()));
        }
        if metadata.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
        }
    }
    found
}

/// A run that leaves rejects and a store, and one that ended well and keeps its store.
fn leavings() -> Project {
    let reject = READ.replace("path: orders.csv", "path: bad.csv, on_bad_lines: reject, max_rejects: 5");
    let project = project(&[reject.as_str(), &write("out", "out.csv")].concat());
    project.write("bad.csv", "a,b\n1,2\n3\n");
    project
}

#[test]
fn s34_all_that_a_run_leaves_is_private() {
    let project = leavings();
    run(&project, &["run", "pipeline.yaml", "--keep"]);
    let failing = project.read("pipeline.yaml").replace("max_rejects: 5", "max_rejects: 0");
    project.write("failing.yaml", failing);
    assert_ne!(run(&project, &["run", "failing.yaml"]).code, 0);
    assert_eq!(open_to_others(&project.path(".osiris")), Vec::<String>::new());
    let files = project.files();
    for wanted in ["store.duckdb", "run.json", "ledger.json", "events.jsonl", "metrics.jsonl", "orders.parquet"] {
        assert!(files.iter().any(|file| file.ends_with(wanted)), "{wanted} was not even made: {files:?}");
    }
    let mode = project.path("out.csv").metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644, "what the user asked for is as the umask says");
}

#[test]
fn s34_states_and_what_was_discovered_are_private() {
    let steps = "  - {id: rows, component: sqlite.extractor, mode: read, config: {table: t, cursor: {column: id}}}
  - {id: out, component: filesystem.csv_writer, mode: write, config: {path: out.csv}}
";
    let project = Project::with_steps(Program::built(), steps);
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: a.db}}}\n");
    project.write("rows.csv", "id\n1\n");
    assert_eq!(run(&project, &["copy", "rows.csv", "sqlite:a.db#t"]).code, 0);
    assert_eq!(run(&project, &["run", "pipeline.yaml"]).code, 0);
    assert_eq!(run(&project, &["components", "discover", "sqlite.extractor"]).code, 0);
    let below = |name: &str| project.files().iter().any(|file| file.starts_with(Path::new(".osiris").join(name)));
    for directory in ["state", "cache"] {
        assert!(below(directory), "{directory} was not even made: {:?}", project.files());
    }
    assert_eq!(open_to_others(&project.path(".osiris")), Vec::<String>::new());
}

#[test]
fn s34_a_run_is_private_while_it_goes_on_and_when_it_was_killed() {
    let project = project(&[READ, &sql("slow", SLOW)].concat());
    let mut running = osiris_e2e::Running::start(&mut with_umask(project.command(&["run", "pipeline.yaml"])));
    let has_wal = || project.files().iter().any(|file| file.ends_with("store.duckdb.wal"));
    running.wait_until("it has a store", has_wal);
    let started = || {
        let runs = project.runs();
        runs.iter().any(|run| project.lines(run, "events.jsonl").iter().any(|event| event["step_id"] == "slow"))
    };
    running.wait_until("the query runs", started);
    assert_eq!(open_to_others(&project.path(".osiris")), Vec::<String>::new());
    running.signal(osiris_e2e::Signal::KILL);
    running.ended();
    assert_eq!(open_to_others(&project.path(".osiris")), Vec::<String>::new());
}

#[test]
fn s34_what_an_earlier_version_left_open_is_tightened() {
    let project = leavings();
    run(&project, &["run", "pipeline.yaml", "--keep"]);
    let mut waiting = vec![project.path(".osiris")];
    while let Some(path) = waiting.pop() {
        let is_directory = path.is_dir();
        let mode = if is_directory { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        if is_directory {
            waiting.extend(std::fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
        }
    }
    run(&project, &["run", "pipeline.yaml"]);
    assert_eq!(open_to_others(&project.path(".osiris")), Vec::<String>::new());
}

fn with_params(params: &str, query: &str) -> Project {
    let steps = [READ, &sql("keyed", query), &write("out", "out.csv")].concat();
    let project = project("");
    project.write("pipeline.yaml", format!("oml_version: \"0.1.0\"\nname: test\nparams:\n{params}steps:\n{steps}"));
    project
}

/// All that is below the run directory, as text.
fn kept(project: &Project) -> Vec<(String, String)> {
    let files = project.files().into_iter().filter(|file| file.starts_with(".osiris"));
    let text = |file: &Path| String::from_utf8_lossy(&std::fs::read(project.path(file)).unwrap()).into_owned();
    files.map(|file| (file.display().to_string(), text(&file))).collect()
}

#[test]
fn s39_a_parameter_that_is_declared_secret_is_in_no_record() {
    let project =
        with_params("  magic: {secret: true}\n", "SELECT nothing, length('${params.magic}') AS n FROM orders");
    let run = project.run(&["run", "pipeline.yaml", "-v", "--param", "magic=k3y-0123456789"]).with_code(1);
    let plan = project.run(&["plan", "pipeline.yaml", "--json", "--param", "magic=k3y-0123456789"]).with_code(0);
    assert!(!run.stderr.contains("k3y-0123456789") && !plan.stdout.contains("k3y-0123456789"), "{}", run.stderr);
    for (file, text) in kept(&project) {
        assert!(file.ends_with("store.duckdb") || !text.contains("k3y-0123456789"), "{file}");
    }
    project
        .write("pipeline.yaml", project.read("pipeline.yaml").replace("secret: true", "secret: true, default: k3y-9"));
    let refused = project.run(&["validate", "pipeline.yaml"]).with_code(2);
    assert!(refused.stderr.contains("must not be written in a pipeline file"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("k3y-9"), "{}", refused.stderr);
}

#[test]
fn s39_a_harmless_parameter_that_holds_a_known_secret_is_not_kept() {
    let project = with_params("  api_token: {}\n  address: {}\n", "SELECT '${params.address}' AS a FROM orders");
    let parameters = ["--param", "api_token=k3y-0123456789", "--param", "address=https://h/?k=k3y-0123456789"];
    project.run(&[&["run", "pipeline.yaml"], &parameters[..]].concat()).with_code(0);
    for (file, text) in kept(&project) {
        assert!(!text.contains("k3y-0123456789"), "{file}");
    }
}

#[test]
fn s40_what_is_written_has_its_form_whatever_the_secret() {
    for secret in ["event", "rows", "steps", "run_id", "metric", "abc"] {
        let project = with_params("  api_token: {}\n", "SELECT length('${params.api_token}') AS n FROM orders");
        let parameter = format!("api_token={secret}");
        project.run(&["run", "pipeline.yaml", "--param", &parameter]).with_code(0);
        let run = &project.runs()[0];
        for event in project.lines(run, "events.jsonl") {
            assert!(event["event"].is_string() && event["session"] != "***", "{secret}: {event}");
        }
        for metric in project.lines(run, "metrics.jsonl") {
            assert!(metric["metric"] != "***" && metric["unit"] != "***", "{secret}: {metric}");
        }
        let plan = project.run(&["plan", "pipeline.yaml", "--json", "--param", &parameter]).with_code(0).json();
        assert!(plan["steps"][0]["component"].is_string(), "{secret}: {plan}");
        let query = plan["steps"][1]["config"]["query"].as_str().unwrap();
        assert_eq!(query, "SELECT length('***') AS n FROM orders", "{secret}");
    }
}

#[test]
fn s51_control_characters_of_arguments_do_not_reach_the_terminal() {
    let project = project(READ);
    for colour in ["never", "always"] {
        let value = "\u{1b}]0;title\u{7}\u{9b}2J\u{202e}";
        let refused = project.run(&["run", "--color", colour, "--jobs", value, "pipeline.yaml"]).with_code(2);
        assert!(refused.stderr.contains("\\u{9b}2J\\u{202e}"), "{:?}", refused.stderr);
        assert!(!refused.stderr.contains("\u{1b}]0") && !refused.stderr.contains('\u{7}'), "{:?}", refused.stderr);
    }
}

#[test]
fn s51_control_characters_of_data_do_not_reach_the_terminal() {
    let project = project(&READ.replace("path: orders.csv", "path: bad.csv, columns: [absent]"));
    project.write("bad.csv", "a\u{1b}]0;title\u{7},b\u{202e}\u{9b}2J\n1,2\n");
    let run = project.run(&["run", "pipeline.yaml"]);
    assert_ne!(run.code, 0);
    let all = [run.stdout, run.stderr].concat();
    assert!(!all.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{all:?}");
    for written in ["\\u{1b}]0;title\\u{7}", "\\u{202e}\\u{9b}2J"] {
        assert!(all.contains(written), "{all}");
    }
}
