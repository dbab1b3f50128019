//! One run of a pipeline at a time, one writer of a destination at a time, whatever they are started by.

use std::process::Stdio;

use osiris_e2e::{Project, Running};
use serde_json::Value;

use crate::{READ, project, write};

const INPUT: &[u8] = b"a\n1\n";

/// A pipeline that reads its standard input, so that it goes on until the test closes that.
fn waiting_pipeline() -> Project {
    project(&[READ.replace("orders.csv", "\"-\"").as_str(), &write("out", "out.csv")].concat())
}

fn start(project: &Project, arguments: &[&str]) -> Running {
    Running::start(project.command(arguments).stdin(Stdio::piped()))
}

fn holder(project: &Project) -> Option<Value> {
    serde_json::from_str(&std::fs::read_to_string(project.path(".osiris/state/test/lock")).ok()?).ok()
}

#[test]
fn s7_a_second_run_of_a_pipeline_is_refused_and_names_the_holder() {
    let project = waiting_pipeline();
    let mut first = start(&project, &["run", "pipeline.yaml"]);
    first.wait_until("it holds the lock", || holder(&project).is_some_and(|holder| holder["run"].is_string()));
    let held = holder(&project).unwrap();
    let second = project.run(&["run", "pipeline.yaml"]).with_code(2);
    for named in [format!("process {}", held["pid"]), held["run"].as_str().unwrap().to_owned()] {
        assert!(second.stderr.contains(&named), "{named}: {}", second.stderr);
    }
    assert!(second.stderr.contains("--wait"), "{}", second.stderr);
    assert_eq!(project.runs().len(), 1, "the second one left nothing");
    project.run(&["run", "pipeline.yaml", "--wait=50ms"]).with_code(2);
    let mut dry = start(&project, &["run", "pipeline.yaml", "--dry-run"]);
    dry.give_input(INPUT);
    dry.ended().with_code(0);
    first.give_input(INPUT);
    first.ended().with_code(0);
}

#[test]
fn s7_a_run_that_waits_begins_when_the_other_has_ended() {
    let project = waiting_pipeline();
    let mut first = start(&project, &["run", "pipeline.yaml"]);
    first.wait_until("it holds the lock", || holder(&project).is_some_and(|holder| holder["run"].is_string()));
    let mut second = start(&project, &["run", "pipeline.yaml", "--wait"]);
    second.give_input(INPUT);
    assert!(!second.has_ended());
    first.give_input(INPUT);
    first.ended().with_code(0);
    let ended = second.ended().with_code(0);
    assert!(ended.stderr.contains("waiting for the end of another run of `test`: process "), "{}", ended.stderr);
}

#[test]
fn s7_the_lock_of_a_killed_run_is_free() {
    let project = waiting_pipeline();
    let mut first = start(&project, &["run", "pipeline.yaml"]);
    first.wait_until("it holds the lock", || holder(&project).is_some());
    first.signal(osiris_e2e::Signal::KILL);
    first.ended();
    let mut next = start(&project, &["run", "pipeline.yaml"]);
    next.give_input(INPUT);
    next.ended().with_code(0);
}

/// A pipeline of that name which appends the rows of `orders.csv`.
fn appending(name: &str, component: &str, config: &str) -> String {
    format!(
        "oml_version: \"0.1.0\"\nname: {name}\nsteps:\n{READ}  - {{id: out, component: {component}, mode: write, config: {{mode: append, {config}}}}}\n"
    )
}

/// The rows that a component reads there, counted by a pipeline.
fn rows(project: &Project, component: &str, path: &str) -> String {
    let count =
        "  - {id: n, component: duckdb.processor, mode: transform, config: {query: SELECT count(*) AS n FROM input}}\n";
    let read = format!("  - {{id: all, component: {component}, mode: read, config: {{path: {path}}}}}\n");
    project.write(
        "count.yaml",
        format!("oml_version: \"0.1.0\"\nname: count\nsteps:\n{read}{count}{}", write("out", "count.csv")),
    );
    project.run(&["run", "count.yaml"]).with_code(0);
    project.read("count.csv")
}

