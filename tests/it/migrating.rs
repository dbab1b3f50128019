//! What `docs/migrating.md` says of results that differ from those of the Python Osiris, and of what restores them.

use osiris_e2e::{Program, Project};

/// A project that reads `in.csv` with the fields `read`, runs `sql` and writes `out.csv` with the fields `write`.
fn project(csv: &str, read: &str, sql: &str, write: &str) -> Project {
    let steps = format!(
        "  - {{id: rows, component: filesystem.csv_extractor, mode: read, config: {{path: in.csv{read}}}}}
  - {{id: made, component: duckdb.processor, mode: transform, needs: [rows], config: {{query: '{}'}}}}
  - {{id: out, component: filesystem.csv_writer, mode: write, needs: [made], config: {{path: out.csv{write}}}}}
",
        sql.replace('\'', "''")
    );
    let project = Project::with_steps(Program::built(), &steps);
    project.write("in.csv", csv);
    project
}

fn result(csv: &str, read: &str, sql: &str, write: &str) -> String {
    let project = project(csv, read, sql, write);
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    project.read("out.csv")
}

const ALL: &str = "SELECT * FROM rows";

#[test]
fn texts_that_mean_null_have_to_be_named() {
    let file = "a,b\nNA,1\nnull,2\nNaN,3\n";
    assert_eq!(result(file, "", ALL, ""), "a,b\nNA,1\nnull,2\nNaN,3\n");
    let named = ", na_values: [NA, \"null\", NaN, \"N/A\", \"#N/A\", \"NULL\", \"nan\"]";
    assert_eq!(result(file, named, ALL, ""), "a,b\n,1\n,2\n,3\n");
}

#[test]
fn an_empty_file_is_an_error_and_a_header_alone_has_no_rows() {
    let failed = project("", "", ALL, "").run(&["run", "pipeline.yaml"]);
    assert!(failed.code == 1 && failed.stderr.contains("is empty"), "{}", failed.stderr);
    assert_eq!(result("a,b\n", "", ALL, ""), "a,b\n");
}

#[test]
fn a_repeated_header_gets_a_number() {
    assert_eq!(result("a,a\n1,2\n", "", ALL, ""), "a,a_1\n1,2\n");
    assert_eq!(result("a,a\n1,2\n", "", "SELECT a, a_1 AS \"a.1\" FROM rows", ""), "a,a.1\n1,2\n");
}

#[test]
fn bad_lines_are_kept_or_refused_but_not_dropped() {
    let file = "a,b\n1,2\n3\n4,5\n";
    for word in ["skip", "warn"] {
        let refused = project(file, &format!(", on_bad_lines: {word}"), ALL, "").run(&["run", "pipeline.yaml"]);
        assert!(
            refused.code == 2 && refused.stderr.contains("`reject` with `max_rejects` keeps"),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(result(file, ", on_bad_lines: reject, max_rejects: 1", ALL, ""), "a,b\n1,2\n4,5\n");
}

#[test]
fn values_are_written_as_they_are() {
    let file = "done,n,started\ntrue,1,2024-01-31 10:00:00\nfalse,,2024-02-01 00:00:00\n";
    assert_eq!(result(file, "", ALL, ""), file);
    let capitals = "SELECT CASE WHEN done THEN 'True' ELSE 'False' END AS done, n, started FROM rows";
    assert_eq!(
        result(file, "", capitals, ", date_format: \"%Y-%m-%d\""),
        "done,n,started\nTrue,1,2024-01-31\nFalse,,2024-02-01\n"
    );
}

#[test]
fn columns_without_a_header_have_names_and_dates_a_type() {
    assert_eq!(result("1,x\n", ", header: false", ALL, ""), "column0,column1\n1,x\n");
    let named = ", header: false, columns: [\"0\", \"1\"]";
    assert_eq!(result("1,x\n", named, ALL, ""), "0,1\n1,x\n");
    let types = "SELECT typeof(d) AS t FROM rows";
    let file = "d,n\n2024-01-31 10:00:00,1\n";
    assert_eq!(result(file, "", types, ""), "t\nTIMESTAMP\n");
    assert_eq!(result(file, ", dtype: {d: VARCHAR}", types, ""), "t\nVARCHAR\n");
    assert_eq!(result("a,b\n1,x\n", "", ALL, ", quoting: all"), "\"a\",\"b\"\n\"1\",\"x\"\n");
}

#[test]
fn fields_of_the_original_that_are_refused_say_what_to_do() {
    for (config, says) in [
        (
            "component: mysql.extractor, config: {connection: \"@mysql.m\", query: SELECT 1, table: t}",
            "conflicts with `table`",
        ),
        (
            "component: mysql.extractor, config: {connection: \"@mysql.m\", table: t, pool_size: 5}",
            "`pool_size` of @mysql.m",
        ),
        ("component: mysql.extractor, config: {connection: \"@mysql.m\", table: t, host: x}", "overrides: [host]"),
        ("component: mysql.extractor, config: {connection: \"@mysql.m\", table: t, password: x}", "`password`"),
        (
            "component: supabase.writer, config: {connection: \"@supabase.s\", table: t, prefer: return=minimal}",
            "`prefer`",
        ),
    ] {
        let read = "  - {id: rows, component: filesystem.csv_extractor, config: {path: in.csv}}\n";
        let write = "  - {id: out, component: filesystem.csv_writer, config: {path: out.csv}}\n";
        let steps = format!("{read}  - {{id: made, {config}}}\n{write}");
        let project = Project::with_steps(Program::built(), &steps);
        project.write("in.csv", "a\n1\n");
        project.write(
            "osiris_connections.yaml",
            "connections: {mysql: {m: {database: d}}, supabase: {s: {url: \"http://localhost:1\", key: \"${KEY:-abcdefghij}\"}}}\n",
        );
        let refused = project.run(&["validate", "pipeline.yaml"]).with_code(2);
        assert!(refused.stderr.contains(says), "{config}: {}", refused.stderr);
    }
}

#[test]
fn paths_start_at_the_pipeline_and_inputs_name_tables() {
    let project = Project::empty(Program::built());
    let steps = "  - {id: rows, component: filesystem.csv_extractor, mode: read, config: {path: in.csv}}
  - {id: made, component: duckdb.processor, mode: transform, inputs: {films: \"${rows.table}\"}, config: {query: SELECT * FROM films}}
  - {id: out, component: filesystem.csv_writer, mode: write, needs: [made], config: {path: out.csv}}
";
    project.write("below/pipeline.yaml", format!("oml_version: \"0.1.0\"\nname: below\nsteps:\n{steps}"));
    project.write("below/in.csv", "a\n1\n");
    project.run(&["run", "below/pipeline.yaml"]).with_code(0);
    assert_eq!(project.read("below/out.csv"), "a\n1\n");
}

#[test]
fn commands_of_the_original_name_ours() {
    let project = Project::empty(Program::built());
    for (words, ours) in [
        (&["oml", "validate", "x.yaml"][..], "osiris validate"),
        (&["logs", "list"], "osiris runs list"),
        (&["run", "--last-compile"], "osiris run PIPELINE"),
        (&["doctor"], "osiris connections doctor"),
    ] {
        let refused = project.run(words).with_code(2);
        assert!(refused.stderr.contains(ours), "{}", refused.stderr);
    }
}

#[test]
fn the_nearest_command_comes_alone() {
    let project = Project::empty(Program::built());
    let refused = project.run(&["rnu", "pipeline.yaml"]).with_code(2);
    assert!(refused.stderr.contains("'run'") && !refused.stderr.contains("'runs'"), "{}", refused.stderr);
}
