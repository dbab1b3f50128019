//! What is refused before any step runs: exit code 2, a message that says what to do, no run directory.

use insta::assert_snapshot;
use osiris_e2e::Project;

use crate::program;

/// The message for a pipeline file.
#[track_caller]
fn refused(pipeline: &str) -> String {
    refused_in(&Project::of(program(), pipeline))
}

/// The message for these steps, indented by two.
#[track_caller]
fn refused_steps(steps: &str) -> String {
    refused_in(&Project::with_steps(program(), steps))
}

#[track_caller]
fn refused_in(project: &Project) -> String {
    let ended = project.run(&["run", "pipeline.yaml"]).with_code(2);
    assert_eq!(ended.stdout, "");
    assert!(!project.path(".osiris").exists(), "refused before there is a run");
    let validated = project.run(&["validate", "pipeline.yaml"]).with_code(2);
    assert_eq!(validated.stderr, ended.stderr, "`validate` says what `run` says");
    message(&ended.stderr)
}

/// What is said of the errors, without the last line, which names their codes.
#[track_caller]
fn message(stderr: &str) -> String {
    let (message, codes) = stderr.trim_end().rsplit_once('\n').unwrap_or_default();
    assert!(codes.starts_with("for more: osiris explain E0"), "{stderr}");
    message.to_owned()
}

/// An extraction and one transformation of it.
fn query(sql: &str) -> String {
    format!(
        "  - {{id: orders, component: filesystem.csv_extractor, mode: read, config: {{path: orders.csv}}}}\n  \
         - id: sums\n    component: duckdb.processor\n    mode: transform\n    config:\n      query: |\n        {}\n",
        sql.replace('\n', "\n        ")
    )
}

