//! Resuming a run whose rows went straight from the source to the writer: they are in no table, so both steps are taken over or
//! neither.

use std::path::Path;

use osiris_e2e::{Program, Project};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

const PIPELINE: &str =
    "  - {id: orders, component: sqlite.extractor, mode: read, config: {table: orders, cursor: {column: id}}}
  - {id: load, component: filesystem.csv_writer, mode: write, needs: [orders], config: {path: out.csv, mode: append}}
  - {id: again, component: filesystem.csv_extractor, mode: read, needs: [load], config: {path: later/in.csv}}
  - {id: last, component: filesystem.csv_writer, mode: write, needs: [again], config: {path: last.csv}}
";

async fn execute(file: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

/// A project whose run has appended three rows, and failed after that.
async fn appended_and_failed(pipeline: &str) -> Project {
    let project = Project::with_steps(Program::built(), pipeline);
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: shop.db}}}\n");
    execute(
        &project.path("shop.db"),
        "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO orders VALUES (1), (2), (3)",
    )
    .await;
    let failed = project.run(&["run", "pipeline.yaml"]).with_code(1);
    assert!(failed.stderr.contains("error: step `again`"), "{}", failed.stderr);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n");
    project.write("later/in.csv", "a\n1\n");
    execute(&project.path("shop.db"), "INSERT INTO orders VALUES (4)").await;
    project
}

