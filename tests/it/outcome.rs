//! What a run says of a write that was stopped or killed, and what `--resume` makes of it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use osiris_e2e::{Ended, Program, Project, Running, Signal};
use serde_json::{Value, json};

use crate::{READ, SLOW, project, sql, write};

/// A step that appends the table `orders`.
pub(crate) fn append(id: &str, path: &str) -> String {
    format!(
        "  - {{id: {id}, component: filesystem.csv_writer, mode: write, needs: [orders], config: {{path: {path}, mode: append, columns: source}}}}\n"
    )
}

/// A step that waits for `needs`, and whose directory is missing until somebody makes it.
pub(crate) fn blocked(needs: &str) -> String {
    format!(
        "  - {{id: last, component: filesystem.csv_writer, mode: write, needs: [orders, {needs}], config: {{input_step: orders, path: later/out.csv, create_dirs: false, columns: source}}}}\n"
    )
}

const ROWS: &str = "1,a,10\n2,b,20\n3,a,30\n";
const HEAD: &str = "order_id,customer,amount\n";

/// A project whose run appends to `out.csv` and then fails.
fn appended_and_failed() -> Project {
    let project = project(&[READ, &append("load", "out.csv"), &blocked("load")].concat());
    project.write("out.csv", format!("{HEAD}0,z,5\n"));
    let failed = project.run(&["run", "pipeline.yaml"]).with_code(1);
    assert!(failed.stderr.contains("error: step `last`"), "{}", failed.stderr);
    assert_eq!(project.read("out.csv"), format!("{HEAD}0,z,5\n{ROWS}"));
    project
}

/// Makes the run look as `kill -9` leaves it between the renaming of the file and the record of that.
pub(crate) fn forget_the_end(run: &Path) {
    let commits = std::fs::read_to_string(run.join("commits.jsonl")).unwrap();
    let begun: String =
        commits.lines().filter(|line| line.starts_with("{\"begun\"")).map(|line| format!("{line}\n")).collect();
    std::fs::write(run.join("commits.jsonl"), begun).unwrap();
    let edit = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&std::fs::read(run.join(name)).unwrap()).unwrap();
        change(&mut value);
        std::fs::write(run.join(name), value.to_string()).unwrap();
    };
    edit("ledger.json", &|ledger| {
        for step in ledger["steps"].as_array_mut().unwrap().iter_mut().filter(|step| step["id"] != "orders") {
            step["status"] = json!("skipped");
            step["inserted"] = json!(0);
            step["read"] = json!(0);
        }
    });
    edit("run.json", &|record| record["outcome"] = json!("running"));
}

fn leftovers(project: &Project) -> Vec<PathBuf> {
    // Beside the destinations, not in the run directory.
    let files = project.files().into_iter().filter(|path| path.components().count() == 1);
    files.filter(|path| path.to_string_lossy().ends_with(".osiris-tmp")).collect()
}

#[test]
fn s2_an_append_that_took_place_before_a_crash_is_not_repeated() {
    let project = appended_and_failed();
    forget_the_end(&project.runs()[0]);
    std::fs::create_dir(project.path("later")).unwrap();
    let resumed = project.run(&["run", "--resume", "--json"]).with_code(0).json();
    assert_eq!(resumed["steps"][1]["status"], "reused");
    assert_eq!(resumed["steps"][1]["inserted"], 3);
    assert_eq!(project.read("out.csv"), format!("{HEAD}0,z,5\n{ROWS}"));
    assert_eq!(project.read("later/out.csv"), format!("{HEAD}{ROWS}"));
}

