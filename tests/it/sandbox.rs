//! What a pipeline file cannot do, whatever its SQL, conditions and paths say.

use insta::assert_snapshot;

use crate::{READ, project, sql, write};

/// Reads `orders.parquet` with a filter; it is made first.
fn filtered(filter: &str) -> osiris_e2e::Project {
    let steps = format!(
        "  - {{id: rows, component: filesystem.parquet_extractor, mode: read, config: {{path: orders.parquet, filter: \"{filter}\"}}}}\n{}",
        write("out", "out.csv")
    );
    let project = project(&steps);
    let make = "  - {id: w, component: filesystem.parquet_writer, mode: write, needs: [orders], config: {path: orders.parquet}}\n";
    let text = project.read("pipeline.yaml");
    let head = text.split("steps:").next().unwrap().to_owned();
    project.write("make.yaml", format!("{head}steps:\n{READ}{make}"));
    project.run(&["run", "make.yaml", "--quiet"]).with_code(0);
    project.write(".env", "SECRET=abc\n");
    project
}

#[test]
fn s24_a_filter_that_is_more_than_a_condition_is_refused_with_its_place() {
    let project = filtered("amount > 15 AND customer = 'a'");
    project.run(&["run", "pipeline.yaml", "--quiet"]).with_code(0);
    for filter in [
        "true); COPY (SELECT content FROM read_text('.env')) TO 'stolen.csv'; SELECT * FROM (SELECT 1) WHERE (true",
        "true) LIMIT 1; COMMIT; DELETE FROM steps.other; BEGIN; SELECT * FROM (SELECT 1) WHERE (true",
        "(SELECT content FROM read_text('.env')) = 'x'",
    ] {
        let project = filtered(filter);
        for command in ["validate", "run"] {
            let run = project.run(&[command, "pipeline.yaml", "--quiet"]);
            assert!([1, 2].contains(&run.code), "{filter}: {}", run.stderr);
            assert!(run.stderr.contains("pipeline.yaml:") && !run.stderr.contains("abc"), "{}", run.stderr);
        }
        assert!(!project.path("stolen.csv").exists());
    }
    let project = filtered("amount > 1 OR query('x')");
    assert_snapshot!(project.run(&["validate", "pipeline.yaml", "--quiet"]).stderr, @r#"
    error: the function `query()` is not allowed here: SQL only reads its inputs
     --> pipeline.yaml:4:123
      |
    4 | ...nfig: {path: orders.parquet, filter: "amount > 1 OR query('x')"}}
      |                                                        ^^^^^
      |
      = hint: read files and other sources in an extractor step, and name that step in `needs`
    "#);
}

#[test]
fn s27_sql_reads_no_file_of_the_project() {
    for query in [
        "SELECT content FROM read_text('.env')",
        "SELECT content FROM read_text(['orders.csv', '.env'])",
        "FROM 'orders.csv'",
        "FROM read_csv('orders.csv')",
        "SELECT * FROM glob('**')",
        "SELECT * FROM query('SELECT 1')",
    ] {
        let project = project(&format!("{READ}{}{}", sql("sums", query), write("out", "out.csv")));
        project.write(".env", "SECRET=abc\n");
        let run = project.run(&["run", "pipeline.yaml", "--quiet"]);
        assert!([1, 2].contains(&run.code), "{query}: {}", run.stderr);
        assert!(!run.stderr.contains("abc") && !run.stdout.contains("abc"), "{query}: {}", run.stderr);
    }
}

#[test]
fn s28_a_step_does_not_leave_the_base_dir_of_its_connection() {
    let read = |base: &str, path: &str| {
        let steps = format!(
            "  - {{id: rows, component: filesystem.csv_extractor, mode: read, config: {{connection: \"@filesystem.lake\", base_dir: \"{base}\", path: \"{path}\"}}}}\n{}",
            write("out", "out.csv")
        );
        let project = project(&steps);
        // A connection may want to be asked before a step changes what it says.
        project
            .write("osiris_connections.yaml", "version: 1\nconnections:\n  filesystem:\n    lake: {base_dir: lake}\n");
        project.write("lake/2024/a.csv", "a\n1\n");
        project.write("outside/c.csv", "a\n1\n");
        project
    };
    read("2024", "a.csv").run(&["run", "pipeline.yaml", "--quiet"]).with_code(0);
    for (base, path) in [("/", "etc/hostname"), ("..", "outside/c.csv"), ("2024/../../outside", "c.csv")] {
        let run = read(base, path).run(&["run", "pipeline.yaml", "--quiet"]);
        assert!([1, 2].contains(&run.code), "{base}: {}", run.stderr);
        assert!(run.stderr.contains("base_dir"), "{base}: {}", run.stderr);
    }
}
