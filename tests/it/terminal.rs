//! What reaches a terminal of tables, bars and log lines: never a control character of data, of files or of servers.

use std::process::Command;

use osiris_e2e::{Ended, Program, Project, Running, Signal};

use crate::{READ, SLOW, project, sql, write};

/// What a terminal would obey: a title, a colour by way of C1, another direction of the text.
const HOSTILE: &str = "x\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}y";
/// The same as it may be shown.
const SHOWN: &str = "x\\u{1b}]0;owned\\u{7}\\u{9b}31m\\u{202e}y";
/// The same in a string of YAML or JSON.
const ESCAPED: &str = "x\\u001b]0;owned\\u0007\\u009b31m\\u202ey";

/// The program on a wide terminal, with all that it may draw.
pub(crate) fn on_a_terminal(project: &Project, arguments: &[&str]) -> Command {
    on_a_terminal_of(200, project, arguments)
}

/// The program on a terminal of so many columns.
fn on_a_terminal_of(columns: usize, project: &Project, arguments: &[&str]) -> Command {
    let command = project.command(arguments);
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"));
    let words: Vec<String> = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
    let mut terminal = Command::new("script");
    let line = format!("stty rows 40 cols {columns} && exec {}", words.join(" "));
    terminal.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    terminal.current_dir(project.directory()).stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    terminal.env_remove("NO_COLOR").env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
    terminal
}

/// Whether `text` has something that only [`HOSTILE`] can have brought.
#[track_caller]
fn assert_tame(text: &str, what: &str) {
    for wrong in ["\u{1b}]", "\u{7}", "\u{9b}", "\u{202e}"] {
        assert!(!text.contains(wrong), "{what} has {wrong:?}: {text:?}");
    }
}

/// The output of a command, on a terminal and elsewhere, which must show the hostile text as [`SHOWN`].
#[track_caller]
fn shows(project: &Project, arguments: &[&str], code: i32) {
    let piped = project.run(arguments).with_code(code);
    let terminal = Ended::of(on_a_terminal(project, arguments).output().unwrap()).with_code(code);
    for (what, text) in [("a pipe", format!("{}{}", piped.stdout, piped.stderr)), ("a terminal", terminal.stdout)] {
        assert_tame(&text, &format!("{arguments:?} to {what}"));
        assert!(text.contains(SHOWN), "{arguments:?} to {what} does not show it: {text:?}");
    }
}

#[test]
fn s51_control_characters_of_data_do_not_reach_the_terminal_in_any_table() {
    let reject = READ.replace("path: orders.csv", "path: bad.csv, on_bad_lines: reject, max_rejects: 5");
    let project = project(&[reject.as_str(), &write("out", "out.csv")].concat());
    project.write("bad.csv", format!("a,{HOSTILE}\n1,2\n{HOSTILE}\n"));
    project.write(
        "osiris_connections.yaml",
        format!("connections: {{sqlite: {{main: {{default: true, path: \"{ESCAPED}.db\"}}}}}}\n"),
    );
    let database = format!("sqlite:{HOSTILE}.db#t{HOSTILE}");
    project.write("rows.csv", format!("a,{HOSTILE}\n1,2\n"));
    project.run(&["copy", "rows.csv", &database]).with_code(0);
    // The names of tables, then those of columns.
    shows(&project, &["components", "discover", "sqlite.extractor"], 0);
    shows(&project, &["components", "discover", "sqlite.extractor", "--table", "t*"], 0);
    shows(&project, &["connections", "list"], 0);
    project.write(
        "osiris_connections.yaml",
        format!("connections: {{sqlite: {{main: {{default: true, path: \"no/{ESCAPED}.db\"}}}}}}\n"),
    );
    shows(&project, &["connections", "doctor"], 1);
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    shows(&project, &["runs", "rejects"], 0);
    let params = project
        .read("pipeline.yaml")
        .replace("steps:", &format!("description: \"{ESCAPED}\"\nparams: {{p: {{default: a}}}}\nsteps:"));
    project.write("pipeline.yaml", params);
    shows(&project, &["plan", "pipeline.yaml"], 0);
    project.run(&["run", "pipeline.yaml", "--param", &format!("p={HOSTILE}")]).with_code(0);
    shows(&project, &["runs", "show"], 0);
}