#[test]
fn s2_a_new_run_does_not_write_again_what_a_failed_one_wrote() {
    let project = appended_and_failed();
    std::fs::create_dir(project.path("later")).unwrap();
    let once = format!("{HEAD}0,z,5\n{ROWS}");
    for (end, what) in [(true, "wrote to"), (false, "may have written to")] {
        if !end {
            forget_the_end(&project.runs()[0]);
        }
        let refused = project.run(&["run", "pipeline.yaml"]).with_code(2);
        assert!(refused.stderr.contains("failed after its step `load`"), "{}", refused.stderr);
        assert!(refused.stderr.contains(what) && refused.stderr.contains("--force"), "{}", refused.stderr);
        assert!(refused.stderr.contains("`osiris run --resume "), "{}", refused.stderr);
        assert_eq!((project.read("out.csv"), project.runs().len()), (once.clone(), 1));
    }
    project.run(&["run", "--dry-run", "pipeline.yaml"]).with_code(0);
    project.run(&["run", "--resume"]).with_code(0);
    assert_eq!(project.read("out.csv"), once);
    // All is well now: the next run has rows of its own.
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    assert_eq!(project.read("out.csv"), format!("{once}{ROWS}"));
}

#[test]
fn s2_an_append_that_did_not_take_place_is_made() {
    let project = appended_and_failed();
    forget_the_end(&project.runs()[0]);
    project.write("out.csv", format!("{HEAD}0,z,5\n"));
    std::fs::create_dir(project.path("later")).unwrap();
    project.run(&["run", "--resume"]).with_code(0);
    assert_eq!(project.read("out.csv"), format!("{HEAD}0,z,5\n{ROWS}"));
}