/// Makes the run look as `kill -9` leaves it between the renaming of the file and the record of that.
fn forget_the_end(run: &Path) {
    let commits = std::fs::read_to_string(run.join("commits.jsonl")).unwrap();
    let begun = commits.lines().filter(|line| line.starts_with("{\"begun\""));
    std::fs::write(run.join("commits.jsonl"), begun.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    std::fs::remove_file(run.join("ledger.json")).unwrap();
    let mut record: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    record["outcome"] = json!("running");
    std::fs::write(run.join("run.json"), record.to_string()).unwrap();
}

/// How many rows the writer was told it would get, in each of its runs: null for rows that arrive.
fn announced(project: &Project) -> Vec<Value> {
    let run = project.runs().pop().unwrap();
    let events = project.lines(&run, "events.jsonl");
    let of_load = events.iter().filter(|event| event["event"] == "inputs_resolved" && event["step_id"] == "load");
    of_load.map(|event| event["rows"].clone()).collect()
}

#[tokio::test]
async fn what_was_sent_and_written_is_neither_read_nor_written_again() {
    for is_recorded in [true, false] {
        let project = appended_and_failed(PIPELINE).await;
        assert_eq!(announced(&project), [Value::Null]);
        if !is_recorded {
            forget_the_end(&project.runs()[0]);
        }
        let resumed = project.run(&["run", "--resume", "--json"]).with_code(0).json();
        let status = |index: usize| resumed["steps"][index]["status"].as_str().unwrap().to_owned();
        assert_eq!((status(0), status(1)), ("reused".to_owned(), "reused".to_owned()), "{resumed}");
        assert_eq!((&resumed["steps"][0]["stored"], &resumed["steps"][1]["inserted"]), (&json!(3), &json!(3)));
        assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n");
        // The state that was saved is of the rows that were written, not of those that came later.
        project.run(&["run", "pipeline.yaml"]).with_code(0);
        assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n4\n");
    }
}

#[tokio::test]
async fn what_was_sent_and_not_written_is_read_again() {
    let project = appended_and_failed(PIPELINE).await;
    forget_the_end(&project.runs()[0]);
    std::fs::remove_file(project.path("out.csv")).unwrap();
    let resumed = project.run(&["run", "--resume", "--json"]).with_code(0).json();
    assert_eq!((&resumed["steps"][0]["status"], &resumed["steps"][1]["inserted"]), (&json!("done"), &json!(4)));
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n4\n");
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n4\n");
}

#[tokio::test]
async fn what_was_sent_and_may_be_written_is_for_the_operator_to_say() {
    let project = appended_and_failed(PIPELINE).await;
    forget_the_end(&project.runs()[0]);
    project.write("out.csv", "id\n1\n2\n");
    let refused = project.run(&["run", "--resume"]).with_code(2);
    assert!(refused.stderr.contains("step `load`: may have written already"), "{}", refused.stderr);
    let confirmed = project.run(&["run", "--resume", "--assume-written", "load", "--json"]).with_code(0).json();
    assert_eq!((&confirmed["steps"][0]["status"], &confirmed["steps"][1]["read"]), (&json!("reused"), &json!(3)));
    assert_eq!(project.read("out.csv"), "id\n1\n2\n");
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n4\n");
}

#[tokio::test]
async fn rows_of_another_source_do_not_count_as_written() {
    let project = appended_and_failed(PIPELINE).await;
    forget_the_end(&project.runs()[0]);
    let changed = project.read("pipeline.yaml").replace("cursor: {column: id}", "cursor: {column: id}, where: id > 1");
    project.write("pipeline.yaml", changed);
    let refused = project.run(&["run", "--resume"]).with_code(2);
    assert!(refused.stderr.contains("has changed since"), "{}", refused.stderr);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n");
}

#[tokio::test]
async fn a_table_is_kept_where_the_pipeline_or_the_user_wants_one() {
    for (more, arguments) in
        [(", resume: store", &["run", "pipeline.yaml"][..]), ("", &["run", "--keep", "pipeline.yaml"])]
    {
        let pipeline = PIPELINE.replace("mode: read, config: {table", &format!("mode: read{more}, config: {{table"));
        let project = appended_and_failed(&pipeline).await;
        std::fs::remove_dir_all(project.path(".osiris")).unwrap();
        project.run(arguments).with_code(0);
        assert_eq!(announced(&project), [json!(4)], "{arguments:?}");
    }
}

#[test]
fn resume_is_for_steps_that_read_and_has_two_values() {
    let steps = "  - {id: a, component: filesystem.csv_extractor, mode: read, resume: soruce, config: {path: a.csv}}
  - {id: b, component: filesystem.csv_writer, mode: write, resume: store, config: {path: b.csv}}
";
    let refused = Project::with_steps(Program::built(), steps).run(&["validate", "pipeline.yaml"]).with_code(2);
    assert!(refused.stderr.contains("a run cannot be resumed from `soruce`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`resume` is for a step that reads from a source"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_run_that_was_killed_after_its_state_was_saved_is_resumed_with_it() {
    let project = appended_and_failed(PIPELINE).await;
    project.run(&["run", "--resume", "--keep"]).with_code(0);
    // As a kill between the state and the record leaves it.
    let run = project.runs().pop().unwrap();
    let mut record: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    record["outcome"] = json!("running");
    std::fs::write(run.join("run.json"), record.to_string()).unwrap();
    project.run(&["run", "pipeline.yaml"]).with_code(2);
    project.run(&["run", "--resume"]).with_code(0);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n");
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n4\n");
}

#[tokio::test]
async fn a_table_of_an_earlier_attempt_does_not_hide_what_was_sent_later() {
    // Read into a table first, since there is a time limit; the run fails before the rows are written.
    let limited = PIPELINE
        .replace("config: {table: orders", "timeout: {step_ms: 60000}, config: {table: orders")
        .replace("path: out.csv", "path: missing/out.csv, create_dirs: false");
    let project = Project::with_steps(Program::built(), &limited);
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: shop.db}}}\n");
    let shop = project.path("shop.db");
    execute(&shop, "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO orders VALUES (1)").await;
    project.run(&["run", "pipeline.yaml"]).with_code(1);
    // Then directly, other rows, since what is read has changed; and it fails after they were written.
    execute(&shop, "INSERT INTO orders VALUES (2), (3)").await;
    let changed = PIPELINE.replace("cursor: {column: id}", "cursor: {column: id}, where: id > 0");
    project.write("pipeline.yaml", format!("oml_version: \"0.1.0\"\nname: test\nsteps:\n{changed}"));
    let failed = project.run(&["run", "--resume"]);
    assert!(failed.stderr.contains("error: step `again`"), "{}", failed.stderr);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n");
    execute(&shop, "INSERT INTO orders VALUES (4)").await;
    project.write("later/in.csv", "a\n1\n");
    project.run(&["run", "--resume"]).with_code(0);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n");
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    assert_eq!(project.read("out.csv"), "id\n1\n2\n3\n4\n");
}

#[tokio::test]
async fn a_second_reader_of_rows_that_are_gone_is_refused_until_it_is_forced() {
    let project = appended_and_failed(PIPELINE).await;
    let more = "  - {id: second, component: filesystem.csv_writer, mode: write, needs: [orders], config: {path: second.csv}}\n";
    project.write("pipeline.yaml", project.read("pipeline.yaml") + more);
    let refused = project.run(&["run", "--resume"]).with_code(2);
    assert!(refused.stderr.contains("the rows that it wrote are no longer there"), "{}", refused.stderr);
    assert!(!project.path("second.csv").exists());
}

const QUERY: &str = "  - {id: rows, component: filesystem.csv_extractor, mode: read, config: {path: rows.csv}}
  - {id: orders, component: duckdb.processor, mode: transform, needs: [rows], config: {query: \"SELECT id, id * 10 AS tens FROM rows\"}}
  - {id: load, component: filesystem.csv_writer, mode: write, needs: [orders], config: {path: out.csv, mode: append}}
  - {id: again, component: filesystem.csv_extractor, mode: read, needs: [load], config: {path: later/in.csv}}
  - {id: last, component: filesystem.csv_writer, mode: write, needs: [again], config: {path: last.csv}}
";

#[test]
fn what_a_query_returns_goes_directly_and_is_taken_over_once_it_is_written() {
    let project = Project::with_steps(Program::built(), QUERY);
    project.write("rows.csv", "id\n1\n2\n");
    let failed = project.run(&["run", "pipeline.yaml"]).with_code(1);
    assert!(failed.stderr.contains("error: step `again`"), "{}", failed.stderr);
    assert_eq!(announced(&project), [Value::Null], "the rows went directly");
    project.write("later/in.csv", "a\n1\n");
    let resumed = project.run(&["run", "--resume"]).with_code(0);
    assert_eq!(project.read("out.csv"), "id,tens\n1,10\n2,20\n", "{}", resumed.stderr);
    assert_eq!(project.read("last.csv"), "a\n1\n");
}

#[test]
fn a_query_that_fails_on_a_late_row_leaves_the_file_as_it_was() {
    let project = Project::with_steps(
        Program::built(),
        &QUERY.replace("id * 10", "CAST(CASE id WHEN 299999 THEN 'x' ELSE '1' END AS BIGINT)"),
    );
    let rows: String = (1..300_000).map(|id| format!("{id}\n")).collect();
    project.write("rows.csv", format!("id\n{rows}"));
    project.write("out.csv", "id,tens\n0,0\n");
    let failed = project.run(&["run", "pipeline.yaml"]).with_code(1);
    assert!(failed.stderr.contains("error: step `orders`: the query failed"), "{}", failed.stderr);
    assert_eq!(project.read("out.csv"), "id,tens\n0,0\n");
    assert_eq!(announced(&project).len(), 1, "the writer had begun");
}
