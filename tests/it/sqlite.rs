//! The SQLite examples, and what the command line says of a connection.

use osiris_e2e::{Program, Project};

#[test]
fn sqlite_examples_load_twice_and_report_what_the_sample_holds() {
    let project = Project::copy_of(Program::built(), "examples");
    for written in ["5,042 written", "5,042 written"] {
        let load = project.run(&["run", "sqlite/load.yaml"]).with_code(0);
        assert!(load.stderr.contains("done: the ledger balances, 5,042 rows read"), "{}", load.stderr);
        assert!(load.stderr.contains(written), "{}", load.stderr);
    }
    project.run(&["run", "sqlite/report.yaml"]).with_code(0);
    assert!(project.path("sqlite/out/punctuality.parquet").exists());
}

#[test]
fn sqlite_connections_are_checked_and_a_wrong_type_names_column_and_cast() {
    let project = Project::with_steps(
        Program::built(),
        "  - {id: read, component: sqlite.extractor, mode: read, config: {query: \"SELECT 1 AS n UNION ALL SELECT 'a'\"}}
  - {id: write, component: filesystem.csv_writer, mode: write, needs: [read], config: {path: out.csv}}",
    );
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: test.db}}}\n");
    project.write("test.db", "");
    let doctor = project.run(&["connections", "doctor", "@sqlite.main"]).with_code(0);
    assert!(doctor.stdout.contains("the file can be read"), "{}", doctor.stdout);
    let run = project.run(&["run", "pipeline.yaml"]).with_code(1);
    assert!(run.stderr.contains("`n` has values of several types") && run.stderr.contains("CAST"), "{}", run.stderr);
}

#[test]
fn sqlite_writes_are_repeatable_by_key_unless_a_trigger_sees_them() {
    for (trigger, repeatable) in [("", true), ("CREATE TRIGGER seen AFTER INSERT ON t BEGIN SELECT 1; END;", false)] {
        let project = Project::empty(Program::built());
        project.write("rows.csv", "id,name\n1,a\n");
        let create = ["copy", "rows.csv", "sqlite:a.db#t", "--mode", "upsert", "--key", "id"];
        project.run(&create).with_code(0);
        let connection = project.path("a.db");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(execute(&connection, trigger));
        project.run(&create).with_code(0);
        let run = project.runs().pop().unwrap();
        let commits = project.lines(&run, "commits.jsonl");
        let found = commits.iter().find_map(|line| line.pointer("/begun/record/intent/repeatable")).unwrap();
        assert_eq!(found, repeatable, "{commits:?}");
    }
}

#[test]
fn u36_a_misspelt_table_or_column_gets_the_nearest_name() {
    for (config, says) in [
        ("table: ordres", "hint: did you mean the table `orders`?"),
        ("table: orders, columns: [id, amout]", "hint: did you mean the column `amount`?"),
    ] {
        let project = Project::with_steps(
            Program::built(),
            &format!(
                "  - {{id: read, component: sqlite.extractor, mode: read, config: {{{config}}}}}
  - {{id: write, component: filesystem.csv_writer, mode: write, needs: [read], config: {{path: out.csv}}}}"
            ),
        );
        project.write("rows.csv", "id,amount\n1,2\n");
        project.run(&["copy", "rows.csv", "sqlite:a.db#orders"]).with_code(0);
        project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: a.db}}}\n");
        let run = project.run(&["run", "pipeline.yaml"]).with_code(1);
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}

#[test]
fn a_pattern_that_matches_no_table_is_an_empty_list_for_programs_and_a_refusal_for_people() {
    let project = Project::empty(Program::built());
    project.write("rows.csv", "id\n1\n");
    project.run(&["copy", "rows.csv", "sqlite:a.db#orders"]).with_code(0);
    project.write("osiris_connections.yaml", "connections: {sqlite: {main: {default: true, path: a.db}}}\n");
    for command in [&["components", "discover"][..], &["discover"]] {
        let arguments = [command, &["sqlite.extractor", "--table", "oders"]].concat();
        let people = project.run(&arguments).with_code(2);
        assert!(
            people.stderr.contains("no table matches `oders`") && people.stderr.contains("orders"),
            "{}",
            people.stderr
        );
        let programs = project.run(&[&arguments[..], &["--json"]].concat()).with_code(0);
        assert_eq!(programs.json()["resources"], serde_json::json!([]));
        assert_eq!(programs.stderr, "no table matches `oders`\n");
    }
}

/// Runs statements in a file, which is made if need be.
pub(crate) async fn execute(file: &std::path::Path, sql: &str) {
    use sqlx::{ConnectOptions as _, Executor as _};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
    options.connect().await.unwrap().execute(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap();
}