#[test]
fn s51_a_line_end_of_data_does_not_begin_a_line_of_a_table() {
    let project = project(READ);
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: a.db}}}\n");
    let forged = "t (table)\nforged";
    project.run(&["copy", "orders.csv", &format!("sqlite:a.db#{forged}")]).with_code(0);
    for more in [&[][..], &["--table", "*"]] {
        let shown = project.run(&[&["components", "discover", "sqlite.extractor"], more].concat()).with_code(0).stdout;
        assert!(shown.contains("t (table)\\u{a}forged") && !shown.contains("\nforged"), "{shown}");
    }
}

#[test]
fn s51_control_characters_reach_no_terminal_with_bars_nor_with_a_log() {
    // A name of a file that a killed run has left is in the log, while the bar of another step is drawn.
    let target = format!("{HOSTILE}.csv");
    let steps = [READ, &write("out", &format!("{ESCAPED}.csv")), &sql("slow", SLOW)].concat();
    let project = project(&steps.replace(
        "id: slow, component: duckdb.processor, mode: transform",
        "id: slow, component: duckdb.processor, mode: transform, needs: [orders]",
    ));
    let leave = || project.write(format!(".{target}.0123456789abcdef.osiris-tmp"), "half");
    for log in [&["--log-format", "text"][..], &["--log-format", "json"]] {
        leave();
        let arguments = [&["run", "pipeline.yaml", "--log-level", "info"], log].concat();
        let mut running = Running::start(&mut on_a_terminal(&project, &arguments));
        let has = |event: &str, step: &str| {
            let events = project.runs().pop().map(|run| project.lines(&run, "events.jsonl")).unwrap_or_default();
            events.iter().any(|line| line["event"] == event && line["step_id"] == step)
        };
        running.wait_until("the query runs and the file is written", || {
            has("step_start", "slow") && has("step_complete", "out")
        });
        // Some bars are drawn.
        std::thread::sleep(std::time::Duration::from_millis(500));
        interrupt(&project);
        let shown = running.ended().stdout;
        assert_tame(&shown, &format!("a terminal with {log:?}"));
        assert!(shown.contains("removing files left by a killed run"), "{shown:?}");
        assert!(shown.contains(if log[1] == "json" { "\\u202ey.csv" } else { "\\u{202e}y.csv" }), "{shown:?}");
        assert!(shown.contains("\u{1b}[") && shown.contains("slow"), "no bar was drawn: {shown:?}");
    }
}

/// Ends the run of the project as Ctrl-C does: the signal goes to the program, not to the one that has the terminal.
fn interrupt(project: &Project) {
    let lock: serde_json::Value = serde_json::from_str(&project.read(".osiris/state/test/lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(lock["pid"].as_i64().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
}

#[test]
fn s51_a_program_on_a_terminal_is_one() {
    let project = Project::starter(Program::built());
    let shown = Ended::of(on_a_terminal(&project, &["run", "pipeline.yaml"]).output().unwrap()).with_code(0).stdout;
    assert!(shown.contains("\u{1b}[32m") || shown.contains("\u{1b}[1m"), "no colours: {shown:?}");
}

#[test]
fn tables_and_snippets_fit_a_narrow_terminal() {
    let name = "orders_with_a_name_that_is_longer_than_most";
    let project = project(&READ.replace("id: orders", &format!("id: {name}")));
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let on_narrow = |arguments: &[&str], code| {
        let arguments = [arguments, &["--color", "never"]].concat();
        Ended::of(on_a_terminal_of(50, &project, &arguments).output().unwrap()).with_code(code).stdout
    };
    let shown = on_narrow(&["runs", "show"], 0);
    let ledger: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("step ")).take(2).collect();
    assert!(ledger.len() == 2 && ledger.iter().all(|line| line.chars().count() <= 50), "{shown}");
    assert!(ledger[1].starts_with("orders") && ledger[1].contains('…') && !ledger[0].contains("rows/s"), "{shown}");
    let listed = on_narrow(&["runs", "list"], 0);
    assert!(listed.lines().all(|line| line.chars().count() <= 50), "{listed}");
    assert!(project.run(&["runs", "show"]).with_code(0).stdout.contains(name), "a pipe has no width");

    project.write("pipeline.yaml", project.read("pipeline.yaml").replace("orders.csv", "orders.csv, frobnicate: x"));
    let refused = on_narrow(&["validate", "pipeline.yaml"], 2);
    let snippet: Vec<&str> = refused.lines().filter(|line| line.contains(" | ")).collect();
    assert!(snippet.iter().any(|line| line.contains("frobnicate")), "{refused}");
    assert!(snippet.iter().all(|line| line.chars().count() <= 50), "{refused}");
}
