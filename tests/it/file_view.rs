//! Files that a pipeline reads where they lie.

use osiris_e2e::{Program, Project};

/// A project with `steps` over a file of three rows; in them FORMAT stands for its format.
fn project(format: &str, steps: &str) -> Project {
    let project = Project::with_steps(Program::built(), &steps.replace("FORMAT", format));
    put(&project, format, "id\n1\n2\n3\n");
    project
}

fn put(project: &Project, format: &str, rows: &str) {
    project.write("written.csv", rows);
    project.run(&["copy", "written.csv", &format!("rows.{format}")]).with_code(0);
}

#[test]
fn a_file_may_be_read_and_replaced_by_one_pipeline() {
    let steps = "  - {id: rows, component: filesystem.FORMAT_extractor, mode: read, config: {path: rows.FORMAT}}
  - {id: more, component: duckdb.processor, mode: transform, config: {query: \"SELECT id + 1 AS id FROM rows\"}}
  - {id: back, component: filesystem.FORMAT_writer, mode: write, needs: [more], config: {path: rows.FORMAT}}
  - {id: first, component: filesystem.csv_writer, mode: write, needs: [rows, back], config: {path: first.csv, input_step: rows}}
";
    for format in ["csv", "parquet"] {
        let project = project(format, steps);
        for first in ["id\n1\n2\n3\n", "id\n2\n3\n4\n"] {
            project.run(&["run", "pipeline.yaml"]).with_code(0);
            assert_eq!(project.read("first.csv"), first, "the rows as they were read");
        }
    }
}

#[test]
fn a_resumed_run_reads_the_same_file_or_reads_it_anew() {
    let steps = "  - {id: rows, component: filesystem.FORMAT_extractor, mode: read, config: {path: rows.FORMAT}}
  - {id: view, component: duckdb.processor, mode: transform, config: {materialize: view, query: \"SELECT id FROM rows\"}}
  - {id: later, component: filesystem.csv_extractor, mode: read, needs: [view], config: {path: later.csv}}
  - {id: out, component: filesystem.csv_writer, mode: write, needs: [view, later], config: {path: out.csv, input_step: view}}
";
    for format in ["csv", "parquet"] {
        let project = project(format, steps);
        let failed = project.run(&["run", "pipeline.yaml"]).with_code(1);
        assert!(failed.stderr.contains("error: step `later`"), "{}", failed.stderr);
        let id = project.runs().pop().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let failed = project.run(&["run", "--resume", &id]).with_code(1);
        assert_eq!(failed.stderr.matches("from the resumed run").count(), 2, "{}", failed.stderr);
        put(&project, format, "id\n7\n8\n9\n");
        project.write("later.csv", "a\n1\n");
        let resumed = project.run(&["run", "--resume", &id]).with_code(0);
        assert!(!resumed.stderr.contains("from the resumed run"), "{}", resumed.stderr);
        assert_eq!(project.read("out.csv"), "id\n7\n8\n9\n");
    }
}