#[test]
fn s11_processes_that_append_to_one_file_lose_no_row() {
    for (writer, reader, path, more) in [
        ("filesystem.csv_writer", "filesystem.csv_extractor", "out/all.csv", ""),
        ("filesystem.csv_writer", "filesystem.csv_extractor", "out/parts", ", max_rows_per_file: 2"),
        ("filesystem.parquet_writer", "filesystem.parquet_extractor", "out/all.parquet", ""),
        ("filesystem.parquet_writer", "filesystem.parquet_extractor", "out/pq", ", max_rows_per_file: 2"),
    ] {
        let project = project(READ);
        let running: Vec<Running> = (0..6)
            .map(|number| {
                let file = format!("p{number}.yaml");
                // Another spelling of the same place.
                let spelt = if number % 2 == 0 { path.to_owned() } else { format!("out/../{path}") };
                project.write(&file, appending(&format!("p{number}"), writer, &format!("path: {spelt}{more}")));
                project.start(&["run", &file])
            })
            .collect();
        running.into_iter().for_each(|running| drop(running.ended().with_code(0)));
        assert_eq!(rows(&project, reader, path), "n\n18\n", "{path}");
        let left = project.files().into_iter().find(|file| file.to_string_lossy().contains(".osiris-lock"));
        assert_eq!(left, None, "no lock file is left");
    }
}

#[test]
fn s11_a_writer_waits_for_whoever_holds_the_lock() {
    let project =
        project(&[READ, &write("out", "out.csv").replace("columns: source", "columns: source, mode: append")].concat());
    project.write("out.csv", "order_id,customer,amount\n");
    let path = project.path(".out.csv.osiris-lock");
    let lock = std::fs::File::create(&path).unwrap();
    lock.lock().unwrap();
    let mut running = project.start(&["run", "pipeline.yaml"]);
    let writes = || {
        let runs = project.runs();
        runs.iter().any(|run| project.lines(run, "events.jsonl").iter().any(|event| event["step_id"] == "out"))
    };
    running.wait_until("the writer has begun", writes);
    project.write("out.csv", "order_id,customer,amount\n9,theirs,9\n");
    std::fs::remove_file(&path).unwrap();
    drop(lock);
    running.ended().with_code(0);
    assert_eq!(project.read("out.csv"), "order_id,customer,amount\n9,theirs,9\n1,a,10\n2,b,20\n3,a,30\n");
}

#[test]
fn s8_two_steps_that_write_one_file_are_refused_however_it_is_spelt() {
    let append = |id: &str, path: &str| {
        write(id, path)
            .replace("columns: source", "columns: source, mode: append")
            .replace("mode: write", "mode: write, needs: [orders]")
    };
    for second in ["out/../out/o.csv", "link/o.csv", "./out//o.csv", "out/alias.csv"] {
        let project = project(&[READ, &append("one", "out/o.csv"), &append("two", second)].concat());
        std::fs::create_dir(project.path("out")).unwrap();
        std::os::unix::fs::symlink("out", project.path("link")).unwrap();
        std::os::unix::fs::symlink("o.csv", project.path("out/alias.csv")).unwrap();
        for command in [&["validate", "pipeline.yaml"][..], &["plan", "pipeline.yaml"], &["run", "pipeline.yaml"]] {
            let refused = project.run(command).with_code(2);
            assert!(
                refused.stderr.contains("steps `one` and `two` write the same file"),
                "{second}: {}",
                refused.stderr
            );
            assert!(refused.stderr.contains("step `one` writes it here"), "{}", refused.stderr);
        }
    }
    let overwriting = [
        READ,
        &write("one", "o.csv"),
        &write("two", "o.csv").replace("mode: write", "mode: write, needs: [orders, one]"),
    ];
    let refused = project(&overwriting.concat()).run(&["run", "pipeline.yaml"]).with_code(2);
    assert!(refused.stderr.contains("`one` replaces what the other has written"), "{}", refused.stderr);
    let below = [
        READ,
        &append("one", "out/part-00007.csv"),
        &append("two", "out").replace("columns: source", "columns: source, max_rows_per_file: 2"),
    ];
    project(&below.concat()).run(&["run", "pipeline.yaml"]).with_code(2);
}

#[test]
fn s14_a_pipe_is_not_replaced_by_a_file() {
    for config in ["mode: overwrite", "mode: append"] {
        for (component, option) in [("csv_writer", ""), ("parquet_writer", "")] {
            let step = format!(
                "  - {{id: out, component: filesystem.{component}, mode: write, config: {{path: pipe, {config}{option}}}}}\n"
            );
            let project = project(&[READ, &step].concat());
            let path = project.path("pipe");
            rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
            for arguments in [&["run", "pipeline.yaml", "--dry-run"][..], &["run", "pipeline.yaml"]] {
                let ended = project.run(arguments);
                assert_ne!(ended.code, 0);
                assert!(ended.stderr.contains("`pipe` is a named pipe"), "{}", ended.stderr);
                assert!(ended.stderr.contains("`path: -`"), "{}", ended.stderr);
            }
            use std::os::unix::fs::FileTypeExt;
            assert!(path.symlink_metadata().unwrap().file_type().is_fifo());
        }
    }
}