#[test]
fn s2_an_append_of_which_nobody_knows_is_refused_without_force() {
    let project = appended_and_failed();
    forget_the_end(&project.runs()[0]);
    let other = format!("{HEAD}0,z,6\n");
    project.write("out.csv", &other);
    std::fs::create_dir(project.path("later")).unwrap();
    let refused = project.run(&["run", "--resume"]).with_code(2);
    assert!(refused.stderr.contains("step `load`: may have written already"), "{}", refused.stderr);
    assert!(refused.stderr.contains("out.csv") && refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(project.read("out.csv"), other);
    // Being refused changes nothing.
    project.run(&["run", "--resume"]).with_code(2);
    project.run(&["run", "--resume", "--force"]).with_code(0);
    assert_eq!(project.read("out.csv"), format!("{other}{ROWS}"));
}

#[test]
fn an_operator_who_has_found_the_rows_goes_on_without_writing_them() {
    let project = appended_and_failed();
    forget_the_end(&project.runs()[0]);
    // Somebody has changed a row since: the file is none that the writer knows.
    let found = format!("{HEAD}0,z,6\n{ROWS}");
    project.write("out.csv", &found);
    std::fs::create_dir(project.path("later")).unwrap();
    let refused = project.run(&["run", "--resume"]).with_code(2);
    assert!(refused.stderr.contains("--assume-written load`"), "{}", refused.stderr);
    for (arguments, said) in [
        (
            &["run", "--resume", "--assume-written", "load", "--assume-written", "last"][..],
            "its outcome is not ambiguous",
        ),
        (&["run", "--resume", "--assume-written", "orders"], "no step `orders` that writes"),
        (&["run", "pipeline.yaml", "--assume-written", "load"], "--resume"),
    ] {
        let refused = project.run(arguments).with_code(2);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
        assert!(!project.path("later/out.csv").exists());
    }
    let mut command = project.command(&["run", "--resume", "--assume-written", "load", "--json"]);
    let resumed = Ended::of(command.env("USER", "ann").output().unwrap()).with_code(0);
    assert!(resumed.stderr.contains("confirmed and not counted: step `load`"), "{}", resumed.stderr);
    let step = &resumed.json()["steps"][1];
    assert_eq!((&step["status"], &step["confirmed"]["user"]), (&json!("confirmed"), &json!("ann")));
    assert_eq!((&step["read"], &step["inserted"]), (&json!(3), &json!(0)));
    assert_eq!((project.read("out.csv"), project.read("later/out.csv")), (found, format!("{HEAD}{ROWS}")));
    let shown = project.run(&["runs", "show"]).with_code(0).stdout;
    assert!(shown.contains("load (confirmed)") && shown.contains("load: confirmed by ann at "), "{shown}");
    let run = &project.runs()[0];
    let event = project.lines(run, "events.jsonl").into_iter().find(|event| event["event"] == "step_confirmed");
    assert_eq!(event.unwrap()["user"], "ann");
}

#[test]
fn s60_a_run_that_is_killed_as_soon_as_its_append_is_there_never_appends_twice() {
    let project = project(&[READ, &append("load", "out.csv"), &sql("slow", SLOW)].concat());
    let slow = sql("slow", SLOW);
    let waits = slow.replace("mode: transform", "mode: transform, needs: [orders, load]");
    project.write("pipeline.yaml", project.read("pipeline.yaml").replace(&slow, &waits));
    let quick = "SELECT count(*) AS n FROM orders";
    for _ in 0..12 {
        project.write("out.csv", HEAD);
        let mut running = project.start(&["run", "pipeline.yaml"]);
        let begun = Instant::now();
        while project.read("out.csv") == HEAD {
            assert!(begun.elapsed() < Duration::from_secs(60) && !running.has_ended());
        }
        running.signal(Signal::KILL);
        running.ended();
        let text = project.read("pipeline.yaml");
        project.write("pipeline.yaml", text.replace(SLOW, quick));
        project.run(&["run", "--resume"]).with_code(0);
        assert_eq!(project.read("out.csv"), format!("{HEAD}{ROWS}"));
        project.write("pipeline.yaml", text);
    }
}

#[test]
fn s12_an_append_whose_step_has_changed_is_not_repeated_without_force() {
    let project = appended_and_failed();
    let text = project.read("pipeline.yaml");
    project.write("pipeline.yaml", text.replacen("columns: source", "columns: sorted", 1));
    std::fs::create_dir(project.path("later")).unwrap();
    let refused = project.run(&["run", "--resume"]).with_code(2);
    assert!(refused.stderr.contains("step `load`: has written already"), "{}", refused.stderr);
    assert!(refused.stderr.contains("has changed since") && refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(project.read("out.csv"), format!("{HEAD}0,z,5\n{ROWS}"));
    project.write("pipeline.yaml", text);
    project.run(&["run", "--resume"]).with_code(0);
    assert_eq!(project.read("out.csv"), format!("{HEAD}0,z,5\n{ROWS}"));
}

#[test]
fn s9_a_run_that_a_later_success_has_overtaken_is_refused() {
    let steps = append("load", "new/out.csv").replace("mode: append", "mode: append, create_dirs: false");
    let project = project(&[READ, &steps].concat());
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    let id = project.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::create_dir(project.path("new")).unwrap();
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let rows = format!("{HEAD}{ROWS}");
    for arguments in [&["run", "--resume"] as &[&str], &["run", "pipeline.yaml", "--resume"], &["run", "--resume", &id]]
    {
        let refused = project.run(arguments).with_code(2);
        let said = refused.stderr.contains("there is no failed run") || refused.stderr.contains("is obsolete: run ");
        assert!(said, "{}", refused.stderr);
        assert_eq!(project.read("new/out.csv"), rows);
    }
    project.run(&["run", "--resume", &id, "--force"]).with_code(0);
    assert_eq!(project.read("new/out.csv"), format!("{rows}{ROWS}"));
}

#[test]
fn s9_a_run_whose_saved_state_has_changed_since_it_began_is_refused() {
    let (read, load) = (
        "  - {id: rows, component: sqlite.extractor, mode: read, config: {table: t, cursor: {column: id}}}\n",
        append("load", "out.csv").replace("[orders]", "[rows]"),
    );
    let later =
        blocked("load").replace("[orders, load]", "[rows, load]").replace("input_step: orders", "input_step: rows");
    let project = project(&[read, &load].concat());
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: a.db}}}\n");
    let fill = |rows: &str, mode: &str| {
        project.write("new.csv", format!("id\n{rows}"));
        project.run(&["copy", "new.csv", "sqlite:a.db#t", "--mode", mode]).with_code(0);
    };
    fill("1\n2\n", "overwrite");
    let whole = project.read("pipeline.yaml");
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    fill("3\n", "append");
    project.write("pipeline.yaml", whole.clone() + &later);
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n");
    // Somebody resets the state: what the failed run would save no longer follows from what is saved.
    project.run(&["state", "reset", "pipeline.yaml", "rows", "--yes"]).with_code(0);
    std::fs::create_dir(project.path("later")).unwrap();
    let refused = project.run(&["run", "pipeline.yaml", "--resume"]).with_code(2);
    assert!(refused.stderr.contains("the saved state of `rows` has changed since it began"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n");
    assert!(!project.path("later/out.csv").exists() && !project.path(".osiris/state/test/rows.json").exists());
    // Being refused changes nothing: it can be forced, and then saves its state.
    project.run(&["run", "pipeline.yaml", "--resume"]).with_code(2);
    project.run(&["run", "pipeline.yaml", "--resume", "--force"]).with_code(0);
    assert_eq!(project.read("later/out.csv"), "id\n3\n");
    let state: Value = serde_json::from_str(&project.read(".osiris/state/test/rows.json")).unwrap();
    assert!(state.to_string().contains("\"value\":\"3\""), "{state}");
}

#[test]
fn s9_a_dry_run_is_no_candidate() {
    let project =
        project(&[READ, &write("out", "missing/out.csv").replace("columns", "create_dirs: false, columns")].concat());
    project.run(&["run", "pipeline.yaml", "--dry-run"]).with_code(1);
    let id = project.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let refused = project.run(&["run", "--resume"]).with_code(2);
    assert!(refused.stderr.contains("there is no failed run to resume"), "{}", refused.stderr);
    let refused = project.run(&["run", "--resume", &id]).with_code(2);
    assert!(refused.stderr.contains("was a dry run"), "{}", refused.stderr);
}

#[test]
fn s10_a_file_is_resumed_from_its_own_runs_only() {
    let project =
        project(&[READ, &append("load", "new/a.csv").replace("append,", "append, create_dirs: false,")].concat());
    let text = project.read("pipeline.yaml");
    project.write("a.yaml", text.replace("name: test", "name: first"));
    project.write("b.yaml", text.replace("name: test", "name: second").replace("a.csv", "b.csv"));
    project.run(&["run", "a.yaml"]).with_code(1);
    let id = project.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::create_dir(project.path("new")).unwrap();
    let refused = project.run(&["run", "b.yaml", "--resume"]).with_code(2);
    assert!(refused.stderr.contains("there is no run of b.yaml to resume"), "{}", refused.stderr);
    let refused = project.run(&["run", "b.yaml", "--resume", &id]).with_code(2);
    assert!(refused.stderr.contains("`first`") && refused.stderr.contains("`second`"), "{}", refused.stderr);
    assert!(!project.path("new/a.csv").exists() && !project.path("new/b.csv").exists());
    project.run(&["run", "./a.yaml", "--resume"]).with_code(0);
    assert!(project.path("new/a.csv").exists());
}

#[test]
fn s13_a_parameter_that_is_not_kept_is_asked_for() {
    let steps = [
        READ,
        &sql("some", "SELECT * FROM orders WHERE customer = '${params.token_type}'"),
        &write("out", "new/out.csv").replace("columns", "create_dirs: false, columns"),
    ];
    let project = project(&steps.concat());
    let text = project.read("pipeline.yaml");
    let params = "name: test\nparams:\n  token_type: {type: string, default: a}\n";
    project.write("pipeline.yaml", text.replace("name: test\n", params));
    project.run(&["run", "pipeline.yaml", "--param", "token_type=b"]).with_code(1);
    std::fs::create_dir(project.path("new")).unwrap();
    let refused = project.run(&["run", "--resume"]).with_code(2);
    assert!(refused.stderr.contains("`token_type`, which is not saved"), "{}", refused.stderr);
    assert!(!project.path("new/out.csv").exists());
    project.run(&["run", "--resume", "--param", "token_type=b"]).with_code(0);
    assert_eq!(project.read("new/out.csv"), format!("{HEAD}2,b,20\n"));
}

/// A project with many rows.
fn many(steps: &str) -> Project {
    let project = Project::with_steps(Program::built(), steps);
    let rows =
        (0..400_000_u32).map(|id| format!("{id},customer number {},{}\n", id % 977, id.wrapping_mul(2_654_435_761)));
    project.write("orders.csv", format!("{HEAD}{}", rows.collect::<String>()));
    project
}

#[test]
fn s1_what_was_sent_to_standard_output_is_not_sent_again_and_the_run_says_so() {
    let project = many(&[READ, &write("out", "-")].concat());
    let mut command = project.command(&["run", "pipeline.yaml"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    // The pipe is full some time after the first byte.
    let mut first = [0];
    output.read_exact(&mut first).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    wait_for_event(&project, "commit_begin");
    let mut rest = Vec::new();
    let mut errors = child.stderr.take().unwrap();
    // It says that it has seen the signal before anybody reads on.
    let mut seen = Vec::new();
    while !seen.ends_with(b"Interrupt again to end at once\n") {
        let mut byte = [0];
        errors.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    output.read_to_end(&mut rest).unwrap();
    errors.read_to_end(&mut seen).unwrap();
    let ended = Ended::of(std::process::Output { status: child.wait().unwrap(), stdout: Vec::new(), stderr: seen });
    let ended = ended.with_code(3);
    assert!(ended.stderr.contains("some of the rows may be in standard output"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("resume the run with") && !ended.stderr.contains("nothing"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--assume-written out` goes on without writing them"), "{}", ended.stderr);
    let rows = String::from_utf8([&first[..], &rest].concat()).unwrap();
    assert_eq!(rows.matches(HEAD.trim_end()).count(), 1);
    let shown = project.run(&["runs", "show"]).with_code(0).stdout;
    assert!(shown.contains("ambiguous") && shown.contains("out (ambiguous)"), "{shown}");
    assert_eq!(project.run(&["runs", "list", "--json"]).with_code(0).json()[0]["outcome"], "ambiguous");
    let refused = project.run(&["run", "--resume"]).with_code(2);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("may have written already"), "{}", refused.stderr);
    // A new run has another reader.
    let next = project.run(&["run", "pipeline.yaml"]).with_code(0);
    assert_eq!(next.stdout.lines().count(), 400_001);
}

fn wait_for_event(project: &Project, name: &str) {
    let begun = Instant::now();
    while !project
        .runs()
        .iter()
        .any(|run| project.lines(run, "events.jsonl").iter().any(|event| event["event"] == name))
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "no {name}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn s63_a_writer_that_is_stopped_leaves_no_temporary_file() {
    let parquet = write("out", "out.parquet").replace("csv_writer", "parquet_writer").replace(", columns: source", "");
    for step in [write("out", "out.csv"), parquet] {
        let project = many(&[READ, &step].concat());
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let mut running = project.start(&["run", "pipeline.yaml"]);
            running.wait_until("a temporary file is there", || !leftovers(&project).is_empty());
            running.signal(signal);
            let ended = running.ended();
            assert_eq!(leftovers(&project), Vec::<PathBuf>::new(), "{signal:?}: {}", ended.stderr);
            assert!(ended.code == 130 || project.path("out.csv").exists() || project.path("out.parquet").exists());
            if ended.code == 130 {
                assert!(ended.stderr.contains("the stopped steps have written no rows"), "{}", ended.stderr);
            }
        }
    }
}

#[test]
fn s1_a_second_signal_ends_at_once_and_says_what_that_means() {
    let read = READ.replace("orders.csv", "\"-\"");
    let project = project(&[read.as_str(), &write("out", "out.csv")].concat());
    let mut command: Command = project.command(&["run", "pipeline.yaml"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    wait_for_event(&project, "step_start");
    running.signal(Signal::INT);
    running.signal(Signal::HUP);
    let ended = running.ended().with_code(130);
    assert!(ended.stderr.contains("interrupted: "), "{}", ended.stderr);
}