#[test]
fn a_missing_file_and_a_directory() {
    let project = Project::starter(program());
    assert_snapshot!(message(&project.run(&["run", "pipelin.yaml"]).with_code(2).stderr), @r"
    error: no file `pipelin.yaml`
    hint: did you mean `pipeline.yaml`?
    ");
    let directory = project.run(&["run", "data"]).with_code(2);
    assert_snapshot!(message(&directory.stderr), @"error: `data` is a directory, not a file");
}

#[test]
fn an_empty_file() {
    assert_snapshot!(refused(""), @r"
    error: `pipeline.yaml` is empty
    hint: `osiris init` writes a pipeline to start from
    ");
}

#[test]
fn tabs() {
    assert_snapshot!(refused("oml_version: \"0.1.0\"\nname: x\nsteps:\n\t- id: a\n"), @r"
    error: a tab in the indentation
     --> pipeline.yaml:4:1
      |
    4 |     - id: a
      | ^ tab
      |
      = hint: YAML is indented with spaces: replace each tab by two
    ");
}

#[test]
fn an_anchor_bomb() {
    let mut text = "oml_version: \"0.1.0\"\nname: x\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert_snapshot!(refused(&text), @r"
    error: the aliases of this file expand to more than 20000 values or 1048576 bytes
     --> pipeline.yaml:7:10
      |
    7 | a4: &a4 [*a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3]
      |          ^^^ repeated too often
      |
      = hint: write out what is meant; aliases of aliases multiply
    ");
}

#[test]
fn duplicate_keys() {
    assert_snapshot!(refused("oml_version: \"0.1.0\"\nname: x\nname: y\nsteps: []\n"), @r"
    error: the key `name` occurs twice
     --> pipeline.yaml:3:1
      |
    2 | name: x
      | ---- here first
    3 | name: y
      | ^^^^ first written on line 2
      |
      = hint: keep one of them

    error: `steps` is empty
     --> pipeline.yaml:4:1
      |
    4 | steps: []
      | ^^^^^
      |
      = hint: a pipeline has at least one step
    ");
}

#[test]
fn unknown_fields_and_wrong_types_are_said_at_once() {
    assert_snapshot!(
        refused_steps(
            "  - id: orders\n    component: filesystem.csv_extractor\n    mode: read\n    config: {pth: orders.csv, limit: many}\n  \
             - id: out\n    component: filesystem.csv_writter\n    mode: write\n    config: {path: out.csv}\n    timeout: 5s\n"
        ),
        @"
    error: missing field `path`
     --> pipeline.yaml:7:5
      |
    7 |     config: {pth: orders.csv, limit: many}
      |     ^^^^^^
      |
      = hint: `osiris components show filesystem.csv_extractor` lists its fields

    error: unknown field `pth`
     --> pipeline.yaml:7:14
      |
    7 |     config: {pth: orders.csv, limit: many}
      |              ^^^
      |
      = hint: did you mean `path`?

    error: expected a whole number, found a string
     --> pipeline.yaml:7:38
      |
    7 |     config: {pth: orders.csv, limit: many}
      |                                      ^^^^

    error: unknown component `filesystem.csv_writter`
     --> pipeline.yaml:9:16
      |
    9 |     component: filesystem.csv_writter
      |                ^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `filesystem.csv_writer`?

    error: `timeout` must be a mapping, found a string
      --> pipeline.yaml:12:14
       |
    12 |     timeout: 5s
       |              ^^
       |
       = hint: write `key: value`; keys: step_ms
    "
    );
}

#[test]
fn a_cycle() {
    let step = |id: &str, needs: &str| {
        format!(
            "  - {{id: {id}, component: duckdb.processor, mode: transform, needs: [{needs}], config: {{query: SELECT * FROM {needs}}}}}\n"
        )
    };
    assert_snapshot!(refused_steps(&(step("a", "c") + &step("b", "a") + &step("c", "b"))), @r"
    error: these steps wait for each other: a -> c -> b -> a
     --> pipeline.yaml:4:67
      |
    4 |   - {id: a, component: duckdb.processor, mode: transform, needs: [c], config: {query: SELECT * FROM c}}
      |                                                                   ^
    5 |   - {id: b, component: duckdb.processor, mode: transform, needs: [a], config: {query: SELECT * FROM a}}
      |                                                                   - and this completes the cycle
      |
      = hint: remove one of these dependencies
    ");
}

#[test]
fn an_unset_variable() {
    let project = Project::with_steps(
        program(),
        "  - {id: orders, component: filesystem.csv_extractor, mode: read, config: {connection: \"@filesystem.lake\", path: o.csv}}\n",
    );
    project.write(
        "osiris_connections.yaml",
        "version: 1\nconnections:\n  filesystem:\n    lake: {base_dir: \"${LAKE_DIRECTORY}\"}\n",
    );
    let ended = project.run(&["run", "pipeline.yaml"]).with_code(2);
    assert_snapshot!(message(&ended.stderr), @r#"
    error: `base_dir`: `${LAKE_DIRECTORY}` has no value (in @filesystem.lake)
     --> osiris_connections.yaml:4:22
      |
    4 |     lake: {base_dir: "${LAKE_DIRECTORY}"}
      |                      ^^^^^^^^^^^^^^^^^^^
      |
      = hint: set LAKE_DIRECTORY in the environment or in .env, or write `${LAKE_DIRECTORY:-default}`
    "#);
    // G43: who only checks files has no secrets.
    let checked = project.run(&["validate", "pipeline.yaml"]).with_code(0);
    assert_eq!(
        checked.stderr.lines().next(),
        Some("warning: `base_dir`: `${LAKE_DIRECTORY}` has no value (in @filesystem.lake)")
    );
    let json = project.run(&["validate", "pipeline.yaml", "--json"]).with_code(0).json();
    assert!(checked.stderr.contains("valid pipeline.yaml: 1 step (in part: "), "{}", checked.stderr);
    assert_eq!((&json["ok"], &json["complete"]), (&true.into(), &false.into()));
    assert_eq!(json["diagnostics"][0]["severity"], "warning");
    // Another error is one, and this stays a warning.
    let broken = project.read("pipeline.yaml").replace("path:", "pth:");
    project.write("pipeline.yaml", broken);
    let refused = project.run(&["validate", "pipeline.yaml"]).with_code(2);
    assert!(refused.stderr.contains("warning: `base_dir`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("error: unknown field `pth`"), "{}", refused.stderr);
}

#[test]
fn g2_a_field_that_is_written_twice_or_has_no_value_does_not_hide_what_else_is_wrong() {
    let steps = "  - {id: a, component: graphql.extractor, config: {connection: \"@graphql.a\", query: \"{ a }\", data_path: data.a}}\n";
    for fields in ["endpoint: http://a, graphql_url: http://b", "endpoint: \"${API_URL}\""] {
        let project = Project::with_steps(program(), steps);
        let connection = format!("{{{fields}, bogus: 1, timeout: 0}}");
        project
            .write("osiris_connections.yaml", format!("version: 1\nconnections:\n  graphql:\n    a: {connection}\n"));
        let refused = project.run(&["run", "pipeline.yaml"]).with_code(2).stderr;
        for part in ["unknown field `bogus`", "0 is too small"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        let reported = refused.matches("error: ").count();
        assert_eq!(reported, 3, "each is reported once: {refused}");
    }
}

#[test]
fn a_connection_that_is_not_there() {
    let project = Project::starter(program());
    let text = project.read("pipeline.yaml").replace("@filesystem.data", "@filesystem.date");
    project.write("pipeline.yaml", text);
    assert_snapshot!(refused_in(&project), @r#"
    error: no connection `@filesystem.date`
      --> pipeline.yaml:20:7
       |
    20 |       connection: "@filesystem.date"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = hint: did you mean `@filesystem.data`? There are: @filesystem.data

    error: no connection `@filesystem.date`
      --> pipeline.yaml:28:7
       |
    28 |       connection: "@filesystem.date"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = hint: did you mean `@filesystem.data`? There are: @filesystem.data
    "#);
}

#[test]
fn a_parameter_of_the_wrong_type_or_name() {
    let project = Project::starter(program());
    let run = |param: &str| project.run(&["run", "pipeline.yaml", "--param", param]).with_code(2).stderr;
    assert_snapshot!(message(&run("min_amount=lots")), @r"
    error: parameter `min_amount` must be a whole number, found a string (from --param)
      --> pipeline.yaml:10:3
       |
    10 |   min_amount: {type: integer, default: 100}
       |   ^^^^^^^^^^
    ");
    assert_snapshot!(message(&run("minamount=1")), @r"
    error: the pipeline has no parameter `minamount`
    hint: did you mean `min_amount`?
    ");
    assert_snapshot!(run("min_amount"), @r"
    error: invalid value 'min_amount' for '--param <NAME=VALUE>': expected NAME=VALUE, such as `since=2024-01-01`

    For more information, try '--help'.
    ");
    let profile = project.run(&["run", "pipeline.yaml", "--profile", "larg"]).with_code(2);
    assert_snapshot!(message(&profile.stderr), @r"
    error: the pipeline has no profile `larg`
    hint: did you mean `large`?
    ");
}

#[test]
fn sql_that_does_not_parse() {
    assert_snapshot!(refused_steps(&query("SELECT customer,\n       sum(amount\nFROM orders")), @r#"
    error: SQL error: syntax error at or near "FROM"
      --> pipeline.yaml:12:9
       |
    12 |         FROM orders
       |         ^^^^
    "#);
}

#[test]
fn sql_over_an_unknown_table() {
    assert_snapshot!(refused_steps(&query("SELECT *\nFROM orderz")), @r"
    error: there is no table `orderz`
      --> pipeline.yaml:11:14
       |
    11 |         FROM orderz
       |              ^^^^^^
       |
       = hint: did you mean `orders`? Tables: orders
    ");
}

#[test]
fn sql_that_leaves_its_sandbox() {
    assert_snapshot!(refused_steps(&query("ATTACH '/etc/x.db' AS x; SELECT * FROM orders")), @r"
    error: `ATTACH` is not allowed here: SQL of a pipeline only reads
      --> pipeline.yaml:10:9
       |
    10 |         ATTACH '/etc/x.db' AS x; SELECT * FROM orders
       |         ^^^^^^
       |
       = hint: use one SELECT, or CREATE TEMP TABLE, VIEW or MACRO statements before it
    ");
    assert_snapshot!(refused_steps(&query("INSTALL httpfs; SELECT * FROM orders")), @r"
    error: `INSTALL` is not allowed here: SQL of a pipeline only reads
      --> pipeline.yaml:10:9
       |
    10 |         INSTALL httpfs; SELECT * FROM orders
       |         ^^^^^^^
       |
       = hint: use one SELECT, or CREATE TEMP TABLE, VIEW or MACRO statements before it
    ");
    assert_snapshot!(refused_steps(&query("SET memory_limit = '1TB'; SELECT * FROM orders")), @r"
    error: `SET` is not allowed here: SQL of a pipeline only reads
      --> pipeline.yaml:10:9
       |
    10 |         SET memory_limit = '1TB'; SELECT * FROM orders
       |         ^^^
       |
       = hint: use one SELECT, or CREATE TEMP TABLE, VIEW or MACRO statements before it
    ");
    assert_snapshot!(refused_steps(&query("COPY orders TO '/tmp/x.csv'")), @r"
    error: `COPY` is not allowed here: SQL of a pipeline only reads
      --> pipeline.yaml:10:9
       |
    10 |         COPY orders TO '/tmp/x.csv'
       |         ^^^^
       |
       = hint: use one SELECT, or CREATE TEMP TABLE, VIEW or MACRO statements before it
    ");
}

#[test]
fn two_writers_of_standard_output_and_json() {
    let project = Project::starter(program());
    let text = project.read("pipeline.yaml").replace("path: out/large-orders.csv", "path: \"-\"");
    project.write("pipeline.yaml", text);
    assert_snapshot!(project.run(&["run", "pipeline.yaml", "--json"]).with_code(2).stderr, @r"
    error: step `write-large-orders` writes to the standard output, where --json would print its result
    hint: leave out --json; the ledger is in the run's directory
    ");
}

#[test]
fn a_run_that_cannot_be_resumed() {
    let project = Project::starter(program());
    assert_snapshot!(message(&project.run(&["run", "--resume"]).with_code(2).stderr), @"
    error: there is no failed run to resume
      directory: .osiris/runs
    hint: `osiris runs list` shows all runs
    ");
    project.run(&["run", "pipeline.yaml", "--quiet"]).with_code(0);
    let id = project.runs()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let done = project.run(&["run", "--resume", &id]).with_code(2).stderr;
    assert_snapshot!(message(&done).replace(&id, "RUN"), @"error: run RUN succeeded: there is nothing to resume");
    assert_snapshot!(project.run(&["run", "--resume", "1999"]).with_code(2).stderr, @r"
    error: there is no run `1999`
      directory: .osiris/runs
    hint: `osiris runs list` shows all runs
    ");
}

#[test]
fn a_command_line_that_means_nothing() {
    let project = Project::starter(program());
    assert_snapshot!(project.run(&["rum", "pipeline.yaml"]).with_code(2).stderr, @r"
    error: unrecognized subcommand 'rum'

      tip: a similar subcommand exists: 'run'

    Usage: osiris [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(project.run(&["run"]).with_code(2).stderr, @r"
    error: the following required arguments were not provided:
      <FILE>

    Usage: osiris run <FILE>

    For more information, try '--help'.
    ");
    assert_snapshot!(project.run(&["run", "pipeline.yaml", "--jobs", "0"]).with_code(2).stderr, @r"
    error: invalid value '0' for '--jobs <N>': expected a whole number from 1

    For more information, try '--help'.
    ");
}
